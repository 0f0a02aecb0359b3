//! Every parser of bytes that come from somewhere else.

mod files;
mod lines;
mod log;
mod meaning;
mod policy;
mod replies;
pub(crate) mod requests;
mod segments;
mod words;

use crate::engine::Attacked;
use crate::seeds;

/// One parser, or a few that read the same bytes.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// What it must never do, beside panicking and taking long.
    pub(crate) holds: &'static str,
    /// Inputs beside the committed ones.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    pub(crate) make: fn() -> Attacked,
    /// How many times the usual longest time one input may take.
    pub(crate) patience: u32,
}

const fn target(
    name: &'static str,
    holds: &'static str,
    seeds: fn() -> Vec<Vec<u8>>,
    make: fn() -> Attacked,
) -> Target {
    Target { name, holds, seeds, make, patience: 1 }
}

impl Target {
    const fn with_patience(self, patience: u32) -> Self {
        Self { patience, ..self }
    }
}

const NOTHING: fn() -> Vec<Vec<u8>> = Vec::new;
const SIGNED: &str =
    "what is signed, read again, means what was approved; authentication apart it is what came";

/// All of them.
pub(crate) const TARGETS: &[Target] = &[
    target("binance-http", SIGNED, || seeds::http("binance"), || requests::http(trading::Venue::Binance)),
    target("bybit-http", SIGNED, || seeds::http("bybit"), || requests::http(trading::Venue::Bybit)),
    target(
        "binance-frame",
        SIGNED,
        || seeds::frames("binance"),
        || requests::frames(trading::Venue::Binance),
    ),
    target("bybit-frame", SIGNED, || seeds::frames("bybit"), || requests::frames(trading::Venue::Bybit)),
    target("native-order", SIGNED, NOTHING, requests::native),
    target("venue-reply", "an order is never acknowledged twice over", NOTHING, replies::replies),
    target("sign-line", SIGNED, NOTHING, lines::sign),
    target("gateway-line", SIGNED, NOTHING, lines::gateway),
    target("admin-line", "each command has one answer", NOTHING, lines::admin),
    target("line-buffer", "lines are the same however they arrive", NOTHING, lines::buffer),
    target("journal-frame", "what is read and written again is the same bytes", NOTHING, log::frames),
    target("record-body", "only one spelling of a body is read", log::body_seeds, log::bodies),
    target(
        "epoch",
        "only one spelling is read; no statement without its signature",
        log::epoch_seeds,
        log::epochs,
    ),
    target("checkpoint", "only what the log's key signed is opened", log::checkpoint_seeds, log::checkpoints),
    target("tile", "no hash is in a tree that does not hold it", log::tile_seeds, log::tiles),
    target("bundle", "no damaged proof proves another record", log::bundle_seeds, log::bundles),
    target(
        "segment",
        "a damaged log is refused, or read up to the damage",
        segments::seeds,
        segments::segments,
    ),
    target(
        "policy",
        "what is read and written as canonical bytes is the same policy",
        policy::seeds,
        policy::policies,
    )
    // It is read again without each faulty line, up to fifty of them.
    .with_patience(8),
    target("sealed-store", "only what was sealed opens", files::store_seeds, files::stores),
    target("venue-key", "no key text is taken for another", NOTHING, files::keys),
    target("stand-ins", "what is read and written again is the same", NOTHING, files::stand_ins),
    target("state", "what is read and written again is the same", files::state_seeds, files::states),
    target("decimal", "the value is the written one, exactly", NOTHING, words::decimals),
    target("names", "what is read is written the same", NOTHING, words::names),
];
