//! What is kept beside a record's body: the decoded intent and everything the decision looked at.
//!
//! The body holds only the digest, so a record can be shown without its detail. The bytes are
//! JSON; they are hashed as they are stored and never made again.

use std::collections::BTreeMap;

use policy::{Lent, MarkPrice, Recorded, VenueEvent};
use protocol::admin::Change;
use serde::{Deserialize, Serialize};
use trading::{
    AccountName, BotName, Decimal, Instrument, Intent, SizeFactor, Timestamp, TradingState, Venue,
};

use crate::core::Past;
use crate::place::Place;
use crate::request::Asked;

/// Longest text of a client's that is kept, in bytes.
const MAX_TEXT: usize = 256;
/// Most additions of a client's library that are kept.
const MAX_EXTRAS: usize = 16;

/// The detail of one decision.
#[derive(Debug, Serialize, Deserialize)]
pub struct Detail {
    /// Which bot asked.
    pub bot: BotName,
    /// Through which door.
    pub door: String,
    /// Which venue.
    pub venue: Venue,
    /// Which account.
    pub account: AccountName,
    /// The venue's endpoint.
    pub endpoint: String,
    /// What was approved, with what the counters need to count it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Recorded>,
    /// The intent that was denied; absent if the request could not be decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied: Option<Intent>,
    /// Why it could not be decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undecoded: Option<String>,
    /// The client's own timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// How long the venue may accept the request after that, as the client wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recv_window_ms: Option<u64>,
    /// Mark prices the judgement could see for its instruments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<(Instrument, Decimal, Timestamp)>,
    /// What the client's library added unasked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extras: Vec<String>,
    /// Why, in the bot's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thesis: Option<Box<str>>,
    /// What the gateway said of the account's orders since its last record; the counters took it
    /// before this decision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<VenueEvent>,
}

impl Detail {
    /// The detail of a request that means nothing to us.
    pub(crate) fn undecoded(asked: &Asked, problem: &str) -> Self {
        Self { undecoded: Some(shortened(problem)), ..Self::of(asked) }
    }

    /// The detail of a line that is not a request: what it asked for, and why it is not one.
    pub(crate) fn refused(place: &Place, door: &str, what: &str, problem: &str) -> Self {
        Self {
            bot: place.bot.clone(),
            door: door.to_owned(),
            venue: place.venue,
            account: place.account.clone(),
            endpoint: shortened(what),
            approved: None,
            denied: None,
            undecoded: Some(shortened(problem)),
            sent_at: None,
            recv_window_ms: None,
            marks: Vec::new(),
            extras: Vec::new(),
            thesis: None,
            heard: Vec::new(),
        }
    }

    /// The detail of a request that was approved.
    pub(crate) fn approved(
        asked: &Asked,
        recorded: &Recorded,
        marks: &BTreeMap<Instrument, MarkPrice>,
    ) -> Self {
        let marks = marks_for(&recorded.intent, marks);
        Self { approved: Some(recorded.clone()), marks, ..Self::of(asked) }
    }

    /// The detail of a request that was denied.
    pub(crate) fn denied(asked: &Asked, intent: &Intent, marks: &BTreeMap<Instrument, MarkPrice>) -> Self {
        let marks = marks_for(intent, marks);
        Self { denied: Some(intent.clone()), marks, ..Self::of(asked) }
    }

    /// What was asked, if it could be decoded.
    #[must_use]
    pub fn intent(&self) -> Option<&Intent> {
        self.approved.as_ref().map(|recorded| &recorded.intent).or(self.denied.as_ref())
    }

    fn of(asked: &Asked) -> Self {
        let place = Place { bot: asked.bot.clone(), account: asked.account.clone(), venue: asked.venue };
        Self {
            undecoded: None,
            sent_at: asked.unsigned.sent_at(),
            recv_window_ms: asked.unsigned.recv_window_ms(),
            extras: asked.extras.iter().take(MAX_EXTRAS).map(|extra| shortened(extra)).collect(),
            thesis: asked.thesis.clone(),
            ..Self::refused(&place, asked.way.as_str(), &asked.endpoint(), "")
        }
    }

    pub(crate) fn operation(&self) -> &'static str {
        self.intent().map_or("unknown", Intent::operation)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        crate::json(self)
    }
}

fn marks_for(
    intent: &Intent,
    marks: &BTreeMap<Instrument, MarkPrice>,
) -> Vec<(Instrument, Decimal, Timestamp)> {
    let mut seen = Vec::new();
    collect_marks(intent, marks, &mut seen);
    seen
}

