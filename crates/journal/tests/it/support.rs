//! A vault's side of the log: bodies, epochs and leaves with real keys.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use journal::storage::{Disk, Storage};
use journal::{Folder, JournalError, Log, LogSigner, Recovered};
use protocol::journal::{Reply, Request, Role, split};
use trading::Timestamp;
use transparency::{Body, Denial, Epoch, Hash, Leaf, Options, Outcome, Report, Statement, sha256, verify};

pub(crate) const SEED: [u8; 32] = [42; 32];

pub(crate) struct Vault {
    pub(crate) epoch: u64,
    pub(crate) next: u64,
    pub(crate) unleafed: Vec<(u64, Vec<u8>)>,
    previous: Hash,
    pair: Ed25519KeyPair,
}

impl Vault {
    /// A vault of the epoch after `epoch` that goes on where the log ends.
    pub(crate) fn new(epoch: u64, next: u64, previous: Hash, unleafed: Vec<(u64, Vec<u8>)>) -> Self {
        let seed = [u8::try_from(epoch + 1).expect("few epochs"); 32];
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("seed");
        Self { epoch: epoch + 1, next, unleafed, previous, pair }
    }

    /// A vault that takes over from an open log.
    pub(crate) fn after(log: &Log, folder: &Folder) -> Self {
        let (from, to) = log.unleafed();
        let bodies = folder.records_from(from).expect("records").map(|record| record.expect("record"));
        let bodies = bodies.filter(|found| (from..to).contains(&found.sequence));
        let unleafed = bodies.map(|found| (found.sequence, found.record.body)).collect();
        Self::new(log.epoch(), log.next_sequence(), log.last_body_digest(), unleafed)
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        self.pair.public_key().as_ref().try_into().expect("32 bytes")
    }

    pub(crate) fn body(&mut self, operation: &str, detail: &[u8]) -> Vec<u8> {
        let outcome = match (operation, self.next % 3) {
            ("place", 0) => Outcome::Approved,
            ("place", 1) => {
                Outcome::Denied(vec![Denial { code: "quantity".into(), text: "too much".into() }])
            }
            _ => Outcome::Event,
        };
        let body = Body {
            version: 1,
            sequence: self.next,
            epoch: self.epoch,
            time: Timestamp::from_ms(1_700_000_000_000 + self.next),
            actor: "grid".into(),
            account: Some("main".into()),
            operation: operation.into(),
            detail_digest: sha256(detail),
            outcome,
            policy_hash: [7; 32],
            state_digest: [8; 32],
            signed_digest: None,
            signature_digest: None,
            key_id: None,
            previous: self.previous,
            salt: [9; 16],
        };
        let bytes = body.encode().expect("short");
        self.previous = sha256(&bytes);
        self.unleafed.push((self.next, bytes.clone()));
        self.next += 1;
        bytes
    }

    /// Body and detail of the record that opens this vault's epoch.
    pub(crate) fn opening(&mut self, statement: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
        let first = self.unleafed.first().map_or(self.next, |(first, _)| *first);
        let detail = Epoch {
            epoch: self.epoch,
            isolation: "software".into(),
            public_key: self.public(),
            policy_hash: [7; 32],
            previous_size: first,
            adopted: (first < self.next).then_some((first, self.next)),
            statement,
        };
        let detail = detail.encode();
        (self.body(Epoch::OPERATION, &detail), detail)
    }

    pub(crate) fn statement(&self) -> Statement {
        Statement {
            isolation: "software".into(),
            epoch: self.epoch,
            public_key: self.public(),
            policy_hash: [7; 32],
        }
    }

    /// Signs the next missing leaf.
    pub(crate) fn leaf(&mut self) -> (u64, [u8; 128]) {
        let (sequence, body) = self.unleafed.remove(0);
        let sign = |message: &[u8]| -> Result<[u8; 64], std::convert::Infallible> {
            Ok(self.pair.sign(message).as_ref().try_into().expect("64 bytes"))
        };
        let Ok(leaf) = Leaf::sign(&body, &self.public(), sign);
        (sequence, leaf.to_bytes())
    }

    /// Opens the epoch in a log.
    pub(crate) fn begin(&mut self, log: &mut Log) -> Result<(), JournalError> {
        let statement = signer().vouch(&self.statement());
        let sequence = self.next;
        let (body, detail) = self.opening(statement);
        log.append_body(sequence, &body, &detail)
    }

    /// Appends a record.
    pub(crate) fn place(&mut self, log: &mut Log) -> Result<(), JournalError> {
        let sequence = self.next;
        let detail = detail(sequence);
        let body = self.body("place", &detail);
        log.append_body(sequence, &body, &detail)
    }

    /// Signs and appends `count` leaves.
    pub(crate) fn sign(&mut self, log: &mut Log, count: usize) -> Result<(), JournalError> {
        for _ in 0..count.min(self.unleafed.len()) {
            let (sequence, leaf) = self.leaf();
            log.append_leaf(sequence, &leaf)?;
        }
        Ok(())
    }
}

