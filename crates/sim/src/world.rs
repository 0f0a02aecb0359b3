//! The queue of events, the time, and who lives.

use std::collections::BTreeMap;

use paper::sim::{Request, Venue as PaperVenue};
use sha2::{Digest as _, Sha256};
use trading::{Price, Timestamp, Venue};
use vault::sim::Outcome;

use crate::bots::Bot;
use crate::gate::Gate;
use crate::ledger::{Checked, Ledger, Violation, ensure};
use crate::log_side::LogSide;
use crate::random::Random;
use crate::setup::{self, BOTS, START_MS};
use crate::vault_side::VaultSide;
use crate::{Counts, Plan, Report};

/// Longest simulated time in which everything has to settle once the faults have stopped.
const CALM_MS: u64 = 18_000;
/// More events than any run needs.
const MOST_EVENTS: u64 = 5_000_000;

/// Who sent a request to the venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// The gateway of this life, under this number.
    Gate { life: u64, number: u64 },
    /// A bot by itself.
    Bot,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A frame of the vault's reaches the journal.
    ToJournal {
        link: u64,
        frame: Vec<u8>,
    },
    /// A frame of the journal's reaches the vault.
    ToVault {
        link: u64,
        frame: Vec<u8>,
    },
    /// The journal sees the end of a connection.
    JournalSeesEnd {
        link: u64,
    },
    /// The vault sees the end of a connection.
    VaultSeesEnd {
        link: u64,
    },
    /// The journal writes and syncs what has arrived.
    Sync {
        life: u64,
    },
    /// The journal publishes.
    Checkpoint,
    /// The vault seeks the journal.
    Connect {
        life: u64,
    },
    StartJournal,
    StartVault,
    StartGate,
    /// A line to the vault, from the gateway of a life, a bot of a life, or an operator.
    Line {
        vault: u64,
        from: usize,
        line: String,
    },
    /// A line of the vault's.
    Reply {
        to: usize,
        line: Vec<u8>,
    },
    /// A bot's request reaches the gateway.
    ToGate {
        bot: usize,
        bot_life: u64,
        request: venue::HttpRequest,
        forged: bool,
    },
    /// The gateway's answer reaches the bot.
    ToBot {
        bot: usize,
        bot_life: u64,
        status: u16,
    },
    /// A request reaches the venue.
    ToVenue {
        from: Sender,
        request: Request,
    },
    /// The venue's answer reaches whom it is for.
    FromVenue {
        to: Sender,
        status: u16,
        body: String,
    },
    /// The gateway looks after prices and after what rests.
    GateTick {
        life: u64,
    },
    /// The market moves.
    Market,
    /// A bot acts.
    Turn {
        bot: usize,
    },
    /// Something goes wrong.
    Fault,
    /// Faults stop.
    Calm,
}

/// Everything.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) random: Random,
    pub(crate) now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    hash: Sha256,
    pub(crate) calm: bool,
    pub(crate) weather: Weather,
    pub(crate) ledger: Ledger,
    pub(crate) log: LogSide,
    pub(crate) vault: VaultSide,
    pub(crate) gate: Gate,
    pub(crate) venue: PaperVenue,
    pub(crate) venue_down_until: u64,
    /// Highest order of each account that was looked at.
    pub(crate) seen_orders: BTreeMap<&'static str, u64>,
    pub(crate) prices: BTreeMap<String, Price>,
    pub(crate) bots: Vec<Bot>,
    pub(crate) counts: Counts,
}

/// How bad it is, from the seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// Of a thousand messages, how many are lost.
    pub(crate) lost: u64,
    /// Of a thousand messages, how many come twice.
    pub(crate) doubled: u64,
    /// Of a thousand messages, how many take seconds.
    pub(crate) slow: u64,
    /// Milliseconds between faults, on average; 0 for none.
    pub(crate) fault_every: u64,
}

