//! What changed an account's money, besides the orders that hold it.

use trading::{Decimal, Market};

use super::types::{Event, Fill, Reject};
use super::{Exchange, num};

/// Entries kept per account; the oldest is forgotten.
pub const MAX_LEDGER: usize = 10_000;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// From or to another account, or another wallet.
    Transfer,
    /// From outside.
    Deposit,
    /// To outside.
    Withdrawal,
    /// A gift.
    Airdrop,
    /// The venue's money lent, or taken back.
    Bonus,
    /// One side of a fill.
    Trade,
}

/// A change of one balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Rising with time, over all accounts.
    pub id: u64,
    /// What it is.
    pub kind: EntryKind,
    /// Of which market's wallet.
    pub market: Market,
    /// Of what.
    pub asset: String,
    /// By how much, fee included; negative when less is left.
    pub change: Decimal,
    /// What was paid in fees.
    pub fee: Decimal,
    /// The balance after it.
    pub balance: Decimal,
    /// The instrument of a fill.
    pub instrument: Option<usize>,
    /// When, in milliseconds.
    pub time_ms: u64,
}

impl Exchange {
    /// Changes a balance from outside the market.
    pub(super) fn flow(
        &mut self,
        account: usize,
        market: Market,
        asset: &str,
        amount: Decimal,
        kind: EntryKind,
        now_ms: u64,
    ) -> Result<u64, Reject> {
        let wallet = self.wallet(market);
        let free = self.accounts[account].balance(wallet, asset).free;
        let after = num::add(free, amount);
        // What margin holds is not there to leave.
        let held = if wallet == self.wallet(Market::Linear) {
            self.margin_used(account, asset)
        } else {
            Decimal::ZERO
        };
        if amount.is_negative() && after < held {
            return Err(Reject::Balance);
        }
        self.accounts[account].balance_mut(wallet, asset).free = after;
        if kind == EntryKind::Bonus {
            let bonus = self.accounts[account].bonus.entry(asset.to_owned()).or_default();
            *bonus = num::add(*bonus, amount).max(Decimal::ZERO);
        }
        let id = self.note(account, kind, wallet, asset, (amount, Decimal::ZERO), None, now_ms);
        let changed = vec![(asset.to_owned(), self.accounts[account].balance(wallet, asset))];
        self.events.push(Event::Balances { account, market: wallet, changed });
        Ok(id)
    }

    /// Notes what a fill changed, after it has.
    pub(super) fn note_fill(&mut self, account: usize, fill: &Fill) {
        let spec = &self.listings[fill.instrument].spec;
        let (market, base, quote) = (spec.market, spec.base.clone(), spec.quote.clone());
        let wallet = self.wallet(market);
        let fee_of = |asset: &str| if asset == fill.fee_asset { fill.fee } else { Decimal::ZERO };
        let mut sides = Vec::new();
        if market == Market::Spot {
            let (got, paid) = match fill.side {
                trading::Side::Buy => ((base, fill.quantity), (quote, fill.value)),
                trading::Side::Sell => ((quote, fill.value), (base, fill.quantity)),
            };
            let fee = fee_of(&got.0);
            sides.push((got.0, num::sub(got.1, fee), fee));
            sides.push((paid.0, num::negate(paid.1), Decimal::ZERO));
        } else {
            sides.push((quote, num::sub(fill.realised, fill.fee), fill.fee));
        }
        for (asset, change, fee) in sides {
            let instrument = Some(fill.instrument);
            self.note(account, EntryKind::Trade, wallet, &asset, (change, fee), instrument, fill.time_ms);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one entry has that many parts")]
    fn note(
        &mut self,
        account: usize,
        kind: EntryKind,
        market: Market,
        asset: &str,
        (change, fee): (Decimal, Decimal),
        instrument: Option<usize>,
        time_ms: u64,
    ) -> u64 {
        let balance = self.accounts[account].balance(market, asset);
        let entry = Entry {
            id: self.next_entry_id,
            kind,
            market,
            asset: asset.to_owned(),
            change,
            fee,
            balance: num::add(balance.free, balance.locked),
            instrument,
            time_ms,
        };
        self.next_entry_id += 1;
        let ledger = &mut self.accounts[account].ledger;
        if ledger.len() == MAX_LEDGER {
            ledger.pop_front();
        }
        let id = entry.id;
        ledger.push_back(entry);
        id
    }

    /// The account of that name, if there is one.
    pub(crate) fn find_account(&self, name: &str) -> Option<usize> {
        self.accounts.iter().position(|account| account.name == name)
    }

    /// How many accounts there are.
    pub(crate) const fn account_count(&self) -> usize {
        self.accounts.len()
    }
}
