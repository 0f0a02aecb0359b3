//! Reads a policy file and reports every mistake in it at once.

mod mistake;
mod quote;
mod reader;
mod syntax;

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::{Item, TableLike};
use trading::{
    AccountName, BotName, Instrument, Market, OrderType, Side, SizeFactor, Symbol, TimeInForce, Venue,
};

pub use mistake::Mistake;
pub(crate) use mistake::closest;

use crate::fields::{self, ACCOUNT, BOT, SYMBOL};
use crate::policy::{Account, Policy, SymbolLimits, VERSION};
use crate::rules::{
    Bot, BotAccess, Budget, ClientIdRequired, ClockSkew, DuplicateWindow, Lease, LibraryExtras, LossLimits,
    Lot, MakerOnly, MarkPriceAge, MaxLeverage, MaxNotional, MaxPosition, MaxQuantity, MaxRepeats,
    MessageRate, NetExposure, OpenNotional, OpenOrders, OrderRate, OrderTypes, Period, PriceCollar,
    RecvWindow, SelfCrossing, Settings, Sides, SymbolOpenNotional, ThesisRequired, Tick, TimesInForce,
    TradingHours, VenueMatch, Whose,
};
use reader::{Reader, Section};

/// Most watchdogs whose leases count.
const MOST_WATCHDOGS: usize = 8;
/// Largest policy file, in bytes.
const LONGEST: usize = 1 << 20;

pub(crate) fn policy(text: &str) -> Result<Policy, Vec<Mistake>> {
    if text.len() > LONGEST {
        let message = format!("the file has {} bytes, more than {LONGEST}", text.len());
        return Err(vec![Mistake::at(text, 0, "", message, "split it: one policy per installation")]);
    }
    let parsed = syntax::parse(text);
    let mut reader = Reader::new(text, parsed.mistakes, parsed.unreadable);
    let policy = parsed.document.as_ref().and_then(|document| root(&mut reader, document.as_table()));
    let mistakes = reader.finish();
    match policy {
        Some(policy) if mistakes.is_empty() => Ok(policy),
        _ => Err(mistakes),
    }
}

fn root(reader: &mut Reader<'_>, table: &dyn TableLike) -> Option<Policy> {
    let section = Section::root(table);
    reader.known_keys(&section, "", &["bots", "accounts"]);
    let version = reader.count(&section, "", "version");
    if version.is_some_and(|version| version != VERSION) {
        reader.mistake_at_key(
            &section,
            "version",
            "is not a version this program reads",
            "write version = 1",
        );
    }
    let watchdogs = watchdogs(reader, &section);
    let accounts = reader
        .tables(&section, "accounts", "[accounts.NAME]")
        .map(|tables| tables.iter().filter_map(|named| account(reader, named)).collect::<Vec<_>>());
    let names: BTreeSet<String> = section.child_names("accounts").into_iter().collect();
    let bots = reader.tables(&section, "bots", "[bots.NAME]").map(|tables| {
        tables.iter().filter_map(|named| bot(reader, named, &names)).collect::<BTreeMap<_, _>>()
    });
    Some(Policy::new(watchdogs?, BotAccess { bots: bots? }, accounts?.into_iter().collect()))
}

