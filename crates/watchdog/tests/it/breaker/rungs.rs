//! What each rung does, and the way out of each.

use watchdog::breaker::{COOL_OFF_MS, REDUCED_MS, REVIEW_MS, Reason, Refusal};

use super::*;

const MIDNIGHT: u64 = NOON + 12 * HOUR;

/// An account on `rung`, and when it was reached.
fn on(rung: Rung) -> (Bench, Timestamp) {
    let mut bench = Bench::at_4000();
    let equity = match rung {
        Rung::Zero => "4000",
        Rung::One => "3800",
        Rung::Two => "3680",
        Rung::Three => "3400",
        Rung::Four => "3280",
    };
    bench.equity("a", equity);
    bench.equity("a", equity);
    let tripped_at = bench.tripped_at("a");
    assert_eq!(bench.rung("a"), rung);
    (bench, tripped_at)
}

fn resume(bench: &mut Bench, tripped_at: Timestamp, signed: Signed) -> Vec<Event> {
    bench.tell(Input::Resume { subject: account("a"), tripped_at, signed })
}

fn recommission(bench: &mut Bench, tripped_at: Option<Timestamp>, signed: Signed) -> Vec<Event> {
    bench.tell(Input::Commission { subject: account("a"), tripped_at, signed })
}

fn refusal(events: &[Event]) -> Option<Refusal> {
    events.iter().find_map(|event| match &event.what {
        What::Refused { why } => Some(why.clone()),
        _ => None,
    })
}

#[test]
fn each_rung_says_what_is_to_be_done() {
    let half = "0.5".parse().expect("a factor");
    for (rung, equity, actions) in [
        (Rung::One, "3800", vec![What::ReviewTask { rung: Rung::One }, What::Alert { rung: Rung::One }]),
        (
            Rung::Two,
            "3680",
            vec![
                What::ReviewTask { rung: Rung::Two },
                What::CancelOversized { factor: half },
                What::Alert { rung: Rung::Two },
            ],
        ),
        (Rung::Three, "3400", vec![What::CancelAll, What::ScaleToZero, What::Alert { rung: Rung::Three }]),
        (Rung::Four, "3280", vec![What::Kill, What::Alert { rung: Rung::Four }]),
    ] {
        let mut bench = Bench::at_4000();
        let said = whats(&bench.equity("a", equity), &account("a"));
        let is_it = |what: &What| matches!(what, What::RungReached { rung: reached, .. } if *reached == rung);
        let first = said.iter().position(is_it).expect("reached");
        assert_eq!(said[first + 1..=first + actions.len()], actions, "{rung:?}");
        assert_eq!(reached(&bench.equity("a", equity)), [], "said once");
    }
}

#[test]
fn each_rung_has_its_standing() {
    for (rung, factor, rate, new_risk, cancel_all, kill) in [
        (Rung::One, "1", 5000, true, false, false),
        (Rung::Two, "0.5", 5000, true, false, false),
        (Rung::Three, "0.5", 5000, false, true, false),
        (Rung::Four, "0.5", 5000, false, true, true),
    ] {
        let (bench, _) = on(rung);
        let standing = bench.standing("a");
        assert_eq!(standing.size_factor.to_string(), factor, "{rung:?}");
        assert_eq!(standing.message_rate_bps, rate);
        assert_eq!((standing.new_risk, standing.cancel_all, standing.kill), (new_risk, cancel_all, kill));
        assert_eq!(standing.why.contains(&Reason::Rung(rung)), !new_risk);
        bench.check_replay();
    }
    let calm = Bench::at_4000().standing("a");
    assert_eq!((calm.size_factor.to_string().as_str(), calm.message_rate_bps), ("1", 10_000));
}

#[test]
fn a_review_that_nobody_acknowledges_has_the_effect_of_rung_2_after_15_minutes() {
    let (mut bench, tripped_at) = on(Rung::One);
    let waited = bench.now.utc.since_ms(tripped_at);
    bench.pass(REVIEW_MS - waited - 1);
    assert!(
        whats(&bench.tick(), &account("a")).iter().all(|what| !matches!(what, What::ReviewOverdue { .. }))
    );
    bench.pass(1);
    let said = whats(&bench.tick(), &account("a"));
    assert!(said.contains(&What::ReviewOverdue { tripped_at }), "{said:?}");
    assert!(said.iter().any(|what| matches!(what, What::CancelOversized { .. })));
    assert_eq!((bench.rung("a"), bench.standing("a").size_factor.to_string().as_str()), (Rung::One, "0.5"));
    bench.acknowledge(account("a"), Rung::One, tripped_at);
    assert_eq!(bench.standing("a").size_factor.to_string(), "0.5", "until the rung clears");
}

