//! The one request that is signed with a key before it is taken: what may you do?

use keys::{KeyError, SecretText, SigningKey};
use thiserror::Error;
use trading::{Timestamp, Venue};
use venue::{HttpRequest, Surface};

use crate::signer::BaseUrls;

/// Validity of the question, in milliseconds.
const RECV_WINDOW_MS: u64 = 5_000;

/// Why the venue cannot be asked.
#[derive(Debug, Error)]
pub enum OnboardingError {
    /// The secret is not a key.
    #[error("the secret: {0}")]
    Key(#[from] KeyError),
    /// The venue takes no keys of this kind.
    #[error("{0} takes no keys of this kind")]
    NotTaken(Venue),
    /// The venue's host is not configured.
    #[error("no host is configured for {0}")]
    NoHost(Venue),
}

/// The signed request that asks `venue` what the key may do, and the URL to send it to.
///
/// # Errors
///
/// [`OnboardingError`] if the secret is not a key, none that the venue takes, or the venue's host is
/// unknown.
pub fn permission_request(
    venue: Venue,
    bases: &BaseUrls,
    api_key: &str,
    secret: &SecretText,
    now: Timestamp,
) -> Result<(String, HttpRequest), OnboardingError> {
    let key = SigningKey::parse(secret)?;
    if !key.algorithm().is_taken_by(venue) {
        return Err(OnboardingError::NotTaken(venue));
    }
    let unsigned = venue::permissions_request(venue, now, RECV_WINDOW_MS);
    let surface = unsigned.surface().unwrap_or(match venue {
        Venue::Binance => Surface::Spot,
        Venue::Bybit => Surface::V5,
    });
    let base = bases.get(venue, surface).ok_or(OnboardingError::NoHost(venue))?;
    let signature = key.sign(&venue::signing_input(&unsigned, api_key));
    let request = venue::attach(unsigned, api_key, key.algorithm(), &signature)
        .http()
        .ok_or(OnboardingError::NoHost(venue))?;
    Ok((format!("{base}{}", request.target), request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_no_venue_takes_signs_no_question() {
        let secret = SecretText::new(format!("0x{}", "07".repeat(32)));
        for venue in Venue::ALL {
            let asked =
                permission_request(venue, &BaseUrls::default(), "key", &secret, Timestamp::from_ms(1));
            assert!(matches!(asked, Err(OnboardingError::NotTaken(of)) if of == venue));
        }
    }
}
