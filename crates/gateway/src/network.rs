//! Where each venue is reached, and by which paths bots reach its streams here.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use trading::Venue;
use venue::{Stream, Surface};

/// Which of a venue's networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Real money.
    Live,
    /// The venue's own test network.
    Testnet,
}

/// Base URLs of one venue.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bases {
    /// Of each part, for HTTP.
    pub http: BTreeMap<Surface, String>,
    /// Of each kind of stream.
    pub streams: BTreeMap<StreamKind, String>,
}

/// A kind of stream with a host of its own at the venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    /// Binance spot WebSocket API.
    SpotApi,
    /// Binance USD-M WebSocket API.
    UsdMarginedApi,
    /// Binance spot market and user data.
    SpotData,
    /// Binance USD-M market and user data.
    UsdMarginedData,
    /// Every Bybit v5 stream.
    V5,
}

/// Base URLs of a venue's parts and of its streams.
type Hosts = (&'static [(Surface, &'static str)], &'static [(StreamKind, &'static str)]);

/// A stream as a bot asked for it here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) kind: StreamKind,
    pub(crate) stream: Stream,
    /// What follows the venue's base URL.
    pub(crate) rest: String,
}

/// The paths under which Binance's streams are reached here; at the venue each has its own host.
const BINANCE: [(&str, StreamKind, Stream); 4] = [
    ("/ws-api/v3", StreamKind::SpotApi, Stream::BinanceApi(Surface::Spot)),
    ("/ws-fapi/v1", StreamKind::UsdMarginedApi, Stream::BinanceApi(Surface::UsdMargined)),
    ("/fstream", StreamKind::UsdMarginedData, Stream::BinanceData(Surface::UsdMargined)),
    ("", StreamKind::SpotData, Stream::BinanceData(Surface::Spot)),
];

/// Finds the stream that `target` (path and query) asks for; `None` if there is none there.
pub(crate) fn route(venue: Venue, target: &str) -> Option<Route> {
    let (path, query) = target.split_once('?').map_or((target, ""), |(path, query)| (path, query));
    let with_query = |rest: &str| if query.is_empty() { rest.to_owned() } else { format!("{rest}?{query}") };
    match venue {
        Venue::Binance => {
            let (rest, kind, stream) = BINANCE.into_iter().find_map(|(prefix, kind, stream)| {
                let rest = path.strip_prefix(prefix)?;
                (rest.is_empty() || rest.starts_with('/')).then_some((rest, kind, stream))
            })?;
            // ccxt tells spot streams by `/stream` in their URL, which at the venue is in the host.
            let doubled = |rest: &&str| kind == StreamKind::SpotData && rest.starts_with("/ws");
            let rest = rest.strip_prefix("/stream").filter(doubled).unwrap_or(rest);
            let known = match stream {
                Stream::BinanceData(surface) => is_data_path(surface, rest),
                _ => rest.is_empty(),
            };
            known.then(|| Route { kind, stream, rest: with_query(rest) })
        }
        Venue::Bybit => {
            let stream = match path {
                "/v5/private" => Stream::BybitPrivate,
                "/v5/trade" => Stream::BybitTrade,
                path if path.starts_with("/v5/public/") => Stream::BybitPublic,
                _ => return None,
            };
            Some(Route { kind: StreamKind::V5, stream, rest: with_query(path) })
        }
    }
}

