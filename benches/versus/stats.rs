//! Medians, percentiles and shares of measured numbers.

/// The middle one; of an even number, the mean of the two in the middle. What is not finite does not count.
pub(crate) fn median(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let sorted = sorted(numbers);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The smallest number that `percent` of all do not exceed.
pub(crate) fn percentile(numbers: impl Iterator<Item = f64>, percent: f64) -> Option<f64> {
    let sorted = sorted(numbers);
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a list"
    )]
    let rank = (percent / 100.0 * sorted.len() as f64).ceil().max(1.0) as usize;
    Some(sorted[(rank - 1).min(last)])
}

#[expect(
    clippy::cast_precision_loss,
    reason = "measured numbers are far below 2^52"
)]
pub(crate) const fn float(number: u64) -> f64 {
    number as f64
}

fn sorted(numbers: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = numbers.filter(|number| number.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}
