//! The watch vault: signs questions about accounts with keys that may only read, and nothing else.
//!
//! A process of its own with a store and a socket of its own; it shares no key, file or socket with the
//! vault that trades. What it signs is made here from a typed question and taken apart again before it
//! leaves: nothing that a caller writes reaches a key. It keeps no log, because nothing it signs changes
//! anything (`docs/decisions/0012-the-watch-vault-keeps-no-log.md`).

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keys::{KeyStage, Role, RootSecret, VenueKey};
use protocol::line::{LineBuffer, LineTooLong};
use protocol::peer::Peer;
use protocol::sign::ReadyRequest;
use protocol::watch::{WatchLine, WatchReply};
use serde::{Deserialize, Serialize};
use trading::{AccountName, Timestamp, Venue};
use venue::watch::Question;

use crate::clock::Clock;
use crate::signer::{BaseUrls, open_store, ready_http};
use crate::{VaultError, io_error};

/// Most callers at once: two watchdogs, and somebody who looks.
const MAX_CALLERS: usize = 4;
/// Validity of a question, in milliseconds.
const RECV_WINDOW_MS: u64 = 5_000;

/// Everything the watch vault needs to start that is not secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The sealed store of the keys that read.
    pub store: String,
    /// Where signed requests are to be sent.
    pub bases: BaseUrls,
}

/// What it says when it can answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Hash of the policy its store is sealed under, hexadecimal.
    pub policy_hash: String,
    /// Keys it holds.
    pub keys: usize,
}

/// Runs until standard input ends.
///
/// # Errors
///
/// [`VaultError`] if the store does not open or the socket fails.
pub fn run(
    root: &RootSecret,
    config: Config,
    listener: UnixListener,
    ready: impl FnOnce(&Ready),
) -> Result<(), VaultError> {
    let (keys, policy) = open_store(root, &config.store, Role::Watch).map_err(VaultError::Store)?;
    let said = Ready { policy_hash: hex::encode(policy.hash()), keys: keys.len() };
    let watcher = Arc::new(Watcher { keys, bases: config.bases });
    std::thread::Builder::new()
        .name("callers".to_owned())
        .spawn(move || accept(&listener, &watcher))
        .map_err(io_error("cannot start serving"))?;
    ready(&said);
    let mut scrap = [0; 64];
    while io::stdin().lock().read(&mut scrap).map_err(io_error("stopped"))? > 0 {}
    Ok(())
}

fn accept(listener: &UnixListener, watcher: &Arc<Watcher>) {
    let callers = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                tracing::error!(%error, "callers can no longer be accepted");
                return;
            }
        };
        let is_own = Peer::of(&stream).is_ok_and(|peer| peer.uid == Peer::own_uid() || peer.uid == 0);
        if !is_own || callers.load(Ordering::Acquire) >= MAX_CALLERS {
            tracing::warn!("refused a caller: of another user, or {MAX_CALLERS} are there");
            continue;
        }
        callers.fetch_add(1, Ordering::AcqRel);
        let (watcher, left) = (Arc::clone(watcher), Arc::clone(&callers));
        let served = std::thread::Builder::new().name("caller".to_owned()).spawn(move || {
            if let Err(error) = serve(stream, &watcher) {
                tracing::debug!(%error, "a caller is gone");
            }
            left.fetch_sub(1, Ordering::AcqRel);
        });
        if let Err(error) = served {
            tracing::error!(%error, "a caller cannot be served");
            callers.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

fn serve(mut stream: UnixStream, watcher: &Watcher) -> io::Result<()> {
    let (mut clock, mut input, mut chunk) = (Clock::start(), LineBuffer::new(), [0; 4096]);
    loop {
        loop {
            let line = match input.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(LineTooLong) => return Err(io::Error::other(LineTooLong)),
            };
            let mut reply = crate::json(&watcher.answer(line, clock.now()));
            reply.push(b'\n');
            stream.write_all(&reply)?;
        }
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            count => input.extend(&chunk[..count]),
        }
    }
}

/// The keys, and where what they sign may go.
struct Watcher {
    keys: Vec<VenueKey>,
    bases: BaseUrls,
}

impl Watcher {
    fn answer(&self, line: &[u8], now: Timestamp) -> WatchReply {
        let signed = WatchLine::read(line)
            .map_err(|error| error.to_string())
            .and_then(|WatchLine { account, ask }| self.sign(&account, &ask, now));
        match signed {
            Ok(request) => WatchReply::Signed { request },
            Err(why) => WatchReply::Refused { why },
        }
    }

