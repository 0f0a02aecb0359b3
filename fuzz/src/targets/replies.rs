//! What a venue answers: it may lie, and it may be broken.

use trading::{Instrument, Intent, Market, OrderReference, Symbol, Venue, VenueOrderId};
use venue::{Stream, Surface, Transport};

use crate::engine::{Attacked, both, shape};

fn instrument(venue: Venue) -> Instrument {
    Instrument { venue, market: Market::Linear, symbol: Symbol::new("BTCUSDT").expect("a symbol") }
}

fn cancel(venue: Venue) -> Intent {
    let target = OrderReference::Venue(VenueOrderId::new("28").expect("an id"));
    Intent::Cancel { instrument: instrument(venue), target }
}

/// A reply's body, read as every kind of reply of both venues.
pub(crate) fn replies() -> Attacked {
    Box::new(|input| {
        let Ok(body) = std::str::from_utf8(input) else { return 1 };
        let mut behaviour = 0;
        for venue in [Venue::Binance, Venue::Bybit] {
            behaviour = both(behaviour, acknowledged(venue, body));
            behaviour = both(behaviour, read(venue, body));
        }
        for stream in [Stream::BinanceApi(Surface::Spot), Stream::BybitTrade, Stream::BybitPrivate] {
            behaviour = both(behaviour, u64::from(venue::answered_id(stream, body).is_some()));
        }
        behaviour
    })
}

/// As many outcomes as there were orders, whatever the venue says.
fn acknowledged(venue: Venue, body: &str) -> u64 {
    let mut behaviour = 0;
    for (intent, legs) in [(cancel(venue), 1), (Intent::Batch(vec![cancel(venue), cancel(venue)]), 2)] {
        for transport in [Transport::Http(200), Transport::Http(400), Transport::Http(503), Transport::Stream]
        {
            let outcomes = venue::acknowledgement(venue, &intent, transport, body);
            assert_eq!(outcomes.len(), legs, "{outcomes:?}");
            let kinds: String =
                outcomes.iter().map(|outcome| format!("{outcome:?}")[..4].to_owned()).collect();
            behaviour = both(behaviour, shape(&kinds));
        }
    }
    behaviour
}

fn read(venue: Venue, body: &str) -> u64 {
    let said = [
        venue::read_open_orders(venue, body)
            .map(|orders| orders.ids.len().min(8))
            .map_err(|error| error.to_string()),
        venue::read_position(&instrument(venue), body).map(|_| 0).map_err(|error| error.to_string()),
        venue::read_instruments(venue, Market::Spot, body).map(|_| 0).map_err(|error| error.to_string()),
        venue::read_instruments(venue, Market::Linear, body).map(|_| 0).map_err(|error| error.to_string()),
        venue::read_mark_prices(venue, Market::Spot, body)
            .map(|marks| marks.len().min(8))
            .map_err(|error| error.to_string()),
        venue::read_mark_prices(venue, Market::Linear, body)
            .map(|marks| marks.len().min(8))
            .map_err(|error| error.to_string()),
        venue::read_permissions(venue, body).map(|_| 0).map_err(|error| error.to_string()),
    ];
    said.iter().fold(0, |behaviour, one| match one {
        Ok(count) => both(behaviour, *count as u64),
        Err(error) => both(behaviour, shape(error)),
    })
}
