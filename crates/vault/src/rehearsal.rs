//! The vault's state machine with nothing around it: no socket, no journal, every record durable at
//! once. For whoever throws bytes at it and looks at what comes back; it is the vault's own code on
//! the vault's own path, with keys made here that are worth nothing anywhere.

use std::collections::BTreeMap;

use keys::{NewKey, RecordKey, Role, RootSecret, SealedStore, SecretText};
use policy::Policy;
use trading::{Timestamp, Venue};
use venue::Surface;

use crate::core::{Core, Durability, Input, Output};
use crate::recorder::Recorder;
use crate::request::Caller;
use crate::signer::{BaseUrls, Signer};
use crate::ticket::DurableBelow;

/// Seed of the record key: what is rehearsed is no log.
const RECORD_SEED: [u8; 32] = [5; 32];

/// A vault on paper.
pub struct Rehearsal {
    core: Core,
    now: Timestamp,
    out: Vec<Output>,
}

impl std::fmt::Debug for Rehearsal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Rehearsal(..)")
    }
}

impl Rehearsal {
    /// A vault under `policy` (TOML) with an HMAC key for each of its accounts, at time `now`.
    ///
    /// # Errors
    ///
    /// What is wrong with the policy.
    pub fn new(policy: &str, now: Timestamp) -> Result<Self, String> {
        let root = RootSecret::generate();
        let store = sealed(&root, policy, now)?;
        let (signer, policy) = Signer::open(root, &store.to_json(), bases())?;
        let recorder = Recorder::new(1, RecordKey::from_seed(&RECORD_SEED), 0, [0; 32]);
        Ok(Self { core: Core::new(policy, signer, recorder, Durability::Disk), now, out: Vec::new() })
    }

    /// What a bot of user `uid` hears on the sign socket.
    pub fn bot(&mut self, uid: u32, line: &[u8]) -> Vec<Vec<u8>> {
        self.step(Input::Line { from: 1, caller: Caller::Direct { uid }, line, salt: [1; 16] })
    }

    /// What the gateway hears on its own socket.
    pub fn gateway(&mut self, line: &[u8]) -> Vec<Vec<u8>> {
        self.step(Input::Line { from: 2, caller: Caller::Gateway, line, salt: [2; 16] })
    }

    /// What an operator's command hears.
    pub fn operator(&mut self, line: &[u8]) -> Vec<Vec<u8>> {
        self.step(Input::Command { from: 3, uid: 0, line, salt: [3; 16] })
    }

    /// How many records were made.
    pub fn records(&mut self) -> u64 {
        self.core.recorder().next_index()
    }

    /// One input, then the disk's word for everything that came of it.
    fn step(&mut self, input: Input<'_>) -> Vec<Vec<u8>> {
        self.core.step(input, self.now, &mut self.out);
        self.core.recorder().leaves_to_send().for_each(drop);
        let below = DurableBelow::acknowledged(self.core.recorder().next_index());
        self.core.step(Input::Durable(below), self.now, &mut self.out);
        let replies = self.out.drain(..).filter_map(|output| match output {
            Output::Reply { line, .. } => Some(line),
            Output::Append { .. } => None,
        });
        replies.collect()
    }
}

fn sealed(root: &RootSecret, text: &str, now: Timestamp) -> Result<SealedStore, String> {
    let policy = Policy::parse(text).map_err(|mistakes| format!("{mistakes:?}"))?;
    let mut store = SealedStore::new(text, &policy.hash());
    for (account, own) in policy.accounts() {
        let secret = SecretText::new(format!("rehearsal-secret-of-{account}"));
        let api_key = format!("rehearsal-key-of-{account}");
        let new = NewKey {
            venue: own.venue(),
            account,
            role: Role::Trade,
            api_key: &api_key,
            secret: &secret,
            added_at: now,
        };
        store.add(root, &policy.hash(), &new).map_err(|error| error.to_string())?;
    }
    Ok(store)
}

/// Hosts that do not exist.
fn bases() -> BaseUrls {
    let on = |host: &str, surfaces: &[Surface]| -> BTreeMap<Surface, String> {
        surfaces.iter().map(|surface| (*surface, format!("http://{host}.test"))).collect()
    };
    BaseUrls(BTreeMap::from([
        (Venue::Bybit, on("bybit", &[Surface::V5])),
        (Venue::Binance, on("binance", &[Surface::Spot, Surface::UsdMargined, Surface::CoinMargined])),
    ]))
}
