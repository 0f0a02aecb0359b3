//! Counting: nothing but distinct people reaches a quorum.

use std::collections::BTreeSet;

use approval::{
    Action, Approvers, ApproversError, AssertionError, BallotError, Ballots, Digest, Dimension, Directive,
    Kind, MAX_OPEN, Name, Quorums, Rule, Shortfall, Tally, Weakness,
};
use proptest::prelude::*;
use trading::Timestamp;

use crate::support::{NOW, POLICY, Token, after, approvers, content, directive, name, start};

fn stored(ballots: &Ballots) -> Ballots {
    let text = serde_json::to_string(ballots).expect("JSON");
    let read: Ballots = serde_json::from_str(&text).expect(&text);
    assert_eq!(&read, ballots);
    read
}

fn resume(nonce: u8) -> Directive {
    directive(Action::Resume(start()), nonce)
}

fn people(tally: Tally) -> BTreeSet<Name> {
    match tally {
        Tally::Approved(approved) => approved.people().clone(),
        Tally::Waiting(shortfall) => panic!("still lacks {shortfall:?}"),
    }
}

fn three() -> [Token; 3] {
    [Token::new(1, "alice", "desk"), Token::new(2, "bob", "desk"), Token::new(3, "carol", "auditor")]
}

#[test]
fn one_touch_kills_and_only_once() {
    let [alice, bob, _] = three();
    let list = approvers([&alice, &bob]);
    let kill = directive(Action::Kill { revoke: true }, 1);
    let touch = alice.sign(&kill.digest(), 1, 7);
    let mut ballots = Ballots::default();
    assert_eq!(
        people(ballots.touch(&list, &POLICY, &kill, &touch, NOW).expect("counts")),
        [name("alice")].into()
    );
    let mut ballots = stored(&ballots);
    assert_eq!(ballots.touch(&list, &POLICY, &kill, &touch, NOW), Err(BallotError::Used));
    let by_bob = bob.sign(&kill.digest(), 1, 1);
    assert_eq!(
        ballots.touch(&list, &POLICY, &kill, &by_bob, NOW),
        Err(BallotError::Used),
        "the directive is used"
    );
    let other = directive(Action::Kill { revoke: true }, 2);
    let refused = ballots.touch(&list, &POLICY, &other, &touch, NOW);
    assert_eq!(refused, Err(AssertionError::Signature.into()), "the touch is for another directive");
    let same_count = alice.sign(&other.digest(), 1, 7);
    let refused = ballots.touch(&list, &POLICY, &other, &same_count, NOW);
    assert_eq!(refused, Err(AssertionError::Counter { was: 7, seen: 7 }.into()), "a copied token");
}

#[test]
fn resuming_takes_two_people() {
    let [alice, bob, _] = three();
    let mut second = Token::new(4, "alice", "desk");
    second.credential.site = alice.credential.site.clone();
    let list = approvers([&alice, &bob, &second]);
    let asked = resume(1);
    let digest = asked.digest();
    let mut ballots = Ballots::default();
    let mut touch = |token: &Token, counter| {
        ballots = stored(&ballots);
        ballots.touch(&list, &POLICY, &asked, &token.sign(&digest, 1, counter), NOW)
    };
    let lacks_one = Shortfall { people: 1, ..Shortfall::default() };
    assert_eq!(touch(&alice, 0), Ok(Tally::Waiting(lacks_one)));
    assert_eq!(touch(&alice, 0), Err(BallotError::Again(name("alice"))), "a replay without a counter");
    assert_eq!(touch(&alice, 1), Err(BallotError::Again(name("alice"))));
    assert_eq!(touch(&second, 1), Err(BallotError::Again(name("alice"))), "her second token");
    assert_eq!(people(touch(&bob, 1).expect("counts")), [name("alice"), name("bob")].into());
    assert_eq!(touch(&bob, 2), Err(BallotError::Used));
}

#[test]
fn a_quorum_of_one_organisation_is_none() {
    let [alice, bob, carol] = three();
    let list = approvers([&alice, &bob, &carol]);
    let asked = directive(Action::LoosenPolicy { old: POLICY, new: Digest([1; 32]) }, 1);
    let mut ballots = Ballots::default();
    let mut touch =
        |token: &Token| ballots.touch(&list, &POLICY, &asked, &token.sign(&asked.digest(), 1, 1), NOW);
    let lacks = |people, organisations| {
        Ok(Tally::Waiting(Shortfall { people, organisations, ..Shortfall::default() }))
    };
    assert_eq!(touch(&alice), lacks(1, 1));
    assert_eq!(touch(&bob), lacks(0, 1));
    assert_eq!(people(touch(&carol).expect("counts")).len(), 3);
}

