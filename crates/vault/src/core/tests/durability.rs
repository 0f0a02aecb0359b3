//! What leaves, and when.

use super::*;
use crate::core::MAX_WAITING;
use crate::core::epoch::GapWatch;

fn indices(replies: &[Value]) -> Vec<Option<u64>> {
    replies.iter().map(|reply| reply["record"]["index"].as_u64()).collect()
}

#[test]
fn nothing_leaves_before_the_disk_has_it() {
    let mut bench = Bench::new();
    for caller in 0..5 {
        bench.bot(caller, &limit("0.001", &format!("6000{caller}"), ""));
        assert_eq!(bench.log.len(), caller + 1, "the record is handed over at once");
    }
    assert!(bench.replies.is_empty());
    bench.durable(0);
    assert!(bench.replies.is_empty());
    bench.durable(2);
    assert_eq!(indices(&bench.take()), [Some(0), Some(1)]);
    // An acknowledgement that comes twice or goes back changes nothing.
    bench.durable(1);
    bench.durable(2);
    assert!(bench.replies.is_empty());
    bench.durable(5);
    assert_eq!(indices(&bench.take()), [Some(2), Some(3), Some(4)]);
    assert_eq!(bench.core.counts.released, 5);
    assert!(!bench.core.has_waiting());
}

#[test]
fn a_denial_waits_for_the_disk_as_an_approval_does() {
    let mut bench = Bench::new();
    bench.bot(1, &limit("9", "60000", ""));
    assert!(bench.replies.is_empty());
    assert_eq!(bench.sync()[0]["status"], "denied");
}

