//! Tightening any field of the policy never approves more. Driven by the list of fields: one that is
//! new and has no case here, or whose tightening denies nothing that this test asks, fails.

use policy::{
    Decision, Direction, FIELDS, Field, Lent, MarkPrice, OrderName, Policy, Request, VenueEvent, evaluate,
};
use trading::{
    Amendment, Amount, Decimal, Intent, MAX_BATCH, Order, OrderType, Price, Quantity, Side, TimeInForce,
    Timestamp, TradingState, Venue,
};

use crate::random::Random;
use crate::support::*;

/// At least so many sessions, and more until the tighter limit was met.
const SESSIONS: u64 = 8;
const MOST_SESSIONS: u64 = 200;
const TURNS: usize = 30;
/// Fields of which every change loosens.
const FIXED: [&str; 3] = ["version", "accounts.*.venue", "accounts.*.currency"];

/// Fields that others read: the vault before it judges, and the watchdog.
const READ_ELSEWHERE: [&str; 6] = [
    "watchdogs",
    "accounts.*.max_daily_loss_bps",
    "accounts.*.max_weekly_loss_bps",
    "accounts.*.max_monthly_loss_bps",
    "accounts.*.max_drawdown_bps",
    "accounts.*.weekly_loss_size_factor",
];

/// A policy in which every limit is near what the sessions ask for.
fn loose() -> String {
    let text = text_with(&[
        (
            "order_types = [\"limit\", \"market\", \"stop_market\", \"stop_limit\"]",
            "order_types = [\"limit\", \"market\", \"stop_market\", \"stop_limit\", \"take_profit_limit\", \"pegged\"]",
        ),
        (
            "time_in_force = [\"good_till_cancel\", \"immediate_or_cancel\"]",
            "time_in_force = [\"good_till_cancel\", \"immediate_or_cancel\", \"fill_or_kill\", \"good_till_date\"]",
        ),
        ("uids = []", "uids = [\"1000\", \"1001\"]"),
        ("max_price_deviation_bps = 1000000", "max_price_deviation_bps = 3000"),
        ("max_open_orders = 4", "max_open_orders = 8"),
        ("max_open_notional = \"1000000000\"\nmax_net", "max_open_notional = \"9000\"\nmax_net"),
        ("max_net_exposure = \"1000000000\"", "max_net_exposure = \"12000\""),
        ("max_position = \"1000000\"", "max_position = \"0.2\""),
        ("max_open_notional = \"1000000000\"\ntick", "max_open_notional = \"8000\"\ntick"),
        ("max_quantity = \"0.05\"", "max_quantity = \"0.06\""),
        ("max_notional = \"1500\"", "max_notional = \"3000\""),
        ("notional_per_utc_day = \"5000\"", "notional_per_utc_day = \"20000\""),
        ("notional_rolling_24h = \"8000\"", "notional_rolling_24h = \"22000\""),
        ("\"900000\"", "\"24000\""),
        ("new_orders_per_second = 9000", "new_orders_per_second = 4"),
        ("messages_per_second = 9000", "messages_per_second = 7"),
        ("max_repeats = 1000", "max_repeats = 2"),
        ("repeat_window_ms = 1\n", "repeat_window_ms = 150\n"),
        ("allow_settings = [\"switch-mode\"]", "allow_settings = [\"switch-mode\", \"margin-mode\"]"),
        ("allow_library_extras = [\"broker-id\"]", "allow_library_extras = [\"broker-id\", \"referrer\"]"),
    ]);
    let accounts = text.find("[accounts.main]").expect("there");
    let other = text[text.find("[bots.demo]").expect("there")..accounts].replace("demo", "other");
    format!("{}{other}{}", &text[..accounts], &text[accounts..])
}

/// The text with the value of `field` replaced, in every table that has it.
fn replaced(text: &str, field: &Field, new: impl Fn(&str) -> String) -> String {
    let (table, name) = field.path.rsplit_once('.').unwrap_or(("", field.path));
    let mut here = String::new();
    let mut found = false;
    let lines = text.lines().map(|line| {
        if let Some(header) = line.strip_prefix('[') {
            header.trim_end_matches(']').clone_into(&mut here);
        }
        let is_table = match table {
            "bots.*" => here.starts_with("bots."),
            "accounts.*" => here.starts_with("accounts.") && !here.contains(".symbols."),
            "accounts.*.symbols.*" => here.contains(".symbols."),
            _ => here.is_empty(),
        };
        match line.split_once(" = ") {
            Some((key, value)) if is_table && key == name => {
                found = true;
                format!("{key} = {}", new(value))
            }
            _ => line.to_owned(),
        }
    });
    let lines: Vec<String> = lines.collect();
    assert!(found, "{} is not in the policy of this test", field.path);
    lines.join("\n")
}

