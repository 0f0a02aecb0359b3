//! The policy: who may do what, and the limits of each account and symbol.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use trading::{AccountName, Instrument, Symbol, Venue};

use crate::rules::{
    Bot, BotAccess, Budget, ClientIdRequired, ClockSkew, DuplicateWindow, Everyone, Lease, LibraryExtras,
    LossLimits, Lot, MakerOnly, MarkPriceAge, MaxLeverage, MaxNotional, MaxPosition, MaxQuantity, MaxRepeats,
    MessageRate, NetExposure, OpenNotional, OpenOrders, OrderRate, OrderTypes, PriceCollar, RecvWindow,
    Rolling24h, SelfCrossing, Settings, Sides, SymbolOpenNotional, ThesisRequired, Tick, TimesInForce,
    TradingHours, UtcDay, VenueMatch,
};
use crate::value::{Path, Value, canonical};
use crate::{Mistake, parse};

/// The version of the policy file this crate reads.
pub(crate) const VERSION: u64 = 1;
/// Separates a policy hash from every other SHA-256 of ours.
const HASH_DOMAIN: &[u8] = b"seawall policy v1\0";

/// What bots may do. Every field was stated by the operator; there are no defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Ed25519 public keys of those who may lend.
    watchdogs: BTreeSet<[u8; 32]>,
    pub(crate) bots: BotAccess,
    pub(crate) accounts: BTreeMap<AccountName, Account>,
    /// Made once: every record names it.
    hash: [u8; 32],
}

/// The rules of one account. Each field is a rule that holds its own limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub(crate) venue: VenueMatch,
    /// The quote currency of every symbol of the account, in which its budgets count.
    pub(crate) currency: Box<str>,
    pub(crate) sides: Sides,
    pub(crate) order_types: OrderTypes,
    pub(crate) time_in_force: TimesInForce,
    pub(crate) maker_only: MakerOnly,
    pub(crate) require_client_order_id: ClientIdRequired,
    pub(crate) max_clock_skew_ms: ClockSkew,
    pub(crate) max_recv_window_ms: RecvWindow,
    pub(crate) max_mark_price_age_ms: MarkPriceAge,
    pub(crate) max_price_deviation_bps: PriceCollar,
    pub(crate) max_leverage: MaxLeverage,
    pub(crate) max_open_orders: OpenOrders,
    pub(crate) max_open_notional: OpenNotional,
    pub(crate) max_net_exposure: NetExposure,
    pub(crate) prevent_self_crossing: SelfCrossing,
    pub(crate) new_orders_per_second: OrderRate<Everyone>,
    pub(crate) messages_per_second: MessageRate<Everyone>,
    pub(crate) duplicate_window_ms: DuplicateWindow,
    pub(crate) max_repeats: MaxRepeats,
    pub(crate) notional_per_utc_day: Budget<UtcDay, Everyone>,
    pub(crate) notional_rolling_24h: Budget<Rolling24h, Everyone>,
    pub(crate) require_thesis: ThesisRequired,
    pub(crate) require_lease: Lease,
    pub(crate) loss_limits: LossLimits,
    pub(crate) allow_library_extras: LibraryExtras,
    pub(crate) allow_settings: Settings,
    pub(crate) symbols: BTreeMap<Instrument, SymbolLimits>,
}

/// The rules of one symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymbolLimits {
    pub(crate) max_quantity: MaxQuantity,
    pub(crate) max_notional: MaxNotional,
    pub(crate) max_position: MaxPosition,
    pub(crate) max_open_notional: SymbolOpenNotional,
    pub(crate) tick: Tick,
    pub(crate) lot: Lot,
    pub(crate) trading_hours: TradingHours,
}

impl Policy {
    pub(crate) fn new(
        watchdogs: BTreeSet<[u8; 32]>,
        bots: BotAccess,
        accounts: BTreeMap<AccountName, Account>,
    ) -> Self {
        let mut policy = Self { watchdogs, bots, accounts, hash: [0; 32] };
        policy.hash =
            Sha256::new().chain_update(HASH_DOMAIN).chain_update(policy.canonical()).finalize().into();
        policy
    }

    /// Reads a policy file.
    ///
    /// # Errors
    ///
    /// Every mistake in the file, in the order of its lines.
    pub fn parse(text: &str) -> Result<Self, Vec<Mistake>> {
        parse::policy(text)
    }

