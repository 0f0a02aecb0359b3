//! A picture as lines and texts, written as SVG or drawn as PNG.

#![expect(clippy::float_arithmetic, reason = "places on a picture, no money")]

use font8x8::UnicodeFonts as _;
use tiny_skia::{Color, LineCap, LineJoin, Paint, PathBuilder, Pixmap, Rect, Stroke, StrokeDash, Transform};

use crate::svg::{escaped, put};

/// Pixels of a PNG for each unit of the picture.
const SCALE: f32 = 2.0;
/// Widest and highest PNG, in pixels.
const MAX_PIXELS: f32 = 16_384.0;

/// What a shape stands for; its look follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Ink,
    Faint,
    Grid,
    Equity,
    /// 1 to 4.
    Rung(u8),
}

/// Where a text stands beside its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Start,
    Middle,
    End,
}

/// One shape. Points are from the upper left, in units.
#[derive(Debug, Clone)]
pub enum Shape {
    Path { points: Vec<[f64; 2]>, class: Class },
    Text { at: [f64; 2], align: Align, class: Class, is_title: bool, text: String },
}

/// A picture.
#[derive(Debug, Clone)]
pub struct Scene {
    pub width: f64,
    pub height: f64,
    pub title: String,
    pub shapes: Vec<Shape>,
}

/// Colours that people with colour blindness tell apart (Okabe and Ito), on light and on dark.
const STYLE: &str = "\
.page{fill:#fbfbfd}.ink{fill:#222233}.faint{fill:#666677}path{fill:none;stroke-width:1.5}.grid{stroke:#dddde8;stroke-width:1}\
.equity{stroke:#0072b2;stroke-width:2}.rung1,.rung2,.rung3,.rung4{stroke-dasharray:6 4}\n\
.rung1{stroke:#b8860b}.rung2{stroke:#d55e00}.rung3{stroke:#b34d86}.rung4{stroke:#8b0000}\
text.rung1{fill:#b8860b}text.rung2{fill:#d55e00}text.rung3{fill:#b34d86}text.rung4{fill:#8b0000}\
text.rung1,text.rung2,text.rung3,text.rung4{stroke:none}\n\
@media(prefers-color-scheme:dark){.page{fill:#16161c}.ink{fill:#e8e8ee}.faint{fill:#a5a5b2}.grid{stroke:#33333d}\
.equity{stroke:#56b4e9}.rung1{stroke:#f0c23c}.rung2{stroke:#ff8a3d}.rung3{stroke:#e29cc4}.rung4{stroke:#ff6b6b}\
text.rung1{fill:#f0c23c}text.rung2{fill:#ff8a3d}text.rung3{fill:#e29cc4}text.rung4{fill:#ff6b6b}}\n";

impl Class {
    const fn name(self) -> &'static str {
        match self {
            Self::Ink => "ink",
            Self::Faint => "faint",
            Self::Grid => "grid",
            Self::Equity => "equity",
            Self::Rung(1) => "rung1",
            Self::Rung(2) => "rung2",
            Self::Rung(3) => "rung3",
            Self::Rung(_) => "rung4",
        }
    }

    /// Red, green, blue and width, as in the light form of [`STYLE`].
    const fn pen(self) -> ([u8; 3], f32) {
        match self {
            Self::Ink => ([0x22, 0x22, 0x33], 1.0),
            Self::Faint => ([0x66, 0x66, 0x77], 1.0),
            Self::Grid => ([0xdd, 0xdd, 0xe8], 1.0),
            Self::Equity => ([0x00, 0x72, 0xb2], 2.0),
            Self::Rung(1) => ([0xb8, 0x86, 0x0b], 1.5),
            Self::Rung(2) => ([0xd5, 0x5e, 0x00], 1.5),
            Self::Rung(3) => ([0xb3, 0x4d, 0x86], 1.5),
            Self::Rung(_) => ([0x8b, 0x00, 0x00], 1.5),
        }
    }
}

/// The picture as SVG, readable on light and dark pages.
pub fn svg(scene: &Scene) -> String {
    let (width, height, title) = (scene.width, scene.height, escaped(&scene.title));
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" role=\"img\" aria-labelledby=\"t\">\n\
         <title id=\"t\">{title}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"{width:.0}\" height=\"{height:.0}\" rx=\"10\"/>\n"
    );
    for shape in &scene.shapes {
        put(&mut text, &element(shape));
    }
    text.push_str("</svg>\n");
    text
}