/// Public keys, each 64 hexadecimal digits.
fn watchdogs(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<BTreeSet<[u8; 32]>> {
    let mut keys = BTreeSet::new();
    for (word, at) in reader.words(section, "", "watchdogs")? {
        let key = hex::decode(&word).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        match key.filter(|key| hex::encode(key) == word) {
            Some(key) => drop(keys.insert(key)),
            None => {
                let fix = "write the 64 digits that `seawall status` shows as the watchdog's key";
                reader.mistake(section, "watchdogs", at, format!("\"{word}\" is not a public key"), fix);
            }
        }
    }
    if keys.len() > MOST_WATCHDOGS {
        let problem = format!("names more than {MOST_WATCHDOGS} keys");
        reader.mistake_at_key(section, "watchdogs", problem, "remove those that do not run");
    }
    Some(keys)
}

fn bot(reader: &mut Reader<'_>, section: &Section<'_>, known: &BTreeSet<String>) -> Option<(BotName, Bot)> {
    let name = reader.name(section, BotName::new);
    reader.known_keys(section, BOT, &[]);
    let mut accounts = BTreeSet::new();
    for (word, at) in reader.words(section, BOT, "accounts")? {
        match AccountName::new(word.as_str()) {
            Ok(account) if known.contains(&word) => {
                accounts.insert(account);
            }
            _ => {
                let fix = match closest(&word, known.iter().map(String::as_str)) {
                    Some(close) => format!("did you mean \"{close}\"?"),
                    None => format!("add [accounts.{word}], or remove it here"),
                };
                reader.mistake(
                    section,
                    "accounts",
                    at,
                    format!("\"{word}\" is not an account of this policy"),
                    fix,
                );
            }
        }
    }
    let uids = uids(reader, section);
    let new_orders_per_second = reader.count(section, BOT, "new_orders_per_second");
    let messages_per_second = reader.count(section, BOT, "messages_per_second");
    let notional_per_utc_day = reader.amount(section, BOT, "notional_per_utc_day");
    let notional_rolling_24h = reader.amount(section, BOT, "notional_rolling_24h");
    let bot = Bot {
        accounts,
        uids: uids?,
        new_orders_per_second: OrderRate::new(new_orders_per_second?),
        // What is kept for cancels is kept of the account's messages, whichever bot it is.
        messages_per_second: MessageRate::new(messages_per_second?, 0)?,
        notional_per_utc_day: budget(notional_per_utc_day?)?,
        notional_rolling_24h: budget(notional_rolling_24h?)?,
    };
    Some((name?, bot))
}

fn budget<P: Period<W>, W: Whose>(limit: trading::Decimal) -> Option<Budget<P, W>> {
    Budget::new(trading::Notional::new(limit).ok()?)
}

/// User ids in quotes, as every list of the file holds texts.
fn uids(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<BTreeSet<u32>> {
    let mut uids = BTreeSet::new();
    for (word, at) in reader.words(section, BOT, "uids")? {
        match word.parse::<u32>() {
            Ok(uid) if uid.to_string() == word => {
                uids.insert(uid);
            }
            _ => {
                let message = format!("\"{word}\" is not a user id");
                reader.mistake(
                    section,
                    "uids",
                    at,
                    message,
                    "write the number that `id -u` prints, in quotes",
                );
            }
        }
    }
    Some(uids)
}

fn account(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<(AccountName, Account)> {
    let name = reader.name(section, AccountName::new);
    reader.known_keys(section, ACCOUNT, &["symbols"]);
    let venue = reader.one_of(section, ACCOUNT, "venue", &Venue::ALL.map(|venue| (venue.as_str(), venue)));
    let currency = reader.word(section, ACCOUNT, "currency").map(|(word, at)| {
        if !quote::is_currency(&word) {
            reader.mistake(
                section,
                "currency",
                at,
                "must be 2 to 12 capital letters or digits",
                "write \"USDT\", for example",
            );
        }
        word
    });
    let sides = reader.some_of(section, ACCOUNT, "sides", &named(Side::ALL, Side::as_str));
    let order_types =
        reader.some_of(section, ACCOUNT, "order_types", &named(OrderType::ALL, OrderType::as_str));
    let time_in_force =
        reader.some_of(section, ACCOUNT, "time_in_force", &named(TimeInForce::ALL, TimeInForce::as_str));
    let maker_only = reader.flag(section, ACCOUNT, "maker_only");
    let require_client_order_id = reader.flag(section, ACCOUNT, "require_client_order_id");
    let mut count = |name| reader.count(section, ACCOUNT, name);
    let max_clock_skew_ms = count("max_clock_skew_ms");
    let max_recv_window_ms = count("max_recv_window_ms");
    let max_mark_price_age_ms = count("max_mark_price_age_ms");
    let max_price_deviation_bps = count("max_price_deviation_bps");
    let max_open_orders = count("max_open_orders");
    let new_orders_per_second = count("new_orders_per_second");
    let messages_per_second = count("messages_per_second");
    let kept_for_cancels = count("kept_for_cancels_per_second");
    let duplicate_window_ms = count("duplicate_window_ms");
    let max_repeats = count("max_repeats");
    let repeat_window_ms = count("repeat_window_ms");
    let loss_limits = loss_limits(reader, section);
    if kept_for_cancels.zip(messages_per_second).is_some_and(|(kept, all)| kept >= all) {
        reader.mistake_at_key(
            section,
            "kept_for_cancels_per_second",
            "leaves no message for orders",
            "write less than messages_per_second",
        );
    }
    let max_open_notional = reader.amount(section, ACCOUNT, "max_open_notional");
    let max_net_exposure = reader.amount(section, ACCOUNT, "max_net_exposure");
    let prevent_self_crossing = reader.flag(section, ACCOUNT, "prevent_self_crossing");
    let require_thesis = reader.flag(section, ACCOUNT, "require_thesis");
    let require_lease = reader.flag(section, ACCOUNT, "require_lease");
    let max_leverage = reader.amount(section, ACCOUNT, "max_leverage");
    let notional_per_utc_day = reader.amount(section, ACCOUNT, "notional_per_utc_day");
    let notional_rolling_24h = reader.amount(section, ACCOUNT, "notional_rolling_24h");
    let allow_library_extras = free_words(reader, section, "allow_library_extras");
    let allow_settings = free_words(reader, section, "allow_settings");
    let symbols =
        reader.tables(section, "symbols", "[accounts.NAME.symbols.\"linear:BTCUSDT\"]").map(|tables| {
            let one =
                |symbol_section: &Section<'_>| symbol(reader, symbol_section, venue, currency.as_deref());
            tables.iter().filter_map(one).collect::<BTreeMap<_, _>>()
        });
    let account = Account {
        venue: VenueMatch { limit: venue? },
        currency: currency?.into(),
        sides: Sides { allowed: sides? },
        order_types: OrderTypes { allowed: order_types? },
        time_in_force: TimesInForce { allowed: time_in_force? },
        maker_only: MakerOnly { required: maker_only? },
        require_client_order_id: ClientIdRequired { required: require_client_order_id? },
        max_clock_skew_ms: ClockSkew { limit: max_clock_skew_ms? },
        max_recv_window_ms: RecvWindow { limit: max_recv_window_ms?, skew_ms: max_clock_skew_ms? },
        max_mark_price_age_ms: MarkPriceAge { limit: max_mark_price_age_ms? },
        max_price_deviation_bps: PriceCollar::new(max_price_deviation_bps?)?,
        max_leverage: MaxLeverage { limit: max_leverage? },
        max_open_orders: OpenOrders { limit: max_open_orders? },
        max_open_notional: OpenNotional::new(max_open_notional?)?,
        max_net_exposure: NetExposure::new(max_net_exposure?)?,
        prevent_self_crossing: SelfCrossing { prevented: prevent_self_crossing? },
        new_orders_per_second: OrderRate::new(new_orders_per_second?),
        messages_per_second: MessageRate::new(messages_per_second?, kept_for_cancels?)?,
        duplicate_window_ms: DuplicateWindow { limit: duplicate_window_ms? },
        max_repeats: MaxRepeats { limit: max_repeats?, window_ms: repeat_window_ms? },
        notional_per_utc_day: budget(notional_per_utc_day?)?,
        notional_rolling_24h: budget(notional_rolling_24h?)?,
        require_thesis: ThesisRequired { required: require_thesis? },
        require_lease: Lease { required: require_lease? },
        loss_limits: loss_limits?,
        allow_library_extras: LibraryExtras { allowed: allow_library_extras? },
        allow_settings: Settings { allowed: allow_settings? },
        symbols: symbols?,
    };
    Some((name?, account))
}

fn loss_limits(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<LossLimits> {
    const RUNGS: [&str; 4] =
        ["max_daily_loss_bps", "max_weekly_loss_bps", "max_monthly_loss_bps", "max_drawdown_bps"];
    let bps = RUNGS.map(|name| reader.count(section, ACCOUNT, name));
    for (at, (lower, upper)) in bps.iter().zip(&bps[1..]).enumerate() {
        if lower.zip(*upper).is_some_and(|(lower, upper)| lower > upper) {
            let problem = format!("is below {}", RUNGS[at]);
            reader.mistake_at_key(
                section,
                RUNGS[at + 1],
                problem,
                "let each rung be further down than the one before",
            );
        }
    }
    let factor = reader.amount(section, ACCOUNT, "weekly_loss_size_factor");
    let weekly_size_factor = factor.map(SizeFactor::try_from);
    if let Some(Err(error)) = weekly_size_factor {
        reader.mistake_at_key(
            section,
            "weekly_loss_size_factor",
            error.to_string(),
            "write \"0.5\", for example",
        );
    }
    let [daily, weekly, monthly, drawdown] = bps.map(|bps| bps.and_then(|bps| u16::try_from(bps).ok()));
    Some(LossLimits {
        daily_bps: daily?,
        weekly_bps: weekly?,
        monthly_bps: monthly?,
        drawdown_bps: drawdown?,
        weekly_size_factor: weekly_size_factor?.ok()?,
    })
}

fn symbol(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    venue: Option<Venue>,
    currency: Option<&str>,
) -> Option<(Instrument, SymbolLimits)> {
    reader.known_keys(section, SYMBOL, &[]);
    let key = instrument(reader, section, currency);
    let max_quantity = reader.amount(section, SYMBOL, "max_quantity");
    let max_notional = reader.amount(section, SYMBOL, "max_notional");
    let max_position = reader.amount(section, SYMBOL, "max_position");
    let max_open_notional = reader.amount(section, SYMBOL, "max_open_notional");
    let tick = reader.amount(section, SYMBOL, "tick");
    let lot = reader.amount(section, SYMBOL, "lot");
    let trading_hours = reader.hours(section, SYMBOL, "trading_hours");
    let limits = SymbolLimits {
        max_quantity: MaxQuantity { limit: trading::Quantity::new(max_quantity?).ok()? },
        max_notional: MaxNotional { limit: trading::Notional::new(max_notional?).ok()? },
        max_position: MaxPosition::new(max_position?)?,
        max_open_notional: SymbolOpenNotional::new(max_open_notional?)?,
        tick: Tick { tick: trading::Price::new(tick?).ok()? },
        lot: Lot { lot: trading::Quantity::new(lot?).ok()? },
        trading_hours: TradingHours { hours: trading_hours? },
    };
    let (market, symbol) = key?;
    Some((Instrument { venue: venue?, market, symbol }, limits))
}

/// Reads a symbol table's own name, `market:SYMBOL`.
fn instrument(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    currency: Option<&str>,
) -> Option<(Market, Symbol)> {
    let key = section.own_name();
    let read = key.split_once(':').map(|(market, symbol)| (market.parse::<Market>(), Symbol::new(symbol)));
    match read {
        Some((Ok(Market::Inverse | Market::Option), _)) => {
            reader.mistake_here(
                section,
                "inverse and option markets are not judged yet",
                "remove this symbol: its notional is not price times quantity, so no limit here would hold",
            );
            None
        }
        Some((Ok(market), Ok(symbol))) => {
            if let Some(currency) = currency.filter(|currency| !quote::is_quoted_in(&symbol, currency)) {
                let fix = "give it an account entry of its own with that currency: budgets add up one currency only";
                reader.mistake_here(
                    section,
                    format!("is not quoted in {currency}, the account's currency"),
                    fix,
                );
                return None;
            }
            Some((market, symbol))
        }
        Some((Err(_), _)) => {
            let word = key.split(':').next().unwrap_or_default();
            let fix = match closest(word, Market::ALL.iter().map(|market| market.as_str())) {
                Some(close) => format!("did you mean \"{close}\"?"),
                None => "use spot, margin or linear".to_owned(),
            };
            reader.mistake_here(section, format!("\"{word}\" is not a market"), fix);
            None
        }
        Some((_, Err(error))) => {
            reader.mistake_here(section, error.to_string(), "write the symbol as the venue does");
            None
        }
        None => {
            reader.mistake_here(
                section,
                "has no market",
                format!("write \"spot:{key}\" or \"linear:{key}\""),
            );
            None
        }
    }
}

/// A list of names this crate does not know: any printable text of at most 64 bytes.
fn free_words(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    name: &'static str,
) -> Option<BTreeSet<Box<str>>> {
    let words = reader.words(section, ACCOUNT, name)?;
    let mut allowed = BTreeSet::new();
    for (word, at) in words {
        let printable = !word.is_empty() && word.len() <= 64 && !word.contains(char::is_control);
        if printable {
            allowed.insert(word.into());
        } else {
            reader.mistake(
                section,
                name,
                at,
                "must have 1 to 64 printable characters",
                "correct or remove it",
            );
        }
    }
    Some(allowed)
}

fn named<T: Copy>(all: &'static [T], name: fn(T) -> &'static str) -> Vec<(&'static str, T)> {
    all.iter().map(|&one| (name(one), one)).collect()
}

/// The fields that the file's tables may hold, for suggestions.
pub(crate) fn field_names(table: &'static str) -> impl Iterator<Item = &'static str> {
    fields::of(table).map(fields::Field::name)
}

/// Where an item stands in the file.
fn span_start(item: &Item) -> Option<usize> {
    item.span().map(|span| span.start)
}
