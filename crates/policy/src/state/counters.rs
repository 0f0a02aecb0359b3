//! How fast and how much was signed: for an account, and for each of its bots.

use trading::Timestamp;

use super::budget::{DaySpent, RollingSpent};
use super::stored::{StoredCounters, units};
use super::window::RateWindow;
use crate::units::Units;

/// Rates and budgets of one account or of one bot on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) new_orders: RateWindow,
    pub(crate) messages: RateWindow,
    day: DaySpent,
    rolling: RollingSpent,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            new_orders: RateWindow::new(),
            messages: RateWindow::new(),
            day: DaySpent::default(),
            rolling: RollingSpent::new(),
        }
    }

    pub(super) fn stored(&self) -> StoredCounters {
        let (day, spent) = self.day.parts();
        StoredCounters {
            new_orders: self.new_orders.stored(),
            messages: self.messages.stored(),
            day: (day, spent.to_text()),
            rolling: self.rolling.stored(),
        }
    }

    pub(super) fn read(stored: StoredCounters) -> Result<Self, &'static str> {
        let (day, spent) = stored.day;
        Ok(Self {
            new_orders: RateWindow::read(&stored.new_orders)?,
            messages: RateWindow::read(&stored.messages)?,
            day: DaySpent::of(day, units(&spent)?),
            rolling: RollingSpent::read(stored.rolling)?,
        })
    }

    /// Counts one request.
    pub(super) fn add(&mut self, new_orders: u64, messages: u64, charge: Units, now: Timestamp) {
        self.new_orders.add(new_orders, now);
        self.messages.add(messages, now);
        self.day.add(charge, now);
        self.rolling.add(charge, now);
    }

    #[inline]
    pub(crate) fn day_spent(&self, now: Timestamp) -> Units {
        self.day.at(now)
    }

    #[inline]
    pub(crate) fn rolling_spent(&self, now: Timestamp) -> Units {
        self.rolling.at(now)
    }
}
