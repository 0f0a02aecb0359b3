//! Each trap that drawdown limits are known to fall into, by name.

use watchdog::breaker::{CANCEL_AGE_MS, Discard, Reason, STOP_AGE_MS, WARN_AGE_MS};

use super::*;

fn discarded(events: &[Event]) -> Option<Discard> {
    events.iter().find_map(|event| match &event.what {
        What::SampleDiscarded { why, .. } => Some(why.clone()),
        _ => None,
    })
}

fn mark(bench: &Bench) -> String {
    bench.standing("a").values.expect("begun").high_water_mark.to_string()
}

#[test]
fn a_deposit_does_not_mask_a_loss() {
    let mut bench = Bench::at_4000();
    bench.flow("a", "1000");
    // 5 % of what is there, although there is more than before.
    bench.equity("a", "4750");
    assert_eq!(bench.rung("a"), Rung::One);
}

#[test]
fn a_withdrawal_does_not_fake_a_loss() {
    let mut bench = Bench::at_4000();
    bench.flow("a", "-3600");
    bench.equity("a", "400");
    assert_eq!(bench.rung("a"), Rung::Zero);
    assert!(bench.standing("a").new_risk);
}

#[test]
fn a_withdrawal_that_the_ledger_tells_seconds_later_fakes_no_loss() {
    let mut bench = Bench::at_4000();
    let left = bench.now.utc;
    for _ in 0..4 {
        for source in Source::ALL {
            bench.pass(SECOND);
            let unread = Sample { ledger_read_to: left, ..bench.good("a", source, "2000") };
            bench.tell(Input::Sample(unread));
            assert!(!bench.standing("a").new_risk, "meanwhile nobody knows");
        }
    }
    let at = Timestamp::from_ms(left.as_ms() + 500);
    bench.flow_at("a", "-2000", at);
    bench.equity("a", "2000");
    assert_eq!(bench.rung("a"), Rung::Zero);
    assert!(bench.standing("a").new_risk, "{:?}", bench.standing("a").why);
    assert_eq!(bench.standing("a").values.expect("begun").value.to_string(), "1");
}

#[test]
fn a_fall_that_the_ledger_does_not_explain_within_ten_seconds_is_a_loss() {
    let mut bench = Bench::at_4000();
    let read = bench.now.utc;
    for tenth in 0..110 {
        bench.pass(100);
        let source = Source::ALL[tenth % 2];
        let unread = Sample { ledger_read_to: read, ..bench.good("a", source, "3000") };
        bench.tell(Input::Sample(unread));
        let expected = if tenth < 100 { Rung::Zero } else { Rung::Four };
        assert_eq!(bench.rung("a"), expected, "{tenth} tenths of a second after it began");
        assert!(!bench.standing("a").new_risk);
    }
}

#[test]
fn an_unexplained_rise_makes_no_mark_and_stops_new_risk() {
    let mut bench = Bench::at_4000();
    let read = bench.now.utc;
    for _ in 0..30 {
        for source in Source::ALL {
            bench.pass(SECOND / 2);
            let unread = Sample { ledger_read_to: read, ..bench.good("a", source, "5000") };
            bench.tell(Input::Sample(unread));
            assert!(bench.standing("a").why.contains(&Reason::Suspect(source)));
        }
    }
    assert_eq!(mark(&bench), "1");
    bench.flow_at("a", "1000", Timestamp::from_ms(read.as_ms() + 1));
    bench.equity("a", "5000");
    assert_eq!((mark(&bench).as_str(), bench.standing("a").new_risk), ("1", true));
}

#[test]
fn a_jump_is_more_than_half_a_percent() {
    for (equity, suspect) in [("4020", false), ("4020.01", true), ("3980", false), ("3979.99", true)] {
        let mut bench = Bench::at_4000();
        bench.pass(SECOND);
        bench.sample("a", Source::Rest, equity);
        assert_eq!(bench.standing("a").why.contains(&Reason::Suspect(Source::Rest)), suspect, "{equity}");
    }
}