/// A tighter value than `value` for a field of this direction.
fn tighter(field: &Field, value: &str, random: &mut Random) -> String {
    let hundredths = 1 + i128::from(random.below(99));
    match (field.direction, value.as_bytes()[0]) {
        (Direction::Lower, b'"') => {
            let value = decimal(value.trim_matches('"'));
            let part = Decimal::new(hundredths, 2).expect("scale");
            format!("\"{}\"", value.checked_mul(part).expect("small"))
        }
        (Direction::Lower, _) => {
            let value: i128 = value.parse().expect("a count");
            // Of the messages, one is kept for cancels.
            let least = if field.path == "accounts.*.messages_per_second" { 2 } else { 1 };
            (value * hundredths / 100).max(least).to_string()
        }
        (Direction::Higher, _) if field.path.ends_with("kept_for_cancels_per_second") => {
            (2 + random.below(4)).to_string()
        }
        (Direction::Higher, _) => random.one_of(&[151, 500, 1_500, 30_000, 60_000]).to_string(),
        (Direction::True, _) => {
            assert_eq!(value, "false", "{}", field.path);
            "true".to_owned()
        }
        (Direction::Multiple, _) => {
            let step = Decimal::from_integer(1 + i64::try_from(random.below(30)).expect("small"));
            format!("\"{}\"", decimal(value.trim_matches('"')).checked_mul(step).expect("small"))
        }
        (Direction::Subset, _) if value.contains("00:00-24:00") => random
            .one_of(&[
                "[\"mon 00:00-12:00\"]",
                "[\"wed 00:00-24:00\", \"sat 10:00-12:00\"]",
                "[\"mon-fri 08:00-16:30\"]",
            ])
            .to_owned(),
        (Direction::Subset, _) => {
            let words: Vec<&str> = value.trim_matches(['[', ']']).split(", ").collect();
            let left: Vec<&str> = words.iter().copied().filter(|_| random.once_in(2)).collect();
            // Some lists must not be empty.
            let keeps_one =
                ["sides", "order_types", "time_in_force"].iter().any(|name| field.path.ends_with(name));
            let left = if left.is_empty() && keeps_one { vec![random.one_of(&words)] } else { left };
            format!("[{}]", left.join(", "))
        }
        (Direction::Fixed, _) => panic!("{} has no tighter value", field.path),
    }
}

/// One session under the loose policy, each request put to both; returns how often only the tight one
/// denied.
fn session(seed: u64, what: &str, loose: &Policy, tight: &Policy) -> u64 {
    assert!(loose.is_tightening(tight), "{what}, seed {seed}: not said to be tighter");
    for uid in [0, 1000, 1001] {
        let allowed: Vec<_> = loose.bots_of_uid(uid).collect();
        assert!(tight.bots_of_uid(uid).all(|bot| allowed.contains(&bot)), "{what}, seed {seed}: user {uid}");
    }
    let spoken = |policy: &Policy| policy.bots_of_uid(1000).chain(policy.bots_of_uid(1001)).count();
    let mut bites = u64::from(spoken(tight) < spoken(loose));
    let mut random = Random(seed);
    let mut bench = bench_of(loose.clone());
    let mut last = None;
    for turn in 0..TURNS {
        bench.wait(random.one_of(&[0, 0, 100, 300, 300, 1_000, 20_000, 3_600_000]));
        happen(&mut random, &mut bench);
        let request = match last.take() {
            Some(request) if random.once_in(3) => request,
            _ => draw(&mut random, &bench),
        };
        let [by_loose, by_tight] = [loose, tight].map(|policy| decide(policy, &bench, &request));
        let may = |decision: &Decision| matches!(decision, Decision::Approve(_));
        assert!(may(&by_loose) || !may(&by_tight), "{what}, seed {seed}, turn {turn}: {request:?}");
        bites += u64::from(may(&by_loose) && !may(&by_tight));
        if let Decision::Approve(approved) = by_loose {
            bench.state.commit(&approved);
        }
        last = Some(request);
    }
    bites
}

fn decide(policy: &Policy, bench: &Bench, request: &Request) -> Decision {
    evaluate(policy, &bench.state, request.clone(), &bench.context)
}

