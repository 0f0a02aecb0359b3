//! The distributions as a picture: percentile curves, both axes logarithmic, one panel for each
//! comparison. SVG by hand; readable on light and dark pages.

#![expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "places on a picture, no money")]

use crate::bench::report::{Curve, Role};
use crate::bench::rows::micros;
use crate::bench::samples::Distribution;
use crate::svg::{escaped, put};

const COLUMNS: usize = 3;
/// Width and height of a panel with its axes, in pixels.
const PANEL: [f64; 2] = [330.0, 240.0];
/// Room in a panel left of and above the drawing, right of and below it.
const INSET: [f64; 4] = [52.0, 30.0, 14.0, 40.0];
/// Height of the title and the legend.
const HEAD: f64 = 76.0;
/// Points of one curve.
const POINTS: u32 = 160;
/// Where the curves end: 99.99 %, four nines behind the decimal logarithm.
const NINES: f64 = 4.0;
/// What stands under the x axis, and where: minus the decimal logarithm of what is slower.
const TICKS: [(&str, f64); 6] =
    [("0", 0.0), ("50", 0.301), ("90", 1.0), ("99", 2.0), ("99.9", 3.0), ("99.99", 4.0)];

/// Colours that people with colour blindness tell apart (Okabe and Ito), on light and on dark.
const STYLE: &str = "\
.page{fill:#fbfbfd}text{fill:#223}.faint{fill:#667}.grid{stroke:#dde;stroke-width:1}\
.curve,.key{fill:none;stroke-width:2}\n\
.bare,.synced{stroke:#7a7a85}.synced{stroke-dasharray:5 3}.pipelined{stroke:#0072b2}\
.durable{stroke:#d55e00}.other{stroke:#009e73}\n\
@media(prefers-color-scheme:dark){.page{fill:#16161c}text{fill:#e8e8ee}.faint{fill:#a5a5b2}.grid{stroke:#33333d}\
.bare,.synced{stroke:#b8b8c4}.pipelined{stroke:#56b4e9}.durable{stroke:#e69f00}.other{stroke:#2fd6a4}}\n";

const LEGEND: [(Role, &str); 5] = [
    (Role::Bare, "bare signer, or direct"),
    (Role::Pipelined, "vault, pipelined"),
    (Role::BareSynced, "bare signer + write + fdatasync"),
    (Role::Durable, "vault, record durable"),
    (Role::Other, "OpenBao with file audit; ccxt"),
];

/// The whole picture. `foot` is one line that says what it was measured on.
pub fn svg(curves: &[Curve], foot: &str) -> String {
    let mut panels: Vec<&str> = Vec::new();
    for curve in curves {
        if !panels.contains(&curve.panel.as_str()) {
            panels.push(&curve.panel);
        }
    }
    let rows = panels.len().div_ceil(COLUMNS);
    let width = PANEL[0] * COLUMNS as f64 + 10.0;
    let height = HEAD + PANEL[1] * rows as f64 + 28.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"system-ui, sans-serif\" font-size=\"12\" role=\"img\" aria-labelledby=\"t d\">\n\
         <title id=\"t\">How long a signed order takes</title>\n\
         <desc id=\"d\">Percentile curves of latency in microseconds, one panel for each comparison.</desc>\n\
         <style>{STYLE}</style>\n<rect class=\"page\" width=\"{width:.0}\" height=\"{height:.0}\" rx=\"10\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"16\" font-weight=\"600\">Latency from request to reply: \
         the share of requests that is at least this fast</text>\n"
    );
    legend(&mut text, curves);
    for (number, panel) in panels.iter().enumerate() {
        let left = PANEL[0] * (number % COLUMNS) as f64;
        let top = HEAD + PANEL[1] * (number / COLUMNS) as f64;
        let own: Vec<&Curve> = curves.iter().filter(|curve| curve.panel == *panel).collect();
        draw(&mut text, panel, &own, left, top);
    }
    put(
        &mut text,
        &format!("<text class=\"faint\" x=\"16\" y=\"{:.0}\">{}</text>", height - 10.0, escaped(foot)),
    );
    text.push_str("</svg>\n");
    text
}

fn legend(text: &mut String, curves: &[Curve]) {
    let mut left = 16.0;
    for (role, name) in LEGEND.iter().filter(|(role, _)| curves.iter().any(|curve| curve.role == *role)) {
        put(
            text,
            &format!(
                "<line class=\"key {}\" x1=\"{left:.0}\" y1=\"50\" x2=\"{:.0}\" y2=\"50\"/>",
                class(*role),
                left + 24.0
            ),
        );
        put(text, &format!("<text x=\"{:.0}\" y=\"54\">{name}</text>", left + 30.0));
        left += 46.0 + 5.9 * name.len() as f64;
    }
}

