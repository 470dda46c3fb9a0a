//! What a report looks like: a chart for each question, as an SVG that can be read on light and on dark pages.

mod bars;
mod charts;
mod lines;
mod theme;

use crate::report::Report;

/// Curves over an axis whose steps are factors.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) x_label: &'static str,
    pub(crate) y_label: &'static str,
    /// The factor between two labels.
    pub(crate) x_base: f64,
    pub(crate) x_shown: fn(f64) -> String,
    /// The range is so wide that equal factors, not equal differences, should be equally far apart.
    pub(crate) is_y_log: bool,
    pub(crate) series: Vec<Series>,
}

/// A place on both axes.
pub(crate) type Point = (f64, f64);

/// The curve of one proxy.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
}

/// One number for each proxy.
#[derive(Debug, Clone)]
pub(crate) struct Bars {
    pub(crate) title: String,
    pub(crate) unit: &'static str,
    pub(crate) of_each: Vec<(String, f64)>,
}

/// A picture and the name of its file, without its ending.
#[derive(Debug, Clone)]
pub(crate) enum Picture {
    Chart(Chart),
    Bars(Bars),
}

/// The pictures that there are numbers for.
pub(crate) fn pictures(report: &Report) -> Vec<(&'static str, Picture)> {
    charts::all(report)
}

/// Draws one.
pub(crate) fn svg(picture: &Picture) -> anyhow::Result<String> {
    let svg = match picture {
        Picture::Chart(chart) => lines::draw(chart)?,
        Picture::Bars(bars) => bars::draw(bars)?,
    };
    Ok(theme::for_dark_pages_too(&svg))
}