#[test]
fn an_acknowledged_review_does_not_escalate() {
    let (mut bench, tripped_at) = on(Rung::One);
    bench.pass(REVIEW_MS - 2 * SECOND);
    bench.acknowledge(account("a"), Rung::One, tripped_at);
    bench.pass(HOUR);
    bench.tick();
    assert_eq!(bench.standing("a").size_factor.to_string(), "1");
}

#[test]
fn rung_1_clears_on_the_utc_day_after_its_acknowledgement() {
    let (mut bench, tripped_at) = on(Rung::One);
    bench.equity("a", "4000");
    bench.acknowledge(account("a"), Rung::One, tripped_at);
    bench.quiet("a", "4000", MIDNIGHT);
    assert_eq!(bench.rung("a"), Rung::One, "a second before midnight");
    bench.pass_until(MIDNIGHT);
    let said = bench.equity("a", "4000");
    assert!(whats(&said, &account("a")).contains(&What::RungCleared { rung: Rung::One, tripped_at }));
    assert_eq!(bench.rung("a"), Rung::Zero);
    assert!(bench.standing("a").new_risk);
}

#[test]
fn rung_1_does_not_clear_while_its_own_numbers_would_reach_it_again() {
    let (mut bench, tripped_at) = on(Rung::One);
    bench.acknowledge(account("a"), Rung::One, tripped_at);
    // The rolling 24 hours hold the loss until noon of the next day.
    bench.quiet("a", "3800", NOON + DAY);
    assert_eq!(bench.rung("a"), Rung::One);
    bench.quiet("a", "3800", NOON + DAY + HOUR);
    assert_eq!(bench.rung("a"), Rung::Zero);
    assert_eq!(reached(&bench.events), [Rung::One], "it was reached once");
}

#[test]
fn rung_2_clears_in_the_iso_week_after_its_acknowledgement() {
    // Monday after the Wednesday.
    let monday = MIDNIGHT + 4 * DAY;
    let (mut bench, _) = on(Rung::Two);
    for (rung, latch) in bench.standing("a").latches {
        bench.acknowledge(account("a"), rung, latch.tripped_at);
    }
    bench.equity("a", "4000");
    bench.quiet("a", "4000", monday);
    assert_eq!(bench.rung("a"), Rung::Two);
    bench.pass_until(monday);
    bench.equity("a", "4000");
    assert_eq!((bench.rung("a"), bench.standing("a").size_factor.to_string().as_str()), (Rung::Zero, "1"));
}

#[test]
fn an_acknowledgement_names_the_event_it_has_seen() {
    let (mut bench, tripped_at) = on(Rung::One);
    let other = Timestamp::from_ms(tripped_at.as_ms() + 1);
    assert_eq!(refusal(&bench.acknowledge(account("a"), Rung::One, other)), Some(Refusal::NoSuchRung));
    assert_eq!(refusal(&bench.acknowledge(account("a"), Rung::Two, tripped_at)), Some(Refusal::NoSuchRung));
    assert_eq!(
        refusal(&bench.acknowledge(account("b"), Rung::One, tripped_at)),
        Some(Refusal::UnknownAccount)
    );
    let nobody =
        Input::Acknowledge { subject: account("a"), rung: Rung::One, tripped_at, signed: signed(&[]) };
    assert_eq!(refusal(&bench.tell(nobody)), Some(Refusal::Quorum { needed: 1 }));
}

#[test]
fn rungs_3_and_4_are_not_lifted_by_an_acknowledgement() {
    for rung in [Rung::Three, Rung::Four] {
        let (mut bench, tripped_at) = on(rung);
        let said = bench.acknowledge(account("a"), rung, tripped_at);
        assert_eq!(refusal(&said), Some(Refusal::NotByAcknowledgement));
    }
}