impl Weather {
    fn of(random: &mut Random) -> Self {
        match random.below(5) {
            // Only what a quiet day brings: then a fault is in the logic.
            0 => Self { lost: 0, doubled: 0, slow: 0, fault_every: 0 },
            1 => Self { lost: 30, doubled: 30, slow: 20, fault_every: 0 },
            2 => Self { lost: 0, doubled: 0, slow: 5, fault_every: 700 },
            3 => Self { lost: 10, doubled: 10, slow: 10, fault_every: 1_500 },
            _ => Self { lost: 60, doubled: 60, slow: 50, fault_every: 400 },
        }
    }
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let weather = Weather::of(&mut random);
        let venue = PaperVenue::open(Venue::Bybit, &setup::venue_config(random.next()), START_MS);
        let venue = venue.expect("the simulation's venue is well configured");
        let log = LogSide::new(random.next(), plan.mutant);
        let bots = BOTS.iter().map(|_| Bot::default()).collect();
        Self {
            plan,
            now: START_MS,
            queue: BTreeMap::new(),
            next_event: 0,
            hash: Sha256::new(),
            calm: false,
            weather,
            ledger: Ledger::default(),
            log,
            vault: VaultSide::new(),
            gate: Gate::default(),
            venue,
            venue_down_until: 0,
            seen_orders: BTreeMap::new(),
            prices: BTreeMap::new(),
            bots,
            counts: Counts::default(),
            random,
        }
    }

    /// Runs until everything has settled, or to the first violation.
    pub(crate) fn run(&mut self) -> Checked {
        self.at(0, Event::StartJournal);
        self.at(20, Event::StartVault);
        self.at(30, Event::StartGate);
        self.at(1, Event::Market);
        self.at(500, Event::Checkpoint);
        for bot in 0..BOTS.len() {
            self.at(200 + 40 * bot as u64, Event::Turn { bot });
        }
        if self.weather.fault_every > 0 {
            self.at(1_000, Event::Fault);
        }
        let mut end = u64::MAX;
        while let Some(((time, _), event)) = self.queue.pop_first() {
            // In the end what is under way arrives, and nothing new begins.
            let is_new = matches!(
                event,
                Event::Turn { .. }
                    | Event::GateTick { .. }
                    | Event::Market
                    | Event::Checkpoint
                    | Event::Fault
            );
            if time > end && is_new {
                continue;
            }
            self.now = self.now.max(time);
            self.counts.events += 1;
            ensure(self.counts.events < MOST_EVENTS, "runs end", || format!("{MOST_EVENTS} events"))?;
            self.note(&event);
            if event == Event::Calm {
                self.calm = true;
                end = self.now + CALM_MS;
                continue;
            }
            self.take(event)?;
        }
        self.journal_publishes()?;
        self.settled()
    }

    pub(crate) fn report(&mut self, violation: Option<Violation>) -> Report {
        self.counts.time_ms = self.now - START_MS;
        self.counts.records = self.ledger.entries.len() as u64;
        self.counts.approved = self.ledger.approved;
        self.counts.denied = self.ledger.denied;
        self.counts.released = self.ledger.released;
        self.counts.orders = self.ledger.orders;
        self.counts.checkpoints = self.ledger.checkpoints() as u64;
        let hash = self.hash.clone().finalize().into();
        Report { seed: self.plan.seed, hash, violation, counts: self.counts }
    }

    fn take(&mut self, event: Event) -> Checked {
        match event {
            Event::ToJournal { link, frame } => self.journal_takes(link, &frame),
            Event::ToVault { link, frame } => self.vault_takes_frame(link, &frame),
            Event::JournalSeesEnd { link } => self.journal_sees_end(link),
            Event::VaultSeesEnd { link } => {
                self.vault_sees_end(link);
                Ok(())
            }
            Event::Sync { life } => self.journal_syncs(life),
            Event::Checkpoint => self.journal_publishes(),
            Event::Connect { life } => self.vault_connects(life),
            Event::StartJournal => self.start_journal(),
            Event::StartVault => self.start_vault(),
            Event::StartGate => {
                self.start_gate();
                Ok(())
            }
            Event::Line { vault, from, line } => self.vault_takes_line(vault, from, &line),
            Event::Reply { to, line } => {
                self.vault_replied(to, &line);
                Ok(())
            }
            Event::ToGate { bot, bot_life, request, forged } => {
                self.gate_takes(bot, bot_life, &request, forged)
            }
            Event::ToBot { bot, bot_life, status } => {
                self.bot_hears(bot, bot_life, status);
                Ok(())
            }
            Event::ToVenue { from, request } => self.venue_takes(from, &request),
            Event::FromVenue { to, status, body } => {
                self.venue_replied(to, status, &body);
                Ok(())
            }
            Event::GateTick { life } => {
                self.gate_ticks(life);
                Ok(())
            }
            Event::Market => {
                self.market_moves();
                Ok(())
            }
            Event::Turn { bot } => {
                self.bot_acts(bot);
                Ok(())
            }
            Event::Fault => self.something_goes_wrong(),
            Event::Calm => Ok(()),
        }
    }

    /// Puts an event into the queue.
    pub(crate) fn at(&mut self, after_ms: u64, event: Event) {
        self.queue.insert((self.now + after_ms, self.next_event), event);
        self.next_event += 1;
    }

    /// Puts an event that is a message into the queue: late, twice, or not at all.
    pub(crate) fn send(&mut self, event: Event) {
        if !self.calm && self.random.chance(self.weather.lost) {
            self.counts.mishaps += 1;
            return;
        }
        if !self.calm && self.random.chance(self.weather.doubled) {
            self.counts.mishaps += 1;
            let late = self.latency();
            self.at(late, event.clone());
        }
        let late = self.latency();
        self.at(late, event);
    }

    /// How long a message takes, in milliseconds.
    pub(crate) fn latency(&mut self) -> u64 {
        if !self.calm && self.random.chance(self.weather.slow) {
            return self.random.between(500, 6_000);
        }
        self.random.between(0, 12)
    }

    pub(crate) fn clock(&self, skew_ms: i64) -> Timestamp {
        Timestamp::from_ms(self.now.saturating_add_signed(skew_ms))
    }

    /// Takes note of an event: the hash of a run covers all of it.
    fn note(&mut self, event: &Event) {
        let text = format!("{} {event:?}", self.now - START_MS);
        self.hash.update(text.as_bytes());
        if self.plan.trace {
            println!("{}", readable(&text));
        }
    }

    /// Writes a line into the trace that is not an event.
    pub(crate) fn say(&self, text: impl FnOnce() -> String) {
        if self.plan.trace {
            println!("{} -- {}", self.now - START_MS, text());
        }
    }

    /// Takes what a step of the vault brought.
    pub(crate) fn carry(&mut self, outcome: Outcome) -> Checked {
        for (index, body, detail) in &outcome.records {
            self.ledger.made(*index, body, detail)?;
        }
        for frame in outcome.frames {
            self.tell_journal(frame);
        }
        for (to, index, line) in outcome.replies {
            if let Some(index) = index {
                self.ledger.told(index, &line)?;
            }
            self.send_reply(to, line);
        }
        Ok(())
    }
}

/// A trace line without the numbers of byte arrays.
fn readable(text: &str) -> String {
    match text.find("frame: [") {
        Some(at) => format!("{}frame of {} bytes", &text[..at], text[at..].split(',').count()),
        None if text.contains("line: [") => text.split("line: [").next().unwrap_or_default().to_owned(),
        None => text.chars().take(600).collect(),
    }
}
