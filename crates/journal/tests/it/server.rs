//! The process over its socket.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use journal::{Config, Filter, Index, JournalError, Listen};
use protocol::journal::{Reply, Request, Role};
use tempfile::{TempDir, tempdir};
use transparency::{Bundle, verify_proof};

use crate::support::{Client, Vault, assert_intact, detail};

struct Running {
    dir: TempDir,
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<Result<(), JournalError>>>,
}

impl Running {
    fn start() -> Self {
        Self::start_in(tempdir().expect("dir"))
    }

    fn start_in(dir: TempDir) -> Self {
        let (read, write) = rustix::pipe::pipe().expect("pipe");
        let socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).expect("socket");
        let config = Config {
            dir: dir.path().join("log"),
            key: dir.path().join("log.key"),
            // Listening before the start, so that no test has to wait for the socket to appear.
            listen: Listen::Inherited(socket.into()),
            checkpoint_every: Duration::from_millis(20),
            pause: Duration::ZERO,
        };
        let thread = std::thread::spawn(move || journal::run(config, |_| (), read.as_fd()));
        Self { dir, stop: Some(write), thread: Some(thread) }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn connect(&self, role: Role) -> Client {
        Client::connect(&self.dir.path().join("socket"), role)
    }

    fn stop(mut self) -> TempDir {
        drop(self.stop.take());
        self.thread.take().expect("once").join().expect("no panic").expect("clean end");
        std::fs::remove_file(self.dir.path().join("socket")).expect("socket");
        self.dir
    }
}

/// Greets, opens the next epoch, and returns the vault that may go on.
fn begin(client: &mut Client) -> Vault {
    let (next, unleafed, previous, epoch) = client.reply(|reply| match reply {
        Some(Reply::Welcome { next_sequence, unleafed, last_body_digest, epoch, .. }) => {
            (next_sequence, unleafed, last_body_digest, epoch)
        }
        other => panic!("{other:?}"),
    });
    let mut bodies = Vec::new();
    if unleafed.0 < unleafed.1 {
        client.send(&Request::Replay { from: unleafed.0 });
        while client.reply(|reply| match reply {
            Some(Reply::Record { sequence, body, .. }) => {
                bodies.push((sequence, body.to_vec()));
                true
            }
            Some(Reply::ReplayEnd { .. }) => false,
            other => panic!("{other:?}"),
        }) {}
    }
    let mut vault = Vault::new(epoch, next, previous, bodies);
    let public_key = vault.public();
    client.send(&Request::Vouch { epoch: vault.epoch, public_key: &public_key, policy_hash: &[7; 32] });
    let statement = client.reply(|reply| match reply {
        Some(Reply::Statement { statement }) => statement.to_vec(),
        other => panic!("{other:?}"),
    });
    let sequence = vault.next;
    let (body, detail) = vault.opening(statement);
    client.send(&Request::Append { sequence, body: &body, detail: &detail });
    client.await_durable(sequence);
    vault
}

fn append(client: &mut Client, vault: &mut Vault) -> u64 {
    let sequence = vault.next;
    let detail = detail(sequence);
    let body = vault.body("place", &detail);
    client.send(&Request::Append { sequence, body: &body, detail: &detail });
    sequence
}

fn sign_all(client: &mut Client, vault: &mut Vault) {
    while !vault.unleafed.is_empty() {
        let (sequence, leaf) = vault.leaf();
        client.send(&Request::Leaf { sequence, leaf: &leaf });
    }
}

#[test]
fn records_go_round_and_survive_a_restart() {
    let running = Running::start();
    let mut client = running.connect(Role::Appender);
    let mut vault = begin(&mut client);
    for _ in 0..10 {
        let sequence = append(&mut client, &mut vault);
        client.await_durable(sequence);
        sign_all(&mut client, &mut vault);
    }
    let last = (0..300).map(|_| append(&mut client, &mut vault)).last().expect("some");
    client.await_durable(last);
    sign_all(&mut client, &mut vault);
    client.send(&Request::Checkpoint);
    client.reply(|reply| match reply {
        Some(Reply::Status { records: 311, leaves: 311, checkpoint_size: 311, .. }) => {}
        other => panic!("{other:?}"),
    });
    let report = assert_intact(&running.log());
    assert_eq!((report.records, report.covered), (311, 311));

    let mut reader = running.connect(Role::Reader);
    reader.reply(|reply| assert!(matches!(reply, Some(Reply::Welcome { next_sequence: 311, .. }))));
    reader.send(&Request::Replay { from: 5 });
    for expected in 5..311 {
        reader.reply(|reply| match reply {
            Some(Reply::Record { sequence, detail: found, leaf: Some(_), .. }) => {
                assert_eq!((sequence, found), (expected, detail(expected).as_slice()));
            }
            other => panic!("{other:?}"),
        });
    }
    reader.reply(|reply| assert_eq!(reply, Some(Reply::ReplayEnd { next_sequence: 311 })));
    reader.send(&Request::GetProof { sequence: 123 });
    let bundle = reader.reply(|reply| match reply {
        Some(Reply::Proof { bundle }) => Bundle::from_json(bundle).expect("bundle"),
        other => panic!("{other:?}"),
    });
    assert_eq!(verify_proof(&bundle, None).expect("holds").body.sequence, 123);
    reader.send(&Request::GetRecord { sequence: 400 });
    assert!(reader.error().contains("400"));
    reader.send(&Request::GetRecord { sequence: 7 });
    reader.reply(|reply| assert!(matches!(reply, Some(Reply::Record { sequence: 7, .. }))));
    drop((client, reader));

    let dir = running.stop();
    let index = Index::open_read_only(&dir.path().join("log/index.sqlite")).expect("index");
    assert_eq!(index.list(&Filter::default(), 1000).expect("lists").len(), 311);
    let running = Running::start_in(dir);
    let mut client = running.connect(Role::Appender);
    let vault = begin(&mut client);
    assert_eq!((vault.epoch, vault.next), (2, 312));
}

