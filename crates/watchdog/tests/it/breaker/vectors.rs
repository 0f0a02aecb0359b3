//! The numbers of the promises, to the cent.

use watchdog::breaker::{Basis, Rung, What};

use super::*;

/// The rung that $4,000 and then `equity` from both sources reach.
fn rung_at(equity: &str) -> Rung {
    let mut bench = Bench::at_4000();
    bench.equity("a", equity);
    bench.check_replay();
    bench.rung("a")
}

#[test]
fn the_daily_rung_is_at_3800_00_and_not_a_cent_above() {
    assert_eq!(rung_at("3800.01"), Rung::Zero);
    assert_eq!(rung_at("3800.00"), Rung::One);
}

#[test]
fn the_weekly_rung_is_at_3680_00_and_not_a_cent_above() {
    assert_eq!(rung_at("3680.01"), Rung::One);
    assert_eq!(rung_at("3680.00"), Rung::Two);
}

#[test]
fn the_monthly_rung_is_at_3400_00_and_not_a_cent_above() {
    assert_eq!(rung_at("3400.01"), Rung::Two);
    assert_eq!(rung_at("3400.00"), Rung::Three);
}

#[test]
fn the_last_rung_is_at_3280_00_and_not_a_cent_above() {
    assert_eq!(rung_at("3280.01"), Rung::Three);
    assert_eq!(rung_at("3280.00"), Rung::Four);
}

#[test]
fn what_is_finer_than_a_billionth_rounds_towards_caution() {
    assert_eq!(rung_at("3800.000004"), Rung::Zero, "0.950000001 of 4000");
    assert_eq!(rung_at("3800.000003999"), Rung::One);
    assert_eq!(rung_at("3799.999999999999"), Rung::One);
}

#[test]
fn from_a_mark_of_5000_the_kill_is_at_4100() {
    for (equity, rung) in [("4100.01", Rung::Three), ("4100", Rung::Four)] {
        let mut bench = Bench::at_4000();
        bench.equity("a", "5000");
        bench.pass(MINUTE);
        bench.equity("a", "5000");
        let values = bench.standing("a").values.expect("begun");
        assert_eq!(values.high_water_mark.to_string(), "1.25");
        bench.equity("a", equity);
        assert_eq!(bench.rung("a"), rung, "{equity}");
    }
}

#[test]
fn a_deposit_at_096_changes_no_value() {
    let mut bench = Bench::at_4000();
    bench.equity("a", "3840");
    bench.pass(SECOND);
    bench.equity("a", "3840");
    let before = bench.standing("a").values;
    bench.flow("a", "1000");
    bench.equity("a", "4840");
    assert_eq!(bench.standing("a").values, before);
    assert_eq!(before.expect("begun").value.to_string(), "0.96");
    assert_eq!(bench.rung("a"), Rung::Zero);
    // 4840 × 0.95 / 0.96, and the next cent above.
    bench.equity("a", "4789.59");
    assert_eq!(bench.rung("a"), Rung::Zero);
    bench.equity("a", "4789.58");
    assert_eq!(bench.rung("a"), Rung::One);
    bench.check_replay();
}

#[test]
fn half_withdrawn_changes_no_value() {
    let mut bench = Bench::at_4000();
    let before = bench.standing("a").values;
    bench.flow("a", "-2000");
    bench.equity("a", "2000");
    assert_eq!(bench.standing("a").values, before);
    assert!(bench.standing("a").new_risk);
    bench.equity("a", "1900.01");
    assert_eq!(bench.rung("a"), Rung::Zero);
    bench.equity("a", "1900");
    assert_eq!(bench.rung("a"), Rung::One);
}

/// Four losses of 4.9 %, 25 hours apart: 2026-01-12, a Monday, 01:00, and so on.
fn four_days(bench: &mut Bench) -> Vec<(String, Rung)> {
    let monday = NOON + 4 * DAY + 12 * HOUR;
    let mut equity = "4000".to_owned();
    let mut seen = Vec::new();
    for (day, next) in ["3804", "3617.604", "3440.341404", "3271.764675204"].into_iter().enumerate() {
        bench.quiet("a", &equity, monday + day as u64 * 25 * HOUR + HOUR);
        equity = next.to_owned();
        bench.equity("a", &equity);
        bench.pass(SECOND);
        bench.equity("a", &equity);
        seen.push((bench.standing("a").values.expect("begun").value.to_string(), bench.rung("a")));
    }
    seen
}

#[test]
fn four_days_of_4_9_percent_fire_the_weekly_rung_on_the_second() {
    let seen = four_days(&mut Bench::at_4000());
    assert_eq!(seen[0], ("0.951".into(), Rung::Zero));
    assert_eq!(seen[1], ("0.904401".into(), Rung::Two));
}

#[test]
fn without_the_weekly_rung_the_days_reach_0818_and_none_fires() {
    let mut bench = Bench::with(ladder_of([500, 9999, 9999, 9999]), NOON);
    let seen = four_days(&mut bench);
    assert_eq!(seen[3], ("0.817941169".into(), Rung::Zero), "rounded up from 0.817941168801");
    assert_eq!(reached(&bench.events), []);
}

#[test]
fn losses_on_both_sides_of_midnight_fire_the_rolling_day() {
    let mut bench = Bench::with(ladder_of([500, 9999, 9999, 9999]), NOON);
    let midnight = NOON + 12 * HOUR;
    bench.quiet("a", "4000", midnight - 10 * MINUTE);
    bench.equity("a", "3804");
    bench.pass_until(midnight - 2 * SECOND);
    bench.equity("a", "3804");
    bench.pass(10 * MINUTE);
    // −0.049 and −0.001 of the rest: the calendar's day has lost 0.1 %, 24 hours have lost 4.9999…
    bench.equity("a", "3800.196");
    assert_eq!(bench.rung("a"), Rung::Zero);
    let said = bench.equity("a", "3617.604");
    let trigger = whats(&said, &account("a")).into_iter().find_map(|what| match what {
        What::RungReached { rung: Rung::One, trigger } => Some(trigger),
        _ => None,
    });
    let trigger = trigger.expect("reached");
    assert_eq!((trigger.basis, trigger.baseline.to_string().as_str()), (Basis::Rolling, "1"));
    let values = bench.standing("a").values.expect("begun");
    assert_eq!(values.calendar[0].to_string(), "0.951", "of which 0.904401 is 4.9 % less");
}

#[test]
fn the_group_has_the_same_numbers() {
    for (a, rung) in [
        ("3600.01", Rung::Zero),
        ("3600", Rung::One),
        ("3360", Rung::Two),
        ("2800", Rung::Three),
        ("2560", Rung::Four),
    ] {
        let mut bench = Bench::group();
        bench.equities(a, "4000");
        assert_eq!(bench.breaker.group_rung(), rung, "{a}");
        assert_eq!(bench.rung("b"), rung, "the group's rung holds for all");
        bench.check_replay();
    }
}
