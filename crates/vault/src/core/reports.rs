//! What the gateway tells: the venue's word about orders, and mark prices.

use policy::{MarkPrice, OrderName, VenueEvent};
use protocol::sign::{Held, Listed, Report, ReportEvent};
use trading::AccountName;

use super::{Core, Output, names};
use crate::detail::Event;
use crate::recorder::Salt;

/// Reports of the venue that one account's next record may hold, each order of a listing counted as
/// one; one more makes a record of its own.
pub(super) const MAX_HEARD: usize = 128;

impl Core {
    /// The venue's word about an order, through the gateway; the policy says what it may free.
    pub(super) fn report(&mut self, report: &Report, salt: Salt, out: &mut Vec<Output>) {
        let order = match (&report.order_number, &report.client_order_id, &report.venue_order_id) {
            (Some(number), ..) => OrderName::Number(*number),
            (None, Some(client), _) => OrderName::Client(client.clone()),
            (None, None, Some(venue)) => OrderName::Venue(venue.clone()),
            (None, None, None) => return,
        };
        self.counts.rejected += u64::from(report.event == ReportEvent::Rejected);
        let event = match (report.event, &report.venue_order_id) {
            (ReportEvent::Acknowledged, Some(venue_order_id)) => {
                VenueEvent::Acknowledged { order, venue_order_id: venue_order_id.clone() }
            }
            (ReportEvent::Acknowledged, None) => return,
            (ReportEvent::Rejected, _) => VenueEvent::Rejected { order },
            (ReportEvent::Closed, _) => VenueEvent::Closed { order },
        };
        self.hear(&report.account, event, salt, out);
    }

    /// What the venue listed as resting, through the gateway.
    pub(super) fn listed(&mut self, listed: Listed, salt: Salt, out: &mut Vec<Output>) {
        let Listed { account, market, instrument, below, open } = listed;
        let open = open.into_iter().collect();
        self.hear(&account, VenueEvent::Listed { market, instrument, below, open }, salt, out);
    }

    /// What position the venue told, through the gateway.
    pub(super) fn held(&mut self, held: Held, salt: Salt, out: &mut Vec<Output>) {
        let Held { account, instrument, quantity, price, below } = held;
        // Only instruments the policy names: the table cannot grow beyond it.
        let Some(price) = trading::Price::new(price).ok().filter(|_| names(&self.policy, &instrument)) else {
            return;
        };
        self.hear(&account, VenueEvent::Position { instrument, quantity, price, below }, salt, out);
    }

    /// Lets the counters take what was heard, and keeps it for the account's next record.
    pub(super) fn hear(
        &mut self,
        account: &AccountName,
        event: VenueEvent,
        salt: Salt,
        out: &mut Vec<Output>,
    ) {
        let Some(state) = self.states.get_mut(account) else { return };
        state.observe(&event);
        let heard = self.heard.entry(account.clone()).or_default();
        heard.push(event);
        if heard.iter().map(length).sum::<usize>() >= MAX_HEARD {
            self.write_down_heard(salt, out);
        }
    }

    /// Records what was heard of every account now, because no decision's record can hold it or
    /// because what follows must stand behind it.
    pub(super) fn write_down_heard(&mut self, salt: Salt, out: &mut Vec<Output>) {
        for (account, heard) in std::mem::take(&mut self.heard) {
            let salt = crate::recorder::derived_salt(salt, self.recorder.next_index());
            let (frame, ticket) = self.note("gateway", &Event::heard(account, heard), salt);
            out.push(frame);
            // Nobody waits for this record.
            drop(ticket);
        }
    }

    pub(super) fn put_marks(&mut self, marks: &[protocol::sign::Mark]) {
        for mark in marks {
            // Only instruments the policy names: the table cannot grow beyond it.
            if !names(&self.policy, &mark.instrument) {
                continue;
            }
            if let Ok(price) = trading::Price::new(mark.price) {
                // A mark from the future would never grow stale.
                let at = mark.at.min(self.context.now);
                self.context.mark_prices.insert(mark.instrument.clone(), MarkPrice { price, at });
            }
        }
    }
}

/// How much of a record a report takes.
fn length(event: &VenueEvent) -> usize {
    match event {
        VenueEvent::Listed { open, .. } => 1 + open.len(),
        VenueEvent::Acknowledged { .. }
        | VenueEvent::Closed { .. }
        | VenueEvent::Rejected { .. }
        | VenueEvent::Position { .. } => 1,
    }
}
