//! The reference page names every field of the parser, and no other.

use std::collections::BTreeSet;

use policy::{Direction, FIELDS, Tier};

const PAGE: &str = include_str!("../../../../docs/policy.md");

/// Rows of the field tables: path, tier, tightening direction.
fn rows() -> Vec<(String, String, String)> {
    PAGE.lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let path = cells.next()?.trim_end_matches('`').to_owned();
            let tier = cells.next()?.to_owned();
            let direction = cells.next()?.to_owned();
            (tier == "S" || tier == "O" || tier == "–").then_some((path, tier, direction))
        })
        .collect()
}

#[test]
fn the_page_and_the_parser_name_the_same_fields() {
    let page: BTreeSet<String> = rows().into_iter().map(|(path, ..)| path).collect();
    let parser: BTreeSet<String> = FIELDS.iter().map(|field| field.path.to_owned()).collect();
    assert_eq!(page, parser);
}

#[test]
fn the_page_states_each_tier_and_direction() {
    for (path, tier, direction) in rows() {
        let field = FIELDS.iter().find(|field| field.path == path).expect("tested above");
        let expected_tier = match field.tier {
            Some(Tier::SelfContained) => "S",
            Some(Tier::Oracle) => "O",
            None => "–",
        };
        let expected_direction = match field.direction {
            Direction::Lower => "lower",
            Direction::Higher => "higher",
            Direction::Subset => "subset",
            Direction::True => "true",
            Direction::Multiple => "multiple",
            Direction::Fixed => "none",
        };
        assert_eq!((tier.as_str(), direction.as_str()), (expected_tier, expected_direction), "{path}");
    }
}

#[test]
fn the_page_lists_every_code_of_a_denial() {
    let source = include_str!("../../src/denial.rs");
    let codes: BTreeSet<&str> =
        source.lines().filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\",")).collect();
    assert!(codes.len() > 40, "{codes:?}");
    let line = PAGE.lines().find(|line| line.starts_with("The codes: ")).expect("the line");
    let listed = line.split(". ").next().expect("the list");
    let listed: BTreeSet<&str> = listed.split('`').skip(1).step_by(2).collect();
    assert_eq!(listed, codes);
}
