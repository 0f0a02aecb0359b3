//! The rules one by one; whole lives of a queue are in `tests/lives.rs`.

mod lives;

use super::*;

const AT: Timestamp = Timestamp::from_ms(1_700_000_000_000);
const MID: Jitter = Jitter(u16::MAX / 2);

fn at(ms: u64) -> Timestamp {
    AT.plus_ms(ms)
}

fn all() -> BTreeSet<Channel> {
    BTreeSet::from([Channel::Telegram, Channel::Webhook, Channel::Email])
}

fn queue(remote: &[Channel]) -> Queue {
    Queue::new(&remote.iter().copied().collect(), AT)
}

fn id(text: &str) -> AlertId {
    AlertId::new(text).expect("an id")
}

/// Says something of its own.
fn alert(name: &str, severity: Severity) -> Alert {
    Alert::new(id(name), AT, severity, format!("about {name}"))
}

fn info(name: &str) -> Alert {
    alert(name, Severity::Info)
}

fn critical(name: &str) -> Alert {
    alert(name, Severity::Critical)
}

fn fails() -> Outcome {
    Outcome::Later { after_ms: None, reason: "down".into() }
}

/// What is due, the log apart, which takes everything at once.
fn due(queue: &mut Queue, now: Timestamp) -> Vec<(String, Channel)> {
    let mut remote = Vec::new();
    for offer in queue.due(now) {
        if offer.channel == Channel::Log {
            queue.finished(&offer.alert.id, Channel::Log, &Outcome::Delivered, now, MID);
        } else {
            remote.push((offer.alert.id.to_string(), offer.channel));
        }
    }
    remote
}

fn to(name: &str, channel: Channel) -> (String, Channel) {
    (name.to_owned(), channel)
}

fn waiting(queue: &Queue) -> Vec<String> {
    queue.waiting().map(|entry| entry.alert.id.to_string()).collect()
}

#[test]
fn one_channel_is_enough_for_an_info_and_the_first_is_asked() {
    let mut queue = Queue::new(&all(), AT);
    assert_eq!(queue.accept(info("a"), AT), Accepted::Queued);
    assert_eq!(due(&mut queue, AT), [to("a", Channel::Telegram)]);
    assert_eq!(due(&mut queue, at(HEDGE_MS - 1)), []);
    queue.finished(&id("a"), Channel::Telegram, &Outcome::Delivered, at(HEDGE_MS - 1), MID);
    assert_eq!(waiting(&queue), [""; 0]);
}

#[test]
fn a_silent_channel_is_passed_by_after_two_seconds() {
    let mut queue = Queue::new(&all(), AT);
    queue.accept(info("a"), AT);
    due(&mut queue, AT);
    assert_eq!(queue.next_at(), Some(at(HEDGE_MS)));
    assert_eq!(due(&mut queue, at(HEDGE_MS)), [to("a", Channel::Webhook)]);
    assert_eq!(due(&mut queue, at(2 * HEDGE_MS)), [to("a", Channel::Email)]);
    assert_eq!(due(&mut queue, at(3 * HEDGE_MS)), [], "all three are under way");
}

#[test]
fn a_failing_channel_is_passed_by_at_once() {
    let mut queue = Queue::new(&all(), AT);
    queue.accept(info("a"), AT);
    due(&mut queue, AT);
    queue.finished(&id("a"), Channel::Telegram, &fails(), at(5), MID);
    assert_eq!(due(&mut queue, at(5)), [to("a", Channel::Webhook)]);
}

