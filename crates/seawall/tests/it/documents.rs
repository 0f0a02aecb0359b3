//! What the documents must say for as long as it is so.

use std::fs;
use std::path::Path;

fn document(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the repository's folder");
    let text = fs::read_to_string(root.join(name)).expect("the document is there");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_readme_says_that_losses_are_bounded_and_by_what() {
    let readme = document("README.md");
    for words in [
        "Losses are bounded, not prevented",
        "notional_per_utc_day",
        "notional_rolling_24h",
        "Seawall cannot make a venue available or fast",
    ] {
        assert!(readme.contains(words), "README.md does not say: {words}");
    }
}

#[test]
fn the_security_page_has_a_list_of_what_was_disclosed() {
    assert!(document("SECURITY.md").contains("## Disclosed so far"));
}
