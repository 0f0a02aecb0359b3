//! What the gateway decides, without its sockets, for simulations: whether a login holds, what the vault
//! is asked, what it is told of a venue's reply, what is asked about next. Behind the feature `sim`.

use protocol::sign::{HttpMessage, Mark, ReadyRequest};
use serde::Serialize;
use trading::{AccountName, Instrument, Venue};
use venue::{HttpRequest, Transport};

use crate::endpoint::{HeldLine, ListedLine, MarksLine, ReportLine};
use crate::http::{Question, spelling_name, spelling_of};
use crate::report::{Said, said};
use crate::settle::{self, About, Unsettled, rounds_left};
use crate::stand_ins::StandIn;

/// One life of a gateway to one venue.
pub struct Gateway {
    venue: Venue,
    logins: Vec<StandIn>,
    unsettled: Unsettled,
}

/// Where something may be under way.
pub type Place = (AccountName, Instrument);

impl Gateway {
    /// A gateway that has just started: whatever `instruments` rest from before is asked about.
    #[must_use]
    pub fn new(venue: Venue, logins: Vec<StandIn>, instruments: &[Instrument]) -> Self {
        let unsettled = Unsettled::default();
        for login in &logins {
            instruments.iter().for_each(|instrument| unsettled.note(&login.account, instrument));
        }
        Self { venue, logins, unsettled }
    }

    /// A login for `account`.
    #[must_use]
    pub fn login_for(&self, account: &AccountName) -> Option<StandIn> {
        self.logins.iter().find(|login| login.account == *account).cloned()
    }

    /// Checks a bot's request; returns its login and the question to the vault.
    ///
    /// # Errors
    ///
    /// Says why the bot is refused.
    pub fn admit(&self, request: &HttpRequest) -> Result<(StandIn, String), String> {
        let (presented, unsigned) =
            venue::split(self.venue, request.clone()).map_err(|error| error.to_string())?;
        let login = self.logins.iter().find(|login| login.api_key == presented.api_key);
        let login = login.ok_or("unknown stand-in key")?;
        let spelling = spelling_of(login, &presented, &unsigned).ok_or("the signature does not fit")?;
        let body = String::from_utf8(request.body.clone()).map_err(|_| "the body is not UTF-8")?;
        let http = HttpMessage {
            method: request.method.as_str().to_owned(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            body,
            spelling: spelling_name(spelling),
        };
        let StandIn { bot, account, .. } = login;
        let question = Question { bot, account, venue: self.venue, http: &http, thesis: None };
        Ok((login.clone(), line(&question)))
    }

    /// The lines that tell the vault what a venue replied to a bot's request.
    pub fn replied(
        &self,
        account: &AccountName,
        ready: &ReadyRequest,
        status: u16,
        body: &str,
    ) -> Vec<String> {
        let mut lines = Vec::new();
        for said in said(self.venue, account, ready, Transport::Http(status), body.as_bytes()) {
            match said {
                Said::Report(report) => lines.push(line(&ReportLine { report: &report })),
                Said::Listed(listed) => lines.push(line(&ListedLine { listed: &listed })),
                Said::UnderWay(instrument) => self.unsettled.note(account, &instrument),
            }
        }
        lines
    }

    /// Where something may be under way.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        self.unsettled.places()
    }

    /// Takes a place off the list for the time of the questions.
    #[must_use]
    pub fn take(&self, place: &Place) -> u8 {
        self.unsettled.take(place)
    }

    /// Ends the questions: `empty` whether nothing rests, if known; `told` whether the position is.
    pub fn put_back(&self, place: Place, rounds: u8, empty: Option<bool>, told: bool) {
        self.unsettled.put_back(place, rounds_left(rounds, empty, told));
    }

    /// The questions about a place: what rests, and what is held where venues tell that.
    #[must_use]
    pub fn questions(&self, login: &StandIn, instrument: &Instrument) -> (String, Option<String>) {
        let ask = |about| {
            let StandIn { bot, account, venue, .. } = login;
            line(&settle::Question { bot, account, venue: *venue, about })
        };
        let position = venue::position_read(instrument).map(|_| ask(About::Position(instrument)));
        (ask(About::OpenOrders(instrument)), position)
    }

    /// The line about what rests: `None` if unknown, the line absent if the list is not whole, and
    /// whether nothing rests.
    #[must_use]
    pub fn listed(&self, place: &Place, ready: &ReadyRequest, body: &str) -> Option<(Option<String>, bool)> {
        let listed = settle::listed(&place.0, &place.1, ready, body)?;
        let empty = listed.as_ref().is_some_and(|listed| listed.open.is_empty());
        Some((listed.map(|listed| line(&ListedLine { listed: &listed })), empty))
    }

    /// The line about what is held; `None` if unknown.
    #[must_use]
    pub fn held(&self, place: &Place, ready: &ReadyRequest, body: &str) -> Option<String> {
        settle::held(&place.0, &place.1, ready, body).map(|held| line(&HeldLine { held: &held }))
    }

    /// The line with the latest prices.
    #[must_use]
    pub fn marks(&self, marks: &[Mark]) -> String {
        line(&MarksLine { marks })
    }
}

fn line(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("lines hold only strings and numbers")
}
