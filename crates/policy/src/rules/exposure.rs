use trading::{Amount, Decimal, Intent, Notional, Quantity, Side, SizeFactor};

use super::{Rule, Tier, arithmetic};
use crate::denial::Denial;
use crate::facts::Facts;
use crate::judged::{Judged, Origin, Worth};
use crate::state::{Share, Size, State};
use crate::units::Units;

/// Denies an order with which the position could grow beyond `limit` of the base currency: the
/// position, what is signed and not said to be gone, and what went since the venue last told the
/// position. On spot and margin only what rests counts. Exits pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MaxPosition {
    pub(crate) limit: Quantity,
    /// `limit`, as the counters count.
    units: Units,
}

/// Denies an order with which more than `limit` of one symbol would rest. Exits pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SymbolOpenNotional {
    pub(crate) limit: Notional,
    /// `limit`, as the counters count.
    units: Units,
}

/// Denies an order with which more than `limit` would rest, all symbols together. Exits pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenNotional {
    pub(crate) limit: Notional,
    /// `limit`, as the counters count.
    units: Units,
}

/// Denies an order with which the worst net positions of all symbols, each on its worse side, could
/// together exceed `limit`. Exits pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetExposure {
    pub(crate) limit: Notional,
    /// `limit`, as the counters count.
    units: Units,
}

/// Denies an order that would trade with an order of the same account that rests. Post-only orders
/// pass, because the venue cancels them instead, and so do exits and what waits for a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SelfCrossing {
    pub(crate) prevented: bool,
}

/// What an order would add, and what the orders of earlier legs do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Added {
    /// This order beyond what it had before its amendment.
    own: Size,
    /// Earlier buys and sells of the same instrument.
    same: [Size; 2],
    /// Value of all earlier legs.
    all: Units,
}

impl Added {
    /// `None` for what another rule denies, and for what adds nothing. `before` is what the earlier legs take from
    /// the budgets.
    #[inline]
    pub(crate) fn of(order: &Judged<'_>, state: &State, earlier: &[Intent], before: Units) -> Option<Self> {
        let value = match order.worth {
            Worth::Known(worth) => Units::at_least(worth).unwrap_or(Units::MOST),
            // Nothing to judge by: the mark price, shape, notional or amendment rule denies it.
            Worth::Unknown | Worth::Overflow => return None,
        };
        let quantity = match order.amount {
            Some(Amount::Base(quantity)) => Units::at_least(quantity.decimal()).unwrap_or(Units::MOST),
            // Spot market orders only: they never rest, so that on spot they do not count.
            Some(Amount::Quote(_)) => Units::ZERO,
            Some(Amount::WholePosition) | None => return None,
        };
        let mut own = Size { quantity, value };
        if let Origin::Amends(number) = order.origin
            && let Some(share) = state.orders.share(number)
        {
            own = own.minus(share.size);
        }
        let mut sum = Self { own, same: [Size::default(); 2], all: Units::ZERO };
        for leg in earlier {
            let Intent::Place(other) = leg else { continue };
            // What the earlier legs take is known only as a whole: each is taken for all of it.
            let Some(share) = Share::of(other, before) else { continue };
            sum.all = sum.all.plus_saturating(share.size.value);
            if share.instrument == *order.instrument {
                let half = &mut sum.same[share.side as usize];
                *half = half.plus(share.size);
            }
        }
        Some(sum)
    }
}

/// A limit scaled by the account's size factor, and as the counters count: rounded down. `None` if it
/// does not fit.
#[inline]
fn sized<T: Copy + Into<Decimal>>(
    facts: &Facts<'_>,
    limit: T,
    units: Units,
    share: fn(SizeFactor, T) -> Option<T>,
) -> Option<(T, Units)> {
    let factor = facts.state.size_factor();
    if factor.is_one() {
        return Some((limit, units));
    }
    let limit = share(factor, limit)?;
    Some((limit, Units::at_most(limit.into())?))
}

/// A scaled limit, for people.
fn shown<T: Into<Decimal>>(facts: &Facts<'_>, limit: T, share: fn(SizeFactor, T) -> Option<T>) -> String {
    let limit = share(facts.state.size_factor(), limit);
    limit.map_or("nothing".to_owned(), |limit| limit.into().to_string())
}

/// The order of this leg, if it can add exposure.
fn judged<'f, 'a>(facts: &'f Facts<'a>) -> Option<&'f Judged<'a>> {
    facts.order.as_ref().filter(|order| !order.exit)
}

/// The sides on which the order must hold: both, if its side is not known.
fn sides(order: &Judged<'_>) -> impl Iterator<Item = Side> {
    let own = order.side;
    Side::ALL.iter().copied().filter(move |side| own.is_none_or(|own| own == *side))
}

/// Whether the order counts for positions: on spot and margin only while it rests.
fn has_position(order: &Judged<'_>) -> bool {
    order.may_rest() || order.instrument.market == trading::Market::Linear
}

impl MaxPosition {
    /// `None` if the counters cannot hold `limit`.
    pub(crate) fn new(limit: Decimal) -> Option<Self> {
        Some(Self { limit: Quantity::new(limit).ok()?, units: Units::at_most(limit)? })
    }

    #[inline]
    fn was(facts: &Facts<'_>) -> Option<Units> {
        let order = judged(facts).filter(|order| has_position(order))?;
        let of_side = |side| {
            let added = facts.added.as_ref()?;
            let worst = facts.book().worst(side);
            Some(worst.plus(added.same[side as usize]).plus(added.own).quantity)
        };
        sides(order).filter_map(of_side).max()
    }
}

