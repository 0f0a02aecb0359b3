//! What all requests to one venue's drop-in endpoint share.

use std::sync::Arc;

use protocol::sign::{Held, Listed, Mark, Report};
use serde::Serialize;
use tokio::sync::Semaphore;
use trading::Venue;

use crate::network::Bases;
use crate::places::Places;
use crate::settle::Unsettled;
use crate::shares::Shares;
use crate::stand_ins::Logins;
use crate::upstream::Upstream;
use crate::vault_link::VaultLink;

/// One venue's drop-in endpoint.
pub(crate) struct Endpoint {
    pub(crate) venue: Venue,
    pub(crate) bases: Bases,
    pub(crate) logins: Arc<Logins>,
    pub(crate) vault: VaultLink,
    pub(crate) upstream: Upstream,
    pub(crate) unsettled: Unsettled,
    /// Places for streams.
    pub(crate) streams: Arc<Places>,
    /// Bots' shares of what is under way.
    pub(crate) shares: Arc<Shares>,
    /// Bots' shares of the streams.
    pub(crate) stream_shares: Arc<Shares>,
    /// Room for requests that need no login.
    pub(crate) public: Semaphore,
}

#[derive(Serialize)]
pub(crate) struct ReportLine<'a> {
    pub(crate) report: &'a Report,
}

#[derive(Serialize)]
pub(crate) struct ListedLine<'a> {
    pub(crate) listed: &'a Listed,
}

#[derive(Serialize)]
pub(crate) struct HeldLine<'a> {
    pub(crate) held: &'a Held,
}

#[derive(Serialize)]
pub(crate) struct MarksLine<'a> {
    pub(crate) marks: &'a [Mark],
}

impl Endpoint {
    /// Tells the vault what the venue said of an order.
    pub(crate) fn report(&self, report: &Report) {
        self.vault.tell(&ReportLine { report });
    }

    /// Tells the vault what rests on the venue's book.
    pub(crate) fn listed(&self, listed: &Listed) {
        self.vault.tell(&ListedLine { listed });
    }

    /// Tells the vault which position the venue told.
    pub(crate) fn held(&self, held: &Held) {
        self.vault.tell(&HeldLine { held });
    }

    /// Tells the vault the latest prices.
    pub(crate) fn tell_marks(&self, marks: &[Mark]) {
        if !marks.is_empty() {
            self.vault.tell(&MarksLine { marks });
        }
    }
}