#[test]
fn rung_3_is_lifted_by_two_people_after_24_hours_and_never_by_itself() {
    let (mut bench, tripped_at) = on(Rung::Three);
    bench.quiet("a", "3400", tripped_at.as_ms() + COOL_OFF_MS - MINUTE);
    bench.pass_until(tripped_at.as_ms() + COOL_OFF_MS - 10 * SECOND);
    bench.equity("a", "3400");
    bench.pass_until(tripped_at.as_ms() + COOL_OFF_MS - 1);
    let said = resume(&mut bench, tripped_at, both());
    assert_eq!(refusal(&said), Some(Refusal::CoolOff { remaining_ms: 1 }));
    bench.pass(1);
    for one in [signed(&["ada"]), signed(&["ada", "ada"]), signed(&["ada", ""])] {
        assert_eq!(refusal(&resume(&mut bench, tripped_at, one)), Some(Refusal::Quorum { needed: 2 }));
    }
    assert_eq!(bench.rung("a"), Rung::Three);
    let said = whats(&resume(&mut bench, tripped_at, both()), &account("a"));
    assert!(said.contains(&What::RungCleared { rung: Rung::Three, tripped_at }), "{said:?}");
    let rebased = said.iter().find_map(|what| match what {
        What::Rebased { rung, old, new } => Some((*rung, old.to_string(), new.to_string())),
        _ => None,
    });
    assert_eq!(rebased, Some((Rung::Three, "1".into(), "0.85".into())));
    bench.check_replay();
}

#[test]
fn rung_3_is_not_lifted_blindly() {
    let (mut bench, tripped_at) = on(Rung::Three);
    bench.pass(COOL_OFF_MS);
    assert_eq!(refusal(&resume(&mut bench, tripped_at, both())), Some(Refusal::NoSample));
    bench.equity("a", "3400");
    assert_eq!(refusal(&resume(&mut bench, tripped_at, both())), None);
}

#[test]
fn after_a_restart_limits_start_at_a_quarter_for_an_hour_and_rung_2_stays() {
    let (mut bench, tripped_at) = on(Rung::Three);
    bench.quiet("a", "3400", tripped_at.as_ms() + COOL_OFF_MS + SECOND);
    resume(&mut bench, tripped_at, both());
    bench.equity("a", "3400");
    let standing = bench.standing("a");
    assert_eq!((standing.rung, standing.new_risk, standing.cancel_all), (Rung::Two, true, false));
    assert_eq!(standing.size_factor.to_string(), "0.25");
    bench.pass(REDUCED_MS - SECOND - 1);
    assert_eq!(bench.standing("a").size_factor.to_string(), "0.25");
    bench.pass(1);
    assert_eq!(bench.standing("a").size_factor.to_string(), "0.5", "rung 2 holds");
    assert_eq!(bench.standing("a").values.expect("begun").high_water_mark.to_string(), "1", "never re-based");
    // 18 % from the mark is 3280, whatever the month counts from.
    bench.equity("a", "3280.01");
    assert_eq!(bench.rung("a"), Rung::Two);
    bench.equity("a", "3280");
    assert_eq!(bench.rung("a"), Rung::Four);
}

#[test]
fn an_old_directive_lifts_no_newer_rung() {
    let mut bench = Bench::with(ladder_of([500, 800, 1500, 9999]), NOON);
    bench.equity("a", "3400");
    let first = bench.tripped_at("a");
    bench.quiet("a", "3400", first.as_ms() + COOL_OFF_MS + SECOND);
    resume(&mut bench, first, both());
    bench.equity("a", "2890");
    let second = bench.tripped_at("a");
    assert_ne!(first, second);
    bench.quiet("a", "2890", second.as_ms() + COOL_OFF_MS + SECOND);
    assert_eq!(refusal(&resume(&mut bench, first, both())), Some(Refusal::NoSuchRung));
    assert_eq!(refusal(&resume(&mut bench, second, both())), None);
}

