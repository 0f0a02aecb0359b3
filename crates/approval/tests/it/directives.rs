//! The one form of a directive, and what it refuses.

use std::collections::BTreeSet;

use approval::{
    Accounts, Action, Content, Digest, Directive, DirectiveError, Kind, MAX_DIRECTIVE, MAX_VALIDITY_MS, Name,
    Nonce, Reason, Start,
};
use proptest::prelude::*;
use trading::{AccountName, Decimal, Timestamp};

use crate::support::{NOW, POLICY, after, content, directive, name, start};

fn decimal(text: &str) -> Decimal {
    text.parse().expect("a decimal")
}

fn refusal(change: impl FnOnce(&mut Content)) -> DirectiveError {
    let mut content = content(Action::Resume(start()), 1);
    change(&mut content);
    Directive::new(content).expect_err("it does not hold together")
}

#[test]
fn the_form_is_pinned() {
    // Written out by hand from the table in docs/approvals.md; a change of it changes every digest.
    let expected = concat!(
        "aa",
        "0001",
        "016b6469726563746976652d31",
        "028204f5",
        "03f5",
        "045820",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "051b000001a1ee565e00",
        "061b000001a1ee5f85c0",
        "0750",
        "01010101010101010101010101010101",
        "08f6",
        "0967612064",
        "72696c6c"
    );
    let kill = directive(Action::Kill { revoke: true }, 1);
    assert_eq!(hex::encode(kill.to_bytes()), expected);
    let preimage = [b"seawall directive v1\0", &*kill.to_bytes()].concat();
    assert_eq!(kill.digest().0, crate::support::sha256(&preimage));
}

#[test]
fn the_text_says_everything() {
    let mut shown = content(Action::Recommission { start: start(), keys: [name("key-9")].into() }, 7);
    shown.accounts =
        Accounts::Only(["alpha", "beta"].map(|text| AccountName::new(text).expect("a name")).into());
    shown.proposer = Some(name("carol"));
    let directive = Directive::new(shown).expect("holds together");
    let digest = directive.digest();
    let expected = format!(
        "directive       directive-1\n\
         action          RECOMMISSION: trade again with new keys\n\
         incident        incident-7\n\
         reconciliation  {cc}\n\
         starts with     0.25 of the limits on size\n\
         new key         key-9\n\
         account         alpha\n\
         account         beta\n\
         policy          {aa}\n\
         valid from      {NOW}\n\
         valid until     {end}\n\
         nonce           {nonce}\n\
         proposed by     carol\n\
         reason given    a drill\n\
         digest          {digest}\n\
         phrase          {phrase}\n",
        cc = "cc".repeat(32),
        aa = "aa".repeat(32),
        end = after(600_000),
        nonce = "07".repeat(16),
        phrase = approval::phrase(&digest),
    );
    assert_eq!(directive.render(), expected);
    let again = Directive::from_bytes(&directive.to_bytes()).expect("reads");
    assert_eq!(again.render(), expected, "another reader shows the same");
}

