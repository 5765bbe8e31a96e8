//! Drawing by hand: bars and lines, in the two palettes of light and dark pages.

use std::fmt::Write;

use super::number::short;

pub(super) const WIDTH: f64 = 960.0;
const LEFT: f64 = 420.0;
const RIGHT: f64 = 90.0;
const TOP: f64 = 56.0;
const BAR: f64 = 18.0;
const GAP: f64 = 10.0;
const PLOT_HEIGHT: f64 = 380.0;
const COLOURS: [&str; 9] =
    ["#3b7dd8", "#e08a1e", "#3a9a5b", "#c0476d", "#7a5cc7", "#1f9aa8", "#9a6a3a", "#8a8f98", "#b9bec7"];

/// One bar of several pieces, and a mark.
pub(super) struct Bar {
    pub(super) label: String,
    /// Lengths, each with the place of its name.
    pub(super) pieces: Vec<(usize, f64)>,
    pub(super) mark: Option<f64>,
}

/// A line through points.
pub(super) struct Line {
    pub(super) label: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// How the horizontal axis of lines is divided.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    Linear,
    Logarithmic,
}

/// Horizontal bars; `names` of the pieces are listed above when there are several.
pub(super) fn bars(title: &str, unit: &str, names: &[&str], bars: &[Bar]) -> String {
    let total = |bar: &Bar| bar.pieces.iter().map(|(_, length)| length).sum::<f64>();
    let longest = bars.iter().map(|bar| total(bar).max(bar.mark.unwrap_or(0.0))).fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / longest;
    let legend = if names.len() > 1 { 24.0 } else { 0.0 };
    let mut body = String::new();
    if names.len() > 1 {
        body.push_str(&legend_line(names));
    }
    for (bar, place) in bars.iter().zip(0_u32..) {
        let y = TOP + legend + f64::from(place) * (BAR + GAP);
        text(&mut body, LEFT - 8.0, y + 13.0, "end", &bar.label);
        let mut x = LEFT;
        for (name, length) in &bar.pieces {
            let (width, colour) = (length * scale, COLOURS[name % COLOURS.len()]);
            let _ = write!(body, r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{BAR}" fill="{colour}"/>"#);
            x += width;
        }
        if let Some(mark) = bar.mark {
            let x = LEFT + mark * scale;
            let (from, to) = (y - 3.0, y + BAR + 3.0);
            let _ = write!(body, r#"<path d="M{x:.1} {from:.1}V{to:.1}" class="mark"/>"#);
        }
        text(&mut body, x.max(LEFT + bar.mark.unwrap_or(0.0) * scale) + 6.0, y + 13.0, "start", &short(total(bar)));
    }
    let rows = u32::try_from(bars.len()).unwrap_or(u32::MAX);
    page(title, unit, TOP + legend + f64::from(rows) * (BAR + GAP) + 12.0, &body)
}

/// Lines over a horizontal axis; the vertical one begins at 0.
pub(super) fn lines(title: &str, horizontal: (&str, Axis), vertical: &str, lines: &[Line]) -> String {
    let (left, bottom) = (64.0, TOP + PLOT_HEIGHT);
    let (width, points) = (WIDTH - left - 24.0, || lines.iter().flat_map(|line| line.points.iter()));
    let place = |x: f64| if horizontal.1 == Axis::Logarithmic { x.max(1e-3).log10() } else { x };
    let first = points().map(|point| place(point.0)).fold(f64::INFINITY, f64::min);
    let (first, last) = (first, points().map(|point| place(point.0)).fold(first, f64::max));
    let highest = points().map(|point| point.1).fold(f64::MIN_POSITIVE, f64::max);
    let to_x = |x: f64| left + (place(x) - first) / (last - first).max(1e-9) * width;
    let to_y = |y: f64| bottom - y / highest * PLOT_HEIGHT;

    let mut body = String::new();
    for quarter in 0..=4_u32 {
        let value = highest * f64::from(quarter) / 4.0;
        let y = to_y(value);
        let _ = write!(body, r#"<path d="M{left} {y:.1}H{:.1}" class="grid"/>"#, left + width);
        text(&mut body, left - 6.0, y + 4.0, "end", &short(value));
        let at = first + (last - first) * f64::from(quarter) / 4.0;
        let value = if horizontal.1 == Axis::Logarithmic { 10_f64.powf(at) } else { at };
        text(&mut body, left + width * f64::from(quarter) / 4.0, bottom + 18.0, "middle", &short(value));
    }
    for (line, place) in lines.iter().zip(0_usize..) {
        let path: Vec<String> = line.points.iter().map(|(x, y)| format!("{:.1} {:.1}", to_x(*x), to_y(*y))).collect();
        let colour = COLOURS[place % COLOURS.len()];
        let _ =
            write!(body, r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#, path.join(" "));
    }
    let mut height = bottom + 36.0;
    text(&mut body, left + width, height, "end", horizontal.0);
    for (line, place) in lines.iter().zip(0_usize..) {
        height += 20.0;
        let (colour, y) = (COLOURS[place % COLOURS.len()], height - 9.0);
        let _ = write!(body, r#"<rect x="{left}" y="{y:.1}" width="14" height="10" fill="{colour}"/>"#);
        text(&mut body, left + 22.0, height, "start", &line.label);
    }
    page(title, vertical, height + 16.0, &body)
}

fn legend_line(names: &[&str]) -> String {
    let mut body = String::new();
    let mut x = 24.0;
    for (name, place) in names.iter().zip(0_usize..) {
        let colour = COLOURS[place % COLOURS.len()];
        let _ = write!(body, r#"<rect x="{x:.1}" y="{TOP}" width="12" height="12" fill="{colour}"/>"#);
        text(&mut body, x + 17.0, TOP + 11.0, "start", name);
        x += 30.0 + 7.5 * f64::from(u32::try_from(name.len()).unwrap_or(0));
    }
    body
}

fn page(title: &str, unit: &str, height: f64, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"13\"><style>text{{fill:#1f2328}}.grid{{stroke:#8884}}.mark{{stroke:#d1242f;stroke-width:2}}svg{{background:#fff}}\
         @media (prefers-color-scheme: dark){{text{{fill:#e6edf3}}svg{{background:#0d1117}}}}</style>\
         <text x=\"24\" y=\"26\" font-size=\"17\" font-weight=\"600\">{}</text><text x=\"24\" y=\"44\">{}</text>{body}</svg>\n",
        escape(title),
        escape(unit)
    )
}

fn text(body: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = escape(words);
    let _ = write!(body, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#);
}

fn escape(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