#[test]
fn nobody_approves_their_own_proposal_except_to_stop() {
    let [alice, bob, carol] = three();
    let list = approvers([&alice, &bob, &carol]);
    let own = |action, nonce| {
        let mut content = content(action, nonce);
        content.proposer = Some(name("alice"));
        Directive::new(content).expect("holds together")
    };
    let asked = own(Action::Resume(start()), 1);
    let mut ballots = Ballots::default();
    let refused = ballots.touch(&list, &POLICY, &asked, &alice.sign(&asked.digest(), 1, 1), NOW);
    assert_eq!(refused, Err(BallotError::OwnProposal(name("alice"))));
    let kill = own(Action::Kill { revoke: true }, 2);
    assert!(ballots.touch(&list, &POLICY, &kill, &alice.sign(&kill.digest(), 1, 2), NOW).is_ok());
}

#[test]
fn time_and_policy_bound_a_directive() {
    let [alice, bob, _] = three();
    let list = approvers([&alice, &bob]);
    let kill = directive(Action::Kill { revoke: false }, 1);
    let touch = alice.sign(&kill.digest(), 1, 1);
    let fresh =
        |policy: &Digest, now| Ballots::default().touch(&list, policy, &kill, &touch, now).map(people);
    assert_eq!(fresh(&Digest([0xab; 32]), NOW), Err(BallotError::OtherPolicy));
    let early = Timestamp::from_ms(NOW.as_ms() - 1);
    assert_eq!(fresh(&POLICY, early), Err(BallotError::NotYet(NOW)));
    let end = after(600_000);
    assert_eq!(fresh(&POLICY, end), Err(BallotError::Expired(end)));
    assert!(fresh(&POLICY, NOW).is_ok());
    assert!(fresh(&POLICY, after(599_999)).is_ok());
}

#[test]
fn a_clock_set_back_revives_nothing() {
    let [alice, bob, _] = three();
    let list = approvers([&alice, &bob]);
    let kill = directive(Action::Kill { revoke: false }, 1);
    let touch = alice.sign(&kill.digest(), 1, 0);
    let mut ballots = Ballots::default();
    assert!(ballots.touch(&list, &POLICY, &kill, &touch, NOW).is_ok());
    let end = after(600_000);
    assert_eq!(ballots.touch(&list, &POLICY, &kill, &touch, end), Err(BallotError::Expired(end)));
    // The nonce is forgotten by now; the time that passed is not.
    let mut ballots = stored(&ballots);
    assert_eq!(ballots.touch(&list, &POLICY, &kill, &touch, NOW), Err(BallotError::Expired(end)));
    assert_eq!(ballots.latest(), end);
}

#[test]
fn who_leaves_the_list_no_longer_counts() {
    let [alice, bob, carol] = three();
    let all = approvers([&alice, &bob, &carol]);
    let asked = resume(1);
    let sign = |token: &Token| token.sign(&asked.digest(), 1, 1);
    let mut ballots = Ballots::default();
    assert!(ballots.touch(&all, &POLICY, &asked, &sign(&alice), NOW).is_ok());
    let without = approvers([&bob, &carol]);
    let refused = ballots.clone().touch(&without, &POLICY, &asked, &sign(&alice), NOW);
    assert_eq!(refused, Err(BallotError::UnknownCredential(alice.credential.id.clone())));
    let tally = ballots.touch(&without, &POLICY, &asked, &sign(&bob), NOW).expect("counts");
    assert_eq!(tally, Tally::Waiting(Shortfall { people: 1, ..Shortfall::default() }));
    assert_eq!(
        people(ballots.touch(&without, &POLICY, &asked, &sign(&carol), NOW).expect("counts")).len(),
        2
    );
}

