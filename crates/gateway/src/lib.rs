//! Looks like the venue to a bot.
//!
//! The bot keeps its own library and changes two things: the base URL and the key, which is a
//! stand-in. For each request the gateway checks the stand-in's signature, has the vault decide
//! and sign, sends what the vault returned, and relays the venue's reply unchanged. It holds
//! nothing that is worth anything at the venue.

mod endpoint;
mod http;
mod marks;
mod mask;
mod network;
mod report;
mod settle;
#[cfg(feature = "sim")]
pub mod sim;
mod stand_ins;
mod stream;
mod upstream;
mod vault_link;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use trading::Venue;

pub use network::{Bases, Network, StreamKind};
pub use stand_ins::{Directory, DirectoryError, StandIn};

use endpoint::Endpoint;
use stand_ins::Logins;
use upstream::Upstream;
use vault_link::VaultLink;

/// Most connections from bots at once, per venue.
const MAX_CONNECTIONS: usize = 256;
/// Longest wait for a request's headers on an open connection.
const HEADER_LIMIT: Duration = Duration::from_secs(30);

/// Everything the gateway needs to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The vault's gateway socket.
    pub vault: PathBuf,
    /// The file with logins and instruments; looked at again whenever it changes.
    pub directory: PathBuf,
    /// Each venue to look like.
    pub venues: BTreeMap<Venue, VenueEndpoint>,
}

/// One venue to look like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueEndpoint {
    /// Where bots reach it; port 0 takes any free port.
    pub listen: SocketAddr,
    /// Where the venue is reached.
    pub bases: Bases,
}

/// Serves until `stop` completes. `ready` is told where bots reach each venue.
///
/// # Errors
///
/// The operating system's error, if an address cannot be listened on.
pub async fn run(
    config: Config,
    ready: impl FnOnce(&BTreeMap<Venue, SocketAddr>),
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let vault = VaultLink::start(config.vault);
    let logins = Arc::new(Logins::new(config.directory));
    let upstream = Upstream::new();
    let mut bound = BTreeMap::new();
    for (venue, own) in config.venues {
        let listener = TcpListener::bind(own.listen).await.map_err(|error| {
            std::io::Error::new(
                error.kind(),
                format!("gateway.{venue} cannot listen on {}: {error}", own.listen),
            )
        })?;
        bound.insert(venue, listener.local_addr()?);
        let endpoint = Arc::new(Endpoint {
            venue,
            bases: own.bases,
            logins: Arc::clone(&logins),
            vault: vault.clone(),
            upstream: upstream.clone(),
            unsettled: settle::Unsettled::default(),
        });
        tokio::spawn(marks::keep_fresh(Arc::clone(&endpoint)));
        tokio::spawn(settle::keep_settled(Arc::clone(&endpoint)));
        tokio::spawn(accept(listener, endpoint));
    }
    ready(&bound);
    stop.await;
    Ok(())
}

async fn accept(listener: TcpListener, endpoint: Arc<Endpoint>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a bot could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        drop(stream.set_nodelay(true));
        let endpoint = Arc::clone(&endpoint);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let endpoint = Arc::clone(&endpoint);
                async move {
                    let reply = if stream::is_upgrade(&request) {
                        stream::open(endpoint, request).await
                    } else {
                        http::answer(endpoint, request).await
                    };
                    Ok::<_, std::convert::Infallible>(reply)
                }
            });
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_LIMIT)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a bot's connection ended");
            }
            drop(place);
        });
    }
}

/// Asks a venue one thing and waits for the answer: method, URL, headers in order. For commands.
///
/// # Errors
///
/// A sentence that says why there is no answer.
pub fn fetch(method: &str, url: &str, headers: &[(String, String)]) -> Result<(u16, String), String> {
    let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let headers = upstream::header_map(pairs).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let reply = Upstream::new().send(method, url, headers, bytes::Bytes::new()).await;
        let reply = reply.map_err(|error| error.to_string())?;
        let status = reply.status().as_u16();
        Ok((status, String::from_utf8_lossy(reply.body()).into_owned()))
    })
}