    /// The same bytes for the same rules, whatever the file's order, comments and spelling of
    /// numbers: deterministic CBOR, no floats.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        canonical(&self.values())
    }

    /// SHA-256 of the canonical bytes, under its own domain.
    #[must_use]
    pub const fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Ed25519 public keys of the watchdogs whose trading leases count.
    pub fn watchdogs(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.watchdogs.iter()
    }

    /// The rules of an account.
    #[must_use]
    pub fn account(&self, name: &AccountName) -> Option<&Account> {
        self.accounts.get(name)
    }

    /// Every account, by name.
    pub fn accounts(&self) -> impl Iterator<Item = (&AccountName, &Account)> {
        self.accounts.iter()
    }

    /// Every bot and the accounts it may use, by name.
    pub fn bots(&self) -> impl Iterator<Item = (&trading::BotName, impl Iterator<Item = &AccountName>)> {
        self.bots.bots.iter().map(|(name, bot)| (name, bot.accounts.iter()))
    }

    /// The accounts that `bot` may use; none if it is not in the policy.
    pub fn accounts_of(&self, bot: &trading::BotName) -> impl Iterator<Item = &AccountName> {
        self.bots.bots.get(bot).into_iter().flat_map(|bot| &bot.accounts)
    }

    /// The bots that the operating system's user `uid` may speak for.
    pub fn bots_of_uid(&self, uid: u32) -> impl Iterator<Item = &trading::BotName> {
        self.bots.bots.iter().filter(move |(_, bot)| bot.uids.contains(&uid)).map(|(name, _)| name)
    }

    /// Every instrument that any account may trade.
    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        self.accounts.values().flat_map(Account::instruments)
    }

    /// Every field with its path.
    pub(crate) fn values(&self) -> BTreeMap<Path, Value> {
        let Self { watchdogs, bots, accounts, hash: _ } = self;
        let mut all = BTreeMap::from([(vec!["version".to_owned()], Value::Count(VERSION))]);
        all.insert(path(&["watchdogs"]), Value::words(watchdogs.iter().map(hex::encode)));
        for (name, bot) in &bots.bots {
            for (field, value) in bot.values() {
                all.insert(path(&["bots", name.as_str(), field]), value);
            }
        }
        for (name, account) in accounts {
            for (field, value) in account.values() {
                all.insert(path(&["accounts", name.as_str(), field]), value);
            }
            for (instrument, limits) in &account.symbols {
                let key = symbol_key(instrument);
                for (field, value) in limits.values() {
                    all.insert(path(&["accounts", name.as_str(), "symbols", &key, field]), value);
                }
            }
        }
        all
    }
}

impl Account {
    /// The venue where the account is.
    #[must_use]
    pub const fn venue(&self) -> Venue {
        self.venue.limit
    }

    /// The currency in which the account's budgets count.
    #[must_use]
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// The longest receive window a request may state, in milliseconds.
    #[must_use]
    pub const fn max_recv_window_ms(&self) -> u64 {
        self.max_recv_window_ms.limit
    }

    /// Whether new risk needs a live trading lease.
    #[must_use]
    pub const fn requires_lease(&self) -> bool {
        self.require_lease.required
    }

    /// Where the watchdog's ladder has its rungs.
    #[must_use]
    pub const fn loss_limits(&self) -> LossLimits {
        self.loss_limits
    }