#[test]
fn an_urgent_alert_goes_everywhere_and_two_must_take_it() {
    for urgent in [critical("a"), Alert { rung: Some(URGENT), ..info("a") }] {
        let mut queue = Queue::new(&all(), AT);
        queue.accept(urgent, AT);
        let everywhere = [Channel::Telegram, Channel::Webhook, Channel::Email].map(|c| to("a", c));
        assert_eq!(due(&mut queue, AT), everywhere);
        queue.finished(&id("a"), Channel::Email, &Outcome::Delivered, at(1), MID);
        queue.finished(&id("a"), Channel::Webhook, &fails(), at(2), MID);
        assert_eq!(waiting(&queue), ["a"]);
        queue.finished(&id("a"), Channel::Telegram, &Outcome::Delivered, at(3), MID);
        assert_eq!(waiting(&queue), [""; 0]);
        assert_eq!(due(&mut queue, at(REFUSED_WAIT_MS)), [], "the third is not bothered any more");
    }
}

const URGENT: u8 = crate::alerts::URGENT_RUNG;

#[test]
fn with_one_remote_channel_the_log_is_the_second() {
    let mut queue = queue(&[Channel::Email]);
    queue.accept(critical("a"), AT);
    let offers = queue.due(AT);
    assert_eq!(offers.len(), 2);
    queue.finished(&id("a"), Channel::Email, &Outcome::Delivered, AT, MID);
    assert_eq!(waiting(&queue), ["a"]);
    queue.finished(&id("a"), Channel::Log, &Outcome::Delivered, AT, MID);
    assert_eq!(waiting(&queue), [""; 0]);
}

#[test]
fn a_log_that_fails_holds_up_nothing_that_people_have_got() {
    let mut queue = queue(&[Channel::Email, Channel::Webhook]);
    queue.accept(info("a"), AT);
    assert_eq!(queue.due(AT).len(), 2);
    queue.finished(&id("a"), Channel::Log, &fails(), AT, MID);
    queue.finished(&id("a"), Channel::Webhook, &Outcome::Delivered, AT, MID);
    assert_eq!(waiting(&queue), [""; 0]);
}

#[test]
fn urgent_alerts_go_first() {
    let mut queue = queue(&[Channel::Webhook]);
    queue.accept(info("a"), AT);
    queue.accept(critical("b"), AT);
    queue.accept(info("c"), AT);
    assert_eq!(due(&mut queue, AT), [to("b", Channel::Webhook)]);
}

#[test]
fn an_hour_without_one_channel_costs_the_other_nothing() {
    let mut queue = queue(&[Channel::Telegram, Channel::Webhook]);
    let mut asked = 0;
    for second in 0..3_600 {
        let now = at(second * 1_000);
        let name = format!("a{second}");
        queue.accept(info(&name), now);
        let mut taken = false;
        // Telegram hangs for the ten seconds of an attempt, or says no; both are failures.
        for _ in 0..3 {
            for (told, channel) in due(&mut queue, now) {
                let outcome = if channel == Channel::Webhook { Outcome::Delivered } else { fails() };
                asked += u32::from(channel == Channel::Telegram);
                taken |= channel == Channel::Webhook && told == name;
                queue.finished(&id(&told), channel, &outcome, now, MID);
            }
        }
        assert!(taken, "second {second}: not delivered at once");
    }
    assert!((3_600 / 300..30).contains(&asked), "{asked} attempts in an hour");
    assert_eq!(waiting(&queue), [""; 0]);
}

#[test]
fn a_hanging_channel_delays_an_alert_by_less_than_five_seconds() {
    let mut queue = queue(&[Channel::Telegram, Channel::Webhook]);
    queue.accept(info("a"), AT);
    assert_eq!(due(&mut queue, AT), [to("a", Channel::Telegram)]);
    let next = queue.next_at().expect("something to wait for");
    assert_eq!(due(&mut queue, next), [to("a", Channel::Webhook)]);
    assert!(next.since_ms(AT) < 5_000);
}

