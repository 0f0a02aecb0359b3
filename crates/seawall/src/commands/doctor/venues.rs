//! Whether each venue can be reached, and how far its clock is from ours.

use std::time::Instant;

use gateway::Bases;
use serde_json::Value;
use trading::Venue;
use venue::Surface;

use super::{Finding, Patient};
use crate::installation::now;

/// How far our clock may be from a venue's, in milliseconds, before requests start to be refused.
const SKEW_MS: (u64, u64) = (250, 1_000);

pub(super) fn check(patient: &Patient) -> Vec<Finding> {
    Venue::ALL.into_iter().flat_map(|venue| one(patient, venue)).collect()
}

fn one(patient: &Patient, venue: Venue) -> Vec<Finding> {
    let check = format!("venues/{venue}");
    if let Some(real) = patient.config.venues.get(&venue) {
        let bases = Bases::of(venue, real.network);
        return reach(
            &check,
            venue,
            bases.http,
            "see that DNS, firewall and proxy let this machine out to it",
        );
    }
    let Some(addresses) = &patient.addresses else {
        return vec![Finding::ok(&check, "the paper venue, which runs under `seawall up`")];
    };
    let parsed =
        addresses.paper.get(venue.as_str()).and_then(|url| url.strip_prefix("http://")?.parse().ok());
    let log = patient.layout.process_logs().join("paper.log");
    match parsed {
        Some(address) => {
            let bases = Bases::paper(venue, address);
            reach(&check, venue, bases.http, &format!("read {}", log.display()))
        }
        None => vec![Finding::fault(
            &check,
            "`up` names no address of the paper venue",
            format!("read {}", log.display()),
        )],
    }
}

/// Asks each part of a venue that trades for its time.
fn reach(
    check: &str,
    venue: Venue,
    bases: impl IntoIterator<Item = (Surface, String)>,
    mend: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (surface, base) in bases {
        let Some(path) = time_path(surface) else { continue };
        let url = format!("{base}{path}");
        let (asked_at, start) = (now().as_ms(), Instant::now());
        let answer = gateway::fetch("GET", &url, &[]);
        let took = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        findings.push(match answer {
            Ok((200, body)) => match time_in(venue, &body) {
                Some(theirs) => judge_skew(check, &base, theirs, asked_at, took),
                None => Finding::fault(check, format!("{url} answers something else than the time"), mend),
            },
            Ok((status, _)) => Finding::fault(check, format!("{url} answers HTTP {status}"), mend),
            Err(error) => Finding::fault(check, format!("{url}: {error}"), mend),
        });
    }
    findings
}

/// The public time endpoint (developers.binance.com and bybit-exchange.github.io, 2026-11).
const fn time_path(surface: Surface) -> Option<&'static str> {
    match surface {
        Surface::Spot => Some("/api/v3/time"),
        Surface::UsdMargined => Some("/fapi/v1/time"),
        Surface::V5 => Some("/v5/market/time"),
        _ => None,
    }
}

/// The venue's time in milliseconds.
fn time_in(venue: Venue, body: &str) -> Option<u64> {
    let reply: Value = serde_json::from_str(body).ok()?;
    match venue {
        Venue::Binance => reply["serverTime"].as_u64(),
        Venue::Bybit => {
            reply["result"]["timeNano"].as_str()?.parse::<u64>().ok().map(|nanos| nanos / 1_000_000)
        }
    }
}

/// The venue read its clock at some moment between asking and answering.
fn judge_skew(check: &str, base: &str, theirs: u64, asked_at: u64, took: u64) -> Finding {
    let skew = match theirs {
        early if early < asked_at => asked_at - early,
        late if late > asked_at + took => late - asked_at - took,
        _ => 0,
    };
    let found = format!("{base} answers in {took} ms; our clock is at most {} ms off", skew + took);
    let mend = "set the clock (timedatectl set-ntp true, or chronyc makestep)";
    let (fair, most) = SKEW_MS;
    match skew {
        skew if skew > most => Finding::fault(check, format!("{base}: our clock is {skew} ms off"), mend),
        skew if skew > fair => Finding::warn(check, format!("{base}: our clock is {skew} ms off"), mend),
        _ => Finding::ok(check, found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn the_time_is_read_from_each_venues_reply() {
        assert_eq!(time_in(Venue::Binance, r#"{"serverTime":1499827319559}"#), Some(1_499_827_319_559));
        let bybit =
            r#"{"retCode":0,"result":{"timeSecond":"1688639403","timeNano":"1688639403423213947"},"time":1}"#;
        assert_eq!(time_in(Venue::Bybit, bybit), Some(1_688_639_403_423));
        assert_eq!(time_in(Venue::Bybit, "<html>"), None);
    }

    #[test]
    fn skew_counts_outside_the_round_trip_only() {
        for (theirs, verdict) in [
            (10_000, Verdict::Ok),
            (10_100, Verdict::Ok),
            (9_750, Verdict::Ok),
            (9_749, Verdict::Warn),
            (10_351, Verdict::Warn),
            (11_101, Verdict::Fault),
            (8_999, Verdict::Fault),
        ] {
            assert_eq!(judge_skew("venues/x", "b", theirs, 10_000, 100).verdict, verdict, "{theirs}");
        }
    }
}
