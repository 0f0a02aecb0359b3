//! `seawall.toml`: how one installation is wired. Limits are not here; they are in the policy.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use trading::Venue;

use crate::layout::{Layout, read_text};

/// The wiring of one installation. Every field has a default, every unknown field is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Version of this file's format.
    pub version: u32,
    /// When a signature may leave: `disk` after its record is synced, `pipelined` up to 64
    /// records and 20 ms before.
    pub durability: vault::Durability,
    /// The local venue.
    pub paper: PaperConfig,
    /// Where each venue's gateway listens.
    pub gateway: BTreeMap<Venue, GatewayConfig>,
    /// Where each venue is reached; absent venues are the paper venue.
    pub venues: BTreeMap<Venue, VenueConfig>,
    /// The demonstration bot.
    pub demo: DemoConfig,
}

/// The local venue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PaperConfig {
    /// Seed of its prices and order flow.
    pub seed: u64,
}

/// One venue's gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Where bots reach it. Port 0 takes any free port; `seawall status` tells which.
    pub listen: SocketAddr,
}

/// A real venue. Naming one here is the explicit switch to live trading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VenueConfig {
    /// `live` for the venue's production hosts, `testnet` for its test hosts.
    pub network: gateway::Network,
}

/// The demonstration bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DemoConfig {
    /// Whether `seawall up` runs it. It only ever trades on the paper venue, and only the account
    /// `demo`: the budgets of other accounts are not its to spend.
    pub enabled: bool,
    /// Milliseconds between its orders. The default stays below the ten orders a second of the
    /// account that `seawall up` makes for it.
    pub pace_ms: u64,
}

impl Default for PaperConfig {
    fn default() -> Self {
        Self { seed: 7 }
    }
}

impl Default for DemoConfig {
    fn default() -> Self {
        Self { enabled: true, pace_ms: 125 }
    }
}

impl Default for Config {
    fn default() -> Self {
        let listen = |port| GatewayConfig { listen: SocketAddr::from(([127, 0, 0, 1], port)) };
        Self {
            version: 1,
            durability: vault::Durability::Disk,
            paper: PaperConfig::default(),
            gateway: BTreeMap::from([(Venue::Binance, listen(0)), (Venue::Bybit, listen(0))]),
            venues: BTreeMap::new(),
            demo: DemoConfig::default(),
        }
    }
}

impl Config {
    /// Reads the file of `layout`, or takes the defaults where there is none.
    pub fn load(layout: &Layout) -> anyhow::Result<Self> {
        let path = layout.config();
        if !path.exists() {
            return Ok(Self::default());
        }
        let config: Self =
            toml_edit::de::from_str(&read_text(&path)?).with_context(|| format!("{}", path.display()))?;
        anyhow::ensure!(config.version == 1, "{}: version must be 1", path.display());
        let mut taken: BTreeMap<SocketAddr, Venue> = BTreeMap::new();
        for (venue, gateway) in &config.gateway {
            if gateway.listen.port() != 0
                && let Some(other) = taken.insert(gateway.listen, *venue)
            {
                anyhow::bail!(
                    "{}: gateway.{other}.listen and gateway.{venue}.listen are both {}; give each its own port",
                    path.display(),
                    gateway.listen
                );
            }
            anyhow::ensure!(
                gateway.listen.ip().is_loopback(),
                "{}: gateway.{venue}.listen must be a loopback address: stand-in keys are its only guard",
                path.display()
            );
        }
        Ok(config)
    }

    /// Whether `venue` is the paper venue.
    pub fn is_paper(&self, venue: Venue) -> bool {
        !self.venues.contains_key(&venue)
    }
}

/// The commented file that `seawall init` writes; reads as [`Config::default`] with fixed ports and
/// without the demonstration bot.
pub const TEMPLATE: &str = r#"# Seawall: how this installation is wired. Limits are not here; they are in policy.toml.
version = 1

# When a signature may leave the vault:
#   "disk"       after its record is synced to disk (default)
#   "pipelined"  at once, while at most 64 records and 20 ms of them are not synced yet
durability = "disk"

# The local venue that speaks Binance's and Bybit's protocols. Its prices follow the seed.
[paper]
seed = 7

# Where bots reach each venue's drop-in endpoint. Loopback only. Port 0 takes any free port.
[gateway.binance]
listen = "127.0.0.1:7810"
[gateway.bybit]
listen = "127.0.0.1:7811"

# A venue named here is the real one; a venue not named is the paper venue.
# network is "testnet" or "live".
# [venues.bybit]
# network = "testnet"

# The demonstration grid bot. It only ever trades on the paper venue, and only a Bybit account named
# demo: give the policy one before you enable it here.
[demo]
enabled = false
pace_ms = 125
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_the_default_with_fixed_ports_and_no_demo() {
        let mut read: Config = toml_edit::de::from_str(TEMPLATE).expect("the template is valid");
        for gateway in read.gateway.values_mut() {
            assert_ne!(gateway.listen.port(), 0);
            gateway.listen.set_port(0);
        }
        assert!(!read.demo.enabled, "whoever wires an installation wants no other bot in it");
        read.demo.enabled = true;
        assert_eq!(read, Config::default());
    }

    #[test]
    fn two_gateways_on_one_port_are_refused_and_any_free_port_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let layout = Layout::resolve(Some(folder.path().to_owned())).expect("a folder");
        let load = |text: &str| {
            std::fs::write(layout.config(), text).expect("writable");
            Config::load(&layout).map(drop).map_err(|error| error.to_string())
        };
        let refused = load(&TEMPLATE.replace("7811", "7810")).expect_err("one port for two");
        for part in ["gateway.binance", "gateway.bybit", "127.0.0.1:7810"] {
            assert!(refused.contains(part), "{refused}");
        }
        assert_eq!(load(&TEMPLATE.replace("7811", "0").replace("7810", "0")), Ok(()));
        assert_eq!(load(&TEMPLATE.replace("127.0.0.1:7811", "127.0.0.2:7810")), Ok(()));
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let error = toml_edit::de::from_str::<Config>("[paper]\nsede = 1").expect_err("unknown field");
        assert!(error.to_string().contains("sede"), "{error}");
    }
}