    fn sign(&self, account: &AccountName, ask: &Question, now: Timestamp) -> Result<ReadyRequest, String> {
        let venue = ask.reading.venue();
        let key = self.key_for(venue, account)?;
        let unsigned =
            venue::watch::request(ask, now, RECV_WINDOW_MS).map_err(|error| format!("`ask`: {error}"))?;
        let surface = unsigned.surface();
        let signature = key.signing.sign(&venue::signing_input(&unsigned, &key.api_key));
        let finished = venue::attach(unsigned, &key.api_key, key.signing.algorithm(), &signature);
        // The finished bytes once more: they must ask what was to be asked.
        if !venue::watch::meaning(venue, &finished).is_ok_and(|meant| meant == *ask) {
            return Err("the finished request does not ask what was asked for".to_owned());
        }
        match finished {
            venue::Signed::Http(request) => {
                ready_http(&self.bases, venue, surface, request).map_err(str::to_owned)
            }
            venue::Signed::Message(body) => Ok(ReadyRequest {
                method: "FRAME".to_owned(),
                url: String::new(),
                headers: serde_json::Map::new(),
                body,
                intent: None,
                first_order: None,
            }),
        }
    }

    fn key_for(&self, venue: Venue, account: &AccountName) -> Result<&VenueKey, String> {
        let fits = |key: &&VenueKey| {
            key.description.venue == venue
                && key.description.account == *account
                && key.description.stage == KeyStage::Active
        };
        self.keys.iter().find(fits).ok_or_else(|| {
            format!(
                "there is no {venue} key that reads account {account}; see `seawall key add --role watch`"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use keys::{NewKey, SealedStore, SecretText};
    use policy::Policy;
    use venue::Surface;
    use venue::watch::{BybitReading, Reading, Window};

    const POLICY: &str = "version = 1\nwatchdogs = []\n[bots]\n[accounts]\n";
    const NOW: Timestamp = Timestamp::from_ms(1_772_600_000_000);

    fn store(root: &RootSecret, role: Role) -> String {
        let policy = Policy::parse(POLICY).expect("a policy");
        let mut store = SealedStore::new(POLICY, &policy.hash());
        let (secret, account) =
            (SecretText::new("worth nothing".to_owned()), "main".parse().expect("a name"));
        let new = NewKey {
            venue: Venue::Bybit,
            account: &account,
            role,
            api_key: "key-that-reads",
            secret: &secret,
            added_at: NOW,
        };
        store.add(root, &policy.hash(), &new).expect("a new key");
        store.to_json()
    }

    fn watcher() -> Watcher {
        let root = RootSecret::generate();
        let (keys, _) = open_store(&root, &store(&root, Role::Watch), Role::Watch).expect("its own store");
        let bases = [(Venue::Bybit, [(Surface::V5, "http://bybit.test".to_owned())].into())].into();
        Watcher { keys, bases: BaseUrls(bases) }
    }

    fn ask(reading: BybitReading) -> String {
        let line =
            WatchLine { account: "main".parse().expect("a name"), ask: Reading::Bybit(reading).into() };
        serde_json::to_string(&line).expect("plain values")
    }

    #[test]
    fn a_question_is_signed_and_means_what_was_asked() {
        let reply = watcher().answer(ask(BybitReading::Wallet).as_bytes(), NOW);
        let WatchReply::Signed { request } = reply else { panic!("refused: {reply:?}") };
        assert_eq!(request.method, "GET");
        assert!(request.url.starts_with("http://bybit.test/v5/account/wallet-balance?"), "{}", request.url);
        assert_eq!(request.headers["X-BAPI-API-KEY"], "key-that-reads");
        assert!(request.headers.contains_key("X-BAPI-SIGN"));
        let login = watcher().answer(ask(BybitReading::StreamLogin(NOW)).as_bytes(), NOW);
        assert!(matches!(login, WatchReply::Signed { request } if request.method == "FRAME"));
    }

    #[test]
    fn nothing_else_is() {
        let watcher = watcher();
        let window = Window { since: NOW, until: Timestamp::from_ms(NOW.as_ms() - 1) };
        let wallet = ask(BybitReading::Wallet);
        for (line, part) in [
            (r#"{"bot":"mine","venue":"bybit","order":{"symbol":"BTCUSDT"}}"#.to_owned(), "unknown field"),
            (r#"["main",{"reading":{"bybit":"wallet"},"page":null}]"#.to_owned(), "expected an object"),
            (wallet.replace("wallet", "withdraw"), "unknown variant"),
            (wallet.replace("\"main\"", "\"other\""), "no bybit key that reads account other"),
            (wallet.replace("{\"bybit\":\"wallet\"}", "{\"binance\":\"spot\"}"), "no binance key"),
            (wallet.replacen('{', "{\"account\":\"main\",", 1), "duplicate field"),
            (ask(BybitReading::Log(window)), "window"),
        ] {
            let WatchReply::Refused { why } = watcher.answer(line.as_bytes(), NOW) else { panic!("{line}") };
            assert!(why.contains(part), "{line}: {why}");
        }
        let nowhere = Watcher { bases: BaseUrls(BTreeMap::new()), ..watcher };
        assert!(matches!(nowhere.answer(wallet.as_bytes(), NOW), WatchReply::Refused { .. }));
    }

    #[test]
    fn a_store_of_keys_that_trade_is_not_opened() {
        let root = RootSecret::generate();
        let opened = open_store(&root, &store(&root, Role::Trade), Role::Watch);
        let Err(error) = opened else { panic!("opened") };
        assert!(error.contains("is for trade, and this is the watch vault"), "{error}");
    }
}
