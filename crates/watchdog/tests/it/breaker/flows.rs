//! Money that comes and goes, between own accounts too.

use watchdog::breaker::{Reason, Refusal, TRANSFER_LIMIT_MS};

use super::*;

fn refusal(events: &[Event]) -> Option<Refusal> {
    events.iter().find_map(|event| match &event.what {
        What::Refused { why } => Some(why.clone()),
        _ => None,
    })
}

fn value(bench: &Bench, account: &str) -> String {
    bench.standing(account).values.expect("begun").value.to_string()
}

fn group_value(bench: &Bench) -> String {
    bench.breaker.group_values().expect("begun").value.to_string()
}

#[test]
fn a_transfer_is_a_flow_for_each_and_nothing_for_the_group() {
    let mut bench = Bench::group();
    bench.transfer("t1", "a", "b", "-2000");
    bench.equities("2000", "4000");
    let values = (value(&bench, "a"), value(&bench, "b"), group_value(&bench));
    assert_eq!(values, ("1".into(), "1".into(), "1".into()), "under way");
    bench.transfer("t1", "b", "a", "2000");
    bench.equities("2000", "6000");
    let values = (value(&bench, "a"), value(&bench, "b"), group_value(&bench));
    assert_eq!(values, ("1".into(), "1".into(), "1".into()), "arrived");
    assert!(bench.standing("a").new_risk && bench.standing("b").new_risk);
    bench.equities("2000", "5600");
    assert_eq!(bench.breaker.group_rung(), Rung::One, "5 % of 8000");
    bench.check_replay();
}

#[test]
fn the_half_that_arrives_may_be_told_first() {
    let mut bench = Bench::group();
    bench.transfer("t1", "b", "a", "2000");
    bench.equities("4000", "6000");
    assert_eq!(group_value(&bench), "1");
    bench.transfer("t1", "a", "b", "-2000");
    bench.equities("2000", "6000");
    assert_eq!(group_value(&bench), "1");
    bench.pass(TRANSFER_LIMIT_MS);
    bench.equities("2000", "6000");
    assert!(bench.standing("a").new_risk, "nothing is under way any more");
}

#[test]
fn a_transfer_under_way_for_ten_minutes_stops_new_risk_for_all() {
    let mut bench = Bench::group();
    bench.transfer("t1", "a", "b", "-2000");
    bench.pass(TRANSFER_LIMIT_MS - 2 * SECOND - 1);
    bench.equities("2000", "4000");
    assert!(bench.standing("b").new_risk);
    bench.pass(1);
    assert_eq!(bench.standing("b").why, [Reason::TransferLate("t1".into())]);
    let late = |events: &[Event]| events.iter().any(|event| matches!(event.what, What::TransferLate { .. }));
    assert!(late(&bench.tick()));
    assert!(!late(&bench.tick()), "said once");
    bench.transfer("t1", "b", "a", "2000");
    bench.equities("2000", "6000");
    assert!(bench.standing("b").new_risk);
    assert_eq!(group_value(&bench), "1");
}

#[test]
fn a_transfer_that_never_arrives_is_a_loss_once_someone_says_so() {
    let mut bench = Bench::group();
    bench.transfer("t1", "a", "b", "-400");
    bench.equities("3600", "4000");
    assert_eq!(bench.breaker.group_rung(), Rung::Zero);
    let written_off = Input::WriteOffTransfer { id: "t1".into(), signed: signed(&["ada"]) };
    assert_eq!(refusal(&bench.tell(written_off.clone())), None);
    assert_eq!(refusal(&bench.tell(written_off)), Some(Refusal::NoSuchTransfer));
    bench.equities("3600", "4000");
    assert_eq!(bench.breaker.group_rung(), Rung::One, "400 of 8000");
}

#[test]
fn what_arrives_and_never_left_came_from_outside() {
    let mut bench = Bench::group();
    bench.transfer("t1", "b", "a", "2000");
    bench.tell(Input::WriteOffTransfer { id: "t1".into(), signed: signed(&["ada"]) });
    bench.equities("4000", "6000");
    assert_eq!(group_value(&bench), "1");
}

#[test]
fn a_deposit_is_a_flow_for_the_group_too() {
    let mut bench = Bench::group();
    bench.flow("a", "8000");
    bench.equities("12000", "4000");
    assert_eq!(group_value(&bench), "1");
    bench.equities("11200.01", "4000");
    assert_eq!(bench.breaker.group_rung(), Rung::Zero);
    bench.equities("11200", "4000");
    assert_eq!(bench.breaker.group_rung(), Rung::One, "800 of 16000");
}

#[test]
fn one_flow_counts_once() {
    let mut bench = Bench::at_4000();
    let at = bench.now.utc;
    let amount = decimal("1000");
    let flow = Flow { account: name("a"), id: "same".into(), at, amount, kind: FlowKind::Deposit };
    bench.tell(Input::Flow(flow.clone()));
    assert_eq!(bench.tell(Input::Flow(flow)), []);
    bench.equity("a", "5000");
    assert_eq!(value(&bench, "a"), "1");
}

