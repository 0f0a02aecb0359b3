//! `seawall status`: processes, addresses, trading state, policy, log and keys.

use std::process::ExitCode;

use clap::Args;
use protocol::admin::{AdminCommand, AdminReply, LeaseStatus, LentStatus, VaultStatus};
use serde_json::{Value, json};

use crate::commands::say;
use crate::installation::Installation;
use crate::layout::Layout;
use crate::up::Addresses;

/// How to show it.
#[derive(Debug, Args)]
pub struct Options {
    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

/// Shows what runs. Exit code 0 if everything is ready, 1 if not.
pub fn run(layout: Layout, options: &Options) -> anyhow::Result<ExitCode> {
    let installation = Installation::open(layout)?;
    let addresses = Addresses::read(&installation.layout);
    let vault = match installation.tell_vault(&AdminCommand::Status) {
        Ok(Some(AdminReply::Status(status))) => Some(status),
        Ok(_) => None,
        Err(error) => {
            tracing::warn!("the vault gives no status: {error:#}");
            None
        }
    };
    let checkpoint = crate::up::checkpoint_text(&installation.layout);
    let healthy = addresses.as_ref().is_some_and(|addresses| {
        !addresses.processes.is_empty() && addresses.processes.iter().all(|process| process.health == "ready")
    });
    if options.json {
        say(to_json(&installation, addresses.as_ref(), vault.as_ref(), &checkpoint, healthy));
    } else {
        print(&installation, addresses.as_ref(), vault.as_ref(), &checkpoint);
    }
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn to_json(
    installation: &Installation,
    addresses: Option<&Addresses>,
    vault: Option<&VaultStatus>,
    checkpoint: &str,
    healthy: bool,
) -> Value {
    json!({
        "running": addresses.is_some(),
        "healthy": healthy,
        "addresses": addresses_json(&installation.layout, addresses),
        "data_dir": installation.layout.data(),
        "up_pid": addresses.map(|addresses| addresses.up_pid),
        "processes": addresses.map(|addresses| &addresses.processes),
        "gateway": addresses.map(|addresses| &addresses.gateway),
        "paper": addresses.map(|addresses| &addresses.paper),
        "sign_socket": installation.layout.sign_socket(),
        "admin_socket": installation.layout.admin_socket(),
        "journal_socket": installation.layout.journal_socket(),
        "isolation": vault.map(|vault| &vault.isolation),
        "trading_state": vault.map(|vault| {
            vault.states.iter().map(|(account, state)| (account.to_string(), json!(state))).collect::<serde_json::Map<_, _>>()
        }),
        "size_factor": vault.map(|vault| {
            vault.size_factors.iter().map(|(account, factor)| (account.to_string(), json!(factor))).collect::<serde_json::Map<_, _>>()
        }),
        "sign_connections": vault.map(|vault| &vault.sign_socket),
        "lease": vault.map(|vault| lease_text(&vault.leases)),
        "leases": vault.map(|vault| &vault.leases),
        "policy_file": policy_file(installation),
        "policy_hash": vault.map(|vault| &vault.policy_hash),
        "log": { "size": vault.map(|vault| vault.next_index), "durable": vault.map(|vault| vault.durable), "checkpoint": checkpoint },
        "decisions": vault.map(|vault| json!({
            "approved": vault.approved, "denied": vault.denied, "released": vault.released, "rejected": vault.rejected, "errors": vault.errors,
        })),
        "latency_us": vault.map(|vault| json!({
            "p50": vault.latency_us[0], "p99": vault.latency_us[1], "p999": vault.latency_us[2],
        })),
        "keys": vault.map(|vault| &vault.keys),
    })
}

/// Every address under one key: each gateway both nested and as `gateway.<venue>`, and the sockets.
fn addresses_json(layout: &Layout, addresses: Option<&Addresses>) -> Value {
    let mut all = json!({
        "sign_socket": layout.sign_socket(),
        "admin_socket": layout.admin_socket(),
        "journal_socket": layout.journal_socket(),
    });
    if let Some(addresses) = addresses {
        all["gateway"] = json!(addresses.gateway);
        for (venue, url) in &addresses.gateway {
            all[format!("gateway.{venue}")] = json!(url);
        }
    }
    all
}

fn print(
    installation: &Installation,
    addresses: Option<&Addresses>,
    vault: Option<&VaultStatus>,
    checkpoint: &str,
) {
    say(format!("data        {}", installation.layout.data().display()));
    let Some(addresses) = addresses else {
        return say("nothing runs here; start it with `seawall up`");
    };
    for process in &addresses.processes {
        let pid = process.pid.map_or("-".to_owned(), |pid| pid.to_string());
        let restarts = process.restarts;
        say(format!(
            "process     {:<8} {:<9} pid {pid}, restarted {restarts} times",
            process.name, process.health
        ));
    }
    for (venue, url) in &addresses.gateway {
        say(format!("gateway     {venue} {url}"));
    }
    say(format!("sign socket {}", installation.layout.sign_socket().display()));
    let Some(vault) = vault else {
        return say("the vault does not answer: nothing is signed");
    };
    let sign = vault.sign_socket;
    let full = if sign.is_full() { "; FULL, new callers are turned away" } else { "" };
    say(format!("            {} of {} connections, {} refused{full}", sign.open, sign.most, sign.refused));
    say(format!("isolation   {}", vault.isolation));
    for (account, state) in &vault.states {
        say(format!("trading     account {account} is {state}"));
    }
    for (account, factor) in vault.size_factors.iter().filter(|(_, factor)| !factor.is_one()) {
        say(format!("size        account {account} may use {factor} of its limits on size"));
    }
    say(format!("lease       {}", lease_text(&vault.leases)));
    say(format!("policy      {} (policy.toml {})", vault.policy_hash, policy_file(installation)));
    say(format!(
        "log         {} records, {} durable, checkpoint {checkpoint}",
        vault.next_index, vault.durable
    ));
    let [p50, p99, p999] = vault.latency_us;
    say(format!("latency     p50 {p50} µs, p99 {p99} µs, p99.9 {p999} µs from request to durable reply"));
    for key in &vault.keys {
        let days = key.age_ms / 86_400_000;
        say(format!(
            "key         {} {} account {} {}, {days} days old",
            key.key_id, key.venue, key.account, key.stage
        ));
    }
}

/// What accounts need and have of leases, in one line.
pub fn lease_text(leases: &[LeaseStatus]) -> String {
    let lines: Vec<String> = leases
        .iter()
        .filter(|lease| lease.required || lease.lent.is_some())
        .map(|LeaseStatus { account, lent, .. }| match lent {
            Some(LentStatus { rung, trading, size_factor, left_ms }) => {
                format!("{account}: rung {rung}, {trading}, size factor {size_factor}, {left_ms} ms left")
            }
            None => format!("{account}: none, so only cancels and exits pass"),
        })
        .collect();
    if lines.is_empty() { "not required by the policy".to_owned() } else { lines.join("; ") }
}

/// How policy.toml stands to the policy in force.
fn policy_file(installation: &Installation) -> &'static str {
    match installation.store() {
        Ok((store, _)) if installation.policy_file_is(store.policy()) => "is in force",
        Ok(_) => "differs from the policy in force: `seawall policy apply`",
        Err(_) => "cannot be compared: no policy is in force",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_told_where_they_are_required_or_held() {
        let of = |name: &str, required, lent| LeaseStatus {
            account: name.parse().expect("a name"),
            required,
            lent,
        };
        let lent = LentStatus {
            rung: 2,
            trading: trading::TradingState::Active,
            size_factor: "0.5".parse().expect("a factor"),
            left_ms: 4200,
        };
        assert_eq!(lease_text(&[of("main", false, None)]), "not required by the policy");
        assert_eq!(
            lease_text(&[of("main", true, None), of("spot", false, Some(lent))]),
            "main: none, so only cancels and exits pass; spot: rung 2, active, size factor 0.5, 4200 ms left"
        );
    }

    #[test]
    fn addresses_name_each_gateway_twice_and_the_sockets() {
        let layout = Layout::resolve(Some("/data".into())).expect("a folder");
        let gateway = [(trading::Venue::Bybit, "http://127.0.0.1:1".to_owned())].into();
        let all = addresses_json(&layout, Some(&Addresses { gateway, ..Addresses::default() }));
        assert_eq!(all["gateway"]["bybit"], "http://127.0.0.1:1");
        assert_eq!(all["gateway.bybit"], "http://127.0.0.1:1");
        assert_eq!(all["sign_socket"], "/data/run/sign.sock");
        let stopped = addresses_json(&layout, None);
        assert_eq!(stopped["gateway"], Value::Null);
        assert_eq!(stopped["journal_socket"], "/data/run/journal.sock");
    }
}
