//! The gateway, with the real decisions, and the venue behind it.

use std::collections::BTreeMap;

use gateway::sim::{Gateway, Place};
use paper::sim::Request;
use protocol::sign::{Mark, ReadyRequest, Reply, ReplyOutcome};
use trading::{AccountName, Market, Venue};
use venue::{HttpRequest, Method};

use crate::ledger::{Checked, Violation, ensure, native};
use crate::setup::{self, BOTS, account_of_key, instruments, login, mac, venue_secret};
use crate::vault_side::GATE;
use crate::world::{Event, Sender, World};

/// How long the gateway waits for the vault, and for the venue; as the real one.
const VAULT_LIMIT_MS: u64 = 10_000;
const VENUE_LIMIT_MS: u64 = 15_000;
const TICK_MS: u64 = 1_000;

/// The gateway, if it lives.
#[derive(Default)]
pub(crate) struct Gate {
    core: Option<Gateway>,
    pub(crate) life: u64,
    next: u64,
    ticks: u64,
    /// Questions at the vault, and requests at the venue, by number: until when, and for whom.
    at_vault: BTreeMap<u64, (u64, Asker)>,
    at_venue: BTreeMap<u64, (u64, Asker, ReadyRequest)>,
}

/// For whom something is asked.
#[derive(Clone)]
enum Asker {
    Bot { bot: usize, bot_life: u64, account: AccountName },
    Orders(Settling),
    Position(Settling),
}

/// The questions about one place, as far as they are answered.
#[derive(Clone)]
struct Settling {
    place: Place,
    rounds: u8,
    empty: Option<bool>,
}

impl World {
    pub(crate) fn start_gate(&mut self) {
        if self.gate.core.is_some() {
            return;
        }
        let logins = BOTS.iter().map(login).collect();
        self.gate.core = Some(Gateway::new(Venue::Bybit, logins, &instruments()));
        self.gate.life += 1;
        let life = self.gate.life;
        self.at(10, Event::GateTick { life });
    }

    pub(crate) fn gate_dies(&mut self) {
        if self.gate.core.take().is_none() {
            return;
        }
        self.gate.at_vault.clear();
        self.gate.at_venue.clear();
        let wait = self.random.between(20, 300);
        self.at(wait, Event::StartGate);
    }

    /// The connection to the vault broke: whoever waits is told.
    pub(crate) fn gate_loses_vault(&mut self) {
        for (_, (_, asker)) in std::mem::take(&mut self.gate.at_vault) {
            self.give_up(asker);
        }
    }

    pub(crate) fn gate_takes(
        &mut self,
        bot: usize,
        bot_life: u64,
        request: &HttpRequest,
        forged: bool,
    ) -> Checked {
        let Some(core) = &self.gate.core else {
            self.answer_bot(bot, bot_life, 502);
            return Ok(());
        };
        match core.admit(request) {
            Ok((login, question)) => {
                let own = login.bot.as_str() == BOTS[bot].name && !forged;
                ensure(own, "a stand-in lets in only its own bot", || {
                    format!("{} came in as {}", BOTS[bot].name, login.bot)
                })?;
                self.ask_vault(&question, Asker::Bot { bot, bot_life, account: login.account });
            }
            Err(_) => self.answer_bot(bot, bot_life, 401),
        }
        Ok(())
    }

    fn ask_vault(&mut self, question: &str, asker: Asker) {
        if self.vault.vault.is_none() {
            return self.give_up(asker);
        }
        self.gate.next += 1;
        let number = self.gate.next;
        self.gate.at_vault.insert(number, (self.now + VAULT_LIMIT_MS, asker));
        let rest = question.strip_prefix('{').expect("a question is an object");
        self.tell_vault(format!("{{\"id\":{number},{rest}"));
    }

    fn tell_vault(&mut self, line: String) {
        let (vault, from) = (self.vault.life, gate_token(self.gate.life));
        self.send(Event::Line { vault, from, line });
    }