/// Whether Binance serves a data stream at `path`. USD-M has each kind of data under a folder of
/// its own, beside the older paths without one.
fn is_data_path(surface: Surface, path: &str) -> bool {
    let folders = ["/public", "/market", "/private"];
    let inner = match surface {
        Surface::UsdMargined => folders.iter().find_map(|folder| path.strip_prefix(folder)).unwrap_or(path),
        _ => path,
    };
    ["/ws", "/stream"]
        .iter()
        .any(|start| inner.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

impl Bases {
    /// The hosts of a real venue (developers.binance.com and bybit-exchange.github.io, 2026-11).
    #[must_use]
    pub fn of(venue: Venue, network: Network) -> Self {
        let (http, streams): Hosts = match (venue, network) {
            (Venue::Binance, Network::Live) => (
                &[
                    (Surface::Spot, "https://api.binance.com"),
                    (Surface::UsdMargined, "https://fapi.binance.com"),
                    (Surface::CoinMargined, "https://dapi.binance.com"),
                ],
                &[
                    (StreamKind::SpotApi, "wss://ws-api.binance.com/ws-api/v3"),
                    (StreamKind::UsdMarginedApi, "wss://ws-fapi.binance.com/ws-fapi/v1"),
                    (StreamKind::SpotData, "wss://stream.binance.com:9443"),
                    (StreamKind::UsdMarginedData, "wss://fstream.binance.com"),
                ],
            ),
            (Venue::Binance, Network::Testnet) => (
                &[
                    (Surface::Spot, "https://testnet.binance.vision"),
                    (Surface::UsdMargined, "https://testnet.binancefuture.com"),
                    (Surface::CoinMargined, "https://testnet.binancefuture.com"),
                ],
                &[
                    (StreamKind::SpotApi, "wss://ws-api.testnet.binance.vision/ws-api/v3"),
                    (StreamKind::UsdMarginedApi, "wss://testnet.binancefuture.com/ws-fapi/v1"),
                    (StreamKind::SpotData, "wss://stream.testnet.binance.vision"),
                    (StreamKind::UsdMarginedData, "wss://stream.binancefuture.com"),
                ],
            ),
            (Venue::Bybit, Network::Live) => {
                (&[(Surface::V5, "https://api.bybit.com")], &[(StreamKind::V5, "wss://stream.bybit.com")])
            }
            (Venue::Bybit, Network::Testnet) => (
                &[(Surface::V5, "https://api-testnet.bybit.com")],
                &[(StreamKind::V5, "wss://stream-testnet.bybit.com")],
            ),
        };
        let owned = |url: &&str| (*url).to_owned();
        Self {
            http: http.iter().map(|(surface, url)| (*surface, owned(url))).collect(),
            streams: streams.iter().map(|(kind, url)| (*kind, owned(url))).collect(),
        }
    }

    /// The paper venue at `address`, which serves all of a venue's parts on one port.
    #[must_use]
    pub fn paper(venue: Venue, address: SocketAddr) -> Self {
        let (surfaces, streams): (&[Surface], &[(StreamKind, &str)]) = match venue {
            Venue::Binance => (
                &[Surface::Spot, Surface::UsdMargined, Surface::CoinMargined],
                &[
                    (StreamKind::SpotApi, "/ws-api/v3"),
                    (StreamKind::UsdMarginedApi, "/ws-fapi/v1"),
                    (StreamKind::SpotData, ""),
                    (StreamKind::UsdMarginedData, "/fstream"),
                ],
            ),
            Venue::Bybit => (&[Surface::V5], &[(StreamKind::V5, "")]),
        };
        Self {
            http: surfaces.iter().map(|surface| (*surface, format!("http://{address}"))).collect(),
            streams: streams.iter().map(|(kind, path)| (*kind, format!("ws://{address}{path}"))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(venue: Venue, target: &str, expected: Option<(StreamKind, &str)>) {
        let found = route(venue, target);
        let found = found.as_ref().map(|route| (route.kind, route.rest.as_str()));
        assert_eq!(found, expected, "{target}");
    }

    #[test]
    fn each_stream_has_its_own_path_here() {
        check(Venue::Binance, "/ws-api/v3", Some((StreamKind::SpotApi, "")));
        check(Venue::Binance, "/ws/btcusdt@trade", Some((StreamKind::SpotData, "/ws/btcusdt@trade")));
        check(
            Venue::Binance,
            "/fstream/stream?streams=a",
            Some((StreamKind::UsdMarginedData, "/stream?streams=a")),
        );
        check(
            Venue::Binance,
            "/fstream/private/ws?listenKey=k",
            Some((StreamKind::UsdMarginedData, "/private/ws?listenKey=k")),
        );
        check(Venue::Binance, "/private/ws", None);
        check(Venue::Binance, "/stream/ws/0", Some((StreamKind::SpotData, "/ws/0")));
        check(Venue::Binance, "/stream?streams=a", Some((StreamKind::SpotData, "/stream?streams=a")));
        check(Venue::Binance, "/wsx", None);
        check(Venue::Binance, "/api/v3/order", None);
        check(Venue::Binance, "/ws-api/v4", None);
        check(
            Venue::Bybit,
            "/v5/private?max_active_time=1m",
            Some((StreamKind::V5, "/v5/private?max_active_time=1m")),
        );
        check(Venue::Bybit, "/v5/order/create", None);
    }
}