#[test]
fn flows_that_are_none_are_refused() {
    let mut bench = Bench::at_4000();
    let flow = |bench: &Bench, amount: &str, kind: FlowKind| Flow {
        account: name("a"),
        id: "x".into(),
        at: bench.now.utc,
        amount: decimal(amount),
        kind,
    };
    let good = flow(&bench, "5", FlowKind::Deposit);
    let own = FlowKind::Transfer { counterparty: name("a") };
    for (wrong, why) in [
        (flow(&bench, "0", FlowKind::Bonus), Refusal::Malformed),
        (flow(&bench, "-5", FlowKind::Deposit), Refusal::Malformed),
        (flow(&bench, "5", FlowKind::Withdrawal), Refusal::Malformed),
        (flow(&bench, "5", own), Refusal::Malformed),
        (flow(&bench, "1e19", FlowKind::Deposit), Refusal::Malformed),
        (Flow { id: "".into(), ..good.clone() }, Refusal::Malformed),
        (Flow { id: "x".repeat(129).into(), ..good.clone() }, Refusal::Malformed),
        (Flow { account: name("b"), ..good.clone() }, Refusal::UnknownAccount),
        (
            Flow { at: Timestamp::from_ms(bench.now.utc.as_ms() + 2001), ..good.clone() },
            Refusal::FromTheFuture,
        ),
    ] {
        let before = bench.breaker.clone();
        assert_eq!(refusal(&bench.tell(Input::Flow(wrong.clone()))), Some(why), "{wrong:?}");
        assert_eq!(bench.breaker, before);
    }
    assert_eq!(refusal(&bench.tell(Input::Flow(good))), None);
}

#[test]
fn flows_older_than_what_is_remembered_are_refused() {
    let mut bench = Bench::at_4000();
    let old = bench.now.utc;
    for _ in 0..1025 {
        bench.pass(1);
        bench.flow("a", "0.01");
    }
    let again = Timestamp::from_ms(old.as_ms() + 1);
    assert_eq!(refusal(&bench.flow_at("a", "0.01", again)), Some(Refusal::Forgotten));
    let next = Timestamp::from_ms(old.as_ms() + 2);
    assert_eq!(refusal(&bench.flow_at("a", "0.01", next)), None);
}

#[test]
fn a_sample_from_before_the_flow_is_none() {
    let mut bench = Bench::at_4000();
    let before = bench.good("a", Source::Rest, "4000");
    bench.pass(SECOND);
    bench.flow("a", "-2000");
    bench.pass(SECOND);
    bench.tell(Input::Sample(Sample { at: Timestamp::from_ms(before.at.as_ms() + 1), ..before }));
    assert!(bench.standing("a").new_risk, "it says nothing, and so no jump either");
    bench.equity("a", "2000");
    assert!(bench.standing("a").new_risk);
}

#[test]
fn a_balance_that_lags_behind_its_ledger_trips_and_hides_nothing() {
    for (flow, after) in [("-2000", "2000"), ("4000", "8000"), ("-3000", "1000")] {
        let mut bench = Bench::at_4000();
        bench.flow("a", flow);
        for _ in 0..9 {
            // Newer than the flow, and still without it: a jump against what is expected.
            bench.equity("a", "4000");
            assert!(!bench.standing("a").new_risk, "meanwhile nobody knows");
        }
        bench.equity("a", after);
        let standing = bench.standing("a");
        assert_eq!((standing.rung, standing.new_risk), (Rung::Zero, true), "{flow}: {:?}", standing.why);
        assert_eq!(standing.values.expect("begun").high_water_mark.to_string(), "1");
        assert_eq!(value(&bench, "a"), "1");
        bench.check_replay();
    }
}

#[test]
fn two_deposits_that_lag_are_awaited_together() {
    let mut bench = Bench::at_4000();
    bench.flow("a", "1000");
    bench.flow("a", "3000");
    bench.equity("a", "4000");
    bench.equity("a", "5000");
    bench.equity("a", "8000");
    assert_eq!((bench.rung("a"), value(&bench, "a").as_str()), (Rung::Zero, "1"));
}

#[test]
fn a_deposit_that_never_shows_is_a_loss_after_ten_seconds() {
    let mut bench = Bench::at_4000();
    bench.flow("a", "1000");
    for _ in 0..9 {
        bench.equity("a", "4000");
    }
    assert_eq!(bench.rung("a"), Rung::Zero);
    bench.equity("a", "4000");
    assert_eq!(bench.rung("a"), Rung::Four, "20 % of 5000");
}

#[test]
fn a_loss_beside_a_lagging_deposit_is_a_loss() {
    let mut bench = Bench::at_4000();
    bench.flow("a", "1000");
    bench.equity("a", "3900");
    assert_eq!(bench.rung("a"), Rung::Four, "neither 4000 nor 5000: what is expected is 5000");
}

#[test]
fn an_emptied_account_takes_a_commission() {
    let mut bench = Bench::at_4000();
    let said = bench.flow("a", "-4000");
    assert!(said.iter().any(|event| event.what == What::Emptied));
    bench.equity("a", "0");
    assert_eq!(bench.rung("a"), Rung::Zero, "no loss");
    assert!(bench.standing("a").why.contains(&Reason::NotCommissioned));
    bench.flow("a", "5000");
    bench.equity("a", "5000");
    assert!(!bench.standing("a").new_risk);
    bench.commission("a");
    bench.equity("a", "5000");
    assert!(bench.standing("a").new_risk, "{:?}", bench.standing("a").why);
    assert_eq!(bench.standing("a").equity.map(|equity| equity.to_string()).as_deref(), Some("5000"));
    bench.check_replay();
}

#[test]
fn emptying_lifts_no_rung() {
    let mut bench = Bench::at_4000();
    bench.equity("a", "3400");
    bench.flow("a", "-3400");
    bench.flow("a", "3400");
    assert_eq!(refusal(&bench.commission("a")), Some(Refusal::Running));
    assert_eq!(bench.rung("a"), Rung::Three);
    let tripped_at = bench.tripped_at("a");
    bench.pass(DAY);
    let resumed = Input::Resume { subject: account("a"), tripped_at, signed: both() };
    assert_eq!(refusal(&bench.tell(resumed)), None);
    bench.commission("a");
    bench.equity("a", "3400");
    assert!(bench.standing("a").new_risk, "there is a way out: {:?}", bench.standing("a").why);
}