#[test]
fn an_id_is_told_once() {
    let mut queue = queue(&[Channel::Webhook]);
    assert_eq!(queue.accept(info("a"), AT), Accepted::Queued);
    assert_eq!(queue.accept(critical("a"), AT), Accepted::Duplicate, "while it waits");
    due(&mut queue, AT);
    queue.finished(&id("a"), Channel::Webhook, &Outcome::Delivered, AT, MID);
    assert_eq!(queue.accept(info("a"), AT), Accepted::Duplicate, "when it is done");
    let restored = Queue::restore(&BTreeSet::from([Channel::Webhook]), queue.take_changes(), AT);
    let mut restored = restored;
    assert_eq!(restored.accept(info("a"), AT), Accepted::Duplicate, "after a restart");
}

fn repeat(number: u32) -> Alert {
    Alert { title: "the same".into(), ..info(&format!("r{number}")) }
}

#[test]
fn repeats_are_counted_in_one_alert_that_is_not_sent_yet() {
    let mut queue = queue(&[Channel::Webhook]);
    assert_eq!(queue.accept(repeat(0), AT), Accepted::Queued);
    assert_eq!(queue.accept(repeat(1), AT), Accepted::Folded);
    assert_eq!(queue.accept(repeat(1), AT), Accepted::Duplicate, "a folded id is remembered");
    let offers = queue.due(AT);
    assert!(offers.iter().all(|offer| offer.count == 2 && offer.alert.id == id("r0")), "{offers:?}");
    assert_eq!(queue.accept(repeat(2), AT), Accepted::Queued, "the first may have been read");
    assert_eq!(queue.accept(Alert { text: "else".into(), ..repeat(3) }, AT), Accepted::Queued);
}

#[test]
fn repeats_of_what_was_delivered_wait_and_come_as_one() {
    for (window, make) in [
        (FOLD_MS, repeat as fn(u32) -> Alert),
        (FOLD_URGENT_MS, |number| Alert { severity: Severity::Critical, ..repeat(number) }),
    ] {
        let mut queue = queue(&[Channel::Webhook]);
        queue.accept(make(0), AT);
        due(&mut queue, AT);
        queue.finished(&id("r0"), Channel::Webhook, &Outcome::Delivered, AT, MID);
        assert_eq!(queue.accept(make(1), at(1)), Accepted::Queued);
        for number in 2..100 {
            assert_eq!(queue.accept(make(number), at(2)), Accepted::Folded);
        }
        assert_eq!(queue.due(at(window - 1)), []);
        assert_eq!(queue.next_at(), Some(at(window)));
        let offers = queue.due(at(window));
        assert!(!offers.is_empty() && offers.iter().all(|offer| offer.count == 99), "{offers:?}");
    }
}

#[test]
fn a_refused_alert_does_not_stop_the_others() {
    let mut queue = queue(&[Channel::Webhook]);
    queue.accept(info("bad"), AT);
    queue.accept(info("good"), AT);
    assert_eq!(due(&mut queue, AT), [to("bad", Channel::Webhook)]);
    let refused = Outcome::Refused { reason: "no".into() };
    queue.finished(&id("bad"), Channel::Webhook, &refused, AT, MID);
    assert_eq!(due(&mut queue, at(FIRST_WAIT_MS)), [to("good", Channel::Webhook)]);
    queue.finished(&id("good"), Channel::Webhook, &Outcome::Delivered, at(FIRST_WAIT_MS), MID);
    assert_eq!(queue.next_at(), Some(at(REFUSED_WAIT_MS)));
    assert_eq!(due(&mut queue, at(REFUSED_WAIT_MS - 1)), []);
    assert_eq!(due(&mut queue, at(REFUSED_WAIT_MS)), [to("bad", Channel::Webhook)]);
}

