//! Draws curves.

use std::fmt::Debug;
use std::ops::Range;

use anyhow::anyhow;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use super::theme::{GRID, INK, PAGE, WIDE, is_floor, tone};
use super::{Chart, Point};
use crate::case::grouped;

pub(super) fn draw(chart: &Chart) -> anyhow::Result<String> {
    let x = span(chart, |point| point.0);
    let x = (x.start / 1.15..x.end * 1.15)
        .log_scale()
        .base(chart.x_base);
    let y = span(chart, |point| point.1);
    let mut svg = String::new();
    let drawn = if chart.is_y_log {
        plot(&mut svg, chart, x, (y.start / 1.3..y.end * 1.3).log_scale())
    } else {
        plot(&mut svg, chart, x, 0.0..y.end * 1.1)
    };
    drawn.map_err(|why| anyhow!("drawing {:?}: {why}", chart.title))?;
    Ok(svg)
}

/// From the least to the most of all points.
fn span(chart: &Chart, of: impl Fn(&Point) -> f64) -> Range<f64> {
    let points = chart.series.iter().flat_map(|one| &one.points);
    points.map(of).fold(f64::INFINITY..0.0, |span, value| {
        span.start.min(value)..span.end.max(value)
    })
}

fn plot<X, Y>(svg: &mut String, chart: &Chart, x: X, y: Y) -> Result<(), String>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let root = SVGBackend::with_string(svg, WIDE).into_drawing_area();
    root.fill(&PAGE).map_err(said)?;
    let text = ("sans-serif", 14).into_font().color(&INK);
    let mut context = ChartBuilder::on(&root)
        .caption(&chart.title, ("sans-serif", 18).into_font().color(&INK))
        .margin(12)
        .margin_right(LEGEND_ROOM)
        .x_label_area_size(48)
        .y_label_area_size(84)
        .build_cartesian_2d(x, y)
        .map_err(said)?;
    context
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID)
        .light_line_style(PAGE)
        .axis_style(INK)
        .label_style(text.clone())
        .axis_desc_style(text.clone())
        .x_desc(chart.x_label)
        .y_desc(chart.y_label)
        .y_labels(6)
        .x_label_formatter(&|x| (chart.x_shown)(*x))
        .y_label_formatter(&|y| spelled(*y))
        .draw()
        .map_err(said)?;
    for (place, one) in chart.series.iter().enumerate() {
        let color = tone(&one.name, place);
        let style = color.stroke_width(if is_floor(&one.name) { 1 } else { 2 });
        context
            .draw_series(LineSeries::new(one.points.iter().copied(), style))
            .map_err(said)?;
        let dots = one
            .points
            .iter()
            .map(|&point| Circle::new(point, 3, color.filled()));
        context.draw_series(dots).map_err(said)?;
    }
    // Beside the curves: a legend among them would lie over some.
    let mut y = LEGEND.1;
    for (place, one) in chart.series.iter().enumerate() {
        let (x, style) = (LEGEND.0, tone(&one.name, place).stroke_width(2));
        root.draw(&PathElement::new([(x, y), (x + 22, y)], style))
            .map_err(said)?;
        root.draw_text(&one.name, &text, (x + 30, y - 7))
            .map_err(said)?;
        y += 24;
    }
    root.present().map_err(said)
}

/// Whole numbers with their thousands apart; small ones with what is behind their point.
fn spelled(value: f64) -> String {
    if value < 10.0 {
        return format!("{}", (value * 100.0).round() / 100.0);
    }
    let digits = format!("{value:.0}");
    digits.parse().map_or(digits, grouped)
}

fn said(error: impl Debug) -> String {
    format!("{error:?}")
}

/// Where the first name stands.
const LEGEND: (i32, i32) = (700, 64);
/// What the curves leave free at the right.
const LEGEND_ROOM: u32 = 230;
