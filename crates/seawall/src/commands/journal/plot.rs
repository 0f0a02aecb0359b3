//! `seawall journal plot`: equity over time, one panel for each account, with the equity at which each
//! rung of the drawdown ladder fires as it was known at the time.

#![expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "places on a picture, no money")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use journal::tables::{EquitySample, Reader};
use trading::{AccountName, Decimal, Timestamp};

use super::canvas::{Align, Class, Scene, Shape, png, svg};
use super::export::write_to;
use super::since::Since;
use crate::commands::say;
use crate::installation::now;
use crate::layout::Layout;

/// Most samples of one account that are looked at, the latest: a year of one in two minutes.
const MAX_SAMPLES: u32 = 262_800;
/// Most accounts in one picture.
const MAX_PANELS: usize = 16;
const WIDTH: f64 = 960.0;
/// Height of a panel with its axes.
const PANEL: f64 = 300.0;
/// Room in a panel left of and above the drawing, right of and below it.
const INSET: [f64; 4] = [88.0, 40.0, 96.0, 36.0];
/// Columns that samples are gathered in; each keeps its first, lowest, highest and last.
const COLUMNS: usize = 776;
/// Lines across, about.
const LINES: f64 = 8.0;
/// Times below.
const TIMES: u64 = 4;

/// What to draw, and where.
#[derive(Debug, Args)]
pub struct Options {
    /// A file that ends in .svg or .png.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// Only this account.
    #[arg(long)]
    account: Option<AccountName>,
    /// Only from then on: an age (90m, 24h, 7d), a date or a time in UTC.
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
}

/// Draws it.
pub fn run(layout: &Layout, options: &Options) -> anyhow::Result<ExitCode> {
    let draw: fn(&Scene) -> anyhow::Result<Vec<u8>> =
        match options.out.extension().and_then(|extension| extension.to_str()) {
            Some("svg") => |scene| Ok(svg(scene).into_bytes()),
            Some("png") => png,
            _ => anyhow::bail!("{} ends neither in .svg nor in .png", options.out.display()),
        };
    let reader = super::open(layout)?;
    let panels = reader.snapshot(|reader| panels(reader, options))?;
    anyhow::ensure!(!panels.is_empty(), "there are no equity samples to draw");
    let picture = draw(&scene(&panels))?;
    write_to(&options.out, |out| Ok(out.write_all(&picture)?))?;
    let samples: usize = panels.iter().map(|(_, samples)| samples.len()).sum();
    say(format!("drew {samples} samples of {} account(s) to {}", panels.len(), options.out.display()));
    Ok(ExitCode::SUCCESS)
}

type Panel = (AccountName, Vec<EquitySample>);

fn panels(reader: &Reader, options: &Options) -> anyhow::Result<Vec<Panel>> {
    let accounts = match &options.account {
        Some(account) => vec![account.clone()],
        None => {
            let names = reader.sampled_accounts()?;
            names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?
        }
    };
    let since = options.since.map(|since| since.before(now()));
    let mut panels = Vec::new();
    for account in accounts {
        let samples = reader.equity(&account, since, MAX_SAMPLES)?;
        if !samples.is_empty() {
            panels.push((account, samples));
        }
    }
    anyhow::ensure!(
        panels.len() <= MAX_PANELS,
        "{} accounts do not fit one picture; choose one with --account",
        panels.len()
    );
    Ok(panels)
}

/// The whole picture.
fn scene(panels: &[Panel]) -> Scene {
    let mut shapes = Vec::new();
    for (number, (account, samples)) in panels.iter().enumerate() {
        draw(&mut shapes, account, samples, PANEL * number as f64);
    }
    let title = "Equity over time, with the rungs of the drawdown ladder".to_owned();
    Scene { width: WIDTH, height: PANEL * panels.len() as f64 + 10.0, title, shapes }
}

/// Where values stand in a panel.
struct Axes {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
    times: [u64; 2],
    values: [f64; 2],
}

