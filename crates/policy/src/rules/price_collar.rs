use trading::{Decimal, OrderType, Price, Side};

use super::{Rule, Tier, arithmetic};
use crate::denial::Denial;
use crate::facts::Facts;
use crate::judged::Judged;

/// Basis points of the whole.
const WHOLE: i64 = 10_000;

/// Denies a limit price that pays more than `limit` basis points above the reference price, or
/// takes less than `limit` below it. The reference of an order that waits for a trigger is its
/// trigger price; otherwise the mark price, however old; without one, the last price signed for
/// the instrument. The first order of an instrument without a mark price has none. Exits pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PriceCollar {
    pub(crate) limit: u64,
    /// What the reference price is multiplied with for the dearest buy and the cheapest sale.
    factors: [Decimal; 2],
}

/// A price and where it comes from.
struct Reference {
    price: Price,
    source: &'static str,
}

impl PriceCollar {
    /// `None` if `limit` is too large.
    pub(crate) fn new(limit: u64) -> Option<Self> {
        let points = i64::try_from(limit).ok()?;
        let factor = |part: Option<i64>| Decimal::new(i128::from(part?), 4).ok();
        let factors = [factor(WHOLE.checked_add(points))?, factor(WHOLE.checked_sub(points))?];
        Some(Self { limit, factors })
    }

    fn reference(facts: &Facts<'_>, order: &Judged<'_>) -> Option<Reference> {
        let named = |price: Option<Price>, source| price.map(|price| Reference { price, source });
        if order.order_type.is_triggered() && order.order_type != OrderType::TrailingStop {
            return named(order.trigger_price, "trigger price");
        }
        named(order.mark.known(), "mark price")
            .or_else(|| named(facts.state.last_price(order.instrument), "last signed price"))
    }

    /// The worst price allowed for `side`; `None` if it cannot be computed.
    fn bound(&self, side: Side, reference: Price) -> Option<Decimal> {
        reference.decimal().checked_mul(self.factors[side as usize])
    }

    fn is_within(side: Side, price: Price, bound: Decimal) -> bool {
        match side {
            Side::Buy => price.decimal() <= bound,
            Side::Sell => price.decimal() >= bound,
        }
    }
}

impl Rule for PriceCollar {
    const NAME: &'static str = "max_price_deviation_bps";
    const TIER: Tier = Tier::Oracle;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let order = facts.order.as_ref().filter(|order| !order.exit)?;
        let price = order.limit_price()?;
        let Reference { price: reference, .. } = Self::reference(facts, order)?;
        // An order whose side is not known must hold on both.
        let sides: &[Side] = match &order.side {
            Some(side) => std::slice::from_ref(side),
            None => Side::ALL,
        };
        for &side in sides {
            match self.bound(side, reference) {
                None => return Some(arithmetic::<Self>()),
                Some(bound) if !Self::is_within(side, price, bound) => {
                    return Some(Denial::PriceOutsideCollar {
                        was: price,
                        reference,
                        bound,
                        limit_bps: self.limit,
                    });
                }
                Some(_) => {}
            }
        }
        None
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let order = facts.order.as_ref()?;
        let price = order.limit_price()?;
        let reference = match Self::reference(facts, order) {
            Some(Reference { price, source }) => format!("{source} {price}"),
            None => "no reference price yet".to_owned(),
        };
        Some(format!("{price} against {reference}, at most {} basis points", self.limit))
    }
}