#[test]
fn what_does_not_hold_together_is_refused() {
    assert_eq!(refusal(|own| own.expires_at = own.not_before), DirectiveError::Validity);
    assert_eq!(refusal(|own| own.expires_at = Timestamp::from_ms(NOW.as_ms() - 1)), DirectiveError::Validity);
    assert_eq!(refusal(|own| own.expires_at = after(MAX_VALIDITY_MS + 1)), DirectiveError::Validity);
    let end = Timestamp::from_ms(253_402_300_800_000);
    let late = refusal(|own| (own.not_before, own.expires_at) = (Timestamp::from_ms(end.as_ms() - 1), end));
    assert_eq!(late, DirectiveError::Time);
    assert_eq!(
        refusal(|own| own.accounts = Accounts::Only(BTreeSet::new())),
        DirectiveError::Count { field: "accounts", most: 64 }
    );
    let none = Action::Recommission { start: start(), keys: BTreeSet::new() };
    assert_eq!(refusal(|own| own.action = none), DirectiveError::Count { field: "keys", most: 32 });
    let more = Start { size_factor: "0.2501".parse().expect("a factor"), ..start() };
    assert_eq!(
        refusal(|own| own.action = Action::Restart(more.clone())),
        DirectiveError::StartTooLarge(more.size_factor)
    );
    let rebase = |old: &str, new: &str| Action::Rebase { old: decimal(old), new: decimal(new) };
    assert_eq!(refusal(|own| own.action = rebase("0", "1")), DirectiveError::HighWaterMark);
    assert_eq!(refusal(|own| own.action = rebase("1", "-1")), DirectiveError::HighWaterMark);
    assert_eq!(refusal(|own| own.action = rebase("1", "1.0")), DirectiveError::NoChange);
    let loosen = |old, new| Action::LoosenPolicy { old: Digest([old; 32]), new: Digest([new; 32]) };
    assert_eq!(refusal(|own| own.action = loosen(0xaa, 0xaa)), DirectiveError::NoChange);
    assert_eq!(refusal(|own| own.action = loosen(0xab, 0xaa)), DirectiveError::OtherPolicy);
    let mut longest = content(Action::Pause, 1);
    longest.expires_at = after(MAX_VALIDITY_MS);
    assert!(Directive::new(longest).is_ok(), "15 minutes to the millisecond");
}

#[test]
fn the_longest_directive_fits() {
    let long = |number: usize| format!("{number:02}{}", "x".repeat(62));
    let mut longest = content(
        Action::Recommission { start: start(), keys: (0..32).map(|number| name(&long(number))).collect() },
        1,
    );
    let account = |number: usize| AccountName::new(format!("{number:02}{}", "x".repeat(30))).expect("a name");
    longest.accounts = Accounts::Only((0..64).map(account).collect());
    longest.reason = Reason::new("x".repeat(Reason::MAX)).expect("a reason");
    longest.proposer = Some(name(&long(0)));
    longest.id = name(&long(0));
    let bytes = Directive::new(longest).expect("holds together").to_bytes();
    assert!(bytes.len() <= MAX_DIRECTIVE, "{}", bytes.len());
    assert_eq!(Directive::from_bytes(&[0; MAX_DIRECTIVE + 1]), Err(DirectiveError::TooLong));
}

#[test]
fn only_one_spelling_is_read() {
    let pause = directive(Action::Pause, 1).to_bytes();
    let text = hex::encode(&pause);
    let read = |text: String| Directive::from_bytes(&hex::decode(text).expect("hexadecimal"));
    for (from, to, why) in [
        ("aa0001", "bf0001", "a map without a length"),
        ("aa0001", "b80a0001", "a longer length"),
        ("aa0001", "aa001801", "a longer integer"),
        ("aa0001016b", "aa0001017f6b", "a text in pieces"),
        ("028101", "02820100", "an action with too much"),
        ("028101", "02810a", "an unknown action"),
        ("03f5", "03f4", "all accounts, not"),
        ("03f5", "0380", "no accounts"),
        ("08f6", "08f7", "undefined for null"),
    ] {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        assert!(read(text.replace(from, to)).is_err(), "{why}");
    }
    assert_eq!(read(text.clone() + "00"), Err(DirectiveError::Malformed));
    assert_eq!(read(text.replace("aa0001", "aa0002")), Err(DirectiveError::Version(2)));
    let two = Accounts::Only(["a", "b"].map(|text| AccountName::new(text).expect("a name")).into());
    let listed = Directive::new(Content { accounts: two, ..content(Action::Pause, 1) }).expect("holds");
    let text = hex::encode(listed.to_bytes());
    assert!(read(text.replace("0382 6161 6162".replace(' ', "").as_str(), "038261626161")).is_err(), "order");
    assert!(read(text.replace("038261616162", "038261616161")).is_err(), "repetition");
    let scaled = Action::Rebase { old: decimal("100.5"), new: decimal("90") };
    let text = hex::encode(directive(scaled, 1).to_bytes());
    assert!(read(text.replace("653130302e35", "663130302e3530")).is_err(), "100.50");
}