impl Axes {
    fn of(samples: &[EquitySample], top: f64) -> Self {
        let all = samples.iter().flat_map(|sample| {
            std::iter::once(sample.equity).chain(sample.levels.iter().copied().flatten()).map(float)
        });
        let (low, high) =
            all.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        // A line that never moves stands in the middle of a panel of some height.
        let room = ((high - low) * 0.06).max(high.abs() * 0.001).max(1e-9);
        let times = samples.iter().map(|sample| sample.time.as_ms());
        let (first, last) = (times.clone().min().unwrap_or(0), times.max().unwrap_or(0));
        Self {
            left: INSET[0],
            top: top + INSET[1],
            right: WIDTH - INSET[2],
            bottom: top + PANEL - INSET[3],
            times: [first, last],
            values: [low - room, high + room],
        }
    }

    fn x(&self, time: u64) -> f64 {
        let whole = self.times[1] - self.times[0];
        if whole == 0 {
            return (self.left + self.right) / 2.0;
        }
        self.left + (self.right - self.left) * (time - self.times[0]) as f64 / whole as f64
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.values[0]) / (self.values[1] - self.values[0]);
        self.bottom - (self.bottom - self.top) * share
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the panel")]
    fn column(&self, time: u64) -> usize {
        ((self.x(time) - self.left).max(0.0) as usize).min(COLUMNS)
    }
}

fn draw(shapes: &mut Vec<Shape>, account: &AccountName, samples: &[EquitySample], top: f64) {
    let axes = Axes::of(samples, top);
    let Some(last) = samples.last() else { return };
    let title = format!("{account}: {}, rung {}", last.equity, last.rung);
    text(shapes, [axes.left, top + 26.0], Align::Start, (Class::Ink, true), title);
    grid(shapes, &axes);
    // The right end of each line, so that no label stands on another.
    let mut labels: Vec<(f64, Class, String)> = Vec::new();
    for rung in 1..=4_u8 {
        let level = |sample: &EquitySample| sample.levels[usize::from(rung) - 1];
        for points in steps(&axes, samples, level) {
            shapes.push(Shape::Path { points, class: Class::Rung(rung) });
        }
        if let Some(level) = level(last) {
            labels.push((axes.y(float(level)) + 4.0, Class::Rung(rung), format!("rung {rung}")));
        }
    }
    labels.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut lowest = f64::MIN;
    for (y, class, label) in labels {
        lowest = y.max(lowest + 13.0);
        text(shapes, [axes.right + 8.0, lowest], Align::Start, (class, false), label);
    }
    shapes.push(Shape::Path { points: curve(&axes, samples), class: Class::Equity });
}

