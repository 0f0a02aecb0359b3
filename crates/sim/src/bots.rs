//! The bots: a grid, momentum, one that asks on the sign socket and sends by itself, a liar, and one that
//! dies in the middle of requests.

use protocol::sign::{Reply, ReplyOutcome};
use trading::{
    Amendment, Amount, CancelAll, Decimal, Instrument, Intent, Order, OrderReference, OrderType, Price,
    Quantity, Side, TimeInForce,
};
use venue::HttpRequest;

use crate::gate::on_the_wire;
use crate::ledger::native;
use crate::setup::{BOTS, GRID, LIAR, MOMENTUM, MORTAL, SWIFT, instruments, login, signed};
use crate::vault_side::{BOT, GATE, OPERATOR};
use crate::world::{Event, Sender, World};

/// Lives of a bot are this far apart in the names of its connections.
const LIVES: usize = 1_000;
/// Pause between turns once the faults have stopped.
const CALM_TURN_MS: u64 = 2_500;
/// Requests that the liar keeps to send them again.
const KEPT: usize = 16;

/// What a bot knows.
#[derive(Default)]
pub(crate) struct Bot {
    life: u64,
    turns: u64,
    next_id: u64,
    ids: Vec<(String, Instrument)>,
    kept: Vec<HttpRequest>,
    pub(crate) answered_in_calm: bool,
}

impl World {
    pub(crate) fn bot_acts(&mut self, bot: usize) {
        self.bots[bot].turns += 1;
        if self.calm {
            self.at(CALM_TURN_MS, Event::Turn { bot });
            return self.probe(bot);
        }
        if self.bots[bot].turns < self.plan.turns {
            let wait = self.random.between(60, 600);
            self.at(wait, Event::Turn { bot });
        } else if self.bots.iter().all(|bot| bot.turns >= self.plan.turns) {
            self.at(500, Event::Calm);
            for bot in 0..BOTS.len() {
                self.at(1_500 + 30 * bot as u64, Event::Turn { bot });
            }
        } else {
            // Waits for the others.
            self.bots[bot].turns = self.plan.turns;
        }
        if self.prices.is_empty() {
            self.look_at_prices();
        }
        match bot {
            GRID | MORTAL => self.grid_acts(bot),
            MOMENTUM => self.momentum_acts(),
            SWIFT => self.swift_acts(),
            _ => self.liar_acts(),
        }
    }

    /// Once the faults have stopped every bot must be served: a cancel passes always.
    fn probe(&mut self, bot: usize) {
        let [btc, _] = instruments();
        if bot == SWIFT {
            let cancel =
                r#"{"id":0,"cancel":{"market":"linear","symbol":"BTCUSDT","client_order_id":"s-0"}}"#;
            return self.bot_says(bot, cancel.to_owned());
        }
        let target = OrderReference::Client("none-such".parse().expect("an id"));
        self.bot_sends(bot, &Intent::Cancel { instrument: btc, target });
    }

    fn grid_acts(&mut self, bot: usize) {
        let instrument = self.random.pick(&instruments()).clone();
        let intent = match self.random.below(100) {
            0..62 => {
                let side = *self.random.pick(&[Side::Buy, Side::Sell]);
                let order = self.limit_order(bot, &instrument, side);
                Intent::Place(order)
            }
            62..82 => match self.own_order(bot) {
                Some((id, instrument)) => Intent::Cancel { instrument, target: OrderReference::Client(id) },
                None => return,
            },
            82..94 => match self.own_order(bot) {
                Some((id, instrument)) => Intent::Amend(Amendment {
                    price: Some(self.price_near(&instrument, Side::Buy)),
                    instrument,
                    target: OrderReference::Client(id),
                    side: None,
                    amount: None,
                    trigger_price: None,
                    new_client_order_id: None,
                }),
                None => return,
            },
            _ => Intent::CancelAll(CancelAll {
                venue: instrument.venue,
                market: instrument.market,
                instrument: Some(instrument),
            }),
        };
        self.bot_sends(bot, &intent);
        if bot == MORTAL && self.random.chance(200) {
            // It knows nothing of what it asked for, and gives its ids again.
            let dead = &mut self.bots[bot];
            dead.life += 1;
            dead.next_id = 0;
            dead.ids.clear();
        }
    }

    fn momentum_acts(&mut self) {
        let [btc, eth] = instruments();
        let instrument = self.random.pick(&[btc, eth]).clone();
        let side = *self.random.pick(&[Side::Buy, Side::Sell]);
        let mut order = self.limit_order(MOMENTUM, &instrument, side);
        order.reduce_only = self.random.chance(350);
        if self.random.chance(700) {
            (order.order_type, order.price) = (OrderType::Market, None);
            order.time_in_force = TimeInForce::ImmediateOrCancel;
        } else {
            order.time_in_force = TimeInForce::ImmediateOrCancel;
        }
        self.bot_sends(MOMENTUM, &Intent::Place(order));
    }