/// What the venue, the feed and the operator do between two requests.
fn happen(random: &mut Random, bench: &mut Bench) {
    let mark = Decimal::new(i128::from(58_000 + random.below(4_000)), 0).expect("scale");
    let at = Timestamp::from_ms(bench.context.now.as_ms() - random.one_of(&[0, 10, 500, 1_900, 2_100]));
    for own in bench.context.mark_prices.values_mut() {
        *own = MarkPrice { price: Price::new(mark).expect("positive"), at };
    }
    match random.below(10) {
        0..3 => {
            let number = random.below(bench.state.next_order() + 1);
            bench.state.closed(OrderName::Number(number));
        }
        3 => {
            let quantity = Decimal::new(i128::from(random.below(60)) - 30, 3).expect("scale");
            let below = bench.state.next_order();
            let instrument = instrument("bybit:linear:BTCUSDT");
            let price = "60000".parse().expect("price");
            bench.state.observe(&VenueEvent::Position { instrument, quantity, price, below });
        }
        4 => {
            let state = random.one_of(&[TradingState::Active, TradingState::Active, TradingState::Reducing]);
            bench.state.set_trading_state(state);
        }
        5 => bench.state.set_size_factor(random.one_of(&["1", "1", "0.9"]).parse().expect("a factor")),
        6 => {
            let trading =
                random.one_of(&[TradingState::Active, TradingState::Active, TradingState::Reducing]);
            let size_factor = random.one_of(&["1", "1", "0.9"]).parse().expect("a factor");
            bench.state.set_lent((!random.once_in(3)).then_some(Lent { rung: 2, trading, size_factor }));
        }
        _ => {}
    }
}

fn draw(random: &mut Random, bench: &Bench) -> Request {
    let legs = 1 + random.below(3);
    let intent = match random.below(12) {
        0 => Intent::SetLeverage {
            instrument: instrument("bybit:linear:BTCUSDT"),
            leverage: decimal(random.one_of(&["1", "2", "2.5", "3", "4"])),
        },
        1 => Intent::SetMode {
            venue: Venue::Bybit,
            setting: random.one_of(&["switch-mode", "margin-mode", "else"]).into(),
            value: "1".into(),
        },
        2 => Intent::Batch((0..legs).map(|_| draw_leg(random)).collect()),
        _ => draw_leg(random),
    };
    let mut request = bench.request(intent);
    request.bot = random.one_of(&["demo", "demo", "other"]).parse().expect("bot");
    let now = bench.context.now.as_ms();
    request.sent_at = random.once_in(2).then(|| Timestamp::from_ms(now - random.one_of(&[0, 5, 400, 950])));
    request.recv_window_ms = random.once_in(2).then(|| 1 + random.below(5_000));
    if random.once_in(4) {
        request.extras = vec![random.one_of(&["broker-id", "referrer"]).into()];
    }
    request.thesis = random.once_in(2).then(|| "why".into());
    request
}

fn draw_leg(random: &mut Random) -> Intent {
    match random.below(8) {
        0 => cancel(&random.below(6).to_string()),
        1 => Intent::Amend(Amendment {
            amount: random.once_in(2).then(|| base_of(random)),
            price: random.once_in(2).then(|| price_of(random)),
            new_client_order_id: random.once_in(3).then(|| id(&random.below(6).to_string())),
            ..amend(&random.below(6).to_string())
        }),
        _ => Intent::Place(draw_order(random)),
    }
}

fn base_of(random: &mut Random) -> Amount {
    let lots = Decimal::new(1 + i128::from(random.below(60)), 3).expect("scale");
    Amount::Base(Quantity::new(lots).expect("positive"))
}

fn price_of(random: &mut Random) -> Price {
    let from = random.one_of(&[100_000, 580_000, 580_000, 580_000]);
    Price::new(Decimal::new(i128::from(from + random.below(40_000)), 1).expect("scale")).expect("positive")
}

fn draw_order(random: &mut Random) -> Order {
    let order_type = if random.once_in(3) { random.one_of(OrderType::ALL) } else { OrderType::Limit };
    let price = price_of(random);
    let time_in_force =
        if random.once_in(3) { random.one_of(TimeInForce::ALL) } else { TimeInForce::GoodTillCancel };
    Order {
        instrument: instrument(random.one_of(&[
            "bybit:linear:BTCUSDT",
            "bybit:linear:BTCUSDT",
            "bybit:spot:BTCUSDT",
        ])),
        side: random.one_of(Side::ALL),
        order_type,
        amount: if random.once_in(12) { quote("500") } else { base_of(random) },
        price: order_type.has_limit_price().then_some(price),
        trigger_price: order_type.is_triggered().then_some(price),
        time_in_force,
        post_only: random.once_in(3) && order_type == OrderType::Limit,
        reduce_only: random.once_in(8),
        client_order_id: random.once_in(3).then(|| id(&random.below(6).to_string())),
    }
}