    /// A line of the vault's to the gateway.
    pub(crate) fn gate_hears(&mut self, line: &[u8]) {
        let Ok(Reply { id, outcome }) = serde_json::from_slice::<Reply>(line) else { return };
        let number = id.as_deref().and_then(|id| id.get().parse::<u64>().ok());
        let Some((_, asker)) = number.and_then(|number| self.gate.at_vault.remove(&number)) else { return };
        match outcome {
            ReplyOutcome::Approved { request, .. } => self.ask_venue(request, asker),
            ReplyOutcome::Denied { .. } => match asker {
                Asker::Bot { bot, bot_life, .. } => self.answer_bot(bot, bot_life, 403),
                // Nobody may ask: as the real one, it counts as nothing there.
                Asker::Orders(settling) => self.ask_position(Settling { empty: Some(true), ..settling }),
                Asker::Position(settling) => self.end_questions(settling, true),
            },
            ReplyOutcome::Error { .. } => self.give_up(asker),
        }
    }

    fn ask_venue(&mut self, ready: ReadyRequest, asker: Asker) {
        let Some(request) = native(&ready) else { return self.give_up(asker) };
        self.gate.next += 1;
        let (life, number) = (self.gate.life, self.gate.next);
        self.gate.at_venue.insert(number, (self.now + VENUE_LIMIT_MS, asker, ready));
        self.send(Event::ToVenue { from: Sender::Gate { life, number }, request: on_the_wire(&request) });
    }

    /// No answer: unknown is never gone.
    fn give_up(&mut self, asker: Asker) {
        match asker {
            Asker::Bot { bot, bot_life, .. } => self.answer_bot(bot, bot_life, 503),
            Asker::Orders(settling) => self.ask_position(settling),
            Asker::Position(settling) => self.end_questions(settling, false),
        }
    }

    fn ask_position(&mut self, settling: Settling) {
        let Some(core) = &self.gate.core else { return };
        let question =
            core.login_for(&settling.place.0).and_then(|login| core.questions(&login, &settling.place.1).1);
        match question {
            Some(question) => self.ask_vault(&question, Asker::Position(settling)),
            None => self.end_questions(settling, true),
        }
    }

    fn end_questions(&mut self, settling: Settling, told: bool) {
        if let Some(core) = &self.gate.core {
            core.put_back(settling.place, settling.rounds, settling.empty, told);
        }
    }

    pub(crate) fn venue_takes(&mut self, from: Sender, request: &Request) -> Checked {
        if self.now < self.venue_down_until {
            return Ok(());
        }
        let arrived = self.authentic(request);
        let index = match &arrived {
            Some((account, request)) => Some((*account, self.ledger.arrived(account, request)?)),
            None => None,
        };
        let (status, body) = self.venue.answer(request, self.now);
        for account in setup::ACCOUNTS {
            let last = self.seen_orders.get(account.name).copied().unwrap_or_default();
            for order in self.venue.orders(account.name) {
                if order.id <= last {
                    continue;
                }
                self.seen_orders.insert(account.name, order.id);
                match index {
                    Some((by, index)) if by == account.name => self.ledger.accepted(index, &order)?,
                    _ => {
                        let seen = format!("order {}", order.id);
                        return Err(Violation { invariant: "orders come of authentic requests", seen });
                    }
                }
            }
        }
        self.send(Event::FromVenue { to: from, status, body });
        Ok(())
    }

    /// The account whose venue key signed the request, if one did.
    fn authentic(&self, request: &Request) -> Option<(&'static str, HttpRequest)> {
        let request = HttpRequest {
            method: request.method.parse().ok()?,
            target: request.target.clone(),
            headers: request.headers.clone(),
            body: request.body.clone().into_bytes(),
        };
        let (presented, unsigned) = venue::split(Venue::Bybit, request.clone()).ok()?;
        let account = account_of_key(&presented.api_key)?;
        let input = venue::signing_input(&unsigned, &presented.api_key);
        (presented.signature? == mac(&venue_secret(account), &input)).then_some((account, request))
    }

