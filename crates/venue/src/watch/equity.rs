//! The parts of an account put together: what it is worth at one time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trading::{Decimal, Price, Symbol, Timestamp};

use super::{Flow, Holding, Position};
use crate::answer::{Incomplete, product, sum};
use crate::currency::Currency;

/// How far apart in time the parts of one account may have been read, in milliseconds.
const MAX_SPREAD_MS: u64 = 5_000;

/// What an account is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Equity {
    /// Wallets and unrealised profit at the mark price, without the venue's bonus. May be negative.
    pub total: Decimal,
    /// In what it is counted: `USD` on Bybit, the chosen currency on Binance.
    pub currency: Currency,
    /// The venue's time on Bybit; when it was asked on Binance, which does not say.
    pub at: Timestamp,
    /// Open positions.
    pub positions: Vec<Position>,
    /// What the wallets hold, without unrealised profit.
    pub holdings: Vec<Holding>,
}

/// A Bybit unified account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsdWallet {
    /// `totalEquity` less every coin's bonus, in USD.
    pub total: Decimal,
    /// Every coin the venue lists.
    pub coins: Vec<WalletCoin>,
}

/// One coin of a Bybit unified account, in its own unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletCoin {
    /// Which.
    pub currency: Currency,
    /// The cash.
    pub wallet: Decimal,
    /// With unrealised profit, options and debts.
    pub equity: Decimal,
    /// Profit of open positions that settle in it.
    pub unrealised: Decimal,
    /// The venue's money in it.
    pub bonus: Decimal,
    /// The equity in USD.
    pub usd_value: Decimal,
}

/// A Binance USD-M account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Margin {
    /// The venue's own sum, wallet and unrealised profit: USDT alone in single-asset mode, USD otherwise.
    pub total: Decimal,
    /// Each currency's wallet and unrealised profit.
    pub balances: Vec<Holding>,
    /// Each currency's wallet alone.
    pub wallets: Vec<Holding>,
    /// Which positions are open, to compare with the positions read apart.
    pub open: BTreeMap<Symbol, Decimal>,
}

impl Equity {
    /// Puts a Bybit account together: the wallet and all open positions, and when the venue said each.
    ///
    /// # Errors
    ///
    /// The two were read too far apart, or the wallet has unrealised profit and there is no position.
    pub fn bybit(
        (wallet, wallet_at): (UsdWallet, Timestamp),
        (positions, positions_at): (Vec<Position>, Timestamp),
    ) -> Result<Self, Incomplete> {
        if wallet_at.distance_ms(positions_at) > MAX_SPREAD_MS {
            return Err(Incomplete::Disagree("time"));
        }
        if positions.is_empty() && wallet.coins.iter().any(|coin| !coin.unrealised.is_zero()) {
            return Err(Incomplete::Disagree("unrealisedPnl"));
        }
        let coins = wallet.coins.into_iter();
        let holdings = coins.map(|coin| Holding { currency: coin.currency, amount: coin.wallet }).collect();
        Ok(Self {
            total: wallet.total,
            currency: Currency::new("USD").expect("USD is the name of a currency"),
            at: wallet_at.min(positions_at),
            positions,
            holdings,
        })
    }

    /// Puts a Binance account together, counted in `currency` at `prices`. Whoever watches one wallet
    /// alone leaves the other out, and its flows too.
    ///
    /// # Errors
    ///
    /// The positions are not those of the margin account; something held has no price.
    pub fn binance(
        spot: Option<Vec<Holding>>,
        futures: Option<(Margin, Vec<Position>)>,
        currency: Currency,
        prices: &BTreeMap<Currency, Price>,
        asked_at: Timestamp,
    ) -> Result<Self, Incomplete> {
        let mut total = Decimal::ZERO;
        let mut holdings = Vec::new();
        let mut add = |holding: &Holding| {
            let value = value(holding, &currency, prices)?;
            total = sum(total, value, "total")?;
            Ok::<_, Incomplete>(())
        };
        if let Some(spot) = spot {
            spot.iter().try_for_each(&mut add)?;
            holdings.extend(spot);
        }
        let mut positions = Vec::new();
        if let Some((margin, open)) = futures {
            let mut read: BTreeMap<Symbol, Decimal> = BTreeMap::new();
            for position in &open {
                let held = read.entry(position.instrument.symbol.clone()).or_default();
                *held = sum(*held, position.quantity, "positionAmt")?;
            }
            // A hedged pair of the same size sums to nothing on either side.
            read.retain(|_, quantity| !quantity.is_zero());
            if read != margin.open {
                return Err(Incomplete::Disagree("positionAmt"));
            }
            margin.balances.iter().try_for_each(&mut add)?;
            holdings.extend(margin.wallets);
            positions = open;
        }
        Ok(Self { total, currency, at: asked_at, positions, holdings })
    }
}

/// What a holding is worth.
fn value(
    holding: &Holding,
    currency: &Currency,
    prices: &BTreeMap<Currency, Price>,
) -> Result<Decimal, Incomplete> {
    if holding.currency == *currency || holding.amount.is_zero() {
        return Ok(holding.amount);
    }
    match prices.get(&holding.currency) {
        Some(price) => product(holding.amount, price.decimal(), "amount"),
        None => Err(Incomplete::NoPrice(holding.currency.as_str().into())),
    }
}

/// The flows of `flows` after `since`, up to and with `until`, oldest first: what happened between two
/// samples. Histories are asked for with some overlap, because venues list late.
#[must_use]
pub fn flows_within(flows: &[Flow], since: Timestamp, until: Timestamp) -> Vec<Flow> {
    let mut chosen: Vec<Flow> =
        flows.iter().filter(|flow| since < flow.at && flow.at <= until).cloned().collect();
    chosen.sort_by_key(|flow| flow.at);
    chosen
}

/// `amount × numerator / denominator` with 8 digits, away from zero; `None` if it cannot be held or divided.
pub(crate) fn share(amount: Decimal, numerator: Decimal, denominator: Decimal) -> Option<Decimal> {
    const DIGITS: u8 = 8;
    if denominator.is_zero() {
        return None;
    }
    let top = amount.checked_mul(numerator)?;
    let shift = i32::from(DIGITS) + i32::from(denominator.scale()) - i32::from(top.scale());
    let power = 10_i128.checked_pow(shift.unsigned_abs())?;
    let (top, bottom) = if shift >= 0 {
        (top.mantissa().checked_mul(power)?, denominator.mantissa())
    } else {
        (top.mantissa(), denominator.mantissa().checked_mul(power)?)
    };
    let exact = top.checked_rem(bottom)? == 0;
    let away = (top.signum() * bottom.signum()) * i128::from(!exact);
    Decimal::new(top.checked_div(bottom)?.checked_add(away)?, DIGITS).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_away_from_zero() {
        let check = |amount: &str, top: &str, bottom: &str, expected: Option<&str>| {
            let read = |text: &str| text.parse::<Decimal>().expect(text);
            let found = share(read(amount), read(top), read(bottom));
            assert_eq!(found, expected.map(read), "{amount} {top} {bottom}");
        };
        check("10", "100", "4", Some("250"));
        check("1", "1", "3", Some("0.33333334"));
        check("-1", "1", "3", Some("-0.33333334"));
        check("1", "0.0000000001", "1", Some("0.00000001"));
        check("0", "5", "7", Some("0"));
        check("1", "1", "0", None);
        check("99999999999999999999999999", "99999999999999999999999999", "1", None);
    }
}