#[test]
fn credentials_that_are_not_accepted_are_told_over_another_channel() {
    let mut queue = queue(&[Channel::Telegram, Channel::Webhook]);
    queue.accept(info("a"), AT);
    due(&mut queue, AT);
    let denied = Outcome::Unauthorised { reason: "401 Unauthorized".into() };
    queue.finished(&id("a"), Channel::Telegram, &denied, AT, MID);
    assert_eq!(due(&mut queue, AT), [to("a", Channel::Webhook)]);
    queue.finished(&id("a"), Channel::Webhook, &Outcome::Delivered, AT, MID);
    let offers = queue.due(AT);
    let told = offers.iter().find(|offer| offer.channel == Channel::Webhook).expect("told");
    assert!(told.alert.title.contains("telegram") && told.alert.text.contains("401"), "{told:?}");
    assert_eq!(queue.paces[&Channel::Telegram].open_at(), at(LONGEST_WAIT_MS));
}

#[test]
fn a_full_queue_drops_the_oldest_info_first_and_says_so() {
    let mut queue = queue(&[]);
    queue.accept(critical("first"), AT);
    queue.accept(alert("second", Severity::Warning), AT);
    for number in 0..MAX_WAITING - 2 {
        assert_eq!(queue.accept(info(&format!("i{number}")), AT), Accepted::Queued);
    }
    assert_eq!(queue.losses(), Losses::default());
    assert_eq!(queue.accept(info("one-more"), AT), Accepted::Queued);
    let there = waiting(&queue);
    assert!(there.len() == MAX_WAITING && !there.contains(&"i0".into()) && there.contains(&"i1".into()));
    for number in 0..MAX_WAITING - 2 {
        queue.accept(critical(&format!("c{number}")), AT);
    }
    assert_eq!(queue.losses(), Losses { info: 255, warning: 0, urgent: 0 });
    assert_eq!(queue.accept(info("late"), AT), Accepted::Dropped, "less than all that wait");
    queue.accept(critical("c"), AT);
    assert_eq!(queue.losses(), Losses { info: 256, warning: 1, urgent: 0 });
    assert!(waiting(&queue).contains(&"first".into()));
    queue.accept(critical("d"), AT);
    assert!(!waiting(&queue).contains(&"first".into()), "the oldest of its like");
    let offers = queue.due(AT);
    let told = queue.waiting().find(|entry| entry.tells_losses()).expect("losses are told");
    assert_eq!(told.alert.severity, Severity::Critical);
    assert_eq!(told.alert.numbers["urgent"], "1");
    assert_eq!((told.alert.numbers["info"].as_str(), told.alert.numbers["warning"].as_str()), ("256", "1"));
    assert!(!offers.is_empty() && queue.losses() == Losses::default());
}

#[test]
fn what_somebody_has_got_makes_way_before_what_nobody_has() {
    let mut queue = queue(&[Channel::Webhook, Channel::Email]);
    for number in 0..MAX_WAITING {
        queue.accept(critical(&format!("c{number}")), AT);
    }
    due(&mut queue, AT);
    queue.finished(&id("c1"), Channel::Email, &Outcome::Delivered, AT, MID);
    queue.accept(critical("new"), AT);
    let there = waiting(&queue);
    assert!(there.contains(&"c0".into()) && !there.contains(&"c1".into()));
}

#[test]
fn what_is_on_its_way_makes_way_last_of_its_kind() {
    let mut queue = queue(&[Channel::Webhook]);
    for number in 0..MAX_WAITING {
        queue.accept(critical(&format!("c{number}")), AT);
    }
    let offered: Vec<AlertId> = queue.due(AT).into_iter().map(|offer| offer.alert.id).collect();
    assert!((1..MAX_WAITING).contains(&offered.len()), "{} are on their way", offered.len());
    queue.accept(critical("new"), AT);
    let there: Vec<AlertId> = queue.waiting.values().map(|entry| entry.alert.id.clone()).collect();
    assert!(offered.iter().all(|id| there.contains(id)), "they would arrive though counted as lost");
    let gone = (0..MAX_WAITING).map(|number| id(&format!("c{number}"))).find(|id| !offered.contains(id));
    assert!(gone.is_some_and(|gone| !there.contains(&gone)), "the oldest of the others");
}

fn review() -> Alert {
    Alert { review: true, account: Some("main".into()), ..alert("rung1", Severity::Warning) }
}

