//! Files that an operator, a backup or an attacker puts there.

use gateway::Directory;
use keys::{RootSecret, SealedStore, SecretText, SigningKey};
use policy::{Context, Decision, Policy, Request, State};
use trading::{Instrument, Intent, Order, Timestamp};

use crate::engine::{Attacked, both, shape};
use crate::targets::requests::NOW;

/// The secret under which the committed store was sealed; it guards nothing.
const ROOT: &str = "abababababababababababababababababababababababababababababababab";
const STORE: &str = include_str!("../../corpus/sealed-store/two-keys.json");
const POLICY: &str = include_str!("../permissive.toml");

pub(crate) fn store_seeds() -> Vec<Vec<u8>> {
    vec![STORE.as_bytes().to_vec()]
}

/// The sealed store.
pub(crate) fn stores() -> Attacked {
    let root = RootSecret::from_hex(ROOT).expect("hexadecimal");
    let hash = Policy::parse(POLICY).expect("sound").hash();
    let original = SealedStore::from_json(STORE).expect("sound").open(&root, &hash).expect("ours");
    let own: Vec<String> = original.iter().map(|key| key.api_key.clone()).collect();
    Box::new(move |input| {
        let Ok(text) = std::str::from_utf8(input) else { return 1 };
        let store = match SealedStore::from_json(text) {
            Ok(store) => store,
            Err(error) => return shape(&error.to_string()),
        };
        let again = SealedStore::from_json(&store.to_json()).expect("our own form");
        assert_eq!(again.to_json(), store.to_json());
        match store.open(&root, &hash) {
            Ok(keys) => {
                assert!(keys.iter().all(|key| own.contains(&key.api_key)), "a key that nobody sealed");
                both(2, keys.len() as u64)
            }
            Err(error) => shape(&error.to_string()),
        }
    })
}

/// What an operator pastes as a venue key: text, PEM, PKCS#8.
pub(crate) fn keys() -> Attacked {
    Box::new(|input| {
        let Ok(text) = std::str::from_utf8(input) else { return 1 };
        match SigningKey::parse(&SecretText::new(text.to_owned())) {
            Ok(key) => {
                assert!(!key.sign(b"message").is_empty());
                assert_eq!(key.sign(b"message")[..], key.sign(b"message")[..]);
                shape(&format!("{:?}", key.algorithm()))
            }
            Err(error) => {
                let said = error.to_string();
                assert!(text.len() < 24 || !said.contains(text), "an error repeats the key");
                shape(&said)
            }
        }
    })
}

/// The bots' logins.
pub(crate) fn stand_ins() -> Attacked {
    Box::new(|input| match serde_json::from_slice::<Directory>(input) {
        Ok(directory) => {
            let text = serde_json::to_vec(&directory).expect("plain");
            assert_eq!(serde_json::from_slice::<Directory>(&text).ok(), Some(directory));
            2
        }
        Err(error) => shape(&error.to_string()),
    })
}

fn order(price: &str, client_order_id: &str) -> Intent {
    let order = serde_json::json!({
        "instrument": "binance:spot:BTCUSDT", "side": "buy", "order_type": "limit", "amount": {"base": "0.5"},
        "price": price, "trigger_price": null, "time_in_force": "good_till_cancel", "post_only": false,
        "reduce_only": false, "client_order_id": client_order_id,
    });
    Intent::Place(serde_json::from_value::<Order>(order).expect("an order"))
}

/// Counters of an account before and after a few orders.
pub(crate) fn state_seeds() -> Vec<Vec<u8>> {
    let policy = Policy::parse(POLICY).expect("sound");
    let mut state = State::new("binance".parse().expect("a name"));
    let mut texts = vec![text(&state)];
    let mut context = Context { now: NOW, ..Context::default() };
    for number in 0..3 {
        context.now = Timestamp::from_ms(context.now.as_ms() + 1_000);
        let request = request(order(&format!("6000{number}"), &format!("order-{number}")), context.now);
        if let Decision::Approve(approved) = policy::evaluate(&policy, &state, request, &context) {
            state.commit(&approved);
        }
        texts.push(text(&state));
    }
    texts
}

fn request(intent: Intent, now: Timestamp) -> Request {
    Request {
        bot: "demo".parse().expect("a name"),
        account: "binance".parse().expect("a name"),
        intent,
        sent_at: Some(now),
        recv_window_ms: Some(5_000),
        expires_at: None,
        thesis: None,
        extras: Vec::new(),
    }
}

fn text(state: &State) -> Vec<u8> {
    serde_json::to_vec(state).expect("plain")
}

/// Counters as they are written into the log, read back and then used.
pub(crate) fn states() -> Attacked {
    let policy = Policy::parse(POLICY).expect("sound");
    let instrument: Instrument = "binance:spot:BTCUSDT".parse().expect("an instrument");
    let context = Context { now: Timestamp::from_ms(NOW.as_ms() + 10_000), ..Context::default() };
    Box::new(move |input| {
        let mut state: State = match serde_json::from_slice(input) {
            Ok(state) => state,
            Err(error) => return shape(&error.to_string()),
        };
        let again: State = serde_json::from_slice(&text(&state)).expect("our own form");
        assert_eq!((text(&again), again.digest()), (text(&state), state.digest()));
        let _ =
            (state.signed_today(context.now), state.signed_24h(context.now), state.is_stopped(&instrument));
        let open = state.open_orders(context.now);
        let decision =
            policy::evaluate(&policy, &state, request(order("60001", "next"), context.now), &context);
        match decision {
            Decision::Approve(approved) => {
                state.commit(&approved);
                both(3, open.min(8))
            }
            Decision::Deny(denied) => {
                let codes: Vec<&str> = denied.denials().iter().map(policy::Denial::code).collect();
                both(4, shape(&codes.join(",")))
            }
        }
    })
}
