//! Lines on the vault's sockets, and how lines come out of a stream.

use protocol::admin::AdminCommand;
use protocol::envelope::Envelope;
use protocol::line::{LineBuffer, LineTooLong};
use protocol::object::Object;
use protocol::sign::SignLine;
use serde_json::Value;

use crate::engine::{Attacked, both, shape};
use crate::targets::requests::{Vault, outcome, read_reply, ready_http, signed_again};

/// The user whose bots the policy knows.
const UID: u32 = 1000;

/// A line of a bot on the sign socket.
pub(crate) fn sign() -> Attacked {
    let mut vault = Vault::new();
    Box::new(move |line| {
        let read = SignLine::read(line);
        let whose = Envelope::read(line).is_ok();
        let replies = vault.get().bot(UID, line);
        let [reply] = &replies[..] else { panic!("{} replies to one line", replies.len()) };
        let reply = read_reply(reply);
        if reply["status"] == "approved" {
            let line = read.as_ref().expect("approved what cannot be read");
            let gateways =
                [line.http.is_some(), line.frame.is_some(), line.report.is_some(), line.held.is_some()];
            assert!(gateways.iter().all(|there| !there), "a bot did what only the gateway may");
            let asked = serde_json::from_slice::<Value>(line_of(line)).unwrap_or_default();
            check_asked(&asked, &reply["request"]);
        }
        assert!(reply.get("error").is_none_or(|error| error["message"].is_string()));
        both(
            both(outcome(&reply), u64::from(whose)),
            read.map_or_else(|error| shape(&error.to_string()), |_| 0),
        )
    })
}

/// The venue's own body, where the bot sent one.
fn line_of<'a>(line: &SignLine<'a>) -> &'a [u8] {
    line.order.map_or(&b"null"[..], |order| order.get().as_bytes())
}

/// What was signed for a bot is understood, and is its own order where it sent the venue's words.
fn check_asked(asked: &Value, ready: &Value) {
    let signed = ready_http(ready);
    let venue = if ready["url"].as_str().is_some_and(|url| url.starts_with("http://bybit.test/")) {
        trading::Venue::Bybit
    } else {
        trading::Venue::Binance
    };
    let intent = signed_again(venue, signed);
    if let trading::Intent::Place(order) = &intent
        && asked.is_object()
    {
        assert_eq!(asked["symbol"].as_str(), Some(order.instrument.symbol.as_str()));
    }
}

/// A line on the gateway's own socket, where reports have no answer and everything else has one.
pub(crate) fn gateway() -> Attacked {
    let mut vault = Vault::new();
    Box::new(move |line| {
        let replies = vault.get().gateway(line);
        assert!(replies.len() <= 1, "{} replies to one line", replies.len());
        let Some(reply) = replies.first() else { return 1 };
        let reply = read_reply(reply);
        if reply["status"] == "approved" && reply["request"]["method"] != "FRAME" {
            let venue = SignLine::read(line).ok().and_then(|line| line.venue);
            let own: trading::Intent = serde_json::from_value(reply["request"]["intent"].clone())
                .expect("the gateway is told the intent");
            let venue = venue.or(own.venue()).expect("an intent has a venue");
            assert_eq!(own, signed_again(venue, ready_http(&reply["request"])));
        }
        let read = SignLine::read(line).map_or_else(|error| shape(&error.to_string()), |_| 0);
        both(outcome(&reply), read)
    })
}

/// A line of an operator's command.
pub(crate) fn admin() -> Attacked {
    let mut vault = Vault::new();
    Box::new(move |line| {
        let read = serde_json::from_slice::<Object<AdminCommand>>(line);
        let replies = vault.get().operator(line);
        let [reply] = &replies[..] else { panic!("{} replies to one command", replies.len()) };
        let reply = read_reply(reply);
        assert!(reply["status"] == "error" || read.is_ok(), "did what cannot be read: {reply}");
        let read = read.map_or_else(|error| shape(&error.to_string()), |_| 0);
        both(read, outcome(&reply))
    })
}

/// A stream of bytes in pieces: how they are cut must not matter. The first byte says how.
pub(crate) fn buffer() -> Attacked {
    Box::new(|input| {
        let (cut, stream) =
            input.split_first().map_or((1, &[][..]), |(cut, rest)| (usize::from(*cut) + 1, rest));
        let whole = lines(stream.chunks(stream.len().max(1)));
        let pieces = lines(stream.chunks(cut));
        // A line that is too long may be refused earlier or later; lines before it are the same.
        let common = whole.0.len().min(pieces.0.len());
        assert_eq!(whole.0[..common], pieces.0[..common]);
        if whole.1.is_ok() && pieces.1.is_ok() {
            assert_eq!(whole, pieces);
        }
        both(common.min(16) as u64, both(u64::from(whole.1.is_ok()), u64::from(pieces.1.is_ok())))
    })
}

type Line = Vec<u8>;

/// All lines, then what is left or why there are no more.
fn lines<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Line>, Result<Option<Line>, LineTooLong>) {
    let mut buffer = LineBuffer::new();
    let mut lines = Vec::new();
    for piece in pieces {
        buffer.extend(piece);
        loop {
            match buffer.next_line() {
                Ok(Some(line)) => lines.push(line.to_vec()),
                Ok(None) => break,
                Err(error) => return (lines, Err(error)),
            }
        }
    }
    let last = buffer.last_line().map(<[u8]>::to_vec);
    (lines, Ok(last))
}
