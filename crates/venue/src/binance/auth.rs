//! HTTP authentication: `X-MBX-APIKEY`, and `signature` as last parameter of query or body.

use trading::Timestamp;

use crate::error::Malformed;
use crate::form;
use crate::http::HttpRequest;
use crate::unsigned::{
    Algorithm, Presented, Spelling, check_shape, read_timestamp, read_whole, respell, single_header,
};

/// The header that carries the key.
pub(crate) const KEY_HEADER: &str = "X-MBX-APIKEY";

/// A request without key and signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Http {
    /// The key header's value is empty; the signature parameter is gone.
    pub(crate) request: HttpRequest,
    key_header: usize,
    /// Where the signature goes, if the endpoint wants one.
    pub(crate) signature: Option<Slot>,
    pub(crate) spelling: Spelling,
    pub(crate) sent_at: Option<Timestamp>,
    pub(crate) recv_window_ms: Option<u64>,
}

/// The place of a signature: always last, in the query or in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    in_body: bool,
    /// Whether a parameter stands before it.
    joined: bool,
    escapes: Escapes,
}

/// Which of base64's reserved characters the client's library percent-encodes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Escapes {
    plus: bool,
    slash: bool,
    equals: bool,
    lower_case: bool,
}

impl Escapes {
    const ALL: Self = Self { plus: true, slash: true, equals: true, lower_case: false };

    /// How `text` was written, as far as it shows; what does not show is taken to be encoded.
    fn of(text: &str) -> Self {
        Self {
            plus: !text.contains('+'),
            slash: !text.contains('/'),
            equals: !text.contains('='),
            lower_case: text.contains("%2b") || text.contains("%2f") || text.contains("%3d"),
        }
    }

    fn write(self, out: &mut String, text: &str) {
        for byte in text.bytes() {
            let escape = match byte {
                b'+' => self.plus,
                b'/' => self.slash,
                b'=' => self.equals,
                _ => false,
            };
            if escape { form::push_escape(out, byte, self.lower_case) } else { out.push(char::from(byte)) }
        }
    }
}

/// Finds the signature in `text`, which must be the last parameter if it is there: the length of the
/// text before it, whether a `&` stands between, and its value.
fn find_signature(text: &str) -> Result<Option<(usize, bool, &str)>, Malformed> {
    let mut found = None;
    let mut at = 0;
    for pair in text.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if found.is_some() {
            return Err(Malformed::new("signature", "is not the last parameter"));
        }
        if key == "signature" {
            found = Some((at.max(1) - 1, at > 0, value));
        } else if form::decode(key).is_some_and(|key| key == "signature") {
            return Err(Malformed::new("signature", "is spelled with escapes"));
        }
        at += pair.len() + 1;
    }
    Ok(found)
}

/// Takes key and signature out of a request.
///
/// # Errors
///
/// Names the header or parameter that is missing, there twice, or not readable.
pub(crate) fn split(mut request: HttpRequest) -> Result<(Presented, Http), Malformed> {
    check_shape(&request)?;
    let key_header =
        single_header(&request.headers, KEY_HEADER)?.ok_or(Malformed::new(KEY_HEADER, "is missing"))?;
    let api_key = std::mem::take(&mut request.headers[key_header].1);
    let body = std::str::from_utf8(&request.body).map_err(|_| Malformed::new("body", "is not UTF-8"))?;
    let in_query = find_signature(request.query())?;
    let in_body = find_signature(body)?;
    let (in_body, (before, joined, text)) = match (in_query, in_body) {
        (Some(_), Some(_)) => return Err(Malformed::new("signature", "is there twice")),
        (None, None) => {
            return Ok((
                Presented { api_key, signature: None, algorithm: None },
                unsigned(request, key_header, None),
            ));
        }
        (Some(found), None) => (false, found),
        (None, Some(found)) => (true, found),
    };
    let plain = form::percent_decode(text, false).and_then(|bytes| String::from_utf8(bytes).ok());
    let (algorithm, signature) = plain
        .as_deref()
        .and_then(Algorithm::read_signature)
        .ok_or(Malformed::new("signature", "is neither hexadecimal nor base64 of a known length"))?;
    let slot = Slot { in_body, joined, escapes: Escapes::of(text) };
    if in_body {
        request.body.truncate(before);
    } else {
        let start = request.target.len() - request.query().len();
        request.target.truncate(start + before);
    }
    let presented = Presented { api_key, signature: Some(signature), algorithm: Some(algorithm) };
    Ok((presented, unsigned(request, key_header, Some(slot))))
}

fn unsigned(request: HttpRequest, key_header: usize, signature: Option<Slot>) -> Http {
    let (sent_at, recv_window_ms) = times(&request);
    Http { request, key_header, signature, spelling: Spelling::Wire, sent_at, recv_window_ms }
}