/// Tries sessions with a policy made tighter by `tight` from a seed.
fn sessions(what: &str, loose: &Policy, tight: impl Fn(u64) -> String) {
    let mut bites = 0;
    for seed in 1..=MOST_SESSIONS {
        let tight = tight(seed);
        let tight = Policy::parse(&tight).unwrap_or_else(|mistakes| panic!("{what}: {mistakes:?}"));
        bites += session(seed, what, loose, &tight);
        if seed >= SESSIONS && bites > 0 {
            return;
        }
    }
    panic!("{what}: no session of this test ever met the tighter limit");
}

/// Every field of a table.
fn fields_of(table: &str) {
    let text = loose();
    let policy = Policy::parse(&text).expect("policy");
    let own = FIELDS.iter().filter(|field| field.path.rsplit_once('.').is_some_and(|(of, _)| of == table));
    let own = own.filter(|field| !READ_ELSEWHERE.contains(&field.path));
    for field in own.filter(|field| field.direction != Direction::Fixed) {
        sessions(field.path, &policy, |seed| {
            let random = std::cell::RefCell::new(Random(seed << 32));
            replaced(&text, field, |value| tighter(field, value, &mut random.borrow_mut()))
        });
    }
}

#[test]
fn tightening_any_field_of_a_bot_never_approves_more() {
    fields_of("bots.*");
}

#[test]
fn tightening_any_field_of_an_account_never_approves_more() {
    fields_of("accounts.*");
}

#[test]
fn tightening_any_field_of_a_symbol_never_approves_more() {
    fields_of("accounts.*.symbols.*");
}

#[test]
fn every_field_is_in_a_table_that_is_tried_or_fixed() {
    let tried = ["bots.*", "accounts.*", "accounts.*.symbols.*"];
    let is_tried =
        |field: &Field| field.path.rsplit_once('.').is_some_and(|(table, _)| tried.contains(&table));
    let fixed: Vec<_> = FIELDS.iter().filter(|field| field.direction == Direction::Fixed).collect();
    assert_eq!(
        fixed.iter().map(|field| field.path).collect::<Vec<_>>(),
        FIXED,
        "a field without a direction"
    );
    let is_elsewhere = |field: &Field| READ_ELSEWHERE.contains(&field.path);
    assert!(FIELDS.iter().all(|field| is_tried(field) || fixed.contains(&field) || is_elsewhere(field)));
}

#[test]
fn taking_a_bot_an_account_or_a_symbol_away_never_approves_more() {
    let text = loose();
    let policy = Policy::parse(&text).expect("policy");
    let (other, main) =
        (text.find("[bots.other]").expect("there"), text.find("[accounts.main]").expect("there"));
    let spot = text.find("[accounts.main.symbols.\"spot").expect("there");
    let spare = format!("{text}\n{}", text[main..].replace("accounts.main", "accounts.spare"));
    let spare = spare.replace("accounts = [\"main\"]", "accounts = [\"main\", \"spare\"]");
    let with_spare = Policy::parse(&spare).expect("policy");
    for (what, loose, tight) in [
        ("a bot", &policy, format!("{}{}", &text[..other], &text[main..])),
        ("a symbol", &policy, text[..spot].to_owned()),
        (
            "an account",
            &with_spare,
            text.replace("accounts.main", "accounts.spare").replace("[\"main\"]", "[\"spare\"]"),
        ),
    ] {
        assert!(!Policy::parse(&tight).expect("policy").is_tightening(loose), "{what}");
        sessions(what, loose, |_| tight.clone());
    }
}

#[test]
fn a_change_of_a_fixed_field_is_never_a_tightening() {
    let text = loose();
    let policy = Policy::parse(&text).expect("policy");
    let binance = Policy::parse(&text.replace("venue = \"bybit\"", "venue = \"binance\"")).expect("policy");
    let usdc = text.replace("currency = \"USDT\"", "currency = \"USDC\"").replace("BTCUSDT", "BTCUSDC");
    let usdc = Policy::parse(&usdc).expect("policy");
    for other in [&binance, &usdc] {
        assert!(!policy.is_tightening(other) && !other.is_tightening(&policy));
    }
    assert!(Policy::parse(&text.replace("version = 1", "version = 2")).is_err());
    assert_eq!(MAX_BATCH, 20, "the sessions' batches fit");
}
