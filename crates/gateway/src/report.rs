//! Tells the vault what the venue said of the orders it signed.

use protocol::sign::{Listed, ReadyRequest, Report, ReportEvent};
use trading::{
    AccountName, CancelAll, ClientOrderId, Instrument, Intent, OrderReference, Venue, VenueOrderId,
};
use venue::{Outcome, Transport};

use crate::endpoint::Endpoint;

/// Reports each leg of `ready` as the venue answered it. What is not understood is not reported:
/// unknown is never success.
pub(crate) fn acknowledged(
    endpoint: &Endpoint,
    account: &AccountName,
    ready: &ReadyRequest,
    transport: Transport,
    reply: &[u8],
) {
    for said in said(endpoint.venue, account, ready, transport, reply) {
        match said {
            Said::Report(report) => endpoint.report(&report),
            Said::Listed(listed) => endpoint.listed(&listed),
            Said::UnderWay(instrument) => endpoint.unsettled.note(account, &instrument),
        }
    }
}

/// What follows from a venue's reply.
pub(crate) enum Said {
    /// The vault is told of an order.
    Report(Report),
    /// The vault is told what rests.
    Listed(Listed),
    /// Something may be under way on this instrument.
    UnderWay(Instrument),
}

/// What follows from the reply to `ready`, in order.
pub(crate) fn said(
    venue: Venue,
    account: &AccountName,
    ready: &ReadyRequest,
    transport: Transport,
    reply: &[u8],
) -> Vec<Said> {
    let (Some(intent), Ok(reply)) = (ready.intent.as_deref(), std::str::from_utf8(reply)) else {
        return Vec::new();
    };
    if matches!(intent, Intent::Read(_) | Intent::StreamLogin { .. }) {
        return Vec::new();
    }
    let outcomes = venue::acknowledgement(venue, intent, transport, reply);
    let legs = match intent {
        Intent::Batch(legs) => legs.as_slice(),
        single => std::slice::from_ref(single),
    };
    if let ([Intent::CancelAll(scope)], [Outcome::Acknowledged(_)], Some(below)) =
        (legs, outcomes.as_slice(), ready.first_order)
    {
        let CancelAll { market, instrument, .. } = scope.clone();
        let open = Vec::new();
        return vec![Said::Listed(Listed { account: account.clone(), market, instrument, below, open })];
    }
    let mut said = Vec::new();
    let mut number = ready.first_order;
    for (leg, outcome) in legs.iter().zip(outcomes) {
        if let Some(report) = report(account, leg, &outcome, number) {
            said.push(Said::Report(report));
        }
        if let Intent::Place(order) = leg {
            said.push(Said::UnderWay(order.instrument.clone()));
            number = number.map(|number| number + 1);
        }
    }
    said
}

fn report(account: &AccountName, leg: &Intent, outcome: &Outcome, number: Option<u64>) -> Option<Report> {
    let bare = |event| Report {
        account: account.clone(),
        order_number: None,
        client_order_id: None,
        venue_order_id: None,
        event,
    };
    match (leg, outcome) {
        (Intent::Place(_), Outcome::Acknowledged(ack)) => Some(Report {
            order_number: number,
            venue_order_id: ack.venue_order_id.clone(),
            ..bare(if is_final(ack.status.as_deref()) {
                ReportEvent::Closed
            } else {
                ReportEvent::Acknowledged
            })
        }),
        (Intent::Place(_), Outcome::Rejected { .. }) => {
            Some(Report { order_number: number, ..bare(ReportEvent::Rejected) })
        }
        (Intent::Cancel { target, .. }, Outcome::Acknowledged(_)) => {
            let (client_order_id, venue_order_id) = ids(target);
            Some(Report { client_order_id, venue_order_id, ..bare(ReportEvent::Closed) })
        }
        _ => None,
    }
}

fn ids(target: &OrderReference) -> (Option<ClientOrderId>, Option<VenueOrderId>) {
    (target.client().cloned(), target.venue().cloned())
}

/// Whether the venue's word for an order's state means that it rests no more.
fn is_final(status: Option<&str>) -> bool {
    matches!(
        status,
        Some(
            "FILLED"
                | "CANCELED"
                | "EXPIRED"
                | "EXPIRED_IN_MATCH"
                | "REJECTED"
                | "Filled"
                | "Cancelled"
                | "Rejected"
                | "Deactivated"
        )
    )
}
