//! One installation in a folder of its own, the program run on it, and a bot that speaks Bybit's
//! protocol over a plain socket.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit as _, Mac as _};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use sha2::Sha256;
use tempfile::TempDir;

/// Longest wait for anything; only a failure waits this long.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);

/// Looks every few milliseconds until `look` finds something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    wait_for(what, || is_so().then_some(()));
}

fn pid_of(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).expect("a process id")).expect("a process id")
}

/// Whether the process still runs; one that ended and was not waited for yet does not.
pub(crate) fn is_alive(number: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    test_kill_process(pid_of(number)).is_ok() && !matches!(state, None | Some('Z' | 'X'))
}

/// Sends `signal` to a process that a test started, itself or through `up`.
pub(crate) fn signal(number: u32, signal: Signal) {
    kill_process(pid_of(number), signal).expect("the process is there");
}

/// An installation.
pub(crate) struct Installation {
    folder: TempDir,
}

impl Installation {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command.arg("--data-dir").arg(self.folder.path()).args(arguments);
        command.env_remove("SEAWALL_LOG").env_remove("XDG_RUNTIME_DIR");
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Runs a command that must succeed; what it printed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments)).expect("one JSON object")
    }

    /// Runs a command that must fail; what it said.
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8")
    }

    /// Runs a command with `input` on its standard input.
    pub(crate) fn with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends")
    }

    /// Starts `up` and waits until everything is ready.
    pub(crate) fn up(&self, arguments: &[&str]) -> Up<'_> {
        let file = |name| std::fs::File::create(self.path(name)).expect("a file");
        let child = self
            .command(&[&["up", "--json"], arguments].concat())
            .stdout(file("up.out"))
            .stderr(file("up.err"))
            .spawn()
            .expect("the program starts");
        let mut up = Up { installation: self, child };
        wait_until("everything to be ready", || {
            if let Some(status) = up.child.try_wait().expect("ours") {
                panic!("up ended: {status}: {}", self.text("up.err"));
            }
            up.addresses()
                .is_some_and(|addresses| addresses["up_pid"] == up.child.id() && all_ready(&addresses))
        });
        up
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The keys at the paper venue: account, API key, secret.
    pub(crate) fn paper_keys(&self) -> Vec<(String, String, String)> {
        let issued: Value = serde_json::from_str(&self.text("paper-accounts.json")).expect("JSON");
        let one = |key: &Value| {
            let text = |name: &str| key[name].as_str().expect("text").to_owned();
            (text("account"), text("api_key"), text("secret"))
        };
        issued.as_array().expect("a list").iter().map(one).collect()
    }

    /// API key and secret of `account` at the paper venue.
    pub(crate) fn paper_key(&self, account: &str) -> (String, String) {
        let mut keys = self.paper_keys().into_iter();
        let found = keys.find(|(own, ..)| own == account);
        found.map(|(_, api_key, secret)| (api_key, secret)).expect("a key of the account")
    }

    pub(crate) fn verify(&self) -> Value {
        self.json(&["log", "verify", "--json"])
    }
}

fn all_ready(addresses: &Value) -> bool {
    let processes = addresses["processes"].as_array().expect("a list");
    !processes.is_empty() && processes.iter().all(|process| process["health"] == "ready")
}

/// A running `up`; ended when dropped.
pub(crate) struct Up<'a> {
    installation: &'a Installation,
    child: Child,
}