fn collect_marks(
    intent: &Intent,
    marks: &BTreeMap<Instrument, MarkPrice>,
    seen: &mut Vec<(Instrument, Decimal, Timestamp)>,
) {
    match intent {
        Intent::Batch(legs) => legs.iter().for_each(|leg| collect_marks(leg, marks, seen)),
        Intent::Place(trading::Order { instrument, .. })
        | Intent::Amend(trading::Amendment { instrument, .. }) => {
            if let Some(mark) = marks.get(instrument)
                && !seen.iter().any(|(known, ..)| known == instrument)
            {
                seen.push((instrument.clone(), mark.price.decimal(), mark.at));
            }
        }
        _ => {}
    }
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// The detail of an operator's change, of the start of an epoch, or of a refusal that is about no
/// account.
#[derive(Debug, Serialize, Deserialize)]
pub struct Event {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<AccountName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<TradingState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size_factor: Option<SizeFactor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lent: Option<Lent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    heard: Vec<VenueEvent>,
    text: String,
}

impl Event {
    /// Kind of the events that set a size factor.
    pub(crate) const SIZE_FACTOR: &str = "size_factor";

    /// Kind of the events that say what trading leases allow.
    pub(crate) const LEASE: &str = "lease";

    /// Somebody asked for something that is about no account of the policy's.
    pub(crate) fn refused(problem: &str) -> Self {
        Self::said("refused", shortened(problem))
    }

    /// Something an operator did.
    pub(crate) fn change(change: Change) -> Self {
        Self::said(&change.kind, change.text)
    }

    /// A new trading state.
    pub(crate) fn state(state: TradingState, account: Option<AccountName>, why: String) -> Self {
        let kind = if state == TradingState::Active { "resume" } else { "halt" };
        Self { account, state: Some(state), ..Self::said(kind, why) }
    }

    /// A new size factor.
    pub(crate) fn size_factor(factor: SizeFactor, account: Option<AccountName>, why: String) -> Self {
        Self { account, size_factor: Some(factor), ..Self::said(Self::SIZE_FACTOR, why) }
    }

    /// What the live leases of an account allow together; `None` if there is none any more.
    pub(crate) fn lease(account: AccountName, lent: Option<Lent>) -> Self {
        let text = lent.map_or_else(
            || "no lease is live".to_owned(),
            |lent| format!("rung {}, {}, size factor {}", lent.rung, lent.trading, lent.size_factor),
        );
        Self { account: Some(account), lent, ..Self::said(Self::LEASE, text) }
    }

    /// More of the venue's words about orders than the next decision's record should hold.
    pub(crate) fn heard(account: AccountName, heard: Vec<VenueEvent>) -> Self {
        let text = format!("{} reports of the venue", heard.len());
        Self { account: Some(account), heard, ..Self::said("heard", text) }
    }

    /// Something the vault itself has to say of the log: see [`crate::core::epoch`].
    pub(crate) fn said(kind: &str, text: String) -> Self {
        let kind = kind.to_owned();
        Self { kind, account: None, state: None, size_factor: None, lent: None, heard: Vec::new(), text }
    }

    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    pub(crate) fn account(&self) -> Option<&str> {
        self.account.as_ref().map(AccountName::as_str)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        crate::json(self)
    }
}

/// What a record of an earlier epoch means for the counters.
pub(crate) fn past(body: &transparency::Body, detail: &[u8]) -> Result<Past, serde_json::Error> {
    match body.outcome {
        transparency::Outcome::Event => {
            match body.operation.as_str() {
                "halt" | "resume" | "heard" | Event::SIZE_FACTOR | Event::LEASE => {}
                transparency::Epoch::OPERATION => return Ok(Past::Epoch),
                _ => return Ok(Past::Nothing),
            }
            let event: Event = serde_json::from_slice(detail)?;
            if body.operation == Event::LEASE {
                let lent = event.lent;
                return Ok(event.account.map_or(Past::Nothing, |account| Past::Lent { account, lent }));
            }
            Ok(match (event.state, event.size_factor, event.account) {
                (Some(state), _, account) => Past::State { state, account },
                (None, Some(factor), account) => Past::SizeFactor { factor, account },
                (None, None, Some(account)) => Past::Decision { account, heard: event.heard, approved: None },
                (None, None, None) => Past::Nothing,
            })
        }
        // Nobody's counters: what was denied named no account of the policy's.
        transparency::Outcome::Denied(_) if body.account.is_none() => Ok(Past::Nothing),
        transparency::Outcome::Approved | transparency::Outcome::Denied(_) => {
            let detail: Detail = serde_json::from_slice(detail)?;
            // What was approved but could not be signed is denied in the end, and was not counted.
            let signed = matches!(body.outcome, transparency::Outcome::Approved);
            let approved = detail.approved.filter(|_| signed).map(Box::new);
            Ok(Past::Decision { account: detail.account, heard: detail.heard, approved })
        }
    }
}
