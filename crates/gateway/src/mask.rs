//! What a venue says back of the authentication it was sent, hidden from the bot.
//!
//! Venues echo it: Bybit's key query names the API key, its signature error quotes the signed text,
//! its login error repeats the whole login, and Binance's session status names the key. The bot is
//! shown its own stand-in key instead, and no signature at all.

use bytes::Bytes;
use protocol::sign::ReadyRequest;
use trading::Venue;
use venue::{HttpRequest, Presented, Stream, StreamMessage};

/// What the bot sees where a signature stood.
const HIDDEN: &str = "hidden-by-seawall";

/// The authentication of one request, and what the bot sees in its place.
pub(crate) struct Mask {
    api_key: String,
    stand_in: String,
    signature: Option<String>,
}

impl Mask {
    /// For the reply to an HTTP request. A request that cannot be taken apart had nothing to hide.
    pub(crate) fn of_http(venue: Venue, ready: &ReadyRequest, stand_in: &str) -> Option<Self> {
        let after_scheme = ready.url.split_once("://")?.1;
        let headers = ready.headers.iter();
        let request = HttpRequest {
            method: ready.method.parse().ok()?,
            target: after_scheme.get(after_scheme.find('/')?..)?.to_owned(),
            headers: headers
                .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect::<Option<_>>()?,
            body: ready.body.clone().into_bytes(),
        };
        Self::of(venue::split(venue, request).ok()?.0, stand_in)
    }

    /// For what the venue says after a frame; `None` if the frame carries no key.
    pub(crate) fn of_frame(stream: Stream, text: &str, stand_in: &str) -> Option<Self> {
        match venue::split_message(stream, text) {
            Ok(StreamMessage::Request(presented, _)) => Self::of(presented, stand_in),
            Ok(StreamMessage::Harmless(_)) | Err(_) => None,
        }
    }

    fn of(presented: Presented, stand_in: &str) -> Option<Self> {
        if presented.api_key.is_empty() {
            return None;
        }
        let signature = presented.algorithm.zip(presented.signature);
        Some(Self {
            api_key: presented.api_key,
            stand_in: stand_in.to_owned(),
            signature: signature.map(|(algorithm, bytes)| algorithm.signature_text(&bytes)),
        })
    }

    /// `text` as the bot may see it; `None` if it may see it as it is.
    pub(crate) fn hide(&self, text: &str) -> Option<String> {
        let signature = self.signature.as_deref().filter(|signature| text.contains(signature));
        if signature.is_none() && !text.contains(&self.api_key) {
            return None;
        }
        let shown = text.replace(&self.api_key, &self.stand_in);
        Some(match signature {
            Some(signature) => shown.replace(signature, HIDDEN),
            None => shown,
        })
    }

    /// The same for a reply's body.
    pub(crate) fn hide_body(&self, body: Bytes) -> Bytes {
        match std::str::from_utf8(&body).ok().and_then(|text| self.hide(text)) {
            Some(shown) => Bytes::from(shown),
            None => body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: &str = r#"{"op":"auth","args":["realkey","1700000000000","00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"]}"#;

    #[test]
    fn an_echoed_login_shows_neither_key_nor_signature() {
        let mask = Mask::of_frame(Stream::BybitPrivate, LOGIN, "standin").expect("a login");
        let echo = format!(r#"{{"success":false,"request":{LOGIN}}}"#);
        let shown = mask.hide(&echo).expect("something to hide");
        assert_eq!(
            shown,
            r#"{"success":false,"request":{"op":"auth","args":["standin","1700000000000","hidden-by-seawall"]}}"#
        );
        assert!(mask.hide(r#"{"success":true}"#).is_none());
    }

    #[test]
    fn a_reply_that_quotes_the_key_quotes_the_stand_in() {
        let headers = [("X-BAPI-API-KEY", "realkey"), ("X-BAPI-TIMESTAMP", "5")];
        let ready = ReadyRequest {
            method: "GET".into(),
            url: "http://127.0.0.1:1/v5/user/query-api".into(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect(),
            body: String::new(),
            intent: None,
            first_order: None,
        };
        let mask = Mask::of_http(Venue::Bybit, &ready, "standin").expect("a key");
        let shown = mask.hide_body(Bytes::from_static(br#"{"result":{"apiKey":"realkey"}}"#));
        assert_eq!(shown, r#"{"result":{"apiKey":"standin"}}"#);
    }
}