#[test]
fn a_real_rise_is_believed_when_both_say_so_and_the_ledger_knows_nothing() {
    let mut bench = Bench::at_4000();
    bench.equity("a", "4400");
    assert!(bench.standing("a").new_risk);
    assert_eq!(mark(&bench), "1", "the jump itself makes no mark");
    bench.pass(59 * SECOND - 1);
    bench.equity("a", "4400");
    bench.equity("a", "4400");
    assert_eq!(mark(&bench), "1.1", "a minute later it does");
}

#[test]
fn a_deposit_whose_record_comes_after_it_was_believed_leaves_no_false_peak() {
    let mut bench = Bench::at_4000();
    let came = bench.now.utc;
    bench.equity("a", "5000");
    bench.pass(30 * SECOND);
    bench.equity("a", "5000");
    bench.flow_at("a", "1000", came);
    bench.equity("a", "5000");
    let values = bench.standing("a").values.expect("begun");
    assert_eq!((values.value.to_string(), mark(&bench)), ("1".into(), "1".into()));
    bench.equity("a", "4750.01");
    assert_eq!(bench.rung("a"), Rung::Zero);
    bench.equity("a", "4750");
    assert_eq!(bench.rung("a"), Rung::One);
}

#[test]
fn losses_of_open_positions_count() {
    // There is no other number than equity: a loss that was never closed is in it.
    let mut bench = Bench::at_4000();
    bench.equity("a", "3800");
    assert_eq!(bench.rung("a"), Rung::One);
}

#[test]
fn a_low_between_two_closes_is_seen() {
    let mut bench = Bench::at_4000();
    bench.equity("a", "3790");
    bench.equity("a", "4000");
    assert_eq!(bench.rung("a"), Rung::One, "it came back, and the rung stays");
}

#[test]
fn the_lowest_of_the_day_is_kept() {
    let mut bench = Bench::at_4000();
    for equity in ["3990", "3975", "3990"] {
        bench.equity("a", equity);
    }
    let values = bench.standing("a").values.expect("begun");
    assert_eq!(values.lowest.map(|lowest| lowest.to_string()), ["0.99375", "0.99375", "0.99375"]);
}

#[test]
fn the_mark_is_never_set_down_by_the_breaker() {
    let mut bench = Bench::at_4000();
    bench.equity("a", "3280");
    assert_eq!(bench.rung("a"), Rung::Four);
    bench.quiet("a", "3280", NOON + 40 * DAY);
    assert_eq!(mark(&bench), "1");
    assert_eq!(bench.rung("a"), Rung::Four);
    assert!(bench.standing("a").kill);
}

#[test]
fn one_source_alone_makes_no_mark() {
    let mut bench = Bench::at_4000();
    for _ in 0..20 {
        bench.pass(2 * SECOND);
        bench.sample("a", Source::Rest, "4010");
    }
    assert_eq!(mark(&bench), "1");
    bench.equity("a", "4012");
    assert_eq!(mark(&bench), "1.003");
}

#[test]
fn a_mark_is_what_both_sources_reached() {
    let mut bench = Bench::at_4000();
    bench.pass(SECOND);
    bench.sample("a", Source::Rest, "4016");
    bench.sample("a", Source::Stream, "4008");
    assert_eq!(mark(&bench), "1.002");
}

#[test]
fn a_stale_balance_warns_then_stops_then_cancels_and_never_flattens() {
    let mut bench = Bench::at_4000();
    bench.equity("a", "4000");
    // The REST answer is half a second older than the stream's.
    let rest = SECOND / 2;
    let steps = [
        (WARN_AGE_MS - rest, true, false, "Stale"),
        (STOP_AGE_MS - rest, false, false, "NewRiskStopped"),
        (CANCEL_AGE_MS, false, true, "CancelAll"),
    ];
    let begun = bench.now.monotonic_ms;
    for (age, new_risk, cancel_all, said) in steps {
        bench.pass(begun + age - 1 - bench.now.monotonic_ms);
        assert_eq!(bench.tick(), [], "a millisecond before {said}");
        bench.pass(1);
        let standing = bench.standing("a");
        assert_eq!((standing.new_risk, standing.cancel_all), (new_risk, cancel_all), "{said}");
        let told = whats(&bench.tick(), &account("a"));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(format!("{:?}", told[0]).starts_with(said), "{told:?}");
    }
    bench.pass(DAY);
    assert_eq!(bench.tick(), [], "nothing is flattened or killed for want of knowledge");
    assert_eq!((bench.rung("a"), bench.standing("a").kill), (Rung::Zero, false));
    bench.equity("a", "4000");
    assert!(bench.standing("a").new_risk && !bench.standing("a").cancel_all);
}