#[test]
fn records_of_a_dead_vault_are_adopted() {
    let running = Running::start();
    let mut client = running.connect(Role::Appender);
    let mut vault = begin(&mut client);
    sign_all(&mut client, &mut vault);
    let last = (0..5).map(|_| append(&mut client, &mut vault)).last().expect("some");
    client.await_durable(last);
    drop(client);
    let mut client = fresh(&running);
    let mut vault = begin(&mut client);
    assert_eq!(vault.unleafed.len(), 6);
    sign_all(&mut client, &mut vault);
    client.send(&Request::Checkpoint);
    client.reply(|reply| assert!(matches!(reply, Some(Reply::Status { checkpoint_size: 7, .. }))));
    drop(client);
    let dir = running.stop();
    let report = assert_intact(&dir.path().join("log"));
    assert_eq!((report.records, report.adopted, report.epochs), (7, 5, 2));
}

/// Connects as the appender once the one before has been seen off.
fn fresh(running: &Running) -> Client {
    for _ in 0..10_000 {
        let mut client = running.connect(Role::Appender);
        if client.peek_is_welcome() {
            return client;
        }
        std::thread::yield_now();
    }
    panic!("the appender's place is never free");
}

#[test]
fn there_is_one_appender() {
    let running = Running::start();
    let mut client = running.connect(Role::Appender);
    begin(&mut client);
    let mut second = running.connect(Role::Appender);
    assert!(second.error().contains("another appender"));
}

#[test]
fn readers_are_bounded() {
    let running = Running::start();
    let mut readers = Vec::new();
    for _ in 0..16 {
        let mut reader = running.connect(Role::Reader);
        reader.reply(|reply| assert!(matches!(reply, Some(Reply::Welcome { .. }))));
        readers.push(reader);
    }
    assert!(running.connect(Role::Reader).error().contains("too many"));
    // The vault still has its place.
    begin(&mut running.connect(Role::Appender));
}

#[test]
fn what_does_not_follow_ends_the_connection_but_keeps_what_went_before() {
    let running = Running::start();
    let mut client = running.connect(Role::Appender);
    let mut vault = begin(&mut client);
    let good = append(&mut client, &mut vault);
    client.send(&Request::Append { sequence: 99, body: b"", detail: b"" });
    client.await_durable(good);
    assert!(client.error().contains("99"));
    client.reply(|reply| assert_eq!(reply, None));
    let mut client = fresh(&running);
    client.reply(|reply| assert!(matches!(reply, Some(Reply::Welcome { next_sequence: 2, .. }))));
}

#[test]
fn hostile_bytes_end_only_their_connection() {
    let running = Running::start();
    for bytes in [&[255; 8][..], &[0; 4], &[1, 0, 0, 0, 77], &[2, 0, 0, 0, 1, 9]] {
        let mut client = running.connect(Role::Reader);
        client.reply(|reply| assert!(matches!(reply, Some(Reply::Welcome { .. }))));
        client.send_bytes(bytes);
        client.error();
        client.reply(|reply| assert_eq!(reply, None));
    }
    let mut reader = running.connect(Role::Reader);
    reader.reply(|reply| assert!(matches!(reply, Some(Reply::Welcome { .. }))));
    reader.send(&Request::Append { sequence: 0, body: b"", detail: b"" });
    assert!(reader.error().contains("only read"));
    let mut client = running.connect(Role::Appender);
    begin(&mut client);
}

#[test]
fn a_second_journal_on_the_folder_is_refused() {
    let running = Running::start();
    running.connect(Role::Reader).reply(|_| ());
    let error = journal::open_dir(&running.log(), Path::new("unused")).err().expect("refused");
    assert!(matches!(error, JournalError::InUse { .. }), "{error}");
}
