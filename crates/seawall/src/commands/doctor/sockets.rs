//! Sockets and processes: what `up` left, what runs, whether it answers.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::admin::{AdminCommand, AdminReply, SocketUse, VaultStatus};
use trading::Venue;

use super::{Finding, Patient};
use crate::installation::Installation;
use crate::layout::{MAX_SOCKET_PATH, read_text};
use crate::typed::quoted;
use crate::up::Addresses;

/// How long a gateway on this machine may take to accept.
const ACCEPT: Duration = Duration::from_secs(2);

pub(super) fn check(patient: &Patient) -> Vec<Finding> {
    let mut findings = path_length(patient);
    match &patient.addresses {
        Some(addresses) => findings.extend(running(patient, addresses)),
        None => findings.extend(stopped(patient)),
    }
    findings
}

fn sockets(patient: &Patient) -> [PathBuf; 5] {
    let layout = &patient.layout;
    [
        layout.sign_socket(),
        layout.gateway_socket(),
        layout.admin_socket(),
        layout.lease_socket(),
        layout.journal_socket(),
    ]
}

/// A Unix socket's path has at most 107 bytes; deeper folders move the sockets elsewhere.
fn path_length(patient: &Patient) -> Vec<Finding> {
    let longest = patient.layout.gateway_socket();
    let bytes = longest.as_os_str().len();
    if bytes > MAX_SOCKET_PATH {
        return vec![Finding::fault(
            "sockets/path",
            format!("{} has {bytes} bytes; a socket's path has at most {MAX_SOCKET_PATH}", longest.display()),
            "choose a shorter folder with --data-dir, or set XDG_RUNTIME_DIR to a short one",
        )];
    }
    if longest.starts_with(patient.layout.data()) {
        return vec![Finding::ok("sockets/path", format!("{bytes} of {MAX_SOCKET_PATH} bytes"))];
    }
    let folder = longest.parent().unwrap_or(Path::new("/"));
    vec![Finding::warn(
        "sockets/path",
        format!(
            "{} is too deep for sockets; they are in {}, which follows XDG_RUNTIME_DIR and TMPDIR",
            patient.layout.data().display(),
            folder.display()
        ),
        "choose a shorter folder with --data-dir, or keep both variables the same for every command",
    )]
}

/// What `up` cannot take off to put its socket there.
fn blocked(patient: &Patient) -> Vec<Finding> {
    let is_folder = |path: &PathBuf| std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    let fault = |path: PathBuf| {
        Finding::fault(
            "sockets/blocked",
            format!("{} is a folder; `up` cannot put its socket there", path.display()),
            format!("mv {0} {0}.away", quoted(&path)),
        )
    };
    sockets(patient).into_iter().filter(is_folder).map(fault).collect()
}

fn stopped(patient: &Patient) -> Vec<Finding> {
    let blocked = blocked(patient);
    if !blocked.is_empty() {
        return blocked;
    }
    let left: Vec<String> = sockets(patient)
        .iter()
        .filter(|path| path.exists())
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    let answering = sockets(patient).into_iter().find(|path| UnixStream::connect(path).is_ok());
    let mut findings = Vec::new();
    if let Some(path) = answering {
        findings.push(Finding::fault(
            "sockets/orphan",
            format!("{} answers, although no `seawall up` is known", path.display()),
            format!("find its process with: fuser {}; stop that one", quoted(&path)),
        ));
    } else if patient.layout.addresses().exists() {
        findings.push(Finding::warn(
            "sockets/stale",
            format!("the last `up` ended without cleaning up ({} left)", left.join(", ")),
            format!("{} replaces them", patient.command("up")),
        ));
    } else {
        findings.push(Finding::ok(
            "sockets/up",
            format!("nothing runs; start it with {}", patient.command("up")),
        ));
    }
    findings.extend(patient.config.gateway.iter().filter_map(|(venue, own)| port(*venue, own.listen)));
    findings
}

/// Whether the gateway could listen where seawall.toml says.
fn port(venue: Venue, listen: SocketAddr) -> Option<Finding> {
    if listen.port() == 0 {
        return None;
    }
    let check = format!("sockets/{venue}-port");
    Some(match TcpListener::bind(listen) {
        Ok(_) => Finding::ok(&check, format!("{listen} is free")),
        Err(error) => Finding::fault(
            &check,
            format!("the gateway cannot listen on {listen}: {error}"),
            format!(
                "stop what uses it, or change [gateway.{venue}] listen in seawall.toml (port 0 takes any)"
            ),
        ),
    })
}

fn running(patient: &Patient, addresses: &Addresses) -> Vec<Finding> {
    let mut findings = processes(patient, addresses);
    for path in sockets(patient) {
        if let Err(error) = UnixStream::connect(&path) {
            findings.push(Finding::fault(
                "sockets/connect",
                format!("{}: {error}", path.display()),
                format!("stop process {} and run {}", addresses.up_pid, patient.command("up")),
            ));
        }
    }
    for (venue, url) in &addresses.gateway {
        findings.push(gateway(patient, *venue, url));
    }
    findings.extend(vault(patient));
    findings
}