#[test]
fn rung_4_takes_a_commission_with_the_old_and_the_new_mark() {
    let (mut bench, tripped_at) = on(Rung::Four);
    bench.pass(COOL_OFF_MS - 2 * SECOND);
    assert!(matches!(
        refusal(&recommission(&mut bench, Some(tripped_at), both())),
        Some(Refusal::CoolOff { .. })
    ));
    bench.pass(10 * SECOND);
    assert_eq!(refusal(&resume(&mut bench, tripped_at, both())), Some(Refusal::RungFour));
    assert_eq!(refusal(&recommission(&mut bench, None, both())), Some(Refusal::NoSuchRung));
    let one = signed(&["ada"]);
    assert_eq!(
        refusal(&recommission(&mut bench, Some(tripped_at), one)),
        Some(Refusal::Quorum { needed: 2 })
    );
    let said = recommission(&mut bench, Some(tripped_at), both());
    assert_eq!(refusal(&said), None);
    assert!(bench.standing("a").why.contains(&Reason::NotBegun), "until two sources agree");
    let said = whats(&bench.equity("a", "3280"), &account("a"));
    let rebased = said.iter().find_map(|what| match what {
        What::Rebased { rung, old, new } => Some((*rung, old.to_string(), new.to_string())),
        _ => None,
    });
    assert_eq!(rebased, Some((Rung::Four, "1".into(), "0.82".into())));
    let standing = bench.standing("a");
    assert_eq!((standing.rung, standing.new_risk), (Rung::Zero, true), "{:?}", standing.why);
    assert_eq!(standing.size_factor.to_string(), "0.25");
    bench.equity("a", "3116");
    assert_eq!(bench.rung("a"), Rung::One, "5 % of the new start");
    bench.check_replay();
}

#[test]
fn what_runs_is_not_commissioned_anew() {
    let mut bench = Bench::at_4000();
    assert_eq!(refusal(&recommission(&mut bench, None, both())), Some(Refusal::Running));
    let (mut bench, _) = on(Rung::Three);
    assert_eq!(refusal(&recommission(&mut bench, None, both())), Some(Refusal::Running));
}

#[test]
fn a_new_account_starts_at_a_quarter_and_where_two_sources_agree() {
    let mut bench = Bench::new(config(&["a"], promised(), slack()), NOON);
    bench.commission("a");
    bench.equity("a", "0");
    bench.pass(SECOND);
    bench.sample("a", Source::Rest, "4000");
    bench.sample("a", Source::Stream, "4020.2");
    assert!(bench.standing("a").why.contains(&Reason::NotBegun));
    bench.pass(SECOND);
    bench.sample("a", Source::Rest, "4001");
    bench.sample("a", Source::Stream, "4010");
    let standing = bench.standing("a");
    assert_eq!(standing.equity.map(|equity| equity.to_string()).as_deref(), Some("4010"), "the higher");
    assert_eq!((standing.new_risk, standing.size_factor.to_string().as_str()), (true, "0.25"));
}

#[test]
fn the_group_has_its_own_way_out() {
    let mut bench = Bench::group();
    bench.equities("2800", "4000");
    assert_eq!(bench.standing("b").why, [Reason::GroupRung(Rung::Three)]);
    assert!(bench.standing("b").cancel_all);
    let tripped_at = bench.standing("b").group_latches[0].1.tripped_at;
    bench.pass(COOL_OFF_MS);
    bench.equities("2800", "4000");
    let lifted = bench.tell(Input::Resume { subject: Subject::Group, tripped_at, signed: both() });
    assert_eq!(refusal(&lifted), None);
    bench.equities("2800", "4000");
    assert!(bench.standing("b").new_risk, "{:?}", bench.standing("b").why);
    assert_eq!(bench.standing("b").size_factor.to_string(), "0.25");
    bench.check_replay();
}

#[test]
fn a_killed_group_begins_anew_when_commissioned() {
    let mut bench = Bench::group();
    bench.equities("2000", "4000");
    assert!(bench.standing("b").kill);
    let tripped_at = Some(bench.standing("b").group_latches[0].1.tripped_at);
    bench.pass(COOL_OFF_MS);
    bench.tell(Input::Commission { subject: Subject::Group, tripped_at, signed: both() });
    bench.equities("2000", "4000");
    assert!(bench.standing("b").new_risk, "{:?}", bench.standing("b").why);
    bench.equities("1600", "4000");
    assert_eq!(bench.breaker.group_rung(), Rung::One, "6.7 % of 6000");
}