#[test]
fn a_standing_goes_stale_without_being_told() {
    let mut bench = Bench::at_4000();
    bench.pass(STOP_AGE_MS);
    assert!(!bench.standing("a").new_risk);
}

#[test]
fn one_dead_source_stops_new_risk_and_cancels_nothing() {
    let mut bench = Bench::at_4000();
    for _ in 0..200 {
        bench.pass(SECOND);
        bench.sample("a", Source::Rest, "4000");
    }
    let standing = bench.standing("a");
    assert_eq!((standing.new_risk, standing.cancel_all), (false, false));
    assert!(matches!(standing.why[0], Reason::Stale { source: Source::Stream, .. }));
}

#[test]
fn a_loss_does_not_wait_for_a_dead_stream() {
    let mut bench = Bench::at_4000();
    for _ in 0..31 {
        bench.pass(SECOND);
        bench.sample("a", Source::Rest, "4000");
    }
    bench.pass(SECOND);
    bench.sample("a", Source::Rest, "3800");
    assert_eq!(bench.rung("a"), Rung::Zero, "one word is none");
    bench.pass(SECOND);
    bench.sample("a", Source::Rest, "3800");
    assert_eq!(bench.rung("a"), Rung::One);
}

#[test]
fn half_an_answer_is_none() {
    let mut bench = Bench::at_4000();
    for source in Source::ALL {
        bench.pass(SECOND);
        let half = Sample { complete: false, ..bench.good("a", source, "2000") };
        assert_eq!(discarded(&bench.tell(Input::Sample(half.clone()))), Some(Discard::Incomplete));
        bench.pass(SECOND);
        let half = Sample { at: bench.now.utc, ..half };
        assert_eq!(discarded(&bench.tell(Input::Sample(half))), None, "said once");
    }
    assert_eq!(bench.rung("a"), Rung::Zero);
    bench.pass(STOP_AGE_MS);
    assert!(!bench.standing("a").new_risk, "halves do not keep it fresh");
}

#[test]
fn an_equity_that_the_own_sum_contradicts_is_none() {
    let mut bench = Bench::at_4000();
    bench.pass(SECOND);
    for (own, used) in [("2010.05", true), ("2010.06", false), ("1990.05", true), ("1990.04", false)] {
        bench.pass(SECOND);
        let sample = Sample { cross_check: Some(decimal(own)), ..bench.good("a", Source::Rest, "2000") };
        let why = discarded(&bench.tell(Input::Sample(sample)));
        assert_eq!(why.is_none(), used, "{own}: {why:?}");
    }
}

#[test]
fn a_flash_wick_of_one_source_trips_nothing() {
    let mut bench = Bench::at_4000();
    bench.pass(SECOND);
    bench.sample("a", Source::Rest, "3700.01");
    assert_eq!(bench.rung("a"), Rung::Zero);
    assert!(!bench.standing("a").new_risk, "but meanwhile nobody knows");
    bench.sample("a", Source::Stream, "4000");
    bench.pass(SECOND);
    bench.sample("a", Source::Rest, "4000");
    assert_eq!((bench.rung("a"), mark(&bench).as_str()), (Rung::Zero, "1"));
    assert!(bench.standing("a").new_risk);
}

#[test]
fn one_sample_is_enough_at_one_and_a_half_times_the_rung() {
    for (equity, rung) in [
        ("3700.01", Rung::Zero),
        ("3700", Rung::One),
        ("3520", Rung::Two),
        ("3100", Rung::Three),
        ("2920.01", Rung::Three),
        ("2920", Rung::Four),
    ] {
        let mut bench = Bench::at_4000();
        bench.pass(SECOND);
        bench.sample("a", Source::Rest, equity);
        assert_eq!(bench.rung("a"), rung, "{equity}");
        assert!(bench.standing("a").latches.iter().all(|(_, latch)| latch.trigger.alone));
    }
}

