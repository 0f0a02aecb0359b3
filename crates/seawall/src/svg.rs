//! What every picture of ours is written with.

use std::fmt::Write as _;

/// Text as it may stand in an element or between quotes.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// Adds one element on a line of its own.
pub fn put(text: &mut String, element: &str) {
    writeln!(text, "{element}").expect("writing to a string cannot fail");
}
