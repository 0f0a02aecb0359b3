//! From a request on a socket to its reply: ours beside the bare signer, in turns.

use std::time::Instant;

use anyhow::Context as _;
use protocol::client::LineClient;
use vault::Durability;

use crate::bench::Plan;
use crate::bench::rig::{self, Algorithm, Keys, Scratch, Server};
use crate::bench::rows::Row;
use crate::bench::samples::{Samples, Summary};

/// Most that a reply after its record is durable may cost, over the bare signer that also syncs.
const DURABLE_BUDGET: f64 = 1.5;

/// Most that a reply within the window may cost, over the bare signer.
const fn pipelined_budget(algorithm: Algorithm) -> f64 {
    match algorithm {
        Algorithm::Hmac => 1.5,
        Algorithm::Ed25519 | Algorithm::Rsa => 1.2,
    }
}

/// One server and one algorithm.
struct Contender<'a> {
    name: String,
    client: LineClient,
    /// Each at another price, because the same order again within a millisecond is a duplicate.
    requests: Vec<String>,
    asked: usize,
    /// What a good reply begins with.
    good: &'static [u8],
    samples: Samples,
    /// Keeps the processes running.
    _server: &'a Server,
}

impl<'a> Contender<'a> {
    fn vault(name: &str, algorithm: Algorithm, server: &'a Server) -> anyhow::Result<Self> {
        Self::new(name, algorithm, server, br#"{"status":"approved""#)
    }

    fn bare(name: &str, algorithm: Algorithm, server: &'a Server) -> anyhow::Result<Self> {
        Self::new(name, algorithm, server, b"")
    }

    fn new(
        name: &str,
        algorithm: Algorithm,
        server: &'a Server,
        good: &'static [u8],
    ) -> anyhow::Result<Self> {
        // An order that never rests, so that no number of them counts as open.
        let account = rig::account(algorithm)?;
        let request = |cents: usize| {
            format!(
                r#"{{"account":"{account}","place":{{"market":"spot","symbol":"BTCUSDT","side":"buy","type":"limit","quantity":"0.00120","price":"61234.{cents}","time_in_force":"immediate_or_cancel"}}}}"#,
            )
        };
        let requests = (10..100).map(request).collect();
        let (name, client) = (format!("{name}, {algorithm}"), server.connect()?);
        Ok(Self { name, client, requests, asked: 0, good, samples: Samples::default(), _server: server })
    }

    fn block(&mut self, plan: Plan) -> anyhow::Result<()> {
        for round in 0..plan.warm_up + plan.requests {
            self.asked = (self.asked + 1) % self.requests.len();
            let request = self.requests[self.asked].as_bytes();
            let started = Instant::now();
            let reply =
                self.client.exchange(request).with_context(|| format!("{} did not answer", self.name))?;
            let took = started.elapsed();
            let text = || String::from_utf8_lossy(reply).into_owned();
            anyhow::ensure!(reply.starts_with(self.good), "{} answered {}", self.name, text());
            if round >= plan.warm_up {
                self.samples.add(took, 1);
            }
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<(String, Summary)> {
        let summary = self.samples.summary().context("nothing was measured")?;
        Ok((self.name, summary))
    }
}

/// Measures the rows of this file.
pub fn measure(
    plan: Plan,
    keys: &Keys,
    scratch: &Scratch,
    keep_going: &dyn Fn() -> bool,
) -> anyhow::Result<Vec<Row>> {
    let durable = Server::vault("disk", Durability::Disk, keys, scratch, keep_going)?;
    let pipelined = Server::vault("pipelined", Durability::Pipelined, keys, scratch, keep_going)?;
    let mut rows = Vec::new();
    for algorithm in [Algorithm::Hmac, Algorithm::Ed25519] {
        let name = |kind: &str| format!("{kind}-{}", algorithm as u8);
        let bare = Server::bare(&name("b"), algorithm, false, keys, scratch, keep_going)?;
        let synced = Server::bare(&name("s"), algorithm, true, keys, scratch, keep_going)?;
        let mut contenders = [
            Contender::bare("bare socket signer", algorithm, &bare)?,
            Contender::vault("socket, pipelined", algorithm, &pipelined)?,
            Contender::bare("bare socket signer + write + fdatasync", algorithm, &synced)?,
            Contender::vault("socket, record durable", algorithm, &durable)?,
        ];
        for _ in 0..plan.blocks {
            for contender in &mut contenders {
                anyhow::ensure!(keep_going(), "stopped");
                contender.block(plan)?;
            }
        }
        let [bare, pipelined, synced, durable] = contenders.map(Contender::finish);
        let ((bare_name, bare), (synced_name, synced)) = (bare?, synced?);
        let ((pipelined_name, pipelined), (durable_name, durable)) = (pipelined?, durable?);
        rows.push(Row::floor(bare_name, bare));
        rows.push(Row::against(pipelined_name, pipelined, bare, pipelined_budget(algorithm)));
        rows.push(Row::floor(synced_name, synced));
        rows.push(Row::against(durable_name, durable, synced, DURABLE_BUDGET));
    }
    Ok(rows)
}