fn draw(text: &mut String, panel: &str, curves: &[&Curve], left: f64, top: f64) {
    let (low, high) = decades(curves);
    let area =
        [left + INSET[0], top + INSET[1], PANEL[0] - INSET[0] - INSET[2], PANEL[1] - INSET[1] - INSET[3]];
    let x = |nines: f64| area[0] + area[2] * nines / NINES;
    let y = |value: f64| area[1] + area[3] * (high - value.max(1e-3).log10()) / (high - low);
    let (right, bottom) = (area[0] + area[2], area[1] + area[3]);
    put(
        text,
        &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" font-weight=\"600\">{}</text>",
            area[0],
            top + 20.0,
            escaped(panel)
        ),
    );
    let mut decade = low;
    while decade <= high {
        let (at, value) = (y(10_f64.powf(decade)), label(decade));
        put(
            text,
            &format!(
                "<line class=\"grid\" x1=\"{:.1}\" y1=\"{at:.1}\" x2=\"{right:.1}\" y2=\"{at:.1}\"/>",
                area[0]
            ),
        );
        put(
            text,
            &format!(
                "<text class=\"faint\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
                area[0] - 5.0,
                at + 4.0
            ),
        );
        decade += 1.0;
    }
    for (name, nines) in TICKS {
        let at = x(nines);
        put(
            text,
            &format!(
                "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{:.1}\" x2=\"{at:.1}\" y2=\"{bottom:.1}\"/>",
                area[1]
            ),
        );
        put(
            text,
            &format!(
                "<text class=\"faint\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"11\">{name}</text>",
                bottom + 14.0
            ),
        );
    }
    let middle = (area[0] + right) / 2.0;
    put(
        text,
        &format!(
            "<text class=\"faint\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"11\">percentile</text>",
            bottom + 29.0
        ),
    );
    for curve in curves {
        let points: Vec<String> =
            points(&curve.times).map(|(nines, value)| format!("{:.1} {:.1}", x(nines), y(value))).collect();
        put(text, &format!("<path class=\"curve {}\" d=\"M{}\"/>", class(curve.role), points.join("L")));
    }
}

/// Points of a curve: nines and microseconds, as far as the samples tell.
fn points(times: &Distribution) -> impl Iterator<Item = (f64, f64)> {
    let most = (times.len() as f64).log10().min(NINES);
    (0..=POINTS).map(move |step| {
        let nines = most * f64::from(step) / f64::from(POINTS);
        let share = (1.0 - 10_f64.powf(-nines)) * 1e6;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and a million"
        )]
        let share = share.round() as u64;
        (nines, micros(times.at(share)))
    })
}

/// The powers of ten around all that is drawn.
fn decades(curves: &[&Curve]) -> (f64, f64) {
    let ends = curves.iter().flat_map(|curve| [curve.times.at(0), curve.times.at(999_900)]);
    let (low, high) = ends
        .map(|time| micros(time).max(1e-3).log10())
        .fold((9.0_f64, -3.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    (low.floor(), high.ceil().max(low.floor() + 1.0))
}

/// A power of ten of microseconds, for people.
fn label(decade: f64) -> String {
    let value = 10_f64.powf(decade);
    match decade {
        ..3.0 => format!("{value} µs"),
        ..6.0 => format!("{} ms", (value / 1e3).round()),
        _ => format!("{} s", (value / 1e6).round()),
    }
}

const fn class(role: Role) -> &'static str {
    match role {
        Role::Bare => "bare",
        Role::Pipelined => "pipelined",
        Role::BareSynced => "synced",
        Role::Durable => "durable",
        Role::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bench::samples::Samples;

    #[test]
    fn every_curve_stays_in_its_panel() {
        let mut samples = Samples::default();
        for nanos in 1..20_000_u64 {
            samples.add(Duration::from_nanos(nanos * nanos), 1);
        }
        let times = samples.finish().expect("samples");
        let (low, high) = decades(&[&Curve { panel: "x".into(), role: Role::Bare, times: times.clone() }]);
        assert!(points(&times).all(|(nines, value)| (0.0..=NINES).contains(&nines)
            && (low..=high).contains(&value.max(1e-3).log10())));
        let curve = |panel: &str| Curve { panel: panel.into(), role: Role::Durable, times: times.clone() };
        let text = svg(&[curve("a < b"), curve("c"), curve("a < b"), curve("d"), curve("e")], "x & y");
        assert_eq!(text.matches("<path class=\"curve").count(), 5);
        assert_eq!(text.matches(">percentile<").count(), 4);
        assert!(text.contains("a &lt; b") && text.contains("x &amp; y") && !text.contains("NaN"));
    }
}
