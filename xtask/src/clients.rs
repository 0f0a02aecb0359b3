//! `cargo xtask clients`: libraries that no one here wrote, unmodified, against a stack that is
//! started for them and stopped after them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{self, Watched};
use crate::workspace::{Workspace, text_of};

/// Longest that a freshly built stack may take until it takes orders.
const START: Duration = Duration::from_secs(60);
/// Longest that it may take to stop in order.
const STOP: Duration = Duration::from_secs(20);

/// What the stack under test allows.
const POLICY: &str = "tests/clients/policy.toml";

/// Each bot of the tests: the prefix of its variables, its venue and its account there.
const BOTS: &[(&str, &str, &str)] = &[
    ("binance", "binance", "binance"),
    ("bybit", "bybit", "main"),
    ("maker", "binance", "maker"),
    ("taker", "binance", "taker"),
];

/// Runs the Python tests with `arguments` for pytest; returns pytest's closing line.
pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> Result<Option<String>> {
    if !workspace.root.join("crates/gateway/Cargo.toml").is_file() {
        println!("clients: this workspace has no gateway to test");
        return Ok(None);
    }
    let python = workspace.venv().join("bin/python");
    if !python.is_file() {
        bail!("the Python environment is missing; run cargo xtask setup");
    }
    process::run(&mut workspace.cargo(&["build", "--locked", "--quiet", "--package", "seawall"]))?;
    let stack = Stack::start(workspace)?;
    let mut command = Command::new(python);
    command.args(["-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider", "tests/clients"]);
    command.args(arguments).current_dir(&workspace.root).env("PYTHONDONTWRITEBYTECODE", "1");
    command.envs(stack.environment()?);
    let closing = process::run_remembering(&mut command, &Watched::Stdout, " passed")?;
    stack.stop()?;
    match closing {
        Some(line) => Ok(Some(line)),
        None => bail!("no client test passed"),
    }
}

/// A running `seawall up` with its own data directory.
struct Stack {
    program: PathBuf,
    data: PathBuf,
    process: Child,
}

impl Stack {
    /// Starts `seawall up` from what was built, without its demo bot, on an empty data directory,
    /// and waits until it reports the addresses that clients need.
    fn start(workspace: &Workspace) -> Result<Self> {
        let program = workspace.target.join("debug/seawall");
        let data = std::env::temp_dir().join(format!("seawall-clients-{}", std::process::id()));
        fs::create_dir_all(&data)?;
        fs::copy(workspace.root.join(POLICY), data.join("policy.toml")).context(POLICY)?;
        let log = fs::File::create(data.join("up.log"))?;
        let summary = fs::File::create(data.join("summary.json"))?;
        let mut command = Command::new(&program);
        command.args(["up", "--no-demo", "--json", "--data-dir"]).arg(&data);
        command.stdin(Stdio::null()).stdout(summary).stderr(log);
        let process = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let mut stack = Self { program, data, process };
        stack.wait_until_ready()?;
        Ok(stack)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < START {
            if let Some(status) = self.process.try_wait()? {
                bail!("`seawall up` ended early ({status}):\n{}", self.log());
            }
            if self.json(&["status"]).is_ok_and(|status| status["healthy"] == true) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        bail!("`seawall up` is not ready after {} s:\n{}", START.as_secs(), self.log())
    }

    /// What the tests need to know: where the stack keeps its data, the sign socket, and each bot
    /// with its stand-in key.
    fn environment(&self) -> Result<Vec<(String, String)>> {
        let status = self.json(&["status"])?;
        let mut environment = vec![
            ("SEAWALL_DATA_DIR".to_owned(), self.data.display().to_string()),
            ("SEAWALL_PROGRAM".to_owned(), self.program.display().to_string()),
            ("SEAWALL_SIGN_SOCKET".to_owned(), text_of(&status["addresses"], "sign_socket")?.to_owned()),
        ];
        for (prefix, venue, account) in BOTS {
            let name = format!("clients-{prefix}");
            let bot = self.json(&["bot", "add", &name, "--venue", venue, "--account", account])?;
            let prefix = format!("SEAWALL_{}", prefix.to_uppercase());
            for (variable, field) in
                [("BOT", "bot"), ("KEY", "api_key"), ("SECRET", "secret"), ("URL", "base_url")]
            {
                let value = text_of(&bot, field).with_context(|| format!("`seawall bot add` at {venue}"))?;
                environment.push((format!("{prefix}_{variable}"), value.to_owned()));
            }
        }
        Ok(environment)
    }

    /// Runs one of the operator's commands on this stack and reads its JSON.
    fn json(&self, words: &[&str]) -> Result<Value> {
        let mut command = Command::new(&self.program);
        command.args(words).arg("--json").arg("--data-dir").arg(&self.data);
        let done = command.stdin(Stdio::null()).output()?;
        if !done.status.success() {
            bail!("`seawall {}` failed: {}", words.join(" "), String::from_utf8_lossy(&done.stderr).trim());
        }
        serde_json::from_slice(&done.stdout)
            .with_context(|| format!("`seawall {}` printed no JSON", words.join(" ")))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.data.join("up.log")).unwrap_or_default()
    }

    /// The log's verdict after the stop: the last line that `up --json` prints.
    fn check_summary(&self) -> Result<()> {
        let text = fs::read_to_string(self.data.join("summary.json"))?;
        let last = text.lines().last().context("`seawall up --json` printed no summary")?;
        let summary: Value = serde_json::from_str(last).context("the summary is not JSON")?;
        if summary["verified"] != true {
            bail!("the log of the client tests does not verify: {summary}\n{}", self.log());
        }
        println!("clients: {summary}");
        Ok(())
    }

    /// Asks the stack to stop, waits for it, checks its last word, and removes its data.
    fn stop(mut self) -> Result<()> {
        process::run(Command::new("kill").args(["-TERM", &self.process.id().to_string()]))?;
        let asked = Instant::now();
        while asked.elapsed() < STOP {
            match self.process.try_wait()? {
                Some(status) if status.success() => {
                    self.check_summary()?;
                    return remove(&self.data);
                }
                Some(status) => bail!("`seawall up` stopped with {status}:\n{}", self.log()),
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        }
        bail!("`seawall up` still runs {} s after SIGTERM", STOP.as_secs())
    }
}

impl Drop for Stack {
    /// Leaves no stack behind after a failure; its data stays for whoever looks into it.
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            eprintln!("clients: killing the stack; its data is in {}", self.data.display());
            // The supervisor's children end when it does, so killing it is enough.
            if self.process.kill().is_ok() {
                self.process.wait().ok();
            }
        }
    }
}

fn remove(data: &Path) -> Result<()> {
    fs::remove_dir_all(data).with_context(|| data.display().to_string())
}