#[test]
fn replies_come_in_the_order_of_the_requests() {
    let mut bench = Bench::new();
    bench.bot(1, "no json");
    assert_eq!(bench.take()[0]["status"], "error", "nothing to wait for");
    bench.bot(1, &limit("0.001", "60000", r#","id":2"#));
    bench.bot(1, r#"{"id":3}"#);
    bench.bot(1, "no json");
    bench.bot(1, &limit("9", "60000", r#","id":4"#));
    assert!(bench.replies.is_empty());
    bench.durable(1);
    let ids = |replies: &[Value]| replies.iter().map(|reply| reply["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&bench.take()), [2.into()] as [Value; 1]);
    bench.durable(2);
    assert_eq!(ids(&bench.take()), [3.into(), Value::Null]);
    bench.durable(3);
    assert_eq!(ids(&bench.take()), [4.into()] as [Value; 1]);
}

#[test]
fn an_id_longer_than_the_limit_is_refused() {
    let mut bench = Bench::new();
    bench.bot(1, &limit("0.001", "60000", &format!(r#","id":"{}""#, "x".repeat(127))));
    let refused = bench.sync();
    assert_eq!((codes(&refused[0]), refused[0].get("id")), (vec!["not_decoded"], None));
    bench.bot(1, &limit("0.001", "60000", &format!(r#","id":"{}""#, "x".repeat(126))));
    assert_eq!(bench.sync()[0]["status"], "approved");
}

#[test]
fn the_pipelined_window_is_bounded_by_count() {
    let mut bench = Bench::with(Durability::Pipelined, &[]);
    let window = Durability::WINDOW_RECORDS as usize;
    for _ in 0..window + 10 {
        bench.bot(1, &small());
    }
    let told = bench.take();
    assert_eq!(told.len(), window, "one more than the window waits");
    assert_eq!(told[window - 1]["record"]["durable"], 0, "the reply says what is durable");
    bench.durable(4);
    assert_eq!(indices(&bench.take()), [64, 65, 66, 67].map(Some));
    bench.durable(74);
    assert_eq!(bench.take().len(), 6);
}

#[test]
fn the_pipelined_window_is_bounded_by_time() {
    let mut bench = Bench::with(Durability::Pipelined, &[]);
    let window = Durability::WINDOW.as_millis() as u64;
    bench.bot(1, &small());
    bench.now += window;
    bench.bot(1, &small());
    assert_eq!(bench.take().len(), 2, "the first is not older than the window");
    bench.now += 1;
    bench.bot(1, &small());
    assert!(bench.take().is_empty(), "the first is too old: everything waits");
    bench.durable(1);
    assert_eq!(bench.take().len(), 1, "the oldest that is not durable is young again");
    bench.now += window + 1;
    bench.bot(1, &small());
    assert!(bench.take().is_empty());
    bench.durable(4);
    assert_eq!(bench.take().len(), 1);
}

#[test]
fn what_waits_is_bounded() {
    let mut bench = Bench::new();
    for _ in 0..MAX_WAITING {
        assert!(!bench.core.is_full());
        bench.bot(1, &small());
    }
    assert!(bench.core.is_full());
    bench.bot(1, &small());
    assert_eq!(bench.log.len(), MAX_WAITING, "nothing more is signed");
    let status = r#"{"command":"status"}"#;
    bench.command(2, status);
    assert_eq!(bench.take()[0]["status"], "status", "the status waits for nobody");
    assert!(!bench.core.is_full_for_operators());
    let halt = r#"{"command":"set_state","state":"halted","why":"test"}"#;
    bench.command(2, halt);
    bench.command(2, status);
    assert!(bench.take().is_empty(), "the status comes after the command before it");
    let replies = bench.sync();
    assert_eq!(replies.len(), MAX_WAITING + 3);
    assert_eq!(replies[MAX_WAITING]["error"]["code"], "unavailable");
    assert_eq!(replies[MAX_WAITING + 1]["status"], "done");
    assert_eq!(replies[MAX_WAITING + 2]["states"][0][1], "halted");
    assert!(codes(&bench.ask(&small())).contains(&"trading_state_forbids"));
}

#[test]
fn leaves_of_a_lost_connection_are_kept_until_they_are_known_to_have_arrived() {
    let mut bench = Bench::new();
    let sent = |bench: &mut Bench| bench.core.recorder().leaves_to_send().count();
    for _ in 0..3 {
        bench.bot(1, &small());
    }
    assert_eq!(sent(&mut bench), 3);
    bench.bot(1, &small());
    // Record 3 was handed over behind the leaves of 0..3. The journal dies and comes back with
    // records 0..2 and no leaf; the vault sends records first, then leaves.
    bench.core.recorder().reconnected(0);
    bench.core.recorder().all_leaves_sent();
    bench.durable(4);
    assert_eq!(bench.core.recorder().oldest_kept(), 0, "the leaves may not have arrived");
    bench.bot(1, &small());
    bench.durable(5);
    assert_eq!(bench.core.recorder().oldest_kept(), 4, "a record behind them has");
}

#[test]
fn the_chain_of_bodies_is_known_at_every_kept_record() {
    use sha2::Digest as _;
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.bot(1, &small());
    }
    for index in 1..=3_u64 {
        let before: [u8; 32] = sha2::Sha256::digest(&bench.log[index as usize - 1].0).into();
        assert_eq!(bench.core.recorder().digest_before(index), Some(before));
    }
    assert_eq!(bench.core.recorder().digest_before(0), Some([0; 32]));
    assert_eq!(bench.core.recorder().digest_before(4), None);
}

#[test]
fn nothing_runs_ahead_before_the_disk_has_the_word_that_it_may() {
    let mut bench = Bench::with(Durability::Pipelined, &[]);
    let epoch = epoch_detail();
    bench.core.begin_epoch(&epoch, &GapWatch::default(), 0, Timestamp::from_ms(NOW), [1; 16]);
    let said = operations(&mut bench);
    assert_eq!(said, ["epoch", "pipelined"]);
    bench.log.resize(2, (Vec::new(), Vec::new()));
    bench.bot(1, &small());
    assert!(bench.take().is_empty(), "the log does not say yet that signatures run ahead");
    bench.durable(1);
    assert!(bench.take().is_empty());
    bench.durable(2);
    assert_eq!(bench.take().len(), 1);
    bench.bot(1, &small());
    assert_eq!(bench.take().len(), 1, "from here on they do");
}

#[test]
fn a_possible_gap_and_a_torn_tail_are_records_of_the_next_epoch() {
    let mut bench = Bench::with(Durability::Pipelined, &[]);
    let mut gap = GapWatch::default();
    let mut out = Vec::new();
    bench.core.begin_epoch(&epoch_detail(), &gap, 0, Timestamp::from_ms(NOW), [1; 16]);
    observe(&mut bench, &mut gap);
    assert!(gap.is_possible(), "it runs, and may die at any moment");
    // The next one finds no word of an end in order.
    let mut next = Bench::with(Durability::Pipelined, &[]);
    next.core.begin_epoch(&epoch_detail(), &gap, 77, Timestamp::from_ms(NOW), [2; 16]);
    assert_eq!(operations(&mut next), ["epoch", "possible_gap", "torn_tail", "pipelined"]);
    let torn = next.core.recorder().unsynced().nth(2).map(|record| record.detail.clone());
    assert!(String::from_utf8(torn.expect("a record")).expect("JSON").contains("77 bytes"));
    // One that stops in order leaves none.
    assert!(next.core.note_stop(Timestamp::from_ms(NOW), [3; 16], &mut out));
    observe(&mut next, &mut gap);
    assert!(!gap.is_possible());
    let mut disk = Bench::new();
    assert!(!disk.core.note_stop(Timestamp::from_ms(NOW), [3; 16], &mut out), "nothing ran ahead");
    disk.core.begin_epoch(&epoch_detail(), &gap, 0, Timestamp::from_ms(NOW), [4; 16]);
    assert_eq!(operations(&mut disk), ["epoch"]);
}

#[test]
fn an_operators_word_does_not_close_a_gap() {
    let mut bench = Bench::with(Durability::Pipelined, &[]);
    let mut gap = GapWatch::default();
    bench.core.begin_epoch(&epoch_detail(), &gap, 0, Timestamp::from_ms(NOW), [1; 16]);
    observe(&mut bench, &mut gap);
    let mut body =
        Body::decode(&bench.core.recorder().unsynced().next().expect("a record").body).expect("body");
    (body.actor, body.operation) = ("uid:1000".into(), "stopped".into());
    gap.observe(&body);
    assert!(gap.is_possible());
}

#[test]
fn a_clock_that_jumps_neither_reopens_a_budget_nor_lets_more_run_ahead() {
    let mut bench = Bench::with(
        Durability::Pipelined,
        &[("\"1000000\"\nnotional_rolling_24h = \"1000000\"", "\"130\"\nnotional_rolling_24h = \"130\"")],
    );
    let day = 24 * 60 * 60 * 1000;
    // Two orders of 60 fit into 130; the third does not, wherever the clock is set back to.
    assert_eq!(bench.ask(&small())["status"], "approved");
    bench.now += 1;
    assert_eq!(bench.ask(&small())["status"], "approved");
    for back in [1, 60_000, day, NOW] {
        bench.now = NOW - back;
        assert_eq!(bench.ask(&small())["status"], "denied", "{back} ms back");
        assert!(bench.last_body().time.as_ms() >= NOW, "no record is older than the one before");
    }
    // A day ahead is a day ahead; back again, what was spent there is spent.
    bench.now = NOW + 2 * day;
    assert_eq!(bench.ask(&small())["status"], "approved");
    bench.now += 1;
    assert_eq!(bench.ask(&small())["status"], "approved");
    bench.now = NOW;
    assert_eq!(bench.ask(&small())["status"], "denied");
    bench.now = NOW + 2 * day;
    assert_eq!(bench.ask(&small())["status"], "denied");
    // A jump ahead closes the window until the disk has caught up.
    bench.bot(1, &small());
    assert_eq!(bench.take().len(), 1);
    bench.now += day;
    bench.bot(1, &small());
    assert!(bench.take().is_empty());
}

fn epoch_detail() -> transparency::Epoch {
    transparency::Epoch {
        epoch: 1,
        isolation: "software".into(),
        public_key: [1; 32],
        policy_hash: [2; 32],
        previous_size: 0,
        adopted: None,
        statement: Vec::new(),
    }
}

fn operations(bench: &mut Bench) -> Vec<String> {
    let bodies = bench.core.recorder().unsynced().map(|record| Body::decode(&record.body).expect("a body"));
    bodies.map(|body| body.operation).collect()
}

fn observe(bench: &mut Bench, gap: &mut GapWatch) {
    for record in bench.core.recorder().unsynced() {
        gap.observe(&Body::decode(&record.body).expect("a body"));
    }
}