#[test]
fn a_delegation_ends_by_itself() {
    let [alice, mut bob, _] = three();
    bob.credential.expires_at = Some(after(1000));
    let list = approvers([&alice, &bob]);
    let asked = resume(1);
    let mut ballots = Ballots::default();
    assert!(ballots.touch(&list, &POLICY, &asked, &bob.sign(&asked.digest(), 1, 1), after(999)).is_ok());
    let tally = ballots.touch(&list, &POLICY, &asked, &alice.sign(&asked.digest(), 1, 1), after(1000));
    assert_eq!(tally, Ok(Tally::Waiting(Shortfall { people: 1, ..Shortfall::default() })));
    let kill = directive(Action::Kill { revoke: true }, 2);
    let refused = ballots.touch(&list, &POLICY, &kill, &bob.sign(&kill.digest(), 1, 2), after(1000));
    assert_eq!(refused, Err(BallotError::CredentialEnded(bob.credential.id.clone(), after(1000))));
}

#[test]
fn a_rule_made_stricter_meanwhile_holds_for_touches_before() {
    let [alice, bob, _] = three();
    let list = approvers([&alice, &bob]);
    let mut quorums = Quorums::default();
    quorums.resume.user_verification = true;
    for kind in
        [&mut quorums.restart, &mut quorums.recommission, &mut quorums.rebase, &mut quorums.loosen_policy]
    {
        kind.user_verification = true;
    }
    let strict = list.with_quorums(quorums).expect("fits");
    let asked = resume(1);
    let mut ballots = Ballots::default();
    assert!(ballots.touch(&list, &POLICY, &asked, &alice.sign(&asked.digest(), 1, 1), NOW).is_ok());
    let unverified = bob.sign(&asked.digest(), 1, 1);
    let refused = ballots.touch(&strict, &POLICY, &asked, &unverified, NOW);
    assert_eq!(refused, Err(AssertionError::UserNotVerified.into()));
    let tally = ballots.touch(&strict, &POLICY, &asked, &bob.sign(&asked.digest(), 5, 2), NOW);
    assert_eq!(tally, Ok(Tally::Waiting(Shortfall { people: 1, ..Shortfall::default() })));
}

#[test]
fn what_waits_is_bounded_and_leaves_room_to_stop() {
    let [alice, bob, _] = three();
    let list = approvers([&alice, &bob]);
    let mut ballots = Ballots::default();
    let mut counter = 0;
    let mut touch = |ballots: &mut Ballots, asked: &Directive| {
        counter += 1;
        ballots.touch(&list, &POLICY, asked, &alice.sign(&asked.digest(), 1, counter), NOW)
    };
    for nonce in 0..8 {
        assert!(matches!(touch(&mut ballots, &resume(nonce)), Ok(Tally::Waiting(_))), "{nonce}");
    }
    assert_eq!(MAX_OPEN, 16);
    assert_eq!(touch(&mut ballots, &resume(8)), Err(BallotError::Full));
    assert!(matches!(
        touch(&mut ballots, &directive(Action::Kill { revoke: true }, 9)),
        Ok(Tally::Approved(_))
    ));
    let mut taken = content(Action::Restart(start()), 3);
    taken.reason = approval::Reason::new("another").expect("a reason");
    let taken = Directive::new(taken).expect("holds together");
    assert_eq!(touch(&mut ballots, &taken), Err(BallotError::NonceTaken));
    assert_eq!(ballots.waiting().count(), 8);
}

#[test]
fn stored_ballots_are_judged_when_read() {
    let [alice, bob, _] = three();
    let list = approvers([&alice, &bob]);
    let mut ballots = Ballots::default();
    ballots.touch(&list, &POLICY, &resume(1), &alice.sign(&resume(1).digest(), 1, 1), NOW).expect("counts");
    let good = serde_json::to_value(&ballots).expect("JSON");
    let read = |value: &serde_json::Value| serde_json::from_value::<Ballots>(value.clone());
    assert_eq!(read(&good).expect("reads"), ballots);
    let mut twice = good.clone();
    let entry = twice["open"][0].clone();
    twice["open"].as_array_mut().expect("a list").push(entry);
    assert!(read(&twice).is_err());
    let mut again = good.clone();
    again["open"][0]["votes"]["ff"] = again["open"][0]["votes"][alice.credential.id.to_string()].clone();
    assert!(read(&again).is_err(), "one person, two votes");
    let mut unknown = good;
    unknown["more"] = 1.into();
    assert!(read(&unknown).is_err());
}

