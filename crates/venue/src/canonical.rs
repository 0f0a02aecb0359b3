//! Whether finished bytes are exactly those that we would make of what they mean.

use trading::{Timestamp, Venue};

use crate::error::{Undecodable, Unencodable};
use crate::unsigned::{Signed, Unsigned};

/// A finished message without its key and signature, both of which must be there.
pub(crate) fn unsigned(venue: Venue, finished: &Signed) -> Result<Unsigned, Undecodable> {
    match finished {
        Signed::Http(request) => {
            let (presented, unsigned) = crate::split(venue, request.clone())
                .map_err(|error| Undecodable::bad(error.field(), "cannot be taken apart"))?;
            if presented.api_key.is_empty() || presented.signature.is_some() != unsigned.takes_signature() {
                return Err(Undecodable::bad("signature", "is missing"));
            }
            Ok(unsigned)
        }
        Signed::Message(text) if venue == Venue::Bybit => {
            crate::watch::login_message(text).ok_or_else(|| Undecodable::bad("message", "is not a login"))
        }
        Signed::Message(_) => Err(Undecodable::Endpoint("a stream message".into())),
    }
}

/// Compares with what `encode` makes for the time and window found.
pub(crate) fn same(
    found: &Unsigned,
    encode: impl FnOnce(Timestamp, u64) -> Result<Unsigned, Unencodable>,
) -> Result<(), Undecodable> {
    let sent_at = found.sent_at().unwrap_or(Timestamp::from_ms(0));
    let window = found.recv_window_ms().unwrap_or(0);
    match encode(sent_at, window) {
        Ok(made) if made == *found => Ok(()),
        _ => Err(Undecodable::bad("request", "is not exactly what its meaning is written as")),
    }
}

/// The decoded parameters of a query or form, by name; what is there beside is found by [`same`].
pub(crate) struct Parameters<'a>(&'a str);

impl<'a> Parameters<'a> {
    /// Of a form's text.
    pub(crate) const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The value as it stands.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a str> {
        crate::form::pairs(self.0).find(|(key, _)| *key == name).and_then(|(_, value)| value)
    }

    pub(crate) fn get(&self, name: &'static str) -> Result<String, Undecodable> {
        let raw = self.raw(name).ok_or(Undecodable::MissingField(name))?;
        let text = crate::form::decode(raw).ok_or_else(|| Undecodable::bad(name, "is not valid text"))?;
        Ok(text.into_owned())
    }

    pub(crate) fn time(&self, name: &'static str) -> Result<Timestamp, Undecodable> {
        crate::unsigned::read_whole(&self.get(name)?)
            .map(Timestamp::from_ms)
            .ok_or_else(|| Undecodable::bad(name, "is not a whole number"))
    }
}
