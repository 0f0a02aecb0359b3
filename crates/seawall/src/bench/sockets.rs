//! From a request on a socket to its reply: ours beside the bare signer and `OpenBao`, in turns.

use vault::Durability;

use crate::bench::Plan;
use crate::bench::algorithm::Algorithm;
use crate::bench::bao::Bao;
use crate::bench::contender::Contender;
use crate::bench::orders::{APPROVED, requests};
use crate::bench::real_time;
use crate::bench::report::{Report, Role};
use crate::bench::rig::{Rig, Server};
use crate::bench::rows::{Budget, Row};

/// Most that a reply after its record is durable may cost, over the bare signer that also syncs.
const DURABLE_BUDGET: f64 = 1.5;
/// The same, over `OpenBao` with a file audit.
const BAO_BUDGET: f64 = 0.5;
/// What is measured through a socket. RSA takes so long that nothing else shows; a secp256k1 signature
/// reads as none in the words of any venue here, and the vault releases no request that it cannot read
/// back.
const MEASURED: [Algorithm; 3] = [Algorithm::Hmac, Algorithm::Ed25519, Algorithm::P256];
/// Different requests, so that none is a duplicate of one a millisecond ago.
const REQUESTS: usize = 90;

/// Most that a reply within the window may cost, over the bare signer.
const fn pipelined_budget(algorithm: Algorithm) -> f64 {
    match algorithm {
        Algorithm::Hmac => 1.5,
        Algorithm::Ed25519 => 1.2,
        Algorithm::P256 | Algorithm::Secp256k1 | Algorithm::Rsa => 1.15,
    }
}

/// A vault for each promise of durability.
pub struct Vaults {
    pub durable: Server,
    pub pipelined: Server,
}

impl Vaults {
    pub fn start(rig: &Rig<'_>) -> anyhow::Result<Self> {
        Ok(Self {
            durable: Server::vault("disk", Durability::Disk, rig)?,
            pipelined: Server::vault("pipelined", Durability::Pipelined, rig)?,
        })
    }
}

/// Measures the rows of this file. With `real_time` everybody asked gets real-time priority, and the
/// rows are named so and have no budgets.
pub fn measure(
    plan: Plan,
    rig: &Rig<'_>,
    vaults: &Vaults,
    bao: Option<&Bao>,
    real_time: bool,
    report: &mut Report,
) -> anyhow::Result<()> {
    for algorithm in MEASURED {
        one(plan, rig, vaults, bao, real_time, algorithm, report)?;
    }
    Ok(())
}

fn one(
    plan: Plan,
    rig: &Rig<'_>,
    vaults: &Vaults,
    bao: Option<&Bao>,
    real_time: bool,
    algorithm: Algorithm,
    report: &mut Report,
) -> anyhow::Result<()> {
    let prefix = if real_time { "real-time: " } else { "" };
    let folder = |kind: &str| format!("{kind}-{}{}", algorithm.word(), if real_time { "-rt" } else { "" });
    let bare = Server::bare(&folder("b"), algorithm, false, rig)?;
    let synced = Server::bare(&folder("s"), algorithm, true, rig)?;
    let lines = |name: &str, server: &Server, good| {
        let name = format!("{prefix}{name}, {algorithm}");
        Ok::<_, anyhow::Error>(Contender::lines(name, server.connect()?, requests(algorithm, REQUESTS), good))
    };
    let mut contenders = vec![
        lines("bare socket signer", &bare, b"")?,
        lines("socket, pipelined", &vaults.pipelined, APPROVED)?,
        lines("bare socket signer + write + fdatasync", &synced, b"")?,
        lines("socket, record durable", &vaults.durable, APPROVED)?,
    ];
    let mut roles = vec![Role::Bare, Role::Pipelined, Role::BareSynced, Role::Durable];
    if let Some(other) = bao.map(|bao| bao.contender(prefix, algorithm)).transpose()?.flatten() {
        contenders.push(other);
        roles.push(Role::Other);
    }
    if real_time {
        let servers = [&bare, &synced, &vaults.durable, &vaults.pipelined];
        let pids = servers.into_iter().flat_map(Server::pids).chain(bao.and_then(Bao::pid));
        real_time::raise(&pids.collect::<Vec<_>>())?;
    }
    for _ in 0..plan.blocks {
        for contender in &mut contenders {
            rig.check()?;
            contender.block(plan)?;
        }
    }
    let found = contenders.into_iter().map(Contender::finish).collect::<anyhow::Result<Vec<_>>>()?;
    if !real_time {
        for (role, (_, times)) in roles.iter().zip(&found) {
            report.draw(algorithm.to_string(), *role, times);
        }
    }
    let row = |at: usize| Row::floor(found[at].0.clone(), found[at].1.summary());
    let judged = |row: Row, most| if !real_time { row.within(Budget::Ratio(most)) } else { row };
    report.add(row(0));
    report.add(judged(row(1).against(&found[0].1), pipelined_budget(algorithm)));
    report.add(row(2));
    report.add(judged(row(3).against(&found[2].1), DURABLE_BUDGET));
    let name = format!("{}, beside OpenBao", found[3].0);
    match found.get(4) {
        Some((_, other)) => {
            report.add(row(4));
            report.add(judged(Row::floor(name, found[3].1.summary()).against(other), BAO_BUDGET));
        }
        None => report.add(judged(Row::skipped(name, "OpenBao is not installed"), BAO_BUDGET)),
    }
    Ok(())
}