impl Rule for MaxPosition {
    const NAME: &'static str = "max_position";
    const TIER: Tier = Tier::Oracle;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let was = Self::was(facts)?;
        let Some((limit, units)) = sized(facts, self.limit, self.units, SizeFactor::quantity) else {
            return Some(arithmetic::<Self>());
        };
        (was > units).then(|| Denial::PositionOverLimit { was: was.decimal(), limit })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        Some(format!(
            "{} of {} at worst",
            Self::was(facts)?.decimal(),
            shown(facts, self.limit, SizeFactor::quantity)
        ))
    }
}

impl SymbolOpenNotional {
    /// `None` if the counters cannot hold `limit`.
    pub(crate) fn new(limit: Decimal) -> Option<Self> {
        Some(Self { limit: Notional::new(limit).ok()?, units: Units::at_most(limit)? })
    }

    #[inline]
    fn was(facts: &Facts<'_>) -> Option<Units> {
        judged(facts).filter(|order| order.may_rest())?;
        let added = facts.added.as_ref()?;
        let [buys, sells] = added.same;
        let resting = facts.book().resting();
        Some(resting.plus_saturating(buys.plus(sells).value).plus_saturating(added.own.value))
    }
}

impl Rule for SymbolOpenNotional {
    const NAME: &'static str = "symbol_max_open_notional";
    const TIER: Tier = Tier::Oracle;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let was = Self::was(facts)?;
        let Some((limit, units)) = sized(facts, self.limit, self.units, SizeFactor::notional) else {
            return Some(arithmetic::<Self>());
        };
        (was > units).then(|| Denial::SymbolOpenNotionalOverLimit { was: was.decimal(), limit })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        Some(format!("{} of {}", Self::was(facts)?.decimal(), shown(facts, self.limit, SizeFactor::notional)))
    }
}

impl OpenNotional {
    /// `None` if the counters cannot hold `limit`.
    pub(crate) fn new(limit: Decimal) -> Option<Self> {
        Some(Self { limit: Notional::new(limit).ok()?, units: Units::at_most(limit)? })
    }

    #[inline]
    fn was(facts: &Facts<'_>) -> Option<Units> {
        judged(facts).filter(|order| order.may_rest())?;
        let added = facts.added.as_ref()?;
        Some(facts.exposure.resting().plus_saturating(added.all).plus_saturating(added.own.value))
    }
}

impl Rule for OpenNotional {
    const NAME: &'static str = "max_open_notional";
    const TIER: Tier = Tier::Oracle;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let was = Self::was(facts)?;
        let Some((limit, units)) = sized(facts, self.limit, self.units, SizeFactor::notional) else {
            return Some(arithmetic::<Self>());
        };
        (was > units).then(|| Denial::OpenNotionalOverLimit { was: was.decimal(), limit })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        Some(format!("{} of {}", Self::was(facts)?.decimal(), shown(facts, self.limit, SizeFactor::notional)))
    }
}

impl NetExposure {
    /// `None` if the counters cannot hold `limit`.
    pub(crate) fn new(limit: Decimal) -> Option<Self> {
        Some(Self { limit: Notional::new(limit).ok()?, units: Units::at_most(limit)? })
    }

    #[inline]
    fn was(facts: &Facts<'_>) -> Option<Units> {
        let order = judged(facts).filter(|order| has_position(order))?;
        let of_side = |side| {
            let added = facts.added.as_ref()?;
            // Earlier legs are added whole: which of them net out is not worth knowing.
            let more = added.all.plus_saturating(added.own.value);
            Some(facts.exposure.net_with(facts.book(), side, more))
        };
        sides(order).filter_map(of_side).max()
    }
}

impl Rule for NetExposure {
    const NAME: &'static str = "max_net_exposure";
    const TIER: Tier = Tier::Oracle;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        let was = Self::was(facts)?;
        let Some((limit, units)) = sized(facts, self.limit, self.units, SizeFactor::notional) else {
            return Some(arithmetic::<Self>());
        };
        (was > units).then(|| Denial::NetExposureOverLimit { was: was.decimal(), limit })
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        Some(format!(
            "{} of {} at worst",
            Self::was(facts)?.decimal(),
            shown(facts, self.limit, SizeFactor::notional)
        ))
    }
}

impl SelfCrossing {
    /// Whether the order would trade with one of the account's own.
    fn crosses(facts: &Facts<'_>) -> Option<bool> {
        let order = judged(facts).filter(|order| !order.post_only && !order.order_type.is_triggered())?;
        let with_resting = |side| facts.book().crosses(side, order.limit_price());
        let with_earlier = |side: Side| {
            facts.earlier().iter().any(|leg| match leg {
                Intent::Place(other) => {
                    let opposite = other.instrument == *order.instrument && other.side != side;
                    opposite && meet(side, order.limit_price(), other.price)
                }
                _ => false,
            })
        };
        Some(sides(order).any(|side| with_resting(side) || with_earlier(side)))
    }
}

/// Whether an order of `side` at `own` trades with one of the other side at `other`.
fn meet(side: Side, own: Option<trading::Price>, other: Option<trading::Price>) -> bool {
    match (side, own.zip(other)) {
        (_, None) => true,
        (Side::Buy, Some((own, other))) => own >= other,
        (Side::Sell, Some((own, other))) => own <= other,
    }
}

impl Rule for SelfCrossing {
    const NAME: &'static str = "prevent_self_crossing";
    const TIER: Tier = Tier::Oracle;

    #[inline]
    fn check(&self, facts: &Facts<'_>) -> Option<Denial> {
        (self.prevented && Self::crosses(facts)?).then_some(Denial::SelfCrossing)
    }

    fn numbers(&self, facts: &Facts<'_>) -> Option<String> {
        let crosses = if Self::crosses(facts)? { "crosses" } else { "does not cross" };
        Some(format!("{crosses} an own order, prevented {}", self.prevented))
    }
}
