//! A process dies and another goes on from what was written.

use watchdog::breaker::{CANCEL_AGE_MS, COOL_OFF_MS, REVIEW_MS, Reason};

use super::*;

impl Bench {
    /// The state is written and read, and a new process, on a machine that was started anew, goes on `pause`
    /// later.
    fn restart(&mut self, pause: u64) -> Vec<Event> {
        let text = serde_json::to_string(&self.breaker).expect("text");
        self.breaker = serde_json::from_str(&text).expect("a state");
        self.pass(pause);
        self.now.monotonic_ms = 17;
        let config = self.config.clone();
        self.tell(Input::Started(config))
    }
}

#[test]
fn no_rung_clears_by_a_restart() {
    for (equity, rung) in
        [("3800", Rung::One), ("3680", Rung::Two), ("3400", Rung::Three), ("3280", Rung::Four)]
    {
        let mut bench = Bench::at_4000();
        bench.equity("a", equity);
        let before = bench.standing("a");
        for pause in [0, SECOND, HOUR, 40 * DAY] {
            bench.restart(pause);
            assert_eq!(bench.rung("a"), rung);
            bench.equity("a", "4000");
            bench.equity("a", "4000");
            let standing = bench.standing("a");
            assert_eq!(
                (standing.rung, standing.kill, standing.cancel_all),
                (rung, before.kill, before.cancel_all)
            );
            assert_eq!(standing.new_risk, rung < Rung::Three, "{:?}", standing.why);
        }
        bench.check_replay();
    }
}

#[test]
fn after_a_restart_nothing_is_known_until_both_sources_speak() {
    let mut bench = Bench::at_4000();
    bench.restart(SECOND);
    let missing: Vec<_> = Source::ALL.into_iter().map(Reason::NoSample).collect();
    assert_eq!(bench.standing("a").why, missing);
    bench.sample("a", Source::Rest, "4000");
    assert!(!bench.standing("a").new_risk);
    bench.sample("a", Source::Stream, "4000");
    assert!(bench.standing("a").new_risk);
    assert_eq!(bench.standing("a").size_factor.to_string(), "1", "it was in no trouble");
}

#[test]
fn a_loss_while_nobody_watched_is_seen() {
    // Across midnight, the week's end and the month's.
    for pause in [MINUTE, DAY, 10 * DAY, 60 * DAY] {
        let mut bench = Bench::at_4000();
        bench.restart(pause);
        bench.equity("a", "3790");
        assert_eq!(bench.rung("a"), Rung::One, "after {pause} ms");
    }
}

#[test]
fn a_baseline_older_than_its_window_stays_if_it_is_higher() {
    let mut bench = Bench::at_4000();
    bench.restart(3 * DAY);
    bench.equity("a", "3850");
    bench.equity("a", "3850");
    let values = bench.standing("a").values.expect("begun");
    assert_eq!(values.calendar[0].to_string(), "1");
    assert_eq!(values.rolling[0].to_string(), "1");
}

#[test]
fn the_review_goes_on_counting_while_no_process_runs() {
    let mut bench = Bench::at_4000();
    bench.equity("a", "3800");
    let said = bench.restart(REVIEW_MS);
    assert!(said.iter().any(|event| matches!(event.what, What::ReviewOverdue { .. })));
}

#[test]
fn restarts_do_not_keep_a_dead_feed_alive() {
    let mut bench = Bench::at_4000();
    let mut said = Vec::new();
    for _ in 0..CANCEL_AGE_MS / 20_000 {
        assert!(!bench.standing("a").cancel_all);
        said = bench.restart(20_000);
    }
    assert!(bench.standing("a").cancel_all);
    assert!(said.iter().any(|event| event.what == What::CancelAll));
}

#[test]
fn a_wall_clock_set_back_between_two_processes_is_seen() {
    let mut bench = Bench::at_4000();
    bench.now.utc = Timestamp::from_ms(bench.now.utc.as_ms() - 2001);
    bench.restart(0);
    assert!(bench.standing("a").why.contains(&Reason::ClockStepped));
}

#[test]
fn a_state_that_goes_on_without_saying_so_is_not_believed() {
    let mut bench = Bench::at_4000();
    bench.now.monotonic_ms = 17;
    bench.tick();
    assert!(!bench.standing("a").new_risk);
}

#[test]
fn an_account_taken_out_and_in_again_keeps_rung_3_and_else_starts_anew() {
    let config_of = |accounts: &[&str]| config(accounts, promised(), slack());
    for (equity, rung) in [("3400", Rung::Three), ("3800", Rung::Zero)] {
        let mut bench = Bench::new(config_of(&["a", "b"]), NOON);
        for account in ["a", "b"] {
            bench.commission(account);
        }
        bench.equities("4000", "4000");
        bench.equities(equity, "4000");
        let values = bench.breaker.group_values();
        bench.tell(Input::Started(config_of(&["b"])));
        bench.equity("b", "4000");
        assert_eq!(bench.standing("a").why, [Reason::UnknownAccount]);
        assert!(bench.standing("b").new_risk, "{:?}", bench.standing("b").why);
        assert_eq!(
            bench.breaker.group_values(),
            values,
            "what leaves with an account is no loss of the group"
        );
        bench.tell(Input::Started(config_of(&["a", "b"])));
        bench.equities(equity, "4000");
        assert_eq!((bench.rung("a"), bench.standing("a").new_risk), (rung, false));
        assert_eq!(bench.standing("a").why.contains(&Reason::NotCommissioned), rung == Rung::Zero);
    }
}

#[test]
fn a_tighter_ladder_holds_from_the_next_sample_on() {
    let mut bench = Bench::at_4000();
    bench.equity("a", "3900");
    bench.config = config(&["a"], ladder_of([200, 800, 1500, 1800]), slack());
    let config = bench.config.clone();
    bench.tell(Input::Started(config));
    assert_eq!(bench.rung("a"), Rung::Zero);
    bench.equity("a", "3900");
    assert_eq!(bench.rung("a"), Rung::One);
}

#[test]
fn the_cool_off_counts_over_restarts() {
    let mut bench = Bench::at_4000();
    bench.equity("a", "3400");
    let tripped_at = bench.tripped_at("a");
    bench.restart(COOL_OFF_MS - 2 * SECOND);
    bench.equity("a", "3400");
    bench.equity("a", "3400");
    bench.tell(Input::Resume { subject: account("a"), tripped_at, signed: both() });
    bench.equity("a", "3400");
    assert!(bench.standing("a").new_risk, "{:?}", bench.standing("a").why);
    assert_eq!(bench.standing("a").size_factor.to_string(), "0.25");
    bench.check_replay();
}