fn times(request: &HttpRequest) -> (Option<Timestamp>, Option<u64>) {
    let (mut sent_at, mut recv_window_ms) = (None, None);
    let body = std::str::from_utf8(&request.body).unwrap_or_default();
    for (key, value) in form::pairs(request.query()).chain(form::pairs(body)) {
        match key {
            "timestamp" => sent_at = value.and_then(read_timestamp),
            "recvWindow" => recv_window_ms = value.and_then(read_whole),
            _ => {}
        }
    }
    (sent_at, recv_window_ms)
}

impl Http {
    /// A request made by us: the signature goes behind what is there.
    pub(crate) fn new(mut request: HttpRequest, signed: bool) -> Self {
        let key_header = request.headers.len();
        request.headers.push((KEY_HEADER.to_owned(), String::new()));
        let in_body = !request.body.is_empty();
        let slot = Slot { in_body, joined: in_body || !request.query().is_empty(), escapes: Escapes::ALL };
        unsigned(request, key_header, signed.then_some(slot))
    }

    /// Query, then body, with nothing between: what Binance signs.
    pub(crate) fn signing_input(&self) -> Option<Vec<u8>> {
        let query = respell(self.request.query(), self.spelling)?;
        let mut bytes = Vec::with_capacity(query.len() + self.request.body.len());
        bytes.extend_from_slice(query.as_bytes());
        bytes.extend_from_slice(&self.request.body);
        Some(bytes)
    }

    /// Puts key and signature where the client had them.
    pub(crate) fn attach(mut self, api_key: &str, algorithm: Algorithm, signature: &[u8]) -> HttpRequest {
        self.request.headers[self.key_header].1.push_str(api_key);
        let Some(slot) = self.signature else { return self.request };
        let mut parameter = String::with_capacity(600);
        if slot.joined {
            parameter.push('&');
        }
        parameter.push_str("signature=");
        slot.escapes.write(&mut parameter, &algorithm.signature_text(signature));
        if slot.in_body {
            self.request.body.extend_from_slice(parameter.as_bytes());
        } else {
            if !self.request.target.contains('?') {
                self.request.target.push('?');
            }
            self.request.target.push_str(&parameter);
        }
        self.request
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Method;

    fn request(target: &str, body: &str) -> HttpRequest {
        HttpRequest {
            method: Method::Post,
            target: target.to_owned(),
            headers: vec![("a".into(), "b".into()), ("x-mbx-apikey".into(), "stand-in".into())],
            body: body.into(),
        }
    }

    const HMAC: &str = "e194fa62d4c02e39016af156ae21faf2d31358a34aaddd0521a42dfbeeee47f6";

    fn round_trip(target: &str, body: &str) -> Http {
        let whole = request(target, body);
        let (presented, unsigned) = split(whole.clone()).expect(target);
        let signature = presented.signature.clone().unwrap_or_default();
        let algorithm = presented.algorithm.unwrap_or(Algorithm::HmacSha256);
        assert_eq!(unsigned.clone().attach(&presented.api_key, algorithm, &signature), whole);
        unsigned
    }

    #[test]
    fn a_signature_keeps_its_place() {
        let unsigned = round_trip(&format!("/api/v3/order?a=1&timestamp=5&signature={HMAC}"), "");
        assert_eq!(unsigned.signing_input().as_deref(), Some(&b"a=1&timestamp=5"[..]));
        let unsigned = round_trip("/api/v3/order?a=1", &format!("b=2&timestamp=5&signature={HMAC}"));
        assert_eq!(unsigned.signing_input().as_deref(), Some(&b"a=1b=2&timestamp=5"[..]));
        let unsigned = round_trip(&format!("/sapi/v1/x?signature={HMAC}"), "b=2");
        assert_eq!(unsigned.signing_input().as_deref(), Some(&b"b=2"[..]));
        let unsigned = round_trip("/api/v3/userDataStream", "");
        assert!(unsigned.signature.is_none());
    }

    #[test]
    fn base64_keeps_the_clients_escapes() {
        let base64 = Algorithm::Ed25519.signature_text(&[0xfb; 64]);
        assert!(base64.contains('+') && base64.contains('='));
        for (plus, equals) in [("%2B", "%3D"), ("%2b", "%3d"), ("+", "="), ("%2B", "=")] {
            let slash = if plus == "%2b" { "%2f" } else { "%2F" };
            let text = base64.replace('+', plus).replace('/', slash).replace('=', equals);
            round_trip(&format!("/api/v3/order?timestamp=5&signature={text}"), "");
        }
    }

    #[test]
    fn a_doubtful_signature_is_refused() {
        for (target, body) in [
            (format!("/a?signature={HMAC}&x=1"), String::new()),
            (format!("/a?signature={HMAC}"), format!("x=1&signature={HMAC}")),
            (format!("/a?x=1&signature={HMAC}&signature={HMAC}"), String::new()),
            (format!("/a?%73ignature={HMAC}"), String::new()),
            ("/a?signature=abc".to_owned(), String::new()),
        ] {
            assert_eq!(split(request(&target, &body)).expect_err(&target).field(), "signature");
        }
    }
}
