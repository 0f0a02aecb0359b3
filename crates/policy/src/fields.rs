//! The one list of the policy file's fields: the parser, `diff` and the reference page follow it.

use serde::Serialize;

use crate::rules::Tier;
use crate::state::MOST_RECENT_MS;

/// Which change of a field makes a policy stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// A smaller number is tighter.
    Lower,
    /// A subset is tighter.
    Subset,
    /// A larger number is tighter.
    Higher,
    /// `true` is tighter.
    True,
    /// A multiple of the old value is tighter: what fits the new fits the old.
    Multiple,
    /// Any change is a change: neither tighter nor looser.
    Fixed,
}

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A number without quotes, from 1 to the stated most.
    Count { most: u64 },
    /// A decimal as a string, above zero.
    Amount,
    /// `true` or `false`.
    Flag,
    /// One word.
    Word,
    /// A list of words without repetition.
    Words,
    /// A list of hours of the week.
    Hours,
}

/// One field of the policy file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Where it stands; `*` is a name the operator gives.
    pub path: &'static str,
    /// Whether its rule holds against a hostile host; `None` where no rule of its own reads it.
    pub tier: Option<Tier>,
    /// Which change is tighter.
    pub direction: Direction,
    pub(crate) kind: Kind,
}

impl Field {
    /// The last part of the path.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    fn table(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(table, _)| table)
    }
}

/// Table of one bot.
pub(crate) const BOT: &str = "bots.*";
/// Table of one account.
pub(crate) const ACCOUNT: &str = "accounts.*";
/// Table of one symbol.
pub(crate) const SYMBOL: &str = "accounts.*.symbols.*";

const fn field(path: &'static str, tier: Option<Tier>, direction: Direction, kind: Kind) -> Field {
    Field { path, tier, direction, kind }
}

const S: Option<Tier> = Some(Tier::SelfContained);
const O: Option<Tier> = Some(Tier::Oracle);

/// Most messages or orders a second that a policy may allow; the counting ring holds more.
pub(crate) const MOST_PER_SECOND: u64 = 32_000;

/// Everything, in basis points.
const WHOLE_BPS: u64 = 10_000;

/// Every field of the policy file, in the order in which they are shown.
pub const FIELDS: &[Field] = &[
    field("version", None, Direction::Fixed, Kind::Count { most: 1 }),
    field("watchdogs", S, Direction::Subset, Kind::Words),
    field("bots.*.accounts", S, Direction::Subset, Kind::Words),
    field("bots.*.uids", S, Direction::Subset, Kind::Words),
    field("bots.*.new_orders_per_second", S, Direction::Lower, Kind::Count { most: MOST_PER_SECOND }),
    field("bots.*.messages_per_second", S, Direction::Lower, Kind::Count { most: MOST_PER_SECOND }),
    field("bots.*.notional_per_utc_day", S, Direction::Lower, Kind::Amount),
    field("bots.*.notional_rolling_24h", S, Direction::Lower, Kind::Amount),
    field("accounts.*.venue", S, Direction::Fixed, Kind::Word),
    field("accounts.*.currency", None, Direction::Fixed, Kind::Word),
    field("accounts.*.sides", S, Direction::Subset, Kind::Words),
    field("accounts.*.order_types", S, Direction::Subset, Kind::Words),
    field("accounts.*.time_in_force", S, Direction::Subset, Kind::Words),
    field("accounts.*.maker_only", S, Direction::True, Kind::Flag),
    field("accounts.*.require_client_order_id", S, Direction::True, Kind::Flag),
    field("accounts.*.max_clock_skew_ms", S, Direction::Lower, Kind::Count { most: 60_000 }),
    field("accounts.*.max_recv_window_ms", S, Direction::Lower, Kind::Count { most: 60_000 }),
    field("accounts.*.max_mark_price_age_ms", O, Direction::Lower, Kind::Count { most: 60_000 }),
    field("accounts.*.max_price_deviation_bps", O, Direction::Lower, Kind::Count { most: 1_000_000 }),
    field("accounts.*.max_leverage", S, Direction::Lower, Kind::Amount),
    field("accounts.*.max_open_orders", O, Direction::Lower, Kind::Count { most: 10_000 }),
    field("accounts.*.max_open_notional", O, Direction::Lower, Kind::Amount),
    field("accounts.*.max_net_exposure", O, Direction::Lower, Kind::Amount),
    field("accounts.*.prevent_self_crossing", O, Direction::True, Kind::Flag),
    field("accounts.*.new_orders_per_second", S, Direction::Lower, Kind::Count { most: MOST_PER_SECOND }),
    field("accounts.*.messages_per_second", S, Direction::Lower, Kind::Count { most: MOST_PER_SECOND }),
    field(
        "accounts.*.kept_for_cancels_per_second",
        S,
        Direction::Higher,
        Kind::Count { most: MOST_PER_SECOND },
    ),
    field("accounts.*.duplicate_window_ms", S, Direction::Higher, Kind::Count { most: MOST_RECENT_MS }),
    field("accounts.*.max_repeats", S, Direction::Lower, Kind::Count { most: 1_000 }),
    field("accounts.*.repeat_window_ms", S, Direction::Higher, Kind::Count { most: MOST_RECENT_MS }),
    field("accounts.*.notional_per_utc_day", S, Direction::Lower, Kind::Amount),
    field("accounts.*.notional_rolling_24h", S, Direction::Lower, Kind::Amount),
    field("accounts.*.require_thesis", S, Direction::True, Kind::Flag),
    field("accounts.*.require_lease", O, Direction::True, Kind::Flag),
    field("accounts.*.max_daily_loss_bps", None, Direction::Lower, Kind::Count { most: WHOLE_BPS }),
    field("accounts.*.max_weekly_loss_bps", None, Direction::Lower, Kind::Count { most: WHOLE_BPS }),
    field("accounts.*.max_monthly_loss_bps", None, Direction::Lower, Kind::Count { most: WHOLE_BPS }),
    field("accounts.*.max_drawdown_bps", None, Direction::Lower, Kind::Count { most: WHOLE_BPS }),
    field("accounts.*.weekly_loss_size_factor", None, Direction::Lower, Kind::Amount),
    field("accounts.*.allow_library_extras", S, Direction::Subset, Kind::Words),
    field("accounts.*.allow_settings", S, Direction::Subset, Kind::Words),
    field("accounts.*.symbols.*.max_quantity", S, Direction::Lower, Kind::Amount),
    field("accounts.*.symbols.*.max_notional", S, Direction::Lower, Kind::Amount),
    field("accounts.*.symbols.*.max_position", O, Direction::Lower, Kind::Amount),
    field("accounts.*.symbols.*.max_open_notional", O, Direction::Lower, Kind::Amount),
    field("accounts.*.symbols.*.tick", S, Direction::Multiple, Kind::Amount),
    field("accounts.*.symbols.*.lot", S, Direction::Multiple, Kind::Amount),
    field("accounts.*.symbols.*.trading_hours", S, Direction::Subset, Kind::Hours),
];

/// The fields of one table.
pub(crate) fn of(table: &'static str) -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().filter(move |field| field.table() == table)
}

/// The field `name` of `table`.
pub(crate) fn find(table: &'static str, name: &str) -> &'static Field {
    of(table).find(|field| field.name() == name).expect("the code names only fields of the list")
}
