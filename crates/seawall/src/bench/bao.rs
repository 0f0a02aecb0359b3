//! `OpenBao`'s transit engine with a file audit: a real server, started for the run.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use base64::Engine as _;
use serde_json::{Value, json};

use crate::bench::Plan;
use crate::bench::algorithm::Algorithm;
use crate::bench::contender::Contender;
use crate::bench::http::{HttpClient, post};
use crate::bench::rig::Rig;

/// Longest that it may take to start.
const START: Duration = Duration::from_secs(30);
/// What is signed: as long as a venue's query string.
const MESSAGE: [u8; 160] = [b'x'; 160];

/// A running server; it ends with this.
pub struct Bao {
    /// A shell that ends the server when its standard input ends, however this process dies.
    keeper: Child,
    socket: PathBuf,
    address: SocketAddr,
    token: String,
    /// Whether its Unix socket answers sooner than its TCP port.
    over_unix: bool,
    pid: Option<u32>,
}

impl Bao {
    /// Starts `program` with its storage and its audit file in the folder of the run.
    pub fn start(program: &Path, rig: &Rig<'_>) -> anyhow::Result<Self> {
        let folder = rig.scratch.join("openbao");
        let runtime = crate::layout::Layout::resolve(Some(folder.clone()))?;
        runtime.create()?;
        let socket = runtime.sign_socket();
        let [address, cluster] = free_addresses()?;
        let storage = folder.join("storage");
        std::fs::create_dir(&storage)?;
        let config = json!({
            "storage": { "raft": { "path": storage, "node_id": "bench" } },
            "api_addr": format!("http://{address}"),
            "cluster_addr": format!("http://{cluster}"),
            "listener": [
                {
                    "tcp": {
                        "address": address.to_string(),
                        "cluster_address": cluster.to_string(),
                        "tls_disable": true,
                    }
                },
                { "unix": { "address": socket, "tls_disable": true } },
            ],
            "audit": [{ "type": "file", "path": "bench", "options": { "file_path": folder.join("audit.log") } }],
            "log_level": "warn",
        });
        std::fs::write(folder.join("config.json"), config.to_string())?;
        let log = std::fs::File::create(folder.join("server.log"))?;
        let keeper = Command::new("sh")
            .args(["-c", r#""$0" server -config="$1" </dev/null >&2 & pid=$!; echo $pid; read -r _; kill $pid; wait $pid"#])
            .arg(program)
            .arg(folder.join("config.json"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("cannot start a shell")?;
        let mut bao = Self { keeper, socket, address, token: String::new(), over_unix: false, pid: None };
        bao.set_up(rig).with_context(|| {
            let log = std::fs::read_to_string(folder.join("server.log")).unwrap_or_default();
            format!("{} did not start: {}", program.display(), log.lines().last().unwrap_or_default())
        })?;
        Ok(bao)
    }

    fn set_up(&mut self, rig: &Rig<'_>) -> anyhow::Result<()> {
        let mut said = String::new();
        let mut output = std::io::BufReader::new(self.keeper.stdout.take().context("piped")?);
        std::io::BufRead::read_line(&mut output, &mut said)?;
        self.pid = said.trim().parse().ok();
        let asked = b"GET /v1/sys/init HTTP/1.1\r\nHost: localhost\r\n\r\n";
        self.until(rig, |bao| bao.exchange(asked))?;
        // Once only: who asks again hears no more than that it was done.
        let first = self.call("sys/init", &json!({ "secret_shares": 1, "secret_threshold": 1 }))?;
        self.token = first["root_token"].as_str().context("no token")?.to_owned();
        self.call("sys/unseal", &json!({ "key": first["keys"][0] }))?;
        self.until(rig, |bao| bao.call("sys/mounts/transit", &json!({ "type": "transit" })))?;
        for (name, kind) in [("ed25519", "ed25519"), ("p256", "ecdsa-p256")] {
            self.call(&format!("transit/keys/{name}"), &json!({ "type": kind }))?;
        }
        self.call("transit/keys/hmac", &json!({ "type": "hmac", "key_size": 32 }))?;
        self.choose_the_faster()
    }

    fn until(&self, rig: &Rig<'_>, act: impl Fn(&Self) -> anyhow::Result<Value>) -> anyhow::Result<Value> {
        let deadline = Instant::now() + START;
        loop {
            rig.check()?;
            match act(self) {
                Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
                done => return done,
            }
        }
    }

    fn call(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.exchange(&self.request(path, body)).with_context(|| path.to_owned())
    }

    fn exchange(&self, request: &[u8]) -> anyhow::Result<Value> {
        let mut client = HttpClient::unix(&self.socket)?;
        let (status, reply) = client.exchange(request)?;
        anyhow::ensure!(matches!(status, 200 | 204), "{status} {}", String::from_utf8_lossy(reply));
        Ok(serde_json::from_slice(reply).unwrap_or_default())
    }

    fn request(&self, path: &str, body: &Value) -> Vec<u8> {
        post(&format!("/v1/{path}"), &format!("X-Vault-Token: {}\r\n", self.token), &body.to_string())
    }

    /// Both ways to reach it, in turns; the faster one is what it is measured by.
    fn choose_the_faster(&mut self) -> anyhow::Result<()> {
        let plan = Plan { blocks: 4, requests: 100, warm_up: 50 };
        let mut medians = Vec::new();
        let mut both = [false, true].map(|over_unix| {
            self.over_unix = over_unix;
            self.contender("", Algorithm::Ed25519)
        });
        for _ in 0..plan.blocks {
            for contender in &mut both {
                if let Ok(Some(contender)) = contender {
                    contender.block(plan)?;
                }
            }
        }
        for contender in both {
            medians.push(contender?.context("it signs with Ed25519")?.finish()?.1.summary().p50);
        }
        self.over_unix = medians[1] < medians[0];
        Ok(())
    }

    /// Its answers to `algorithm`; `None` if it has none.
    pub fn contender(&self, prefix: &str, algorithm: Algorithm) -> anyhow::Result<Option<Contender>> {
        let (path, good): (_, &'static [u8]) = match algorithm {
            Algorithm::Hmac => ("transit/hmac/hmac/sha2-256", br#""hmac":"vault:v1:"#),
            Algorithm::Ed25519 => ("transit/sign/ed25519", br#""signature":"vault:v1:"#),
            Algorithm::P256 => ("transit/sign/p256/sha2-256", br#""signature":"vault:v1:"#),
            Algorithm::Secp256k1 | Algorithm::Rsa => return Ok(None),
        };
        let input = base64::engine::general_purpose::STANDARD.encode(MESSAGE);
        let request = self.request(path, &json!({ "input": input }));
        let client =
            if self.over_unix { HttpClient::unix(&self.socket)? } else { HttpClient::tcp(self.address)? };
        let way = if self.over_unix { "Unix socket" } else { "TCP" };
        let name = format!("{prefix}OpenBao transit, file audit, {way}, {algorithm}");
        Ok(Some(Contender::http(name, client, request, good)))
    }

    pub fn pid(&self) -> Option<u32> {
        self.pid
    }
}

impl Drop for Bao {
    fn drop(&mut self) {
        if let Some(mut input) = self.keeper.stdin.take() {
            drop(input.write_all(b"\n"));
        }
        drop(self.keeper.wait());
    }
}

/// Two that are free now; nothing else of this run takes ports meanwhile.
fn free_addresses() -> std::io::Result<[SocketAddr; 2]> {
    let listen = || TcpListener::bind(("127.0.0.1", 0));
    let (one, other) = (listen()?, listen()?);
    Ok([one.local_addr()?, other.local_addr()?])
}

/// The program to take: what was named, or what is found on the path.
pub fn find(named: Option<&Path>) -> Option<PathBuf> {
    if let Some(named) = named {
        return Some(named.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("bao")).find(|file| file.is_file())
}
