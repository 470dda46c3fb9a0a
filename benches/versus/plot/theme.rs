//! Colours that the colour-blind can tell apart, on light and on dark pages.

use plotters::style::RGBColor;

use crate::report::FLOOR;

pub(super) const WIDE: (u32, u32) = (920, 440);
pub(super) const PAGE: RGBColor = RGBColor(255, 255, 255);
pub(super) const INK: RGBColor = RGBColor(31, 35, 40);
pub(super) const GRID: RGBColor = RGBColor(216, 222, 228);

/// A proxy has the same colour in every picture; others take theirs in turn.
pub(super) fn tone(name: &str, place: usize) -> RGBColor {
    match name {
        "Ringway" => RGBColor(0, 114, 178),
        "nginx" => RGBColor(0, 158, 115),
        "HAProxy" => RGBColor(213, 94, 0),
        "Envoy" => RGBColor(204, 121, 167),
        FLOOR => RGBColor(128, 128, 128),
        _ => OTHERS[place % OTHERS.len()],
    }
}

pub(super) fn is_floor(name: &str) -> bool {
    name == FLOOR
}

/// Adds a style that swaps page, ink and grid where the reader has asked for dark pages.
pub(super) fn for_dark_pages_too(svg: &str) -> String {
    match svg.find('>') {
        Some(end) => format!("{}\n{DARK}{}", &svg[..=end], &svg[end + 1..]),
        None => svg.to_owned(),
    }
}

const OTHERS: [RGBColor; 4] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 158, 115),
];

/// Attributes are weaker than styles, so what the picture says for light pages stays where this does not apply.
const DARK: &str = "<style>@media (prefers-color-scheme: dark) {\
[fill=\"#FFFFFF\"] { fill: #0d1117 } [stroke=\"#FFFFFF\"] { stroke: #0d1117 } \
[fill=\"#1F2328\"] { fill: #e6edf3 } [stroke=\"#1F2328\"] { stroke: #e6edf3 } \
[fill=\"#D8DEE4\"] { fill: #30363d } [stroke=\"#D8DEE4\"] { stroke: #30363d } }</style>";
