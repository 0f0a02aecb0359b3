//! HTTP authentication: the `X-BAPI-` headers, signing query or body.

use trading::Timestamp;

use crate::error::Malformed;
use crate::http::{HttpRequest, Method};
use crate::unsigned::{
    Algorithm, Presented, Spelling, check_shape, read_timestamp, read_whole, respell, single_header,
};

pub(crate) const KEY_HEADER: &str = "X-BAPI-API-KEY";
pub(crate) const SIGNATURE_HEADER: &str = "X-BAPI-SIGN";
pub(crate) const TIMESTAMP_HEADER: &str = "X-BAPI-TIMESTAMP";
pub(crate) const RECV_WINDOW_HEADER: &str = "X-BAPI-RECV-WINDOW";

/// A request without key and signature. Time, window and `X-BAPI-SIGN-TYPE` stay in the headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Http {
    /// The values of the key's and the signature's headers are empty.
    pub(crate) request: HttpRequest,
    key_header: usize,
    pub(crate) signature_header: Option<usize>,
    pub(crate) spelling: Spelling,
    pub(crate) sent_at: Option<Timestamp>,
    pub(crate) recv_window_ms: Option<u64>,
}

/// Takes key and signature out of a request.
///
/// # Errors
///
/// Names the header that is missing, there twice, or not readable.
pub(crate) fn split(mut request: HttpRequest) -> Result<(Presented, Http), Malformed> {
    check_shape(&request)?;
    let key_header =
        single_header(&request.headers, KEY_HEADER)?.ok_or(Malformed::new(KEY_HEADER, "is missing"))?;
    let signature_header = single_header(&request.headers, SIGNATURE_HEADER)?;
    let timestamp = single_header(&request.headers, TIMESTAMP_HEADER)?;
    let recv_window = single_header(&request.headers, RECV_WINDOW_HEADER)?;
    let api_key = std::mem::take(&mut request.headers[key_header].1);
    let mut presented = Presented { api_key, signature: None, algorithm: None };
    if let Some(index) = signature_header {
        let text = std::mem::take(&mut request.headers[index].1);
        let (algorithm, bytes) = Algorithm::read_signature(&text)
            .ok_or(Malformed::new(SIGNATURE_HEADER, "is neither hexadecimal nor base64 of a known length"))?;
        presented.signature = Some(bytes);
        presented.algorithm = Some(algorithm);
    }
    let value = |index: Option<usize>| index.map(|index| request.headers[index].1.as_str());
    let (sent_at, recv_window_ms) =
        (value(timestamp).and_then(read_timestamp), value(recv_window).and_then(read_whole));
    if timestamp.is_some() && sent_at.is_none() {
        return Err(Malformed::new(TIMESTAMP_HEADER, "is not a whole number of milliseconds"));
    }
    if recv_window.is_some() && recv_window_ms.is_none() {
        return Err(Malformed::new(RECV_WINDOW_HEADER, "is not a whole number of milliseconds"));
    }
    let http =
        Http { request, key_header, signature_header, spelling: Spelling::Wire, sent_at, recv_window_ms };
    Ok((presented, http))
}

impl Http {
    /// A request made by us, with its `X-BAPI-` headers added.
    pub(crate) fn new(mut request: HttpRequest, sent_at: Timestamp, recv_window_ms: u64) -> Self {
        let key_header = request.headers.len();
        request.headers.push((KEY_HEADER.to_owned(), String::new()));
        request.headers.push((TIMESTAMP_HEADER.to_owned(), sent_at.as_ms().to_string()));
        request.headers.push((RECV_WINDOW_HEADER.to_owned(), recv_window_ms.to_string()));
        request.headers.push((SIGNATURE_HEADER.to_owned(), String::new()));
        Self {
            request,
            key_header,
            signature_header: Some(key_header + 3),
            spelling: Spelling::Wire,
            sent_at: Some(sent_at),
            recv_window_ms: Some(recv_window_ms),
        }
    }

    /// Timestamp, key, window, and the query of a GET or the body of anything else.
    pub(crate) fn signing_input(&self, api_key: &str) -> Option<Vec<u8>> {
        let header = |name| self.request.header(name).unwrap_or_default();
        let head = [header(TIMESTAMP_HEADER), api_key, header(RECV_WINDOW_HEADER)];
        let query;
        let payload: &[u8] = if self.request.method == Method::Get {
            query = respell(self.request.query(), self.spelling)?;
            query.as_bytes()
        } else {
            &self.request.body
        };
        let mut bytes = Vec::with_capacity(64 + payload.len());
        for part in head {
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.extend_from_slice(payload);
        Some(bytes)
    }

    /// Puts key and signature where the client had them.
    pub(crate) fn attach(mut self, api_key: &str, algorithm: Algorithm, signature: &[u8]) -> HttpRequest {
        self.request.headers[self.key_header].1.push_str(api_key);
        if let Some(index) = self.signature_header {
            self.request.headers[index].1 = algorithm.signature_text(signature);
        }
        self.request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_tidied_by_the_http_library_is_found_again() {
        let request = HttpRequest {
            method: Method::Get,
            target: "/v5/order/realtime?cursor=a%20b%3D&symbol=%C3%A9".to_owned(),
            headers: [
                ("x-bapi-timestamp", "5"),
                ("x-bapi-sign", "00".repeat(32).as_str()),
                ("x-bapi-recv-window", "7"),
                ("x-bapi-api-key", "k"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
            body: Vec::new(),
        };
        let (_, mut http) = split(request).expect("well formed");
        for (spelling, expected) in [
            (Spelling::Wire, "5k7cursor=a%20b%3D&symbol=%C3%A9"),
            (Spelling::Untidied, "5k7cursor=a b%3D&symbol=é"),
            (Spelling::Decoded, "5k7cursor=a b=&symbol=é"),
        ] {
            http.spelling = spelling;
            assert_eq!(http.signing_input("k").as_deref(), Some(expected.as_bytes()));
        }
    }
}
