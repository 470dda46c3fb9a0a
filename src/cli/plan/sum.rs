//! A sum that can be read: one named line for each part.

use serde::Serialize;

/// One part: so many, so much each, and where the number comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) count: u64,
    pub(super) each: u64,
    pub(super) total: u64,
    pub(super) from: &'static str,
}

/// Its lines, and what they come to.
///
/// Invariant: `total` is the sum of the lines' totals, and each of those is `count` times `each`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Sum {
    pub(super) lines: Vec<Line>,
    pub(super) total: u64,
}

impl Sum {
    /// Adds a line; one that counts nothing is left out.
    pub(super) fn with(
        mut self,
        name: &'static str,
        count: u64,
        each: u64,
        from: &'static str,
    ) -> Self {
        let total = count.saturating_mul(each);
        if total > 0 {
            self.total = self.total.saturating_add(total);
            self.lines.push(Line {
                name,
                count,
                each,
                total,
                from,
            });
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_counts_nothing_is_left_out() {
        let sum = Sum::default()
            .with("a", 2, 3, "here")
            .with("b", 0, 5, "there")
            .with("c", 1, 4, "here");
        assert_eq!(sum.total, 10);
        assert_eq!(sum.lines.len(), 2);
        assert_eq!(sum.lines[0].total, 6);
    }
}