fn processes(patient: &Patient, addresses: &Addresses) -> Vec<Finding> {
    let logs = patient.layout.process_logs();
    addresses
        .processes
        .iter()
        .map(|process| {
            let check = format!("processes/{}", process.name);
            let log = logs.join(format!("{}.log", process.name));
            let why = process.last_exit.as_deref().unwrap_or("it runs");
            if process.health != "ready" {
                return Finding::fault(
                    &check,
                    format!("{}, started again {} times; last end: {why}", process.health, process.restarts),
                    format!("read {}", log.display()),
                );
            }
            if process.restarts > 0 {
                return Finding::warn(
                    &check,
                    format!("ready, but started again {} times; last end: {why}", process.restarts),
                    format!("read {}", log.display()),
                );
            }
            let pid = process.pid.map_or("-".to_owned(), |pid| pid.to_string());
            Finding::ok(&check, format!("ready, pid {pid}"))
        })
        .collect()
}

fn gateway(patient: &Patient, venue: Venue, url: &str) -> Finding {
    let check = format!("sockets/{venue}-gateway");
    let address = url.strip_prefix("http://").unwrap_or(url).parse::<SocketAddr>();
    let reached = address.map_err(|error| error.to_string()).and_then(|address| {
        TcpStream::connect_timeout(&address, ACCEPT).map(drop).map_err(|error| error.to_string())
    });
    match reached {
        Ok(()) => Finding::ok(&check, format!("{url} accepts")),
        Err(error) => Finding::fault(
            &check,
            format!("{url}: {error}"),
            format!("read {}", patient.layout.process_logs().join("gateway.log").display()),
        ),
    }
}

/// Asks the vault itself.
fn vault(patient: &Patient) -> Vec<Finding> {
    let installation = Installation { layout: patient.layout.clone(), config: patient.config.clone() };
    let log = patient.layout.process_logs().join("vault.log");
    match installation.ask_vault(&AdminCommand::Status) {
        Ok(AdminReply::Status(status)) => {
            let mut findings = vec![journal_link(&status, &log), sign_socket(&status, patient)];
            findings.extend(policy_of(patient, &status));
            findings.extend(states(patient, &status));
            findings
        }
        Ok(_) => vec![Finding::fault(
            "vault/admin",
            "the vault gave another answer than asked for",
            "run the same version of `seawall` that runs as `up`",
        )],
        Err(error) => vec![Finding::fault(
            "vault/admin",
            format!("the vault does not answer: {error:#}"),
            format!("read {}", log.display()),
        )],
    }
}

fn journal_link(status: &VaultStatus, log: &Path) -> Finding {
    if status.journal_connected {
        return Finding::ok(
            "vault/admin",
            format!(
                "answers; epoch {}, {} of {} records durable",
                status.epoch, status.durable, status.next_index
            ),
        );
    }
    Finding::fault(
        "vault/journal",
        "the vault has no journal: nothing is released",
        format!("read {}; the vault connects again by itself", log.with_file_name("journal.log").display()),
    )
}

/// Whether a bot that connects now is heard.
fn sign_socket(status: &VaultStatus, patient: &Patient) -> Finding {
    let SocketUse { open, most, refused } = status.sign_socket;
    let socket = patient.layout.sign_socket();
    if status.sign_socket.is_full() {
        return Finding::fault(
            "vault/sign-socket",
            format!("the sign socket is full: {open} of {most} connections are open, {refused} were refused"),
            format!("stop the bots that hold connections they do not use: lsof {}", socket.display()),
        );
    }
    if refused > 0 {
        return Finding::warn(
            "vault/sign-socket",
            format!(
                "{open} of {most} connections are open now, but {refused} were refused while it was full"
            ),
            "keep one connection for many requests; replies come in order",
        );
    }
    Finding::ok("vault/sign-socket", format!("{open} of {most} connections"))
}

/// The vault must run under the policy of the store on disk.
fn policy_of(patient: &Patient, status: &VaultStatus) -> Option<Finding> {
    let text = read_text(&patient.layout.trade_store()).ok()?;
    let store = keys::SealedStore::from_json(&text).ok()?;
    (store.policy_hash() != status.policy_hash).then(|| {
        Finding::fault(
            "vault/policy",
            format!("the vault runs under {}, the store holds {}", status.policy_hash, store.policy_hash()),
            format!("{} brings both to what policy.toml says", patient.command("policy apply")),
        )
    })
}

fn states(patient: &Patient, status: &VaultStatus) -> Vec<Finding> {
    let states = status.states.iter().filter(|(_, state)| *state != trading::TradingState::Active).map(
        |(account, state)| {
            Finding::warn(
                "vault/trading-state",
                format!("account {account} is {state}"),
                patient.command(&format!("resume --account {account} --why \"…\", if that is over")),
            )
        },
    );
    let sizes = status.size_factors.iter().filter(|(_, factor)| !factor.is_one()).map(|(account, factor)| {
        Finding::warn(
            "vault/size-factor",
            format!("account {account} may use only {factor} of its limits on size"),
            patient.command(&format!("size-factor 1 --account {account} --why \"…\", if that is over")),
        )
    });
    states.chain(sizes).collect()
}