pub(crate) fn detail(sequence: u64) -> Vec<u8> {
    let text = format!(
        "{{\"intent\":{{\"place\":{{\"instrument\":\"bybit:linear:BTCUSDT\",\"client_order_id\":\"c{sequence}\"}}}}}}"
    );
    text.into_bytes()
}

pub(crate) fn signer() -> Arc<LogSigner> {
    Arc::new(LogSigner::from_seed(&SEED))
}

/// Opens a log with the test key; `log.pub` is written as the key's own loading would.
pub(crate) fn open(dir: &Path) -> Result<(Log, Recovered), JournalError> {
    open_on(Arc::new(Disk), dir, 16 << 10)
}

pub(crate) fn open_on(
    storage: Arc<dyn Storage>,
    dir: &Path,
    segment: u64,
) -> Result<(Log, Recovered), JournalError> {
    let failed = |source| JournalError::Io { action: "prepare", path: dir.to_owned(), source };
    storage.create_folder(dir).map_err(failed)?;
    let line = format!("{}\n", signer().public());
    let path = dir.join("log.pub");
    if storage.read(&path).ok().flatten().is_none() {
        let temporary = dir.join("log.tmp");
        let written = storage
            .write(&temporary, line.as_bytes())
            .and_then(|()| storage.rename(&temporary, &path))
            .and_then(|()| storage.sync_folder(dir));
        written.map_err(failed)?;
    }
    Log::open_with(storage, dir, signer(), 1_700_000_000_000, segment)
}

pub(crate) fn check(dir: &Path) -> Report {
    verify(&Folder::open_read_only(dir).expect("log"), &Options::default())
}

#[track_caller]
pub(crate) fn assert_intact(dir: &Path) -> Report {
    let report = check(dir);
    assert_eq!(report.fault, None, "{report:?}");
    report
}

/// A log of `records` records in one epoch, all but the last `open` with leaves.
pub(crate) fn filled(dir: &Path, records: u64, open_leaves: usize) -> (Log, Vault) {
    let (mut log, _) = open(dir).expect("opens");
    let mut vault = Vault::new(0, 0, [0; 32], Vec::new());
    vault.begin(&mut log).expect("epoch");
    while vault.next < records {
        vault.place(&mut log).expect("append");
        if vault.next.is_multiple_of(5) {
            log.sync().expect("sync");
        }
        if vault.unleafed.len() > open_leaves {
            vault.sign(&mut log, 1).expect("leaf");
        }
    }
    let count = vault.unleafed.len().saturating_sub(open_leaves);
    vault.sign(&mut log, count).expect("leaves");
    log.sync().expect("sync");
    (log, vault)
}

/// A blocking client of the journal's socket.
pub(crate) struct Client {
    stream: UnixStream,
    input: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(path: &Path, role: Role) -> Self {
        let stream = UnixStream::connect(path).expect("connects");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
        let mut client = Self { stream, input: Vec::new() };
        // A connection that is refused at once may be closed before the greeting.
        let mut out = Vec::new();
        Request::Hello { role }.encode(&mut out).expect("small");
        let _ = client.stream.write_all(&out);
        client
    }

    pub(crate) fn send(&mut self, request: &Request<'_>) {
        let mut out = Vec::new();
        request.encode(&mut out).expect("small");
        self.send_bytes(&out);
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sends");
    }

    /// Hands the next reply to `look`; `None` at the end of the stream.
    pub(crate) fn reply<T>(&mut self, look: impl FnOnce(Option<Reply<'_>>) -> T) -> T {
        loop {
            if let Some((frame, used)) = split(&self.input).expect("frame") {
                let seen = look(Some(Reply::decode(frame).expect("reply")));
                self.input.drain(..used);
                return seen;
            }
            let mut part = [0; 65536];
            match self.stream.read(&mut part) {
                Ok(0) => return look(None),
                Ok(read) => self.input.extend_from_slice(&part[..read]),
                // The other side closed with bytes of ours unread.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return look(None),
                Err(error) => panic!("reading: {error}"),
            }
        }
    }

    /// Whether the next reply, which stays to be read, is a welcome.
    pub(crate) fn peek_is_welcome(&mut self) -> bool {
        let welcome = self.reply(|reply| {
            matches!(reply, Some(Reply::Welcome { .. })).then(|| {
                let mut again = Vec::new();
                reply.expect("matched").encode(&mut again).expect("small");
                again
            })
        });
        welcome.map(|again| self.input.splice(0..0, again).for_each(drop)).is_some()
    }

    pub(crate) fn await_durable(&mut self, sequence: u64) {
        loop {
            let reached = self.reply(|reply| match reply {
                Some(Reply::Durable { sequence }) => sequence,
                other => panic!("expected durable, got {other:?}"),
            });
            if reached >= sequence {
                return;
            }
        }
    }

    pub(crate) fn error(&mut self) -> String {
        self.reply(|reply| match reply {
            Some(Reply::Error { text }) => text.to_owned(),
            other => panic!("expected an error, got {other:?}"),
        })
    }
}