    pub(crate) fn venue_replied(&mut self, to: Sender, status: u16, body: &str) {
        let Sender::Gate { life, number } = to else { return };
        if life != self.gate.life {
            return;
        }
        let Some((_, asker, ready)) = self.gate.at_venue.remove(&number) else { return };
        let Some(core) = &self.gate.core else { return };
        match asker {
            Asker::Bot { bot, bot_life, account } => {
                for line in core.replied(&account, &ready, status, body) {
                    self.tell_vault(line);
                }
                self.answer_bot(bot, bot_life, status);
            }
            Asker::Orders(settling) => match core.listed(&settling.place, &ready, body) {
                Some((line, empty)) => {
                    if let Some(line) = line {
                        self.tell_vault(line);
                    }
                    self.ask_position(Settling { empty: Some(empty), ..settling });
                }
                None => self.ask_position(settling),
            },
            Asker::Position(settling) => {
                let held = core.held(&settling.place, &ready, body);
                let told = held.is_some();
                if let Some(line) = held {
                    self.tell_vault(line);
                }
                self.end_questions(settling, told);
            }
        }
    }

    /// Looks after prices every second, after what rests every fifth, and gives up what is overdue.
    pub(crate) fn gate_ticks(&mut self, life: u64) {
        if life != self.gate.life || self.gate.core.is_none() {
            return;
        }
        self.at(TICK_MS, Event::GateTick { life });
        let now = self.now;
        let overdue: Vec<u64> = self
            .gate
            .at_vault
            .iter()
            .filter(|(_, (until, _))| *until < now)
            .map(|(&number, _)| number)
            .collect();
        for number in overdue {
            if let Some((_, asker)) = self.gate.at_vault.remove(&number) {
                self.give_up(asker);
            }
        }
        let overdue: Vec<u64> = self
            .gate
            .at_venue
            .iter()
            .filter(|(_, (until, ..))| *until < now)
            .map(|(&number, _)| number)
            .collect();
        for number in overdue {
            if let Some((_, asker, _)) = self.gate.at_venue.remove(&number) {
                self.give_up(asker);
            }
        }
        self.tell_prices();
        self.gate.ticks += 1;
        if self.gate.ticks % 5 == 1 {
            self.ask_what_rests();
        }
    }

    fn tell_prices(&mut self) {
        if self.now < self.venue_down_until {
            return;
        }
        self.look_at_prices();
        let at = self.clock(0);
        let mark = |instrument: trading::Instrument| {
            let price = self.prices.get(&instrument.to_string())?.decimal();
            Some(Mark { instrument, price, at })
        };
        let marks: Vec<Mark> = instruments().into_iter().filter_map(mark).collect();
        if let Some(core) = &self.gate.core {
            let line = core.marks(&marks);
            self.tell_vault(line);
        }
    }

    /// The prices that everybody can see.
    pub(crate) fn look_at_prices(&mut self) {
        let asked = venue::mark_prices_request(Venue::Bybit, Market::Linear, None).expect("a market it has");
        let request =
            HttpRequest { method: Method::Get, target: asked.target, headers: Vec::new(), body: Vec::new() };
        let (_, body) = self.venue.answer(&on_the_wire(&request), self.now);
        let prices =
            venue::read_mark_prices(Venue::Bybit, Market::Linear, &body).expect("the venue tells prices");
        self.prices.extend(prices.into_iter().map(|(instrument, price)| (instrument.to_string(), price)));
    }

    fn ask_what_rests(&mut self) {
        let Some(core) = &self.gate.core else { return };
        for place in core.places() {
            let Some(core) = &self.gate.core else { return };
            let Some(login) = core.login_for(&place.0) else { continue };
            let rounds = core.take(&place);
            let (question, _) = core.questions(&login, &place.1);
            self.ask_vault(&question, Asker::Orders(Settling { place, rounds, empty: None }));
        }
    }
}

/// The gateway's connection to the vault in one of its lives.
pub(crate) fn gate_token(life: u64) -> usize {
    GATE + usize::try_from(life).expect("few lives")
}

/// A request as the venue receives it.
pub(crate) fn on_the_wire(request: &HttpRequest) -> Request {
    Request {
        method: request.method.as_str().to_owned(),
        target: request.target.clone(),
        headers: request.headers.clone(),
        body: String::from_utf8_lossy(&request.body).into_owned(),
    }
}
