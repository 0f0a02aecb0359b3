//! Just enough of SPDX licence expressions: identifiers, `AND`, `OR`, `WITH` and parentheses.
//!
//! Grammar: <https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/>; `/` is the old way
//! of Cargo manifests to write `OR`.

use std::iter::Peekable;
use std::vec::IntoIter;

type Tokens = Peekable<IntoIter<String>>;

/// Whether `expression` can be met with `licences`, each perhaps with one of `exceptions`.
///
/// # Errors
///
/// The text is not an expression.
pub(super) fn permits(
    expression: &str,
    licences: &[&str],
    exceptions: &[&str],
) -> Result<bool, &'static str> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<String> = spaced.split_whitespace().map(str::to_owned).collect();
    let mut tokens = words.into_iter().peekable();
    let met = either(&mut tokens, licences, exceptions)?;
    if tokens.next().is_some() { Err("has words left over") } else { Ok(met) }
}

fn either(tokens: &mut Tokens, licences: &[&str], exceptions: &[&str]) -> Result<bool, &'static str> {
    let mut met = both(tokens, licences, exceptions)?;
    while tokens.next_if(|token| token == "OR").is_some() {
        met |= both(tokens, licences, exceptions)?;
    }
    Ok(met)
}

fn both(tokens: &mut Tokens, licences: &[&str], exceptions: &[&str]) -> Result<bool, &'static str> {
    let mut met = one(tokens, licences, exceptions)?;
    while tokens.next_if(|token| token == "AND").is_some() {
        met &= one(tokens, licences, exceptions)?;
    }
    Ok(met)
}

fn one(tokens: &mut Tokens, licences: &[&str], exceptions: &[&str]) -> Result<bool, &'static str> {
    let token = tokens.next().ok_or("ends too early")?;
    match token.as_str() {
        "(" => {
            let met = either(tokens, licences, exceptions)?;
            tokens.next_if(|token| token == ")").ok_or("lacks a closing parenthesis")?;
            Ok(met)
        }
        ")" | "AND" | "OR" | "WITH" => Err("lacks an identifier"),
        licence => {
            let met = licences.contains(&licence);
            if tokens.next_if(|token| token == "WITH").is_none() {
                return Ok(met);
            }
            let exception = tokens.next().ok_or("ends too early")?;
            Ok(met && exceptions.contains(&exception.as_str()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, expected: Result<bool, &'static str>) {
        assert_eq!(permits(expression, &["MIT", "ISC"], &["LLVM-exception"]), expected, "{expression}");
    }

    #[test]
    fn an_expression_is_met_or_not() {
        check("MIT", Ok(true));
        check("GPL-3.0", Ok(false));
        check("GPL-3.0 OR MIT", Ok(true));
        check("GPL-3.0/MIT", Ok(true));
        check("GPL-3.0 AND MIT", Ok(false));
        check("ISC AND (MIT OR GPL-3.0)", Ok(true));
        check("GPL-3.0 AND ISC OR MIT", Ok(true));
        check("MIT WITH LLVM-exception", Ok(true));
        check("MIT WITH other-exception", Ok(false));
    }

    #[test]
    fn what_is_no_expression_is_an_error() {
        check("", Err("ends too early"));
        check("MIT OR", Err("ends too early"));
        check("(MIT", Err("lacks a closing parenthesis"));
        check("MIT ISC", Err("has words left over"));
        check("OR MIT", Err("lacks an identifier"));
    }
}
