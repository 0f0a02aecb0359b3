//! What is not there: words for taking money out, and words for moving it where they do not belong.

use std::fs;
use std::path::Path;

/// How Binance and Bybit spell the ways out of an account (their documentation, 2026-11).
const WAYS_OUT: &[&str] = &[
    "capital/withdraw/apply",
    "localentity/withdraw/apply",
    "asset/withdraw/create",
    "asset/transfer/inter-transfer",
    "futures/transfer",
    "margin/transfer",
    "broker/transfer",
    "giftcard/createCode",
    "convert/acceptQuote",
    "asset/convert",
];

/// Ways between accounts, and the one place that may name each: the skim vault's words, and of the wallets of
/// one account the watch vault's question what went over it.
const WAYS_BETWEEN: &[(&str, &str)] = &[
    ("asset/transfer/universal-transfer", "venue/src/bybit/skim.rs"),
    ("sub-account/universalTransfer", "venue/src/binance/skim.rs"),
    ("/sapi/v1/asset/transfer", "venue/src/binance/watch.rs"),
];

/// The paper venue alone names them: it stands for venues that have them, refuses them and counts
/// the attempts. Whatever decides, signs or sends has no word for them; one list
/// names what is refused on purpose; tests may try them.
#[test]
fn no_crate_but_the_paper_venue_names_a_way_out() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a crate lies in a folder");
    let mut read = 0;
    for entry in fs::read_dir(crates).expect("the folder of the crates").flatten() {
        // The simulation's bots try what the paper venue refuses.
        if entry.file_name() == "paper" || entry.file_name() == "sim" {
            continue;
        }
        visit(&entry.path().join("src"), &mut |path, text| {
            read += 1;
            // The list of what is refused on purpose: nothing can be made of it.
            if path.ends_with("venue/src/withheld.rs") {
                return;
            }
            for way in WAYS_OUT {
                assert!(!text.contains(way), "{} names {way}", path.display());
            }
            for (way, place) in WAYS_BETWEEN.iter().filter(|(_, place)| !path.ends_with(place)) {
                assert!(!text.contains(way), "{} names {way}, which belongs into {place}", path.display());
            }
        });
    }
    assert!(read > 100, "only {read} files were read");
    let mut found = 0;
    visit(&crates.join("paper/src"), &mut |_, text| {
        found += WAYS_OUT.iter().filter(|way| text.contains(**way)).count();
    });
    assert!(found > 0, "the scan finds what is there");
}

/// Shows `look` every source file below `folder`, without its tests.
fn visit(folder: &Path, look: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        if path.is_dir() {
            visit(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("sources are text");
            look(&path, text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default());
        }
    }
}