#[test]
fn two_sources_trip_within_three_seconds_and_not_after() {
    for (apart, rung) in [(3000, Rung::One), (3001, Rung::Zero)] {
        let mut bench = Bench::at_4000();
        bench.pass(SECOND);
        bench.sample("a", Source::Rest, "3800");
        bench.pass(apart);
        bench.sample("a", Source::Stream, "3800");
        assert_eq!(bench.rung("a"), rung, "{apart} ms apart");
        assert_eq!(bench.standing("a").new_risk, rung == Rung::One, "rung 1 allows it, doubt does not");
    }
}

#[test]
fn two_sources_trip_within_three_seconds_by_our_clock_too() {
    for (apart, rung) in [(3000, Rung::One), (3001, Rung::Zero)] {
        let mut bench = Bench::at_4000();
        bench.pass(SECOND);
        // The venue's clock is two seconds ahead here, and right there.
        let at = Timestamp::from_ms(bench.now.utc.as_ms() + 2000);
        let ahead = bench.good("a", Source::Rest, "3800");
        bench.tell(Input::Sample(Sample { at, ledger_read_to: at, ..ahead }));
        bench.pass(apart);
        bench.sample("a", Source::Stream, "3800");
        assert_eq!(bench.rung("a"), rung, "{apart} ms apart");
    }
}

#[test]
fn a_source_that_rose_by_itself_hides_no_loss_of_the_other() {
    let mut bench = Bench::at_4000();
    for step in 0..12 {
        bench.pass(SECOND);
        bench.sample("a", Source::Rest, "4400");
        bench.pass(SECOND);
        let equity = (4000 - 19 * step).to_string();
        bench.sample("a", Source::Stream, &equity);
        assert!(!bench.standing("a").new_risk);
    }
    // 3791 after steps of less than half a percent, by one source alone.
    bench.pass(SECOND);
    bench.sample("a", Source::Stream, "3790");
    assert_eq!(bench.rung("a"), Rung::One);
}

#[test]
fn clearing_is_never_automatic() {
    let mut bench = Bench::at_4000();
    bench.equity("a", "3800");
    bench.equity("a", "4000");
    bench.quiet("a", "4000", NOON + 20 * DAY);
    assert_eq!(bench.rung("a"), Rung::One);
}

#[test]
fn the_same_sample_twice_counts_once() {
    let mut bench = Bench::at_4000();
    bench.pass(SECOND);
    let sample = bench.good("a", Source::Rest, "3990");
    bench.tell(Input::Sample(sample.clone()));
    assert_eq!(discarded(&bench.tell(Input::Sample(sample))), Some(Discard::OutOfOrder));
}

#[test]
fn samples_out_of_order_count_not() {
    let mut bench = Bench::at_4000();
    bench.pass(10 * SECOND);
    let old = bench.good("a", Source::Stream, "3990");
    bench.pass(3001);
    bench.sample("a", Source::Rest, "4000");
    assert_eq!(discarded(&bench.tell(Input::Sample(old))), Some(Discard::OutOfOrder));
}

#[test]
fn a_sample_that_comes_late_is_as_old_as_it_is() {
    let mut bench = Bench::at_4000();
    let early = bench.good("a", Source::Rest, "4000");
    bench.pass(STOP_AGE_MS);
    let late = Sample { received: bench.now.utc, at: early.at, ..early };
    let late = Sample { at: Timestamp::from_ms(late.at.as_ms() + 1), ..late };
    bench.tell(Input::Sample(late.clone()));
    let age = |bench: &Bench| bench.standing("a").why;
    assert!(!age(&bench).contains(&Reason::Stale { source: Source::Rest, age_ms: 29_999 }));
    bench.pass(1);
    assert!(age(&bench).contains(&Reason::Stale { source: Source::Rest, age_ms: STOP_AGE_MS }));
    let older = Sample { at: Timestamp::from_ms(late.at.as_ms() + 1), ..late };
    bench.pass(1);
    assert_eq!(discarded(&bench.tell(Input::Sample(older))), Some(Discard::TooOld { age_ms: STOP_AGE_MS }));
}

