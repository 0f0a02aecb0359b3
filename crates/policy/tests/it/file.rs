//! The policy file: mistakes, canonical bytes, differences, edits, presets.

use policy::presets::{self, Preset};
use policy::{Change, ChangeVerdict, Policy, edit};
use trading::Venue;

use crate::support::{POLICY, account, text_with};

fn mistakes(text: &str) -> Vec<String> {
    Policy::parse(text).expect_err("mistakes").iter().map(ToString::to_string).collect()
}

#[test]
fn every_mistake_is_reported_at_once_with_line_and_fix() {
    let text = r#"version = 1
watchdogs = []
[bots.demo]
accounts = ["mian"]
uids = ["root"]
new_orders_per_second = 1
messages_per_second = 1
notional_per_utc_day = "1"
notional_rolling_24h = "1"
[accounts.main]
venue = "bybt"
currency = "USDT"
sides = ["buy", "buy"]
order_types = ["limt"]
time_in_force = []
makr_only = true
require_client_order_id = "yes"
max_clock_skew_ms = 0
max_recv_window_ms = 100000
max_mark_price_age_ms = "5"
max_leverage = 3
max_open_orders = 50
max_open_orders = 60
new_orders_per_second = 10
messages_per_second = 20
notional_per_utc_day = "0"
notional_rolling_24h = "lots"
allow_library_extras = "all"
allow_settings = []
max_price_deviation_bps = 1
max_open_notional = "1"
max_net_exposure = "1"
prevent_self_crossing = true
kept_for_cancels_per_second = 20
duplicate_window_ms = 1
max_repeats = 1001
repeat_window_ms = 1
require_thesis = false
require_lease = false
max_daily_loss_bps = 500
max_weekly_loss_bps = 800
max_monthly_loss_bps = 1500
max_drawdown_bps = 1800
weekly_loss_size_factor = "0.5"
[accounts.main.symbols."inverse:BTCUSD"]
max_quantity = "0.05"
max_notional = "-1"
max_position = "1"
max_open_notional = "1"
tick = "0.1"
lot = "0.001"
trading_hours = ["monday 08:00-16:00"]
[accounts.main.symbols."linear:ETHBTC"]
max_quantity = "0.05"
max_notional = "1"
max_position = "1"
max_open_notional = "1"
tick = "0.1"
trading_hours = []
"#;
    let expected = [
        "4:13: bots.demo.accounts \"mian\" is not an account of this policy; did you mean \"main\"?",
        "5:9: bots.demo.uids \"root\" is not a user id; write the number that `id -u` prints, in quotes",
        "10:11: accounts.main.maker_only is missing; every field is required; write maker_only = true or maker_only = false",
        "11:9: accounts.main.venue does not know \"bybt\"; did you mean \"bybit\"?",
        "13:17: accounts.main.sides names \"buy\" twice; remove one",
        "14:16: accounts.main.order_types does not know \"limt\"; did you mean \"limit\"?",
        "15:1: accounts.main.time_in_force is empty, so that no order could pass; name at least one of: good_till_cancel, immediate_or_cancel, fill_or_kill, good_till_date",
        "16:1: accounts.main.makr_only is not a field; did you mean maker_only?",
        "17:1: accounts.main.require_client_order_id is string, not true or false; write require_client_order_id = true or require_client_order_id = false",
        "18:1: accounts.main.max_clock_skew_ms is 0, which never means unlimited; write a whole number from 1 to 60000, without quotes",
        "19:1: accounts.main.max_recv_window_ms is out of range; write a whole number from 1 to 60000, without quotes",
        "20:1: accounts.main.max_mark_price_age_ms is string, not a whole number; write a whole number from 1 to 60000, without quotes",
        "21:1: accounts.main.max_leverage is integer, not a decimal in quotes; write a decimal above 0 in quotes, such as \"0.5\"",
        "23:1: max_open_orders duplicate key; each key stands once; remove one",
        "26:1: accounts.main.notional_per_utc_day is 0, which never means unlimited; write a decimal above 0 in quotes, such as \"0.5\"",
        "27:1: accounts.main.notional_rolling_24h \"lots\" is not a decimal number; write a decimal above 0 in quotes, such as \"0.5\"",
        "28:1: accounts.main.allow_library_extras is string, not a list; write a list, such as allow_library_extras = [\"…\"], or allow_library_extras = [] for nothing",
        "34:1: accounts.main.kept_for_cancels_per_second leaves no message for orders; write less than messages_per_second",
        "36:1: accounts.main.max_repeats is out of range; write a whole number from 1 to 1000, without quotes",
        "45:24: accounts.main.symbols.\"inverse:BTCUSD\" inverse and option markets are not judged yet; remove this symbol: its notional is not price times quantity, so no limit here would hold",
        "47:1: accounts.main.symbols.\"inverse:BTCUSD\".max_notional is out of range; write a decimal above 0 in quotes, such as \"0.5\", at most 1000000000000000",
        "52:18: accounts.main.symbols.\"inverse:BTCUSD\".trading_hours does not know \"monday 08:00-16:00\"; write ranges in UTC, such as \"mon-fri 08:00-16:30\"; \"mon-sun 00:00-24:00\" is always",
        "53:24: accounts.main.symbols.\"linear:ETHBTC\" is not quoted in USDT, the account's currency; give it an account entry of its own with that currency: budgets add up one currency only",
        "53:24: accounts.main.symbols.\"linear:ETHBTC\".lot is missing; every field is required; write a decimal in quotes, such as lot = \"0.5\"",
        "59:1: accounts.main.symbols.\"linear:ETHBTC\".trading_hours is empty, so that no order could pass; write ranges in UTC, such as \"mon-fri 08:00-16:30\"; \"mon-sun 00:00-24:00\" is always",
    ];
    let found = mistakes(text);
    for (line, expected) in found.iter().zip(expected) {
        assert_eq!(line, expected);
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn faulty_lines_are_reported_together_with_the_rest() {
    let text = text_with(&[
        ("max_leverage = \"3\"", "max_leverage = three"),
        ("max_open_orders = 4", "max_open_orders = = 4"),
        ("maker_only = false", "maker_only = 1"),
    ]);
    let found = Policy::parse(&text).expect_err("mistakes");
    let lines: Vec<(usize, &str)> =
        found.iter().map(|mistake| (mistake.line, mistake.field.as_str())).collect();
    assert_eq!(lines, [(17, "accounts.main.maker_only"), (23, "max_leverage"), (24, "max_open_orders")]);
}

#[test]
fn each_field_is_required() {
    for line in POLICY.lines().filter(|line| line.contains(" = ")) {
        let name = line.split(' ').next().expect("key");
        let text = POLICY.replacen(&format!("{line}\n"), "", 1);
        let found = mistakes(&text);
        assert!(
            found.iter().any(|mistake| mistake.contains(&format!("{name} is missing"))),
            "{name}: {found:?}"
        );
    }
}

#[test]
fn no_number_may_be_zero() {
    for line in POLICY.lines().filter(|line| line.contains(" = ")) {
        let (name, value) = line.split_once(" = ").expect("key");
        let zero = if value.starts_with('"') && value.contains(|c: char| c.is_ascii_digit()) {
            "\"0.0\""
        } else {
            "0"
        };
        if value.starts_with('[') || value.contains("bybit") || value.contains("USDT") {
            continue;
        }
        let text = POLICY.replacen(line, &format!("{name} = {zero}"), 1);
        assert!(Policy::parse(&text).is_err(), "{name}");
    }
}

#[test]
fn nonsense_is_refused_and_never_panics() {
    for text in [
        "",
        "[",
        "version",
        "version = 2\nbots = 1\naccounts = 1",
        "\u{feff}",
        "é = [",
        "[bots.demo",
        "[bots]\n[bots]",
        "accounts.main = 1\n[bots]",
        "[[accounts]]",
    ] {
        assert!(Policy::parse(text).is_err(), "{text:?}");
    }
    for end in 0..POLICY.len() {
        let _ = Policy::parse(&POLICY[..end]);
    }
}

#[test]
fn spelling_order_and_comments_do_not_change_the_bytes() {
    let policy = Policy::parse(POLICY).expect("policy");
    let other = text_with(&[
        ("max_notional = \"1500\"", "max_notional = \"1.50e3\" # a comment"),
        ("sides = [\"buy\", \"sell\"]", "sides = [\"sell\", \"buy\"]"),
        ("tick = \"0.1\"", "tick = \".100\""),
        ("max_open_orders = 4", "max_open_orders = 0x4"),
    ]);
    let (head, tail) = other.split_once("[accounts.main.symbols.\"linear").expect("tables");
    let (linear, spot) = tail.split_once("[accounts.main.symbols.\"spot").expect("tables");
    let other = format!("[accounts.main.symbols.\"spot{spot}[accounts.main.symbols.\"linear{linear}");
    let (version, rest) = head.split_once("[bots.demo]").expect("bots");
    let other = format!("{version}{other}[bots.demo]{rest}");
    let other = Policy::parse(&other).expect("policy");
    assert_eq!(policy.canonical(), other.canonical());
    assert_eq!(policy.hash(), other.hash());
    assert!(policy.diff(&other).iter().all(|change| change.direction == ChangeVerdict::Equal));
}

#[test]
fn every_change_of_a_field_changes_the_hash_and_has_a_direction() {
    use ChangeVerdict::{Changed, Looser, Tighter};
    let old = Policy::parse(POLICY).expect("policy");
    for (from, to, expected) in [
        ("sides = [\"buy\", \"sell\"]", "sides = [\"buy\"]", Tighter),
        ("order_types = [\"limit\", ", "order_types = [\"limit\", \"trailing_stop\", ", Looser),
        ("time_in_force = [\"good_till_cancel\", ", "time_in_force = [\"fill_or_kill\", ", Changed),
        ("maker_only = false", "maker_only = true", Tighter),
        ("require_client_order_id = false", "require_client_order_id = true", Tighter),
        ("max_clock_skew_ms = 1000", "max_clock_skew_ms = 1001", Looser),
        ("max_recv_window_ms = 5000", "max_recv_window_ms = 4000", Tighter),
        ("max_mark_price_age_ms = 2000", "max_mark_price_age_ms = 1", Tighter),
        ("max_leverage = \"3\"", "max_leverage = \"3.1\"", Looser),
        ("max_open_orders = 4", "max_open_orders = 3", Tighter),
        ("new_orders_per_second = 3", "new_orders_per_second = 4", Looser),
        ("max_price_deviation_bps = 1000000", "max_price_deviation_bps = 999999", Tighter),
        ("max_open_notional = \"1000000000\"\nmax_net", "max_open_notional = \"1\"\nmax_net", Tighter),
        ("max_net_exposure = \"1000000000\"", "max_net_exposure = \"2000000000\"", Looser),
        ("prevent_self_crossing = false", "prevent_self_crossing = true", Tighter),
        ("messages_per_second = 6", "messages_per_second = 4", Tighter),
        ("kept_for_cancels_per_second = 1", "kept_for_cancels_per_second = 2", Tighter),
        ("duplicate_window_ms = 1", "duplicate_window_ms = 2", Tighter),
        ("max_repeats = 1000", "max_repeats = 999", Tighter),
        ("repeat_window_ms = 1", "repeat_window_ms = 2", Tighter),
        ("require_thesis = false", "require_thesis = true", Tighter),
        ("require_lease = false", "require_lease = true", Tighter),
        ("max_daily_loss_bps = 500", "max_daily_loss_bps = 501", Looser),
        ("max_weekly_loss_bps = 800", "max_weekly_loss_bps = 700", Tighter),
        ("max_monthly_loss_bps = 1500", "max_monthly_loss_bps = 1499", Tighter),
        ("max_drawdown_bps = 1800", "max_drawdown_bps = 10000", Looser),
        ("weekly_loss_size_factor = \"0.5\"", "weekly_loss_size_factor = \"0.49\"", Tighter),
        (
            "max_position = \"1000000\"\nmax_open_notional = \"1000000000\"\ntick = \"0.1\"",
            "max_position = \"1\"\nmax_open_notional = \"1000000000\"\ntick = \"0.1\"",
            Tighter,
        ),
        (
            "max_open_notional = \"1000000000\"\ntick = \"0.1\"",
            "max_open_notional = \"1000000001\"\ntick = \"0.1\"",
            Looser,
        ),
        (
            "trading_hours = [\"mon-sun 00:00-24:00\"]\n[",
            "trading_hours = [\"mon-fri 00:00-24:00\"]\n[",
            Tighter,
        ),
        ("new_orders_per_second = 9000", "new_orders_per_second = 9001", Looser),
        ("messages_per_second = 9000", "messages_per_second = 8999", Tighter),
        ("notional_per_utc_day = \"900000\"", "notional_per_utc_day = \"1\"", Tighter),
        ("notional_rolling_24h = \"900000\"", "notional_rolling_24h = \"900001\"", Looser),
        ("notional_per_utc_day = \"5000\"", "notional_per_utc_day = \"4999.99\"", Tighter),
        ("notional_rolling_24h = \"8000\"", "notional_rolling_24h = \"8000.01\"", Looser),
        ("allow_library_extras = [\"broker-id\"]", "allow_library_extras = []", Tighter),
        ("allow_settings = [\"switch-mode\"]", "allow_settings = [\"switch-mode\", \"x\"]", Looser),
        ("tick = \"0.1\"", "tick = \"0.2\"", Tighter),
        ("tick = \"0.1\"", "tick = \"0.05\"", Looser),
        ("tick = \"0.1\"", "tick = \"0.15\"", Changed),
        ("lot = \"0.001\"", "lot = \"0.01\"", Tighter),
        ("accounts = [\"main\"]", "accounts = []", Tighter),
    ] {
        let new = Policy::parse(&text_with(&[(from, to)])).expect(to);
        let changes: Vec<Change> =
            old.diff(&new).into_iter().filter(|change| change.direction != ChangeVerdict::Equal).collect();
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!(changes[0].direction, expected, "{to}");
        assert_ne!(old.hash(), new.hash(), "{to}");
        assert_eq!(old.is_tightening(&new), expected == Tighter, "{to}");
    }
}

#[test]
fn a_new_symbol_is_looser_and_a_removed_one_tighter() {
    let both = Policy::parse(POLICY).expect("policy");
    let (one, _) = POLICY.split_once("[accounts.main.symbols.\"spot").expect("table");
    let one = Policy::parse(one).expect("policy");
    assert!(both.is_tightening(&one));
    assert!(!one.is_tightening(&both));
}

#[test]
fn presets_are_policies_and_name_their_account() {
    let bots = ["one".parse().expect("bot"), "two".parse().expect("bot")];
    for preset in Preset::ALL {
        for venue in Venue::ALL {
            let text = preset.text(&account("sub-1"), venue, &bots);
            let policy = Policy::parse(&text).unwrap_or_else(|found| panic!("{found:?}\n{text}"));
            assert_eq!(policy.bots().count(), 2);
            assert_eq!(policy.account(&account("sub-1")).expect("account").venue(), venue);
            assert!(text.contains("# Check a change"), "{text}");
        }
    }
    let strict = presets::strict(&account("a"), Venue::Bybit, &[]);
    assert!(strict.contains("maker_only = true"));
}

#[test]
fn edits_keep_comments_and_everything_else() {
    let bots = ["one".parse().expect("bot")];
    let text = presets::grid(&account("main"), Venue::Bybit, &bots);
    let more = edit::add_account(&text, &account("second"), Venue::Binance, Preset::Strict).expect("added");
    let more =
        edit::add_bot(&more, &"two".parse().expect("bot"), &[account("main"), account("second")], &[1000])
            .expect("added");
    let policy = Policy::parse(&more).expect("policy");
    assert_eq!((policy.bots().count(), policy.accounts().count()), (2, 2));
    for line in text.lines() {
        assert!(more.contains(line), "{line} is gone from\n{more}");
    }
    let back = edit::remove_bot(&more, &"two".parse().expect("bot")).expect("removed");
    assert_eq!(Policy::parse(&back).expect("policy").bots().count(), 1);
    assert!(edit::remove_bot(&back, &"two".parse().expect("bot")).is_err());
    assert!(edit::add_bot(&back, &"x".parse().expect("bot"), &[account("unknown")], &[]).is_err());
    assert!(edit::add_account(&back, &account("main"), Venue::Bybit, Preset::Grid).is_err());
}

#[test]
fn rungs_go_down_and_watchdogs_are_keys() {
    let key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let with = |from: &str, to: &str| text_with(&[(from, to)]);
    for (text, part) in [
        (
            with("max_weekly_loss_bps = 800", "max_weekly_loss_bps = 499"),
            "max_weekly_loss_bps is below max_daily_loss_bps",
        ),
        (
            with("max_drawdown_bps = 1800", "max_drawdown_bps = 1499"),
            "max_drawdown_bps is below max_monthly_loss_bps",
        ),
        (with("max_drawdown_bps = 1800", "max_drawdown_bps = 10001"), "out of range"),
        (with("factor = \"0.5\"", "factor = \"1.1\""), "a size factor is above 0 and at most 1"),
        (with("watchdogs = []", "watchdogs = [\"ab\"]"), "\"ab\" is not a public key"),
        (with("watchdogs = []", &format!("watchdogs = [\"{}\"]", key.to_uppercase())), "is not a public key"),
    ] {
        let found = mistakes(&text);
        assert!(found.len() == 1 && found[0].contains(part), "{part}: {found:?}");
    }
    let same = with("max_weekly_loss_bps = 800", "max_weekly_loss_bps = 500");
    assert!(Policy::parse(&same).is_ok(), "two rungs may stand at one place");
    let policy = Policy::parse(&with("watchdogs = []", &format!("watchdogs = [\"{key}\"]"))).expect("policy");
    assert_eq!(policy.watchdogs().map(hex::encode).collect::<Vec<_>>(), [key]);
    let before = Policy::parse(POLICY).expect("policy");
    assert!(!before.is_tightening(&policy) && policy.is_tightening(&before), "who may lend is a limit");
}

#[test]
fn bounds_of_the_file_and_of_its_words_are_exact() {
    let longest = format!("{POLICY}#{}", "x".repeat((1 << 20) - POLICY.len() - 1));
    assert!(Policy::parse(&longest).is_ok(), "a MiB");
    let found = mistakes(&format!("{longest}x"));
    assert!(found.len() == 1 && found[0].contains("more than 1048576"), "{found:?}");
    for uid in ["0100", "+1", "4294967296"] {
        let found = mistakes(&text_with(&[("uids = []", &format!("uids = [\"{uid}\"]"))]));
        assert!(found.len() == 1 && found[0].contains("is not a user id"), "{found:?}");
    }
    let with = |word: &str| {
        text_with(&[("allow_settings = [\"switch-mode\"]", &format!("allow_settings = [\"{word}\"]"))])
    };
    assert!(Policy::parse(&with(&"w".repeat(64))).is_ok());
    for word in [String::new(), "w".repeat(65), "a\\tb".to_owned()] {
        let found = mistakes(&with(&word));
        assert!(found.len() == 1 && found[0].contains("1 to 64 printable"), "{found:?}");
    }
}
