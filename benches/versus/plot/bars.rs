//! Draws one bar for each proxy, with its number beside it.

use std::fmt::Debug;

use anyhow::anyhow;
use plotters::prelude::*;

use super::Bars;
use super::theme::{INK, PAGE, tone};

pub(super) fn draw(bars: &Bars) -> anyhow::Result<String> {
    let mut svg = String::new();
    fill(&mut svg, bars).map_err(|why| anyhow!("drawing {:?}: {why}", bars.title))?;
    Ok(svg)
}

fn fill(svg: &mut String, bars: &Bars) -> Result<(), String> {
    let count = u32::try_from(bars.of_each.len()).map_err(said)?;
    let size = (WIDTH, u32::try_from(TOP).map_err(said)? + 34 * count + 16);
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&PAGE).map_err(said)?;
    let title = ("sans-serif", 18).into_font().color(&INK);
    let text = ("sans-serif", 14).into_font().color(&INK);
    let headline = format!("{}, {}", bars.title, bars.unit);
    root.draw_text(&headline, &title, (16, 14)).map_err(said)?;
    let most = bars.of_each.iter().map(|(_, value)| *value);
    let most = most.fold(f64::MIN_POSITIVE, f64::max);
    let mut y = TOP;
    for (place, (name, value)) in bars.of_each.iter().enumerate() {
        root.draw_text(name, &text, (16, y + 5)).map_err(said)?;
        let end = LEFT + length(value / most);
        let bar = Rectangle::new([(LEFT, y), (end, y + 24)], tone(name, place).filled());
        root.draw(&bar).map_err(said)?;
        let digits = if *value < 100.0 { 2 } else { 0 };
        root.draw_text(&format!("{value:.digits$}"), &text, (end + 8, y + 5))
            .map_err(said)?;
        y += 34;
    }
    root.present().map_err(said)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a share of a few hundred pixels"
)]
fn length(share: f64) -> i32 {
    (share.clamp(0.0, 1.0) * ROOM).round().max(1.0) as i32
}

fn said(error: impl Debug) -> String {
    format!("{error:?}")
}

const WIDTH: u32 = 760;
const TOP: i32 = 50;
/// Where bars begin, and how long the longest is.
const LEFT: i32 = 210;
const ROOM: f64 = 450.0;