    /// The instruments the account may trade.
    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        self.symbols.keys()
    }

    /// Every field but those of the symbols.
    fn values(&self) -> [(&'static str, Value); 33] {
        let Self {
            venue,
            currency,
            sides,
            order_types,
            time_in_force,
            maker_only,
            require_client_order_id,
            max_clock_skew_ms,
            max_recv_window_ms,
            max_mark_price_age_ms,
            max_price_deviation_bps,
            max_leverage,
            max_open_orders,
            max_open_notional,
            max_net_exposure,
            prevent_self_crossing,
            new_orders_per_second,
            messages_per_second,
            duplicate_window_ms,
            max_repeats,
            notional_per_utc_day,
            notional_rolling_24h,
            require_thesis,
            require_lease,
            loss_limits,
            allow_library_extras,
            allow_settings,
            symbols: _,
        } = self;
        [
            ("venue", Value::Word(venue.limit.to_string())),
            ("currency", Value::Word(currency.to_string())),
            ("sides", Value::words(&sides.allowed)),
            ("order_types", Value::words(&order_types.allowed)),
            ("time_in_force", Value::words(&time_in_force.allowed)),
            ("maker_only", Value::Flag(maker_only.required)),
            ("require_client_order_id", Value::Flag(require_client_order_id.required)),
            ("max_clock_skew_ms", Value::Count(max_clock_skew_ms.limit)),
            ("max_recv_window_ms", Value::Count(max_recv_window_ms.limit)),
            ("max_mark_price_age_ms", Value::Count(max_mark_price_age_ms.limit)),
            ("max_price_deviation_bps", Value::Count(max_price_deviation_bps.limit)),
            ("max_leverage", Value::Amount(max_leverage.limit)),
            ("max_open_orders", Value::Count(max_open_orders.limit)),
            ("max_open_notional", Value::Amount(max_open_notional.limit.decimal())),
            ("max_net_exposure", Value::Amount(max_net_exposure.limit.decimal())),
            ("prevent_self_crossing", Value::Flag(prevent_self_crossing.prevented)),
            ("new_orders_per_second", Value::Count(new_orders_per_second.limit)),
            ("messages_per_second", Value::Count(messages_per_second.limit)),
            ("kept_for_cancels_per_second", Value::Count(messages_per_second.kept_for_cancels)),
            ("duplicate_window_ms", Value::Count(duplicate_window_ms.limit)),
            ("max_repeats", Value::Count(max_repeats.limit)),
            ("repeat_window_ms", Value::Count(max_repeats.window_ms)),
            ("notional_per_utc_day", Value::Amount(notional_per_utc_day.limit.decimal())),
            ("notional_rolling_24h", Value::Amount(notional_rolling_24h.limit.decimal())),
            ("require_thesis", Value::Flag(require_thesis.required)),
            ("require_lease", Value::Flag(require_lease.required)),
            ("max_daily_loss_bps", Value::Count(loss_limits.daily_bps.into())),
            ("max_weekly_loss_bps", Value::Count(loss_limits.weekly_bps.into())),
            ("max_monthly_loss_bps", Value::Count(loss_limits.monthly_bps.into())),
            ("max_drawdown_bps", Value::Count(loss_limits.drawdown_bps.into())),
            ("weekly_loss_size_factor", Value::Amount(loss_limits.weekly_size_factor.decimal())),
            ("allow_library_extras", Value::words(&allow_library_extras.allowed)),
            ("allow_settings", Value::words(&allow_settings.allowed)),
        ]
    }
}

impl Bot {
    fn values(&self) -> [(&'static str, Value); 6] {
        let Self {
            accounts,
            uids,
            new_orders_per_second,
            messages_per_second,
            notional_per_utc_day,
            notional_rolling_24h,
        } = self;
        [
            ("accounts", Value::words(accounts)),
            ("uids", Value::words(uids)),
            ("new_orders_per_second", Value::Count(new_orders_per_second.limit)),
            ("messages_per_second", Value::Count(messages_per_second.limit)),
            ("notional_per_utc_day", Value::Amount(notional_per_utc_day.limit.decimal())),
            ("notional_rolling_24h", Value::Amount(notional_rolling_24h.limit.decimal())),
        ]
    }
}

impl SymbolLimits {
    fn values(&self) -> [(&'static str, Value); 7] {
        let Self { max_quantity, max_notional, max_position, max_open_notional, tick, lot, trading_hours } =
            self;
        [
            ("max_quantity", Value::Amount(max_quantity.limit.decimal())),
            ("max_notional", Value::Amount(max_notional.limit.decimal())),
            ("max_position", Value::Amount(max_position.limit.decimal())),
            ("max_open_notional", Value::Amount(max_open_notional.limit.decimal())),
            ("tick", Value::Amount(tick.tick.decimal())),
            ("lot", Value::Amount(lot.lot.decimal())),
            ("trading_hours", Value::Hours(trading_hours.hours.clone())),
        ]
    }
}

/// The file's name of an instrument: the account says the venue.
fn symbol_key(instrument: &Instrument) -> String {
    let symbol: &Symbol = &instrument.symbol;
    format!("{}:{symbol}", instrument.market)
}

fn path(parts: &[&str]) -> Path {
    parts.iter().map(|&part| part.to_owned()).collect()
}