/// Delivers whatever is due to every channel; returns the titles over `channel`.
fn deliver(queue: &mut Queue, now: Timestamp, channel: Channel) -> Vec<String> {
    let mut titles = Vec::new();
    for _ in 0..4 {
        for offer in queue.due(now) {
            queue.finished(&offer.alert.id, offer.channel, &Outcome::Delivered, now, MID);
            if offer.channel == channel {
                titles.push(offer.alert.title);
            }
        }
    }
    titles
}

#[test]
fn a_review_nobody_acknowledged_goes_to_every_channel_after_fifteen_minutes() {
    let mut queue = queue(&[Channel::Webhook, Channel::Email]);
    queue.accept(review(), AT);
    assert_eq!(deliver(&mut queue, AT, Channel::Webhook), ["about rung1"]);
    assert_eq!(queue.next_at(), Some(at(REVIEW_MS)));
    assert_eq!(deliver(&mut queue, at(REVIEW_MS - 1), Channel::Email), [""; 0]);
    let offers = queue.due(at(REVIEW_MS));
    let channels: BTreeSet<Channel> = offers.iter().map(|offer| offer.channel).collect();
    assert_eq!(channels, BTreeSet::from([Channel::Log, Channel::Webhook, Channel::Email]));
    for offer in &offers {
        assert_eq!(offer.alert.title, "not acknowledged: about rung1");
        assert_eq!(
            (offer.alert.severity, offer.alert.account.as_deref()),
            (Severity::Critical, Some("main"))
        );
        assert_eq!(waiting(&queue).len(), 1, "until every channel has it");
        queue.finished(&offer.alert.id, offer.channel, &Outcome::Delivered, at(REVIEW_MS), MID);
    }
    assert_eq!(waiting(&queue), [""; 0]);
    assert_eq!(queue.next_at(), Some(at(REVIEW_MS + REVIEW_AGAIN_MS)));
}

#[test]
fn an_acknowledged_review_is_not_told_again() {
    let mut queue = queue(&[Channel::Webhook]);
    queue.accept(review(), AT);
    deliver(&mut queue, AT, Channel::Webhook);
    assert_eq!(queue.ack(&id("rung1"), "ann", at(REVIEW_MS - 1)), Ok(()));
    assert_eq!(queue.ack(&id("rung1"), "ann", at(REVIEW_MS - 1)), Err(NotOpen(id("rung1"))));
    assert_eq!(deliver(&mut queue, at(10 * REVIEW_MS), Channel::Webhook), [""; 0]);
    let closed = queue.take_changes().into_iter().find(|record| matches!(record, Record::Closed { .. }));
    assert_eq!(closed, Some(Record::Closed { id: id("rung1"), who: "ann".into(), at: at(REVIEW_MS - 1) }));
}

#[test]
fn an_acknowledgement_takes_back_what_only_says_that_it_is_missing() {
    let mut queue = queue(&[Channel::Webhook]);
    queue.accept(review(), AT);
    deliver(&mut queue, AT, Channel::Webhook);
    queue.due(at(REVIEW_MS));
    assert_eq!(waiting(&queue).len(), 1);
    assert_eq!(queue.ack(&id("rung1"), "ann", at(REVIEW_MS)), Ok(()));
    assert_eq!(waiting(&queue), [""; 0]);
}

#[test]
fn escalation_ends_and_says_so() {
    let mut queue = queue(&[Channel::Webhook]);
    queue.accept(review(), AT);
    let mut times = 0;
    let mut last = None;
    let mut now = AT;
    for _ in 0..100 {
        for offer in queue.due(now) {
            queue.finished(&offer.alert.id, offer.channel, &Outcome::Delivered, now, MID);
            if offer.channel == Channel::Webhook && offer.alert.title.starts_with("not") {
                times += 1;
                last = Some(offer.alert.text);
            }
        }
        now = now.plus_ms(REVIEW_AGAIN_MS);
    }
    assert_eq!(times, MAX_ESCALATIONS);
    assert!(last.is_some_and(|text| text.contains("not told again")));
    assert_eq!(queue.reviews().count(), 1, "it stays open");
    assert_eq!(queue.next_at(), None);
}

