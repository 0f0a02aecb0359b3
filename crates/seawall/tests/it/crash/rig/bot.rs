//! The bot that keeps the processes busy and remembers every word it was told.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{LIMIT, Rig, Who, is_readable};

/// How long an answer is waited for before the processes are looked after.
const GLANCE: Duration = Duration::from_millis(3);

/// What the bot was told about one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) index: u64,
    pub(crate) outcome: String,
    /// The venue's signature, if one left.
    pub(crate) signature: Option<Vec<u8>>,
    /// Records below this were called durable.
    pub(crate) durable: u64,
}

impl Rig {
    /// Asks until everything was answered once, whatever dies meanwhile.
    pub(crate) fn ask(&mut self, count: usize, batch: usize) {
        let deadline = Instant::now() + LIMIT;
        let mut left = count;
        while left > 0 {
            let wanted = left.min(batch);
            left -= self.ask_once(wanted, deadline);
            self.see_checkpoint();
        }
    }

    /// Sends `wanted` lines and returns how many were answered before something broke.
    fn ask_once(&mut self, wanted: usize, deadline: Instant) -> usize {
        assert!(Instant::now() < deadline, "it does not go on: {}", self.errors());
        let lines: String = (0..wanted).map(|_| self.line()).collect();
        if self.stream.is_none() {
            let connected = UnixStream::connect(self.path().join("sign")).ok();
            self.stream = connected.map(BufReader::new);
        }
        let Some(mut stream) = self.stream.take() else { return 0 };
        if stream.get_mut().write_all(lines.as_bytes()).is_err() {
            self.look_after();
            return 0;
        }
        for answered in 0..wanted {
            while stream.buffer().is_empty() && !is_readable(stream.get_ref(), GLANCE) {
                assert!(Instant::now() < deadline, "it does not go on: {}", self.errors());
                self.look_after();
            }
            let mut line = String::new();
            if !stream.read_line(&mut line).is_ok_and(|count| count > 0 && line.ends_with('\n')) {
                self.look_after();
                return answered;
            }
            self.hear(&line);
        }
        self.stream = Some(stream);
        wanted
    }

    fn line(&mut self) -> String {
        self.turn += 1;
        let order = match self.turn % 4 {
            0 => r#""cancel":{"market":"linear","symbol":"BTCUSDT","client_order_id":"x"}"#.to_owned(),
            1 => r#""place":{"market":"linear","symbol":"BTCUSDT","side":"buy","type":"limit","quantity":"0.0001","price":"1"}"#.to_owned(),
            turn => format!(
                r#""place":{{"market":"linear","symbol":"BTCUSDT","side":"buy","type":"limit","quantity":"0.00{turn}","price":"20000"}}"#
            ),
        };
        format!("{{\"bot\":\"mine\",{order}}}\n")
    }

    fn hear(&mut self, line: &str) {
        self.deaths = 0;
        let reply: Value = serde_json::from_str(line).expect("replies are JSON");
        let record = &reply["record"];
        // Without a record: the journal was away, and the vault said so.
        let Some(index) = record["index"].as_u64() else {
            assert_eq!(reply["error"]["code"], "unavailable", "{reply}");
            return;
        };
        let signature = reply["request"]["headers"]["X-BAPI-SIGN"].as_str().map(unhex);
        let outcome = reply["status"].as_str().expect("a status").to_owned();
        assert_eq!(signature.is_some(), outcome == "approved", "{reply}");
        self.told.push(Word {
            index,
            outcome,
            signature,
            durable: record["durable"].as_u64().expect("a number"),
        });
    }

    /// Reads the published checkpoint, as a witness would.
    pub(crate) fn see_checkpoint(&mut self) {
        if let Ok(note) = std::fs::read_to_string(self.log().join("checkpoint"))
            && self.checkpoints.last() != Some(&note)
        {
            self.checkpoints.push(note);
        }
    }

    /// As [`Rig::ask`], for a while in which nothing is started again: what was not answered in that
    /// time is heard later.
    pub(crate) fn ask_for(&mut self, time: Duration) -> u64 {
        let deadline = Instant::now() + time;
        let before = self.told.len();
        let lines: String = (0..100).map(|_| self.line()).collect();
        let mut stream = self.connected();
        stream.get_mut().write_all(lines.as_bytes()).expect("the vault takes them");
        self.owed = 100;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            if (!stream.buffer().is_empty() || is_readable(stream.get_ref(), left)) && self.owed > 0 {
                self.hear_line(&mut stream);
            }
        }
        self.stream = Some(stream);
        (self.told.len() - before) as u64
    }

    /// Hears what [`Rig::ask_for`] left.
    pub(crate) fn hear_all(&mut self) {
        let mut stream = self.connected();
        while self.owed > 0 {
            assert!(
                !stream.buffer().is_empty() || is_readable(stream.get_ref(), LIMIT),
                "the vault does not go on"
            );
            self.hear_line(&mut stream);
        }
        self.stream = Some(stream);
    }

    fn connected(&mut self) -> BufReader<UnixStream> {
        let connect = || UnixStream::connect(self.folder.path().join("sign")).map(BufReader::new);
        self.stream.take().unwrap_or_else(|| connect().expect("the vault listens"))
    }

    fn hear_line(&mut self, stream: &mut BufReader<UnixStream>) {
        let mut line = String::new();
        stream.read_line(&mut line).expect("a reply");
        self.owed -= 1;
        self.hear(&line);
    }

    /// Asks up to `most` times until the journal ends; how many answers there were.
    pub(crate) fn ask_until_the_journal_ends(&mut self, most: usize) -> usize {
        let before = self.told.len();
        let mut stream = self.connected();
        for _ in 0..most {
            let line = self.line();
            stream.get_mut().write_all(line.as_bytes()).expect("the vault takes it");
            while !is_readable(stream.get_ref(), GLANCE) {
                if self.has_ended(Who::Journal) {
                    return self.told.len() - before;
                }
            }
            self.owed = 1;
            self.hear_line(&mut stream);
        }
        panic!("{most} orders did not fill the disk");
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal"))
        .collect()
}