#[test]
fn a_list_refuses_twins_and_strangers() {
    let [alice, bob, _] = three();
    let list = approvers([&alice]);
    let add = |change: fn(&mut approval::Credential)| {
        let mut own = bob.credential.clone();
        change(&mut own);
        list.with(own).map(|_| ())
    };
    assert_eq!(add(|_| ()), Ok(()));
    assert!(matches!(list.with(alice.credential.clone()), Err(ApproversError::Twice(_))));
    let mut same_key = bob.credential.clone();
    same_key.public_key = alice.credential.public_key;
    assert!(matches!(list.with(same_key), Err(ApproversError::Twice(_))), "one key, two people");
    assert!(matches!(add(|own| own.person = name("alice")), Ok(())));
    let elsewhere =
        |own: &mut approval::Credential| (own.person, own.organisation) = (name("alice"), name("other"));
    assert_eq!(add(elsewhere), Err(ApproversError::Ambiguous(name("alice"))));
    assert!(matches!(add(|own| own.backup_eligible = true), Err(ApproversError::Synced(_))));
    let rp = |own: &mut approval::Credential| own.rp_id = crate::support::rp_id("other.example");
    assert!(matches!(add(rp), Err(ApproversError::OtherRelyingParty(_))));
}

#[test]
fn the_file_reads_as_it_is_written_and_knows_its_keys() {
    let [alice, bob, carol] = three();
    let list = approvers([&alice, &bob, &carol]);
    let text = toml_edit::ser::to_string_pretty(&list).expect("TOML");
    assert_eq!(toml_edit::de::from_str::<Approvers>(&text).expect(&text), list);
    for (from, to) in [
        ("version = 1", "version = 2"),
        ("synced_passkeys = false\n", ""),
        ("synced_passkeys = false", "synced_passkeys = false\nextra = 1"),
        ("[quorum.kill]\npeople = 1", "[quorum.kill]\npeople = 1\nat_least = 1"),
        ("person = \"bob\"", "person = \"Bob\""),
        ("person = \"bob\"", "person = \"bob\"\nrole = \"chief\""),
    ] {
        assert!(text.contains(from), "{from}: {text}");
        assert!(toml_edit::de::from_str::<Approvers>(&text.replacen(from, to, 1)).is_err(), "{from} -> {to}");
    }
}

#[test]
fn ronins_list_would_have_been_refused() {
    // Nine validators, five needed; Sky Mavis ran four and held the Axie DAO's key on loan.
    let organisations = ["sky-mavis", "sky-mavis", "sky-mavis", "sky-mavis", "sky-mavis", "b", "c", "d", "e"];
    let tokens: Vec<Token> = (1..)
        .zip(organisations)
        .map(|(seed, organisation)| Token::new(seed, &format!("validator-{seed}"), organisation))
        .collect();
    let rule = Rule { people: 5, organisations: 2, ..Rule::ONE_TOUCH };
    let quorums = Quorums { rebase: rule, ..Quorums::default() };
    let list = approvers(&tokens).with_quorums(quorums).expect("fits");
    let of_rebase: Vec<Weakness> = list
        .weaknesses(NOW)
        .into_iter()
        .filter(|weakness| matches!(weakness, Weakness::NotIndependent { kind: Kind::Rebase, .. }))
        .collect();
    let expected = Weakness::NotIndependent {
        kind: Kind::Rebase,
        dimension: Dimension::Organisation,
        needed: 2,
        effective: 1,
    };
    assert_eq!(of_rebase, [expected]);
    // And at the count: five touches of one organisation are no quorum.
    let asked = directive(
        Action::Rebase { old: "100".parse().expect("a decimal"), new: "90".parse().expect("a decimal") },
        1,
    );
    let mut ballots = Ballots::default();
    for token in &tokens[..5] {
        let touch = token.sign(&asked.digest(), 1, 1);
        let tally = ballots.touch(&list, &POLICY, &asked, &touch, NOW).expect("counts");
        assert!(matches!(tally, Tally::Waiting(Shortfall { organisations: 1, .. })), "{tally:?}");
    }
    let sixth = tokens[5].sign(&asked.digest(), 1, 1);
    assert_eq!(people(ballots.touch(&list, &POLICY, &asked, &sixth, NOW).expect("counts")).len(), 6);
}