#[test]
fn a_sample_from_the_future_is_none() {
    let mut bench = Bench::at_4000();
    bench.pass(SECOND);
    let ahead = |ms| Timestamp::from_ms(bench.now.utc.as_ms() + ms);
    let (fine, wrong) = (ahead(2000), ahead(2001));
    let good = bench.good("a", Source::Rest, "4000");
    let wrong = Sample { at: wrong, ..good.clone() };
    assert_eq!(discarded(&bench.tell(Input::Sample(wrong))), Some(Discard::FromTheFuture { ahead_ms: 2001 }));
    assert_eq!(discarded(&bench.tell(Input::Sample(Sample { at: fine, ..good }))), None);
}

#[test]
fn a_wall_clock_that_steps_stops_new_risk_until_someone_looks() {
    for step in [-2001_i64, 2001, 86_400_000] {
        let mut bench = Bench::at_4000();
        bench.pass(SECOND);
        bench.now.utc = Timestamp::from_ms(bench.now.utc.as_ms().checked_add_signed(step).expect("a time"));
        let said = bench.tick();
        assert!(said.iter().any(|event| event.what == What::ClockStepped), "{step}");
        assert_eq!(bench.standing("a").why, [Reason::ClockStepped]);
        bench.tick();
        assert!(!bench.standing("a").new_risk, "it does not pass by itself");
        bench.tell(Input::AcceptClock { signed: signed(&["ada"]) });
        bench.equity("a", "4000");
        assert_eq!(
            bench.standing("a").new_risk,
            step > 0 || step > -30_000,
            "{step}: {:?}",
            bench.standing("a").why
        );
        bench.check_replay();
    }
}

#[test]
fn a_wall_clock_that_steps_ahead_opens_no_new_day() {
    let mut bench = Bench::at_4000();
    bench.equity("a", "3850");
    let true_time = bench.now.utc;
    bench.now.utc = Timestamp::from_ms(true_time.as_ms() + 40 * DAY);
    bench.tick();
    bench.pass(SECOND);
    for source in Source::ALL {
        let at = Timestamp::from_ms(true_time.as_ms() + SECOND);
        let sample = Sample { at, received: at, ledger_read_to: at, ..bench.good("a", source, "3800") };
        bench.tell(Input::Sample(sample));
    }
    assert_eq!(bench.rung("a"), Rung::One, "venue time goes on, and the day with it");
    assert!(!bench.standing("a").new_risk);
}

#[test]
fn another_currency_is_none() {
    let mut bench = Bench::at_4000();
    bench.pass(SECOND);
    let sample = Sample { currency: "USD".into(), ..bench.good("a", Source::Rest, "4000") };
    assert_eq!(discarded(&bench.tell(Input::Sample(sample))), Some(Discard::OtherCurrency));
}

#[test]
fn nothing_left_is_the_last_rung_at_one_sample() {
    for equity in ["0", "-1", "-400000"] {
        let mut bench = Bench::at_4000();
        bench.pass(SECOND);
        let said = bench.sample("a", Source::Stream, equity);
        assert_eq!(bench.rung("a"), Rung::Four);
        assert_eq!(reached(&said)[0], Rung::Four);
        assert!(said.iter().any(|event| event.what == What::Kill));
        bench.check_replay();
    }
}

#[test]
fn an_equity_beyond_all_numbers_is_none() {
    let mut bench = Bench::at_4000();
    for equity in ["1e19", "-1e19", "170141183460469231731687303715884105727"] {
        bench.pass(SECOND);
        assert_eq!(discarded(&bench.sample("a", Source::Rest, equity)), Some(Discard::OutOfRange));
        bench.sample("a", Source::Rest, "4000");
        assert!(bench.standing("a").new_risk);
    }
}

#[test]
fn without_state_everything_is_halted() {
    let mut bench = Bench::new(config(&["a"], promised(), slack()), NOON);
    bench.equity("a", "4000");
    bench.equity("a", "4000");
    let why = bench.standing("a").why;
    assert!(why.contains(&Reason::NotCommissioned) && why.contains(&Reason::GroupNotBegun), "{why:?}");
    assert!(!bench.standing("b").new_risk, "nor is an account that nobody configured allowed anything");
    assert_eq!(bench.standing("b").why, [Reason::UnknownAccount]);
}