fn element(shape: &Shape) -> String {
    match shape {
        Shape::Path { points, class } => {
            let points: Vec<String> = points.iter().map(|[x, y]| format!("{x:.1} {y:.1}")).collect();
            format!("<path class=\"{}\" d=\"M{}\"/>", class.name(), points.join("L"))
        }
        Shape::Text { at: [x, y], align, class, is_title, text } => {
            let anchor = match align {
                Align::Start => "start",
                Align::Middle => "middle",
                Align::End => "end",
            };
            let size = if *is_title { " font-size=\"16\" font-weight=\"600\"" } else { "" };
            format!(
                "<text class=\"{}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{size}>{}</text>",
                class.name(),
                escaped(text)
            )
        }
    }
}

/// The picture as PNG, two pixels for each unit.
///
/// # Errors
///
/// If it would be larger than 16384 pixels either way, or cannot be encoded.
pub fn png(scene: &Scene) -> anyhow::Result<Vec<u8>> {
    let [width, height] = [scene.width, scene.height].map(|length| to_f32(length) * SCALE);
    anyhow::ensure!(
        width <= MAX_PIXELS && height <= MAX_PIXELS,
        "the picture has {width} × {height} pixels; choose one account with --account"
    );
    let mut pixmap = Pixmap::new(pixels(width), pixels(height))
        .ok_or_else(|| anyhow::anyhow!("a picture has at least one pixel"))?;
    pixmap.fill(Color::from_rgba8(0xfb, 0xfb, 0xfd, 0xff));
    for shape in &scene.shapes {
        match shape {
            Shape::Path { points, class } => stroke(&mut pixmap, points, *class),
            Shape::Text { at, align, class, is_title, text } => {
                write(&mut pixmap, text, *at, *align, *class, if *is_title { 1.5 } else { 1.0 });
            }
        }
    }
    Ok(pixmap.encode_png()?)
}

fn stroke(pixmap: &mut Pixmap, points: &[[f64; 2]], class: Class) {
    let mut path = PathBuilder::new();
    for (number, [x, y]) in points.iter().enumerate() {
        let [x, y] = [to_f32(*x), to_f32(*y)];
        if number == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
    }
    // A path without length has nothing to draw.
    let Some(path) = path.finish() else { return };
    let dash = matches!(class, Class::Rung(_)).then(|| StrokeDash::new(vec![6.0, 4.0], 0.0)).flatten();
    let width = class.pen().1;
    let stroke =
        Stroke { width, dash, line_join: LineJoin::Round, line_cap: LineCap::Butt, ..Stroke::default() };
    pixmap.stroke_path(&path, &paint(class), &stroke, Transform::from_scale(SCALE, SCALE), None);
}

/// Writes a text with its base line at `at`. The letters are eight by eight dots, so that no font need
/// be on the machine.
fn write(pixmap: &mut Pixmap, text: &str, at: [f64; 2], align: Align, class: Class, size: f32) {
    const DOTS: f32 = 8.0;
    // A dot is a whole number of pixels: 2, or 3 in a title.
    let dot = (size * SCALE).round() / SCALE;
    let step = dot * DOTS;
    let count = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
    let width = step * f32::from(count);
    let shift = match align {
        Align::Start => 0.0,
        Align::Middle => width / 2.0,
        Align::End => width,
    };
    let (mut left, top) = (to_f32(at[0]) - shift, to_f32(at[1]) - dot * (DOTS - 1.0));
    let paint = paint(class);
    for letter in text.chars() {
        let known = font8x8::BASIC_FONTS.get(letter).or_else(|| font8x8::LATIN_FONTS.get(letter));
        let rows = known.or_else(|| font8x8::BASIC_FONTS.get('?')).unwrap_or_default();
        for (row, bits) in (0_u8..).zip(rows) {
            for column in (0_u8..8).filter(|column| bits >> column & 1 == 1) {
                let [x, y] = [left + f32::from(column) * dot, top + f32::from(row) * dot]
                    .map(|place| (place * SCALE).round() / SCALE);
                if let Some(rect) = Rect::from_xywh(x, y, dot, dot) {
                    pixmap.fill_rect(rect, &paint, Transform::from_scale(SCALE, SCALE), None);
                }
            }
        }
        left += step;
    }
}

fn paint(class: Class) -> Paint<'static> {
    let ([red, green, blue], _) = class.pen();
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, 0xff);
    paint.anti_alias = true;
    paint
}

#[expect(clippy::cast_possible_truncation, reason = "places on a picture need no more")]
const fn to_f32(value: f64) -> f32 {
    value as f32
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and MAX_PIXELS")]
fn pixels(length: f32) -> u32 {
    length.round() as u32
}