impl Up<'_> {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn addresses(&self) -> Option<Value> {
        let text = std::fs::read_to_string(self.installation.path("run/addresses.json")).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Process ids by name.
    pub(crate) fn processes(&self) -> BTreeMap<String, u32> {
        let addresses = self.addresses().expect("it runs");
        let list = addresses["processes"].as_array().expect("a list");
        let one = |process: &Value| {
            let pid = process["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())?;
            Some((process["name"].as_str()?.to_owned(), pid))
        };
        list.iter().filter_map(one).collect()
    }

    /// Waits until the process `name` runs under another id than `old`, and is ready.
    pub(crate) fn wait_for_restart(&self, name: &str, old: u32) {
        wait_until(&format!("{name} to be started again"), || {
            self.addresses().is_some_and(|addresses| {
                all_ready(&addresses) && self.processes().get(name).is_some_and(|pid| *pid != old)
            })
        });
    }

    pub(crate) fn gateway(&self) -> String {
        let addresses = self.addresses().expect("it runs");
        addresses["gateway"]["bybit"].as_str().expect("a URL").to_owned()
    }

    /// Ends it with `how`; the JSON object it printed last.
    pub(crate) fn end(mut self, how: Signal) -> Value {
        signal(self.child.id(), how);
        self.wait()
    }

    /// Waits for its own end.
    pub(crate) fn wait(&mut self) -> Value {
        let status = wait_for("up to end", || self.child.try_wait().expect("ours"));
        let err = self.installation.text("up.err");
        assert!(status.success(), "{status}: {err}");
        let out = self.installation.text("up.out");
        serde_json::from_str(out.lines().last().expect("a line")).expect("one JSON object")
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("ours");
        self.child.wait().expect("ours");
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        // Its processes end when their standard input does.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A bot with a stand-in key at the Bybit gateway.
pub(crate) struct Bot {
    pub(crate) api_key: String,
    pub(crate) secret: String,
    gateway: String,
    turn: u64,
}

impl Bot {
    /// Adds a bot with `bot add`.
    pub(crate) fn add(installation: &Installation, name: &str) -> Self {
        let added =
            installation.json(&["bot", "add", name, "--venue", "bybit", "--account", "main", "--json"]);
        let text = |name: &str| added[name].as_str().expect("text").to_owned();
        Self {
            api_key: text("api_key"),
            secret: text("secret"),
            gateway: text("base_url").replace("http://", ""),
            turn: 0,
        }
    }

    /// The same bot in another thread.
    pub(crate) fn again(&self) -> Self {
        Self {
            api_key: self.api_key.clone(),
            secret: self.secret.clone(),
            gateway: self.gateway.clone(),
            turn: 0,
        }
    }

    /// Places a small resting order far from the market; the venue's answer.
    pub(crate) fn order(&mut self) -> std::io::Result<Value> {
        self.turn += 1;
        let id = format!("{}-{}", &self.api_key[..6], self.turn);
        // Each a little cheaper: the same order again at once would be a duplicate.
        let price = format!("1999{}.{}", 9 - self.turn / 10 % 10, 9 - self.turn % 10);
        let body = format!(
            r#"{{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","timeInForce":"PostOnly","qty":"0.001","price":"{price}","orderLinkId":"{id}"}}"#
        );
        self.post("/v5/order/create", &body)
    }

    pub(crate) fn cancel_all(&mut self) -> std::io::Result<Value> {
        self.post("/v5/order/cancel-all", r#"{"category":"linear","symbol":"BTCUSDT"}"#)
    }

    pub(crate) fn post(&mut self, path: &str, body: &str) -> std::io::Result<Value> {
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        let timestamp = timestamp.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("any length");
        for part in [timestamp.as_str(), &self.api_key, "5000", body] {
            mac.update(part.as_bytes());
        }
        let signature = hex::encode(mac.finalize().into_bytes());
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\
             Content-Type: application/json\r\nX-BAPI-API-KEY: {}\r\nX-BAPI-TIMESTAMP: {timestamp}\r\n\
             X-BAPI-RECV-WINDOW: 5000\r\nX-BAPI-SIGN: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
            self.api_key,
            body.len(),
        );
        let mut stream = TcpStream::connect(&self.gateway)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(request.as_bytes())?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).map_err(std::io::Error::other)
    }

    /// Waits until an order of this bot is taken by the venue.
    pub(crate) fn trades(&mut self) {
        wait_until("an order to be taken", || self.order().is_ok_and(|reply| reply["retCode"] == 0));
        drop(self.cancel_all());
    }
}

/// Every file below `folder`.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        match entry.file_type().expect("a type") {
            kind if kind.is_dir() => found.extend(files(&path)),
            kind if kind.is_file() => found.push(path),
            _ => {}
        }
    }
    found
}

/// A copy of a folder of plain files.
pub(crate) fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).expect("below"));
        std::fs::create_dir_all(target.parent().expect("a folder")).expect("writable");
        std::fs::copy(&file, target).expect("copies");
    }
}