fn grid(shapes: &mut Vec<Shape>, axes: &Axes) {
    let step = round_step((axes.values[1] - axes.values[0]) / LINES);
    let digits = (-step.log10().floor()).clamp(0.0, 9.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 9")]
    let digits = digits as usize;
    let first = (axes.values[0] / step).ceil();
    for number in 0..20_u8 {
        let value = (first + f64::from(number)) * step;
        if value > axes.values[1] {
            break;
        }
        let y = axes.y(value);
        shapes.push(Shape::Path { points: vec![[axes.left, y], [axes.right, y]], class: Class::Grid });
        text(
            shapes,
            [axes.left - 8.0, y + 4.0],
            Align::End,
            (Class::Faint, false),
            format!("{value:.digits$}"),
        );
    }
    let whole = axes.times[1] - axes.times[0];
    for number in 0..=if whole == 0 { 0 } else { TIMES } {
        let time = axes.times[0] + whole / TIMES * number;
        let x = axes.x(time);
        shapes.push(Shape::Path { points: vec![[x, axes.top], [x, axes.bottom]], class: Class::Grid });
        let said = Timestamp::from_ms(time).to_string();
        let said = format!("{} {}", &said[..10], &said[11..16]);
        text(shapes, [x, axes.bottom + 18.0], Align::Middle, (Class::Faint, false), said);
    }
}

fn text(shapes: &mut Vec<Shape>, at: [f64; 2], align: Align, look: (Class, bool), text: String) {
    let (class, is_title) = look;
    shapes.push(Shape::Text { at, align, class, is_title, text });
}

/// The equity's line: of each column of the picture the first, the lowest, the highest and the last
/// sample, so that no drop is lost however many samples there are.
fn curve(axes: &Axes, samples: &[EquitySample]) -> Vec<[f64; 2]> {
    let point = |sample: &EquitySample| [axes.x(sample.time.as_ms()), axes.y(float(sample.equity))];
    let mut points: Vec<[f64; 2]> = Vec::new();
    for column in
        samples.chunk_by(|one, other| axes.column(one.time.as_ms()) == axes.column(other.time.as_ms()))
    {
        let by_equity = |index: &usize| column[*index].equity;
        let lowest = (0..column.len()).min_by_key(by_equity).unwrap_or(0);
        let highest = (0..column.len()).max_by_key(by_equity).unwrap_or(0);
        let mut kept = [0, lowest, highest, column.len() - 1];
        kept.sort_unstable();
        for (turn, index) in kept.iter().enumerate() {
            if turn == 0 || kept[turn - 1] != *index {
                points.push(point(&column[*index]));
            }
        }
    }
    widened(points)
}

/// A rung's line: level until the sample that says otherwise, broken where none is known.
fn steps(
    axes: &Axes,
    samples: &[EquitySample],
    level: impl Fn(&EquitySample) -> Option<Decimal>,
) -> Vec<Vec<[f64; 2]>> {
    let mut lines: Vec<Vec<[f64; 2]>> = Vec::new();
    let mut current: Option<(Decimal, Vec<[f64; 2]>)> = None;
    for sample in samples {
        let x = axes.x(sample.time.as_ms());
        if let Some((value, mut points)) = current.take() {
            let y = axes.y(float(value));
            match points.as_mut_slice() {
                // On the same level the line's end moves.
                [.., before, end] if before[1].total_cmp(&y).is_eq() && end[1].total_cmp(&y).is_eq() => {
                    end[0] = x;
                }
                _ => points.push([x, y]),
            }
            match level(sample) {
                Some(next) => {
                    if next != value {
                        points.push([x, axes.y(float(next))]);
                    }
                    current = Some((next, points));
                }
                None => lines.push(widened(points)),
            }
        } else if let Some(value) = level(sample) {
            current = Some((value, vec![[x, axes.y(float(value))]]));
        }
    }
    lines.extend(current.map(|(_, points)| widened(points)));
    lines
}

/// A single point as a short line, or nothing would be seen of it.
fn widened(mut points: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    if let [[x, y]] = points[..] {
        points = vec![[x - 2.0, y], [x + 2.0, y]];
    }
    points
}

/// 1, 2 or 5 times a power of ten, not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step).unwrap_or(10.0);
    factor * power
}

