//! A bot in Python: ccxt signing in its own process, beside a call of the vault.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::json;

use crate::bench::Plan;
use crate::bench::algorithm::Algorithm;
use crate::bench::report::{Report, Role};
use crate::bench::rig::Rig;
use crate::bench::rows::{Budget, Row};
use crate::bench::samples::{Distribution, Samples};
use crate::bench::sockets::Vaults;

const SCRIPT: &str = include_str!("client.py");
/// What ccxt signs with, and how much the vault may take of its time.
const MEASURED: [(Algorithm, f64); 3] =
    [(Algorithm::Hmac, 1.1), (Algorithm::Ed25519, 0.999), (Algorithm::Rsa, 0.999)];

/// What the script says.
#[derive(Deserialize)]
struct Said {
    ccxt: String,
    python: String,
    /// Account, way, nanoseconds.
    found: BTreeMap<String, BTreeMap<String, Vec<u64>>>,
}

/// Measures the rows of this file, if `python` has ccxt.
pub fn measure(
    plan: Plan,
    rig: &Rig<'_>,
    vaults: &Vaults,
    python: Option<&Path>,
    report: &mut Report,
) -> anyhow::Result<()> {
    rig.check()?;
    let python = python.unwrap_or(Path::new("python3"));
    let said = match run(plan, rig, vaults, python)? {
        Ok(said) => said,
        Err(why) => {
            for (algorithm, most) in MEASURED {
                let name = format!("Python, vault pipelined, {algorithm}, beside ccxt");
                report.add(Row::skipped(name, why.clone()).within(Budget::Ratio(most)));
            }
            return Ok(());
        }
    };
    for (algorithm, most) in MEASURED {
        let times = said.found.get(algorithm.word()).context("an account is missing")?;
        let times = |way: &str| distribution(times.get(way).context("a way is missing")?);
        let (ccxt, pipelined, durable) = (times("ccxt")?, times("pipelined")?, times("durable")?);
        let panel = format!("Python, {algorithm}");
        report.draw(&panel, Role::Other, &ccxt);
        report.draw(&panel, Role::Pipelined, &pipelined);
        report.draw(&panel, Role::Durable, &durable);
        let name = format!("Python {}, ccxt {} signs in process, {algorithm}", said.python, said.ccxt);
        report.add(Row::floor(name, ccxt.summary()));
        let row =
            Row::floor(format!("Python, vault pipelined, {algorithm}, beside ccxt"), pipelined.summary());
        report.add(row.against(&ccxt).within(Budget::Ratio(most)));
        let row = Row::floor(format!("Python, vault durable, {algorithm}, beside ccxt"), durable.summary());
        report.add(row.against(&ccxt));
    }
    Ok(())
}

/// What the script found, or why there is nothing to run it with.
fn run(plan: Plan, rig: &Rig<'_>, vaults: &Vaults, python: &Path) -> anyhow::Result<Result<Said, String>> {
    let probe = Command::new(python).args(["-c", "import ccxt"]).stdin(Stdio::null()).output();
    if !probe.is_ok_and(|done| done.status.success()) {
        return Ok(Err(format!("{} has no ccxt", python.display())));
    }
    let kinds = MEASURED.map(|(algorithm, _)| {
        json!({
            "account": algorithm.word(),
            "secret": rig.keys.text(algorithm),
            // Reads and checks the key anew each time: tens of milliseconds.
            "slow": algorithm == Algorithm::Rsa,
        })
    });
    let asked = json!({
        "sockets": { "pipelined": vaults.pipelined.socket(), "durable": vaults.durable.socket() },
        "kinds": kinds,
        "blocks": plan.blocks, "requests": plan.requests, "warm_up": plan.warm_up,
    });
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().context("piped")?.write_all(asked.to_string().as_bytes())?;
    let done = child.wait_with_output()?;
    let errors = String::from_utf8_lossy(&done.stderr);
    anyhow::ensure!(done.status.success(), "the Python client failed: {}", errors.trim());
    Ok(Ok(serde_json::from_slice(&done.stdout)?))
}

fn distribution(nanos: &[u64]) -> anyhow::Result<Distribution> {
    let mut samples = Samples::default();
    for time in nanos {
        samples.add(Duration::from_nanos(*time), 1);
    }
    samples.finish()
}