    fn swift_acts(&mut self) {
        let [btc, _] = instruments();
        let line = match self.random.below(10) {
            0 => match self.own_order(SWIFT) {
                Some((id, _)) => {
                    format!(
                        r#"{{"id":1,"cancel":{{"market":"linear","symbol":"BTCUSDT","client_order_id":"{id}"}}}}"#
                    )
                }
                None => return,
            },
            1 => r#"{"id":2,"cancel_all":{"market":"linear"}}"#.to_owned(),
            _ => {
                let side = *self.random.pick(&[Side::Buy, Side::Sell]);
                let order = self.limit_order(SWIFT, &btc, side);
                neutral(&order)
            }
        };
        self.bot_says(SWIFT, line);
    }

    fn liar_acts(&mut self) {
        let [btc, _] = instruments();
        let order = self.limit_order(LIAR, &btc, Side::Buy);
        let intent = Intent::Place(order.clone());
        match self.random.below(14) {
            0 => {
                let length = usize::try_from(self.random.between(1, 300)).expect("a length");
                let junk: String = (0..length).map(|_| char::from(self.random.between(32, 126) as u8)).collect();
                self.bot_says(LIAR, junk);
            }
            1 => {
                let line = neutral(&order);
                self.bot_says(LIAR, line.replacen('{', r#"{"bot":"grid","#, 1));
            }
            2 => self.forge(&intent, "stand-in-of-grid", "worthless-secret-of-liar"),
            3 => self.forge(&intent, "real-key-of-swing", "worthless-secret-of-liar"),
            4 => {
                if let Some(request) = self.bots[LIAR].kept.last().cloned() {
                    self.bot_sends_request(LIAR, request, false);
                }
            }
            5 => {
                let mut large = order;
                large.amount = Amount::Base(number("40"));
                self.bot_sends(LIAR, &Intent::Place(large));
            }
            6 => self.bot_says(
                LIAR,
                r#"{"order":{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Market","qty":"0.01","colour":"red"},"market":"linear"}"#.into(),
            ),
            7 => self.bot_says(
                LIAR,
                r#"{"http":{"method":"POST","target":"/v5/asset/withdraw/create","headers":[],"body":"{}"}}"#.into(),
            ),
            8 => self.bot_says(
                LIAR,
                r#"{"report":{"account":"swing","order_number":0,"event":"closed"}}"#.into(),
            ),
            9 => {
                // The same id twice, at once.
                self.bot_sends(LIAR, &intent);
                self.bot_sends(LIAR, &intent);
            }
            10 => {
                // A stand-in is worth nothing at the venue.
                let login = login(&BOTS[LIAR]);
                if let Some(request) = signed(&intent, &login.api_key, &login.secret, self.now) {
                    self.send(Event::ToVenue { from: Sender::Bot, request: on_the_wire(&request) });
                }
            }
            11 => {
                let line = neutral(&order);
                self.bot_says(LIAR, line);
            }
            _ => self.bot_sends(LIAR, &intent),
        }
    }

    /// A request under `api_key` that is not signed with its secret.
    fn forge(&mut self, intent: &Intent, api_key: &str, secret: &str) {
        if let Some(request) = signed(intent, api_key, secret, self.now) {
            self.bot_sends_request(LIAR, request, true);
        }
    }

    /// A limit order near the market with an id of the bot's.
    fn limit_order(&mut self, bot: usize, instrument: &Instrument, side: Side) -> Order {
        let (mantissa, scale) = match instrument.symbol.as_str() {
            "BTCUSDT" => (self.random.between(2, 18), 3),
            _ => (self.random.between(50, 300), 3),
        };
        let quantity = Decimal::new(i128::from(mantissa), scale).expect("few digits");
        let own = &mut self.bots[bot];
        own.next_id += 1;
        let id = match bot {
            MORTAL => format!("m-{}", own.next_id),
            _ => format!("{}-{}", &BOTS[bot].name[..1], own.next_id),
        };
        own.ids.push((id.clone(), instrument.clone()));
        if own.ids.len() > 12 {
            own.ids.remove(0);
        }
        Order {
            instrument: instrument.clone(),
            side,
            order_type: OrderType::Limit,
            amount: Amount::Base(Quantity::new(quantity).expect("above zero")),
            price: Some(self.price_near(instrument, side)),
            trigger_price: None,
            time_in_force: TimeInForce::GoodTillCancel,
            post_only: false,
            reduce_only: false,
            client_order_id: Some(id.parse().expect("an id")),
        }
    }

    /// A price on the tick, from well inside to a little through the market.
    fn price_near(&mut self, instrument: &Instrument, side: Side) -> Price {
        let (per_unit, scale) = if instrument.symbol.as_str() == "BTCUSDT" { (10, 1) } else { (100, 2) };
        let mark = self.prices.get(&instrument.to_string()).map_or(Decimal::ONE, |price| price.decimal());
        let ticks = mark.mantissa() * per_unit / 10_i128.pow(u32::from(mark.scale()));
        let away = ticks * i128::from(self.random.between(0, 90)) / 10_000 - ticks / 1_000;
        let ticks = if side == Side::Buy { ticks - away } else { ticks + away };
        Price::new(Decimal::new(ticks.max(1), scale).expect("few digits")).expect("above zero")
    }

    fn own_order(&mut self, bot: usize) -> Option<(trading::ClientOrderId, Instrument)> {
        if self.bots[bot].ids.is_empty() {
            return None;
        }
        let (id, instrument) = self.random.pick(&self.bots[bot].ids).clone();
        Some((id.parse().expect("an id"), instrument))
    }

    /// Sends what a library would, through the gateway.
    fn bot_sends(&mut self, bot: usize, intent: &Intent) {
        let login = login(&BOTS[bot]);
        let skew = self.random.between(0, 60);
        let request = signed(intent, &login.api_key, &login.secret, self.now + 30 - skew);
        let request = request.unwrap_or_else(|| panic!("{intent} cannot be said in the venue's words"));
        self.bot_sends_request(bot, request, false);
    }

    fn bot_sends_request(&mut self, bot: usize, request: HttpRequest, forged: bool) {
        if bot == LIAR && !forged {
            let kept = &mut self.bots[bot].kept;
            kept.push(request.clone());
            if kept.len() > KEPT {
                kept.remove(0);
            }
        }
        let bot_life = self.bots[bot].life;
        self.send(Event::ToGate { bot, bot_life, request, forged });
    }

    /// Says a line on the sign socket.
    fn bot_says(&mut self, bot: usize, line: String) {
        let life = usize::try_from(self.bots[bot].life).expect("few lives");
        let (vault, from) = (self.vault.life, BOT + bot + LIVES * life);
        self.send(Event::Line { vault, from, line });
    }

    /// Which user speaks on a connection: the kernel says so, not the caller.
    pub(crate) fn uid_of(&self, from: usize) -> u32 {
        if (BOT..GATE).contains(&from) { BOTS[(from - BOT) % LIVES].uid } else { 0 }
    }

    pub(crate) fn answer_bot(&mut self, bot: usize, bot_life: u64, status: u16) {
        self.send(Event::ToBot { bot, bot_life, status });
    }

    pub(crate) fn bot_hears(&mut self, bot: usize, bot_life: u64, status: u16) {
        if self.bots[bot].life == bot_life && self.calm && status == 200 {
            self.bots[bot].answered_in_calm = true;
        }
    }

    /// Sends a line of the vault's to whom it is for.
    pub(crate) fn send_reply(&mut self, to: usize, line: Vec<u8>) {
        self.send(Event::Reply { to, line });
    }

    pub(crate) fn vault_replied(&mut self, to: usize, line: &[u8]) {
        if to >= GATE {
            if to == crate::gate::gate_token(self.gate.life) {
                self.gate_hears(line);
            }
        } else if to != OPERATOR {
            self.bot_hears_vault((to - BOT) % LIVES, line);
        }
    }

    /// A bot on the sign socket has its answer; what is signed it sends by itself: at once, late, or
    /// more than once.
    fn bot_hears_vault(&mut self, bot: usize, line: &[u8]) {
        let Ok(Reply { outcome: ReplyOutcome::Approved { request, .. }, .. }) = serde_json::from_slice(line)
        else {
            return;
        };
        if self.calm {
            self.bots[bot].answered_in_calm = true;
        }
        let Some(request) = native(&request) else { return };
        let request = on_the_wire(&request);
        let times = if self.random.chance(250) { self.random.between(2, 3) } else { 1 };
        for _ in 0..times {
            let late = if self.random.chance(200) { self.random.between(0, 8_000) } else { 0 };
            let wait = late + self.latency();
            self.at(wait, Event::ToVenue { from: Sender::Bot, request: request.clone() });
        }
    }
}

fn number(text: &str) -> Quantity {
    text.parse().expect("a quantity")
}

/// A limit order as a line.
fn neutral(order: &Order) -> String {
    let quantity = match order.amount {
        Amount::Base(quantity) => quantity.to_string(),
        _ => "1".to_owned(),
    };
    let id = order.client_order_id.as_ref().map_or("", |id| id.as_str());
    let price = order.price.map(|price| price.to_string()).unwrap_or_default();
    format!(
        r#"{{"id":3,"place":{{"market":"linear","symbol":"{}","side":"{}","type":"limit","quantity":"{quantity}","price":"{price}","client_order_id":"{id}"}}}}"#,
        order.instrument.symbol, order.side
    )
}
