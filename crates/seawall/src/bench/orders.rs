//! The requests of the run: neutral orders that never rest, so that no number of them counts as open.

use crate::bench::algorithm::Algorithm;
use crate::bench::rig::SECOND_ACCOUNT;

/// Different requests for `algorithm`'s account, `count` of them: the same order again within a
/// millisecond would be a duplicate.
pub fn requests(algorithm: Algorithm, count: usize) -> Vec<String> {
    (0..count).map(|number| request(algorithm.word(), number)).collect()
}

/// Different requests that sign by HMAC, those of two bots in turns.
pub fn of_two_bots(count: usize) -> Vec<String> {
    let account = |number| if number % 2 == 0 { Algorithm::Hmac.word() } else { SECOND_ACCOUNT };
    (0..count).map(|number| request(account(number), number)).collect()
}

fn request(account: &str, number: usize) -> String {
    let (cents, lots) = (number % 90 + 10, number / 90 % 900 + 100);
    format!(
        r#"{{"account":"{account}","place":{{"market":"spot","symbol":"BTCUSDT","side":"buy","type":"limit","quantity":"0.00{lots}","price":"61234.{cents}","time_in_force":"immediate_or_cancel"}}}}"#,
    )
}

/// What a good reply begins with.
pub const APPROVED: &[u8] = br#"{"status":"approved""#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_requests_are_the_same() {
        let mut all = requests(Algorithm::Hmac, 80_000);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 80_000);
    }
}