fn float(value: Decimal) -> f64 {
    value.mantissa() as f64 / 10_f64.powi(i32::from(value.scale()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(minute: u64, equity: &str, levels: [Option<&str>; 4]) -> EquitySample {
        let decimal = |text: &str| text.parse::<Decimal>().expect("a decimal");
        EquitySample {
            account: "main".into(),
            time: Timestamp::from_ms(1_700_000_000_000 + minute * 60_000),
            unit_value: 1_000_000_000,
            equity: decimal(equity),
            rung: 0,
            levels: levels.map(|level| level.map(decimal)),
        }
    }

    fn panel(samples: Vec<EquitySample>) -> Panel {
        ("main".parse().expect("a name"), samples)
    }

    fn week() -> Vec<EquitySample> {
        let levels = |minute| [(minute < 9000).then_some("3800"), Some("3680"), None, Some("3280")];
        (0..10_080)
            .map(|minute| {
                let equity = 4000 - minute * 37 % 151;
                sample(minute, &format!("{equity}.25"), levels(minute))
            })
            .collect()
    }

    #[test]
    fn an_svg_is_well_formed_and_stays_on_its_page() {
        let empty: [Option<&str>; 4] = [None; 4];
        for samples in
            [week(), vec![sample(0, "4000", empty)], vec![sample(0, "0", empty), sample(1, "0", empty)]]
        {
            let panels = [panel(samples.clone()), panel(samples)];
            let scene = scene(&panels);
            let text = svg(&scene);
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
            let document = roxmltree::Document::parse(&text).expect("XML");
            assert_eq!(document.root_element().tag_name().name(), "svg");
            let curves = document.descendants().filter(|node| node.attribute("class") == Some("equity"));
            assert_eq!(curves.count(), 2);
            for shape in &scene.shapes {
                let points = match shape {
                    Shape::Path { points, .. } => points.clone(),
                    Shape::Text { at, .. } => vec![*at],
                };
                for [x, y] in points {
                    assert!(
                        (0.0..=scene.width).contains(&x) && (0.0..=scene.height).contains(&y),
                        "{shape:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_lines_say_what_the_samples_say() {
        let samples = week();
        let axes = Axes::of(&samples, 0.0);
        let points = curve(&axes, &samples);
        assert!(points.len() <= 4 * (COLUMNS + 1), "{}", points.len());
        let lowest = samples.iter().map(|sample| axes.y(float(sample.equity))).fold(f64::MIN, f64::max);
        assert!(points.iter().any(|[_, y]| y.total_cmp(&lowest).is_eq()), "no drop is lost");
        let rung = |rung: usize| steps(&axes, &samples, |sample| sample.levels[rung - 1]);
        let ends = |lines: &[Vec<[f64; 2]>]| {
            lines.iter().map(|line| (line[0], line[line.len() - 1])).collect::<Vec<_>>()
        };
        let at = |minute: u64, value: f64| [axes.x(1_700_000_000_000 + minute * 60_000), axes.y(value)];
        assert_eq!(ends(&rung(1)), [(at(0, 3800.0), at(9000, 3800.0))], "until it was no longer known");
        assert_eq!(ends(&rung(2)), [(at(0, 3680.0), at(10_079, 3680.0))]);
        assert_eq!(rung(3), [[[0.0; 2]; 0]; 0]);
        assert_eq!(rung(2)[0].len(), 2, "a level line needs no more points");
        let moved =
            [sample(0, "1", [Some("9"); 4]), sample(1, "1", [Some("8"); 4]), sample(2, "1", [Some("8"); 4])];
        let axes = Axes::of(&moved, 0.0);
        let [line] = &steps(&axes, &moved, |sample| sample.levels[0])[..] else { panic!("one line") };
        let at = |minute: u64, value: f64| [axes.x(1_700_000_000_000 + minute * 60_000), axes.y(value)];
        assert_eq!(line[..], [at(0, 9.0), at(1, 9.0), at(1, 8.0), at(2, 8.0)], "a step, no slope");
    }

    #[test]
    fn a_png_has_its_signature_its_size_and_its_colours() {
        let scene = scene(&[panel(week())]);
        let bytes = png(&scene).expect("a picture");
        assert_eq!(bytes[..8], *b"\x89PNG\r\n\x1a\n");
        let picture = tiny_skia::Pixmap::decode_png(&bytes).expect("decodes");
        assert_eq!((picture.width(), picture.height()), (1920, 620));
        for class in [Class::Equity, Class::Rung(1), Class::Rung(2), Class::Rung(4), Class::Ink, Class::Grid]
        {
            let [red, green, blue] = match class {
                Class::Equity => [0x00, 0x72, 0xb2],
                Class::Rung(1) => [0xb8, 0x86, 0x0b],
                Class::Rung(2) => [0xd5, 0x5e, 0x00],
                Class::Rung(_) => [0x8b, 0x00, 0x00],
                Class::Ink => [0x22, 0x22, 0x33],
                _ => [0xdd, 0xdd, 0xe8],
            };
            let is_there = picture
                .pixels()
                .iter()
                .any(|pixel| (pixel.red(), pixel.green(), pixel.blue()) == (red, green, blue));
            assert!(is_there, "{class:?}");
        }
        let many = scene_of(60);
        assert!(png(&many).is_err(), "no picture beyond its limit");
    }

    fn scene_of(panels: usize) -> Scene {
        scene(&vec![panel(vec![sample(0, "1", [None; 4])]); panels])
    }

    #[test]
    fn grid_steps_are_round() {
        for (step, expected) in
            [(0.9, "1"), (1.0, "1"), (1.1, "2"), (3.0, "5"), (6.0, "10"), (0.03, "0.05"), (420.0, "500")]
        {
            let found = (round_step(step) * 1e6).round() / 1e6;
            assert_eq!(format!("{found}"), expected);
        }
    }
}