#[test]
fn a_review_survives_a_restart_and_a_clock_set_back() {
    let mut queue = queue(&[Channel::Webhook]);
    queue.accept(review(), AT);
    deliver(&mut queue, AT, Channel::Webhook);
    let day = 86_400_000;
    let earlier = AT.minus_ms(day);
    let records = queue.take_changes();
    let mut restored = Queue::restore(&BTreeSet::from([Channel::Webhook]), records, earlier);
    assert!(restored.next_at().is_some_and(|due| due <= earlier.plus_ms(REVIEW_AGAIN_MS)));
    queue.due(earlier);
    assert_eq!(queue.next_at(), Some(earlier.plus_ms(REVIEW_MS)), "the same time is left");
    assert_eq!(deliver(&mut restored, earlier.plus_ms(REVIEW_AGAIN_MS), Channel::Webhook).len(), 1);
}

#[test]
fn a_clock_set_back_makes_nothing_wait_longer() {
    let mut queue = queue(&[Channel::Webhook]);
    queue.accept(info("a"), AT);
    due(&mut queue, AT);
    queue.finished(&id("a"), Channel::Webhook, &fails(), AT, Jitter(u16::MAX));
    let back = AT.minus_ms(3_600_000);
    assert_eq!(due(&mut queue, back), []);
    assert_eq!(queue.next_at(), Some(back.plus_ms(FIRST_WAIT_MS)));
    assert_eq!(due(&mut queue, back.plus_ms(FIRST_WAIT_MS)), [to("a", Channel::Webhook)]);
}

#[test]
fn reviews_are_bounded_and_one_given_up_counts_as_lost() {
    let mut queue = queue(&[]);
    for number in 0..=MAX_REVIEWS {
        let review = Alert { id: id(&format!("r{number}")), ..review() };
        queue.accept(review, at(number as u64));
    }
    assert_eq!(queue.reviews().count(), MAX_REVIEWS);
    assert!(queue.reviews().all(|review| review.id != id("r0")));
    assert_eq!(queue.losses(), Losses { urgent: 1, ..Losses::default() });
}

#[test]
fn what_is_written_down_brings_the_queue_back() {
    let mut queue = Queue::new(&all(), AT);
    queue.accept(critical("a"), AT);
    queue.accept(info("b"), AT);
    queue.accept(review(), AT);
    queue.lost(Losses { info: 3, ..Losses::default() });
    due(&mut queue, AT);
    queue.finished(&id("a"), Channel::Email, &Outcome::Delivered, AT, MID);
    queue.finished(&id("b"), Channel::Telegram, &Outcome::Delivered, AT, MID);
    let changes = Queue::restore(&all(), queue.take_changes(), AT);
    let snapshot = Queue::restore(&all(), queue.snapshot(), AT);
    assert_eq!(changes.snapshot(), snapshot.snapshot());
    assert_eq!(snapshot.snapshot(), queue.snapshot());
    let a = snapshot.waiting().find(|entry| entry.alert.id == id("a")).expect("waits");
    assert!(a.confirmed.contains(&Channel::Email), "whom it reached is known");
}

#[test]
fn a_channel_that_is_gone_is_not_waited_for() {
    let mut queue = queue(&[Channel::Telegram, Channel::Webhook]);
    queue.accept(critical("a"), AT);
    due(&mut queue, AT);
    queue.finished(&id("a"), Channel::Webhook, &Outcome::Delivered, AT, MID);
    let left = BTreeSet::from([Channel::Webhook]);
    assert_eq!(waiting(&Queue::restore(&left, queue.snapshot(), AT)), [""; 0]);
}
