//! In which currency a symbol is quoted. Budgets add up one currency only.

use trading::Symbol;

/// Quote currencies of the supported venues; the longest that ends a symbol is its quote, so that
/// `BTCFDUSD` is not taken for a symbol in `USD`.
const KNOWN: &[&str] = &[
    "USDT", "USDC", "FDUSD", "TUSD", "BUSD", "USDP", "USDE", "USD1", "RLUSD", "XUSD", "USDQ", "USDR",
    "BFUSD", "EURI", "DAI", "USD", "EUR", "GBP", "TRY", "BRL", "JPY", "ARS", "COP", "CZK", "MXN", "PLN",
    "RON", "UAH", "ZAR", "AUD", "BTC", "ETH", "BNB", "SOL", "XRP", "TRX", "DOGE", "MNT",
];

/// Whether a text can be a currency's code.
pub(super) fn is_currency(text: &str) -> bool {
    (2..=12).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Whether `symbol` is quoted in `currency`, by the venues' way of writing symbols: base then
/// quote, then for dated futures `-` or `_` and the date; on Bybit, `BTCPERP` is in USDC.
pub(super) fn is_quoted_in(symbol: &Symbol, currency: &str) -> bool {
    let stem = symbol.as_str().split(['-', '_']).next().unwrap_or_default();
    let dated = stem.len() < symbol.as_str().len();
    let ends = |quote: &str| stem.len() > quote.len() && stem.ends_with(quote);
    if stem.len() > 4 && stem.ends_with("PERP") || dated && !KNOWN.iter().any(|quote| ends(quote)) {
        return currency == "USDC"; // Bybit writes its USDC contracts BTCPERP and BTC-27MAR26
    }
    match KNOWN.iter().filter(|quote| ends(quote)).max_by_key(|quote| quote.len()) {
        Some(quote) => *quote == currency,
        None => ends(currency),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(symbol: &str, currency: &str, expected: bool) {
        assert_eq!(
            is_quoted_in(&Symbol::new(symbol).expect(symbol), currency),
            expected,
            "{symbol} {currency}"
        );
    }

    #[test]
    fn finds_the_quote_of_a_symbol() {
        check("BTCUSDT", "USDT", true);
        check("BTCUSDT", "SDT", false);
        check("ETHBTC", "USDT", false);
        check("ETHBTC", "BTC", true);
        check("BTCFDUSD", "USD", false);
        check("BTCUSDT_260327", "USDT", true);
        check("BTCUSDT-27MAR26", "USDT", true);
        check("BTCPERP", "USDC", true);
        check("BTCPERP", "USDT", false);
        check("BTC-27MAR26", "USDC", true);
        check("BTC-27MAR26", "USDT", false);
        check("币安人生USDT", "USDT", true);
        check("BTCXYZ", "XYZ", true);
        check("USDT", "USDT", false);
    }
}