#[test]
fn losing_one_group_must_not_take_the_brake() {
    let [alice, bob, carol] = three();
    let blocked = |list: &Approvers| {
        list.weaknesses(NOW).iter().any(|weakness| matches!(weakness, Weakness::StopCanBeBlocked { .. }))
    };
    assert!(blocked(&approvers([&alice])), "one token is one loss away from none");
    assert!(blocked(&approvers([&alice, &bob])), "both answer to one organisation");
    assert!(!blocked(&approvers([&alice, &carol])));
    let mut software = Token::new(9, "dave", "drill");
    software.credential.aaguid = approval::Aaguid::SOFTWARE;
    let found = approvers([&alice, &carol, &software]).weaknesses(NOW);
    assert_eq!(found, [Weakness::SoftwareToken { person: name("dave") }]);
    let few = approvers([&alice]).weaknesses(NOW);
    assert!(few.contains(&Weakness::TooFewPeople { kind: Kind::Resume, needed: 2, have: 1 }));
}

/// One thing that happens to the vault.
#[derive(Debug, Clone)]
enum Event {
    /// A touch of one token for one directive; damaged, if so said.
    Touch { token: usize, directive: usize, counter: u32, damaged: bool },
    /// A touch seen before comes again.
    Replay(usize),
    /// The vault dies and takes up its stored state.
    Restart,
    /// The clock is set to this many milliseconds after the start.
    Clock(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0_usize..5, 0_usize..3, 0_u32..12, prop::bool::weighted(0.1)).prop_map(
            |(token, directive, counter, damaged)| Event::Touch { token, directive, counter, damaged }
        ),
        3 => (0_usize..32).prop_map(Event::Replay),
        1 => Just(Event::Restart),
        1 => (0_u64..1_300_000).prop_map(Event::Clock),
    ];
    prop::collection::vec(event, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The safety property: whatever happens, in whatever order, a directive is approved at most once,
    /// and only after distinct people of enough organisations truly touched for it while it held.
    #[test]
    fn nothing_but_distinct_people_loosens(events in events()) {
        let [alice, bob, carol] = three();
        let second = Token::new(4, "alice", "desk");
        let outsider = Token::new(5, "mallory", "evil");
        let list = approvers([&alice, &bob, &carol, &second]);
        let tokens = [alice, bob, carol, second, outsider];
        let asked = [
            resume(1),
            directive(Action::LoosenPolicy { old: POLICY, new: Digest([1; 32]) }, 2),
            directive(Action::Kill { revoke: true }, 3),
        ];
        let mut ballots = Ballots::default();
        let mut now = NOW;
        let mut latest = NOW;
        let mut seen: Vec<(usize, usize, approval::Assertion)> = Vec::new();
        let mut touched: [BTreeSet<usize>; 3] = Default::default();
        let mut approved = [0; 3];
        for event in events {
            let (token, at, assertion) = match event {
                Event::Restart => {
                    ballots = stored(&ballots);
                    continue;
                }
                Event::Clock(ms) => {
                    now = after(ms);
                    continue;
                }
                Event::Replay(_) if seen.is_empty() => continue,
                Event::Replay(index) => seen[index % seen.len()].clone(),
                Event::Touch { token, directive, counter, damaged } => {
                    let mut assertion = tokens[token].sign(&asked[directive].digest(), 1, counter);
                    if damaged {
                        assertion.signature[7] ^= 1;
                    } else if token != 4 {
                        touched[directive].insert(token);
                    }
                    seen.push((token, directive, assertion.clone()));
                    (token, directive, assertion)
                }
            };
            latest = latest.max(now);
            let result = ballots.touch(&list, &POLICY, &asked[at], &assertion, now);
            prop_assert!(token != 4 || result.is_err(), "a stranger's touch counted");
            if let Ok(Tally::Approved(given)) = result {
                approved[at] += 1;
                prop_assert!(latest < asked[at].content().expires_at, "approved after its expiry");
                prop_assert_eq!(given.directive(), &asked[at]);
                let real: BTreeSet<Name> =
                    touched[at].iter().map(|token| tokens[*token].credential.person.clone()).collect();
                prop_assert!(given.people().is_subset(&real), "{:?} of {:?}", given.people(), real);
                let organisations: BTreeSet<&str> = given
                    .people()
                    .iter()
                    .map(|person| if person.as_str() == "carol" { "auditor" } else { "desk" })
                    .collect();
                let (people, distinct) = [(2, 1), (2, 2), (1, 1)][at];
                prop_assert!(given.people().len() >= people && organisations.len() >= distinct);
            }
        }
        prop_assert!(approved.iter().all(|count| *count <= 1), "{approved:?}");
    }
}
