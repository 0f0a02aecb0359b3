//! What the gateway adds to a direct round trip to the same local venue.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::Context as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use trading::{AccountName, Venue};
use vault::Durability;

use crate::bench::Plan;
use crate::bench::http::{HttpClient, post};
use crate::bench::report::{Report, Role};
use crate::bench::rig::{GATEWAY_ACCOUNT, Rig, Server};
use crate::bench::rows::{Budget, Row, micros};
use crate::bench::samples::Samples;
use crate::installation::now;
use crate::layout::{Layout, write_private};
use crate::process::PaperStartup;
use crate::up::accounts::PaperKey;
use crate::up::stack::line;
use crate::up::supervisor::Recipe;

/// Most that the gateway may add at p50, in microseconds.
const ADDED_BUDGET: f64 = 150.0;
/// What every request says of its own validity.
const WINDOW: &str = "1000";

/// A bot at one door.
struct Bot {
    name: &'static str,
    client: HttpClient,
    api_key: String,
    secret: Hmac<Sha256>,
    turn: usize,
    samples: Samples,
}

/// Measures the rows of this file.
pub fn measure(plan: Plan, rig: &Rig<'_>, report: &mut Report) -> anyhow::Result<()> {
    let mut paper = Server::empty(Layout::resolve(Some(rig.scratch.join("paper")))?, &rig.scratch);
    paper.layout().create()?;
    // The venue without its limits: the rate of a benchmark is none that a venue would take.
    let config = paper::Config { orders_per_second: u32::MAX, ..paper::Config::demo(7) };
    let key = config.accounts.iter().find(|key| key.venue == Venue::Bybit).context("a key")?.clone();
    let paper::Secret::Hmac(secret) = &key.secret else { anyhow::bail!("the key is not HMAC") };
    let accounts = paper.layout().paper_accounts();
    let account = AccountName::new(GATEWAY_ACCOUNT)?;
    let (api_key, issued) = (key.api_key.clone(), secret.clone());
    let issued = PaperKey { venue: Venue::Bybit, account, api_key, secret: issued };
    write_private(&accounts, &line(&[issued])?)?;
    let log = paper.layout().process_logs().join("paper.log");
    let startup = move || line(&PaperStartup { config: config.clone(), accounts: accounts.clone() });
    let recipe = Recipe { name: "paper", startup: Box::new(startup), inherited: Vec::new(), log };
    let venue: paper::Addresses = serde_json::from_value(paper.launch(recipe, rig)?)?;
    let mut rows = Vec::new();
    for (name, durability) in [("pipelined", Durability::Pipelined), ("record durable", Durability::Disk)] {
        let folder = format!("gateway-{}", &name[..3]);
        let (mut server, installation) =
            Server::installed(&folder, durability, Some((venue.bybit, &key)), rig)?;
        let gateway = start_gateway(&mut server, venue.bybit, rig)?;
        let login = installation.directory()?.stand_ins.first().context("a login")?.clone();
        let mut bots = [
            Bot::new("directly", venue.bybit, &key.api_key, secret)?,
            Bot::new("through the gateway", gateway, &login.api_key, &login.secret)?,
        ];
        for bot in &mut bots {
            bot.until_served(rig)?;
        }
        for _ in 0..plan.blocks {
            for bot in &mut bots {
                rig.check()?;
                bot.block(plan)?;
            }
        }
        let [direct, through] = bots.map(|bot| bot.samples.finish());
        rows.push((name, direct?, through?));
    }
    for (name, direct, through) in rows {
        let panel = format!("gateway, {name}");
        report.draw(&panel, Role::Bare, &direct);
        let role = if name == "pipelined" { Role::Pipelined } else { Role::Durable };
        report.draw(&panel, role, &through);
        report.add(Row::floor(format!("order to the paper venue, directly ({name} run)"), direct.summary()));
        let row =
            Row::floor(format!("order to the paper venue, through the gateway, {name}"), through.summary());
        report.add(row.against(&direct));
        let added = through.summary().p50.saturating_sub(direct.summary().p50);
        let row = Row::figure(format!("added by the gateway, {name}"), "µs", micros(added));
        report.add(row.within(Budget::Most(ADDED_BUDGET)));
    }
    Ok(())
}

/// Starts the gateway of `server`'s installation before the paper venue; returns where bots reach it.
fn start_gateway(server: &mut Server, bybit: SocketAddr, rig: &Rig<'_>) -> anyhow::Result<SocketAddr> {
    let layout = server.layout();
    let endpoint = gateway::VenueEndpoint {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        bases: gateway::Bases::paper(Venue::Bybit, bybit),
    };
    let config = gateway::Config {
        vault: layout.gateway_socket(),
        directory: layout.stand_ins(),
        venues: [(Venue::Bybit, endpoint)].into(),
    };
    let recipe = Recipe {
        name: "gateway",
        startup: Box::new(move || line(&config)),
        inherited: Vec::new(),
        log: layout.process_logs().join("gateway.log"),
    };
    let said = server.launch(recipe, rig)?;
    said["bybit"].as_str().and_then(|text| text.parse().ok()).context("the gateway named no address")
}

impl Bot {
    fn new(name: &'static str, door: SocketAddr, api_key: &str, secret: &str) -> anyhow::Result<Self> {
        let secret = Hmac::new_from_slice(secret.as_bytes())?;
        let client = HttpClient::tcp(door)?;
        Ok(Self { name, client, api_key: api_key.to_owned(), secret, turn: 0, samples: Samples::default() })
    }

    /// An order far from the market that the venue takes and cancels at once.
    fn request(&mut self) -> Vec<u8> {
        self.turn += 1;
        let (tenths, lots) = (self.turn % 9_000, self.turn / 9_000 + 1);
        let body = format!(
            r#"{{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.{lots:03}","price":"{}.{}","timeInForce":"IOC"}}"#,
            40_000 + tenths / 10,
            tenths % 10
        );
        let timestamp = now().as_ms().to_string();
        let mut mac = self.secret.clone();
        for part in [timestamp.as_str(), &self.api_key, WINDOW, &body] {
            mac.update(part.as_bytes());
        }
        let signature = hex::encode(mac.finalize().into_bytes());
        let headers = format!(
            "X-BAPI-API-KEY: {}\r\nX-BAPI-TIMESTAMP: {timestamp}\r\nX-BAPI-RECV-WINDOW: {WINDOW}\r\nX-BAPI-SIGN: {signature}\r\n",
            self.api_key
        );
        post("/v5/order/create", &headers, &body)
    }

    fn ask(&mut self) -> anyhow::Result<std::time::Duration> {
        let request = self.request();
        let started = Instant::now();
        let (status, reply) = self.client.exchange(&request).with_context(|| self.name.to_owned())?;
        let took = started.elapsed();
        let good = status == 200 && reply.starts_with(br#"{"retCode":0,"#);
        anyhow::ensure!(good, "{}: {status} {}", self.name, String::from_utf8_lossy(reply));
        Ok(took)
    }

    /// Waits until the gateway knows its logins and the vault knows prices.
    fn until_served(&mut self, rig: &Rig<'_>) -> anyhow::Result<()> {
        let deadline = Instant::now() + std::time::Duration::from_secs(20);
        loop {
            rig.check()?;
            match self.ask() {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(50)),
            }
        }
    }

    fn block(&mut self, plan: Plan) -> anyhow::Result<()> {
        for round in 0..plan.warm_up + plan.requests {
            let took = self.ask()?;
            if round >= plan.warm_up {
                self.samples.add(took, 1);
            }
        }
        Ok(())
    }
}
