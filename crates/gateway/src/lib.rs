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
mod patience;
mod places;
mod report;
mod settle;
mod shares;
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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use trading::Venue;

pub use network::{Bases, Network, StreamKind};
pub use stand_ins::{Directory, DirectoryError, StandIn};

use endpoint::Endpoint;
use patience::Patient;
use places::{Places, Taken};
use shares::Shares;
use stand_ins::Logins;
use upstream::Upstream;
use vault_link::VaultLink;

/// Most connections from bots at once, per venue, streams apart. One more takes the place of an idle one.
const MAX_CONNECTIONS: usize = 1_024;
/// Most requests without a login under way, per venue.
const MAX_PUBLIC: usize = 256;
/// Most streams at once, per venue. One more takes the place of one that nobody logged in to, or of the
/// longest silent.
const MAX_STREAMS: usize = 256;
/// Open files asked of the system: connections, streams and their venues' sides, at every venue.
const OPEN_FILES: u64 = 8_192;
/// Longest wait for a request's headers on an open connection.
const HEADER_LIMIT: Duration = Duration::from_secs(30);
/// Longest wait for a bot to take what it is sent.
const WRITE_LIMIT: Duration = Duration::from_secs(20);
/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Pause after the system would not give us a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
    raise_open_files();
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
            streams: Places::new(MAX_STREAMS),
            shares: Shares::new(shares::MOST_REQUESTS),
            stream_shares: Shares::new(shares::MOST_STREAMS),
            public: Semaphore::new(MAX_PUBLIC),
        });
        tokio::spawn(marks::keep_fresh(Arc::clone(&endpoint)));
        tokio::spawn(settle::keep_settled(Arc::clone(&endpoint)));
        tokio::spawn(accept(listener, endpoint));
    }
    ready(&bound);
    stop.await;
    Ok(())
}

/// Asks for more open files than a shell usually grants; fewer only mean fewer connections.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(OPEN_FILES).min(OPEN_FILES);
    if limit.current.is_some_and(|current| current < most) {
        let wanted = Rlimit { current: Some(most), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, wanted) {
            tracing::warn!(%error, "the limit on open files stays as it is");
        }
    }
}

async fn accept(listener: TcpListener, endpoint: Arc<Endpoint>) {
    let places = Places::new(MAX_CONNECTIONS);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a bot could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(taken) = places.take() else {
            tracing::warn!(venue = %endpoint.venue, "refused a bot: {MAX_CONNECTIONS} connections are at work");
            continue;
        };
        drop(stream.set_nodelay(true));
        tokio::spawn(serve(stream, taken, Arc::clone(&endpoint)));
    }
}

/// Serves one connection until it ends, or until somebody else needs its place more.
async fn serve(stream: TcpStream, taken: Taken, endpoint: Arc<Endpoint>) {
    let taken = Arc::new(taken);
    let own = Arc::clone(&taken);
    let service = service_fn(move |request| {
        let (endpoint, taken) = (Arc::clone(&endpoint), Arc::clone(&own));
        async move {
            let reply = if stream::is_upgrade(&request) {
                let _busy = taken.busy();
                stream::open(endpoint, request).await
            } else {
                http::answer(endpoint, request, &taken).await
            };
            Ok::<_, std::convert::Infallible>(reply)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        // Who says no more still wants the answer to what it said: its order may be signed already.
        .half_close(true)
        .header_read_timeout(HEADER_LIMIT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(Patient::new(stream, WRITE_LIMIT)), service)
        .with_upgrades();
    tokio::select! {
        served = connection => if let Err(error) = served {
            tracing::debug!(%error, "a bot's connection ended");
        },
        () = taken.lost() => tracing::debug!("an idle connection made room for another"),
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