fn actions() -> impl Strategy<Value = Action> {
    let starts = (any::<[u8; 32]>(), 1_i128..=2500).prop_map(|(digest, steps)| Start {
        incident: name("i-1"),
        reconciliation: Digest(digest),
        size_factor: Decimal::new(steps, 4).expect("a decimal").try_into().expect("a factor"),
    });
    let keys = prop::collection::btree_set("[a-z0-9._@-]{1,64}".prop_map(|text| name(&text)), 1..=32);
    prop_oneof![
        Just(Action::Pause),
        Just(Action::CancelAll),
        Just(Action::Flatten),
        any::<bool>().prop_map(|revoke| Action::Kill { revoke }),
        starts.clone().prop_map(Action::Resume),
        starts.clone().prop_map(Action::Restart),
        (starts, keys).prop_map(|(start, keys)| Action::Recommission { start, keys }),
        (1_i128..1_000_000, 0_u8..9, 1_000_000_i128..9_000_000).prop_map(|(old, scale, new)| {
            Action::Rebase {
                old: Decimal::new(old, scale).expect("a decimal"),
                new: Decimal::new(new, 0).expect("a decimal"),
            }
        }),
        any::<[u8; 32]>()
            .prop_filter("a change", |new| *new != POLICY.0)
            .prop_map(|new| Action::LoosenPolicy { old: POLICY, new: Digest(new) }),
    ]
}

fn contents() -> impl Strategy<Value = Content> {
    let accounts = prop_oneof![
        Just(Accounts::All),
        prop::collection::btree_set(
            "[a-z0-9_-]{1,32}".prop_map(|text| AccountName::new(text).expect("a name")),
            1..9
        )
        .prop_map(Accounts::Only),
    ];
    let proposer = prop::option::of("[a-z0-9.]{1,64}".prop_map(|text| Name::new(text).expect("a name")));
    let reason = "[a-zà-ÿ0-9,][a-zà-ÿ0-9 ,]{0,60}[a-z]".prop_map(|text| Reason::new(text).expect("a reason"));
    let times = (0..253_402_300_000_000_u64, 1..=MAX_VALIDITY_MS);
    (actions(), accounts, times, any::<[u8; 16]>(), proposer, reason).prop_map(
        |(action, accounts, (from, validity), nonce, proposer, reason)| Content {
            id: name("d-1"),
            action,
            accounts,
            policy: POLICY,
            not_before: Timestamp::from_ms(from),
            expires_at: Timestamp::from_ms((from + validity).min(253_402_300_799_999)),
            nonce: Nonce(nonce),
            proposer,
            reason,
        },
    )
}

proptest! {
    #[test]
    fn a_directive_reads_as_it_is_written(content in contents()) {
        let directive = Directive::new(content.clone()).expect("holds together");
        prop_assert_eq!(directive.content(), &content);
        let again = Directive::from_bytes(&directive.to_bytes()).expect("reads");
        prop_assert_eq!(&again, &directive);
        prop_assert_eq!(again.render(), directive.render());
        let text = serde_json::to_string(&directive).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Directive>(&text).expect("JSON"), directive);
    }

    #[test]
    fn different_directives_differ_in_digest_and_text(one in contents(), other in contents()) {
        let (one, other) = (Directive::new(one).unwrap(), Directive::new(other).unwrap());
        if one != other {
            prop_assert_ne!(one.digest(), other.digest());
            prop_assert_ne!(one.render(), other.render());
        }
    }
}

#[test]
fn only_stops_do_not_loosen() {
    let stops: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| !kind.loosens()).collect();
    assert_eq!(stops, [Kind::Pause, Kind::CancelAll, Kind::Flatten, Kind::Kill]);
}
