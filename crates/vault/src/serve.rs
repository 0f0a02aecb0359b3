//! The vault's event loop: one thread, Unix sockets only, every buffer bounded.
//!
//! In each turn: read what callers and the journal sent, step the core, hand the new records to
//! the journal, let out what may leave, sign the new records' leaves while the journal syncs. Leaves
//! go to the journal with the next record or soon after.

mod accept;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::event::Event;
use mio::net::UnixListener;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use protocol::admin::AdminReply;
use protocol::envelope::Envelope;
use protocol::line::LineTooLong;

use crate::clock::Clock;
use crate::connection::{Connection, Door};
use crate::core::{CallerToken, Core, Durability, Input, Output};
use crate::journal_link::{JournalLink, PastLog as _};
use crate::recorder::Recorder;
use crate::request::Caller;
use crate::resume;
use crate::ticket::DurableBelow;
use crate::turns::{Party, Turns};

/// Most lines of one connection in a row: then it is somebody else's turn.
const MAX_LINES_IN_A_ROW: usize = 4;
/// Most commands of one operator whose replies are not out.
const MAX_COMMANDS: usize = 16;
/// Bytes read from one connection at a time.
const CHUNK: usize = 64 * 1024;
/// Longest time that a signed leaf waits for a record to go with.
const LEAF_PAUSE: Duration = Duration::from_millis(1);
/// Pause between attempts to reach the journal.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

const SIGN: Token = Token(0);
const GATEWAY: Token = Token(1);
const ADMIN: Token = Token(2);
const LEASE: Token = Token(3);
const JOURNAL: Token = Token(4);
const LIFELINE: Token = Token(5);
const FIRST_CONNECTION: usize = 16;

/// The sockets the vault listens on, bound by its parent.
#[derive(Debug)]
pub struct Listeners {
    /// For bots.
    pub sign: StdListener,
    /// For the gateway.
    pub gateway: StdListener,
    /// For operators' commands.
    pub admin: StdListener,
    /// For watchdogs.
    pub lease: StdListener,
}

/// The running vault.
pub(crate) struct Server {
    poll: Poll,
    listeners: [(Token, Door, UnixListener); 4],
    connections: BTreeMap<usize, Connection>,
    next_connection: usize,
    turns: Turns,
    /// Sockets at which more callers may wait to be accepted; the kernel tells of them only once.
    knocking: BTreeSet<Token>,
    /// Who was gone before all answers to it were out, and how many are not.
    gone: BTreeMap<usize, (Party, usize)>,
    /// Bots turned away since start because too many connections were open.
    bots_refused: u64,
    core: Core,
    clock: Clock,
    journal: Option<JournalLink>,
    journal_path: PathBuf,
    journal_due: Instant,
    /// When the signed leaves that the journal does not have must go to it, if there are any.
    leaves_due: Option<Instant>,
    /// When each record that has not been told was asked for.
    asked_at: VecDeque<(u64, Instant)>,
    latency_ns: Histogram<u64>,
    out: Vec<Output>,
    chunk: Box<[u8]>,
}

impl Server {
    pub(crate) fn new(
        listeners: Listeners,
        core: Core,
        journal: JournalLink,
        journal_path: PathBuf,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let listen = |listener: StdListener| -> io::Result<UnixListener> {
            listener.set_nonblocking(true)?;
            Ok(UnixListener::from_std(listener))
        };
        let mut server = Self {
            poll,
            listeners: [
                (SIGN, Door::Sign, listen(listeners.sign)?),
                (GATEWAY, Door::Gateway, listen(listeners.gateway)?),
                (ADMIN, Door::Admin, listen(listeners.admin)?),
                (LEASE, Door::Watchdog, listen(listeners.lease)?),
            ],
            connections: BTreeMap::new(),
            next_connection: FIRST_CONNECTION,
            turns: Turns::default(),
            knocking: BTreeSet::new(),
            gone: BTreeMap::new(),
            bots_refused: 0,
            core,
            clock: Clock::start(),
            journal: None,
            journal_path,
            journal_due: Instant::now(),
            leaves_due: None,
            asked_at: VecDeque::new(),
            latency_ns: Histogram::new_with_bounds(1, 60_000_000_000, 3).map_err(io::Error::other)?,
            out: Vec::new(),
            chunk: vec![0; CHUNK].into(),
        };
        for (token, _, listener) in &mut server.listeners {
            server.poll.registry().register(listener, *token, Interest::READABLE)?;
        }
        server.poll.registry().register(&mut SourceFd(&0), LIFELINE, Interest::READABLE)?;
        server.attach(journal)?;
        Ok(server)
    }

    /// Serves until standard input ends: the parent is gone or wants the vault to stop.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        loop {
            match self.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                outcome => outcome?,
            }
            for event in &events {
                if event.token() == LIFELINE {
                    if lifeline_ended()? {
                        return self.finish();
                    }
                } else {
                    self.take(event)?;
                }
            }
            self.accept_some();
            self.reconnect_if_due()?;
            self.serve_readable()?;
            self.hand_over_leaves_if_due();
        }
    }

    fn hand_over_leaves_if_due(&mut self) {
        if self.leaves_due.is_some_and(|due| due <= Instant::now()) {
            self.leaves_due = None;
            self.hand_over(|journal, recorder| resume::put_signed_leaves(recorder, journal.tail()));
        }
    }

    /// Lets what is on its way to the disk arrive, within reason, before the vault ends.
    fn finish(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(2);
        let mut events = Events::with_capacity(64);
        let now = self.clock.now();
        let says_so = self.core.note_stop(now, fresh_salt(), &mut self.out);
        self.settle()?;
        self.hand_over(|journal, recorder| resume::put_leaves(recorder, journal.tail()));
        let is_done = |core: &Core| !core.has_waiting() && (!says_so || core.is_all_durable());
        // Signatures that ran ahead are out already: their records are worth a wait for a journal that
        // comes back. Replies that wait for the disk have not left, and need none.
        while !is_done(&self.core) && (self.journal.is_some() || says_so) && Instant::now() < deadline {
            self.reconnect_if_due()?;
            self.poll.poll(&mut events, Some(Duration::from_millis(20)))?;
            for event in events.iter().filter(|event| event.token() != LIFELINE) {
                self.take(event)?;
            }
        }
        Ok(())
    }

    fn patience(&self) -> Option<Duration> {
        let in_company = self.turns.in_company(Instant::now());
        let waits = |caller: &Connection| self.may_go_on(caller, in_company);
        if !self.knocking.is_empty() || self.connections.values().any(waits) {
            return Some(Duration::ZERO);
        }
        let until = |due: Instant| Some(due.saturating_duration_since(Instant::now()));
        if self.journal.is_none() {
            return until(self.journal_due);
        }
        self.leaves_due.and_then(until)
    }

    fn take(&mut self, event: &Event) -> io::Result<()> {
        match event.token() {
            JOURNAL => self.hear_journal(event),
            token @ (SIGN | GATEWAY | ADMIN | LEASE) => {
                self.knocking.insert(token);
                Ok(())
            }
            Token(id) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    if connection.door == Door::Sign && event.is_read_closed() && event.is_write_closed() {
                        // Gone for good: what it asked for could not be told to anybody.
                        self.drop_connection(id);
                        return Ok(());
                    }
                    connection.note(event.is_readable(), event.is_read_closed());
                    if event.is_writable() && connection.flush(self.poll.registry(), Token(id)).is_err() {
                        self.drop_connection(id);
                    }
                }
                Ok(())
            }
        }
    }

    /// Takes what watchdogs and operators say, then lines of everybody else in fair turns, then settles what follows
    /// from all.
    fn serve_readable(&mut self) -> io::Result<()> {
        let in_company = self.turns.in_company(Instant::now());
        let mut first = Vec::new();
        let mut callers: BTreeMap<Party, Vec<usize>> = BTreeMap::new();
        for (&id, caller) in self.connections.iter().filter(|(_, caller)| self.may_go_on(caller, in_company))
        {
            match (caller.door, callers.get_mut(&caller.party)) {
                (Door::Admin | Door::Watchdog, _) => first.push(id),
                (_, Some(own)) => own.push(id),
                (_, None) => drop(callers.insert(caller.party.clone(), vec![id])),
            }
        }
        for id in first {
            self.serve(id, MAX_LINES_IN_A_ROW, in_company);
        }
        let mut left = Turns::most_lines(in_company);
        while left > 0
            && let Some((id, own)) = self.next_of(&mut callers)
        {
            own.retain(|other| *other != id);
            left = left.saturating_sub(self.serve(id, left.min(MAX_LINES_IN_A_ROW), in_company).max(1));
            if let Some(caller) = self.connections.get(&id)
                && self.may_go_on(caller, in_company)
            {
                callers.entry(caller.party.clone()).or_default().push(id);
            }
        }
        self.turns.forget(|party| self.connections.values().any(|caller| caller.party == *party));
        self.settle()
    }

    /// Whose turn it is: the connection, and its party's list.
    fn next_of<'a>(
        &self,
        callers: &'a mut BTreeMap<Party, Vec<usize>>,
    ) -> Option<(usize, &'a mut Vec<usize>)> {
        callers.retain(|_, own| !own.is_empty());
        let (_, own) = callers.iter_mut().min_by_key(|(party, _)| self.turns.rank(party))?;
        let least = |id: &&usize| self.connections.get(id).map_or(0, |caller| caller.had);
        let id = *own.iter().min_by_key(least)?;
        Some((id, own))
    }

    /// Whether `caller` has something to say that can be taken now.
    fn may_go_on(&self, caller: &Connection, in_company: bool) -> bool {
        caller.wants_a_turn() && self.has_room(caller.door) && self.share(caller, in_company) > 0
    }

    /// How many lines of `caller` may be taken now, whoever else waits.
    fn share(&self, caller: &Connection, in_company: bool) -> usize {
        match caller.door {
            Door::Admin | Door::Watchdog => MAX_COMMANDS.saturating_sub(caller.in_flight),
            Door::Sign | Door::Gateway => self.turns.room(&caller.party, in_company),
        }
    }

    /// Reads and takes at most `most` lines of one connection; how many it took.
    fn serve(&mut self, id: usize, most: usize, in_company: bool) -> usize {
        let Some(connection) = self.connections.get_mut(&id) else { return 0 };
        // What is left of the last turn goes first; only then is more read.
        if !connection.has_more && connection.fill(&mut self.chunk).is_err() {
            self.drop_connection(id);
            return 0;
        }
        let most = most.min(self.connections.get(&id).map_or(0, |caller| self.share(caller, in_company)));
        self.take_lines(id, most)
    }

    /// Whether what comes in by `door` can be taken now. A halt is taken when orders are not.
    fn has_room(&self, door: Door) -> bool {
        match door {
            Door::Sign | Door::Gateway => !self.core.is_full(),
            Door::Admin | Door::Watchdog => !self.core.is_full_for_operators(),
        }
    }

    /// Takes lines of one connection, at most `most`; how many it took.
    fn take_lines(&mut self, id: usize, most: usize) -> usize {
        let arrived = Instant::now();
        let now = self.clock.now();
        let Some(connection) = self.connections.get_mut(&id) else { return 0 };
        let caller = match connection.door {
            Door::Sign => Caller::Direct { uid: connection.peer.uid },
            Door::Gateway | Door::Admin | Door::Watchdog => Caller::Gateway,
        };
        connection.has_more = false;
        let (mut taken, mut asked) = (0, 0);
        loop {
            if taken >= most {
                connection.has_more = true;
                break;
            }
            taken += 1;
            let line = match connection.input.next_line() {
                Ok(Some(line)) => line,
                // A caller that says no more may have left out the last line feed.
                Ok(None) if connection.ended => match connection.input.last_line() {
                    Some(line) => line,
                    None => break,
                },
                Ok(None) => break,
                Err(LineTooLong) => {
                    self.core.step(Input::TooLong { from: id }, now, &mut self.out);
                    asked += 1;
                    connection.hear_no_more(&mut self.chunk);
                    break;
                }
            };
            if line.is_empty() {
                continue;
            }
            if connection.door == Door::Sign && connection.party.bot.is_none() {
                // Before the first answer is due: nothing of it is on its way yet but refusals.
                let named = Envelope::read(line).ok().and_then(|envelope| envelope.bot);
                let party = Party { bot: named, ..connection.party };
                self.turns.move_over(&connection.party, &party, connection.in_flight);
                connection.party = party;
            }
            let before = self.core.recorder().next_index();
            let salt = fresh_salt();
            let input = match connection.door {
                Door::Sign | Door::Gateway => Input::Line { from: id, caller, line, salt },
                Door::Watchdog => Input::Lease { from: id, line, salt },
                Door::Admin => Input::Command { from: id, uid: connection.peer.uid, line, salt },
            };
            let due = self.core.step(input, now, &mut self.out);
            asked += usize::from(due);
            if self.core.recorder().next_index() > before {
                self.asked_at.push_back((before, arrived));
            }
        }
        connection.in_flight += asked;
        self.turns.had(&connection.party, &mut connection.had, taken, asked, arrived);
        taken
    }

    /// Carries out what the core said. Records first, so that the journal syncs while the rest is done;
    /// replies first where they do not wait for the journal.
    fn settle(&mut self) -> io::Result<()> {
        let outputs = std::mem::take(&mut self.out);
        match self.core.durability() {
            Durability::Disk => {
                self.append(&outputs);
                self.reply(&outputs);
            }
            Durability::Pipelined => {
                self.reply(&outputs);
                self.append(&outputs);
            }
        }
        self.connections.retain(|_, caller| !caller.is_finished());
        let recorder = self.core.recorder();
        recorder.sign_leaves();
        if self.leaves_due.is_none() && recorder.has_leaves_to_hand_over() {
            self.leaves_due = Some(Instant::now() + LEAF_PAUSE);
        }
        Ok(())
    }

    /// Hands the records among `outputs` to the journal, and the leaves that are signed.
    fn append(&mut self, outputs: &[Output]) {
        if outputs.iter().any(|output| matches!(output, Output::Append { .. })) {
            self.leaves_due = None;
            self.hand_over(|journal, recorder| {
                resume::put_records(outputs, journal.tail())?;
                resume::put_signed_leaves(recorder, journal.tail())
            });
        }
    }

    /// Lets the replies among `outputs` out.
    fn reply(&mut self, outputs: &[Output]) {
        let mut touched = Vec::new();
        for output in outputs {
            if let Output::Reply { to, index, line } = output {
                self.deliver(*to, *index, line);
                touched.push(*to);
            }
        }
        touched.dedup();
        for id in touched {
            let finished = self
                .connections
                .get_mut(&id)
                .map(|caller| caller.flush(self.poll.registry(), Token(id)).is_err() || caller.is_finished());
            if finished == Some(true) {
                self.drop_connection(id);
            }
        }
    }

    /// Gives the journal what `queue` puts in line for it, if it is there.
    fn hand_over(&mut self, queue: impl FnOnce(&mut JournalLink, &mut Recorder) -> io::Result<()>) {
        let Some(journal) = &mut self.journal else { return };
        let sent =
            queue(journal, self.core.recorder()).and_then(|()| journal.flush(self.poll.registry(), JOURNAL));
        if let Err(error) = sent {
            self.lose_journal(&error);
        }
    }

    fn deliver(&mut self, to: CallerToken, index: Option<u64>, line: &[u8]) {
        if let Some(index) = index {
            while let Some(&(first, since)) = self.asked_at.front()
                && first <= index
            {
                let waited = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
                self.latency_ns.saturating_record(waited);
                self.asked_at.pop_front();
            }
        }
        let status = self.status_line(line);
        let Some(connection) = self.connections.get_mut(&to) else {
            self.forget_one_of(to);
            return;
        };
        self.turns.answered(&connection.party);
        connection.in_flight = connection.in_flight.saturating_sub(1);
        if connection.queue(status.as_deref().unwrap_or(line)).is_err() {
            self.drop_connection(to);
        }
    }

    /// A status reply with what only the process knows; `None` for every other line.
    fn status_line(&self, line: &[u8]) -> Option<Vec<u8>> {
        if !line.starts_with(br#"{"status":"status""#) {
            return None;
        }
        let AdminReply::Status(mut status) = serde_json::from_slice(line).ok()? else { return None };
        status.pid = std::process::id();
        status.journal_connected = self.journal.is_some();
        status.sign_socket = self.sign_socket_use();
        status.latency_us =
            [0.5, 0.99, 0.999].map(|quantile| self.latency_ns.value_at_quantile(quantile).div_ceil(1000));
        serde_json::to_vec(&AdminReply::Status(status)).ok()
    }

    fn hear_journal(&mut self, event: &Event) -> io::Result<()> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let heard = if event.is_writable() { journal.flush(self.poll.registry(), JOURNAL) } else { Ok(()) };
        match heard.and_then(|()| journal.durable_below()) {
            Ok(Some(below)) => {
                let now = self.clock.now();
                self.core.step(Input::Durable(below), now, &mut self.out);
                self.settle()
            }
            Ok(None) => Ok(()),
            Err(error) => {
                self.lose_journal(&error);
                Ok(())
            }
        }
    }

    /// Nothing is released until the journal is back; what it has not acknowledged is kept.
    fn lose_journal(&mut self, error: &io::Error) {
        tracing::error!(%error, "lost the journal; nothing is released until it is back");
        self.journal = None;
        self.journal_due = Instant::now() + RECONNECT_PAUSE;
    }

    fn reconnect_if_due(&mut self) -> io::Result<()> {
        if self.journal.is_some() || Instant::now() < self.journal_due {
            return Ok(());
        }
        self.journal_due = Instant::now() + RECONNECT_PAUSE;
        let link = match JournalLink::connect(&self.journal_path) {
            Ok(link) => link,
            Err(error) => {
                tracing::debug!(%error, "the journal is not there yet");
                return Ok(());
            }
        };
        let durable = link.welcome().next;
        resume::check_same_log(self.core.recorder(), &link.welcome()).map_err(io::Error::other)?;
        tracing::info!(durable, "the journal is back");
        let torn_bytes = link.welcome().torn_bytes;
        self.attach(link)?;
        let now = self.clock.now();
        self.core.step(Input::Durable(DurableBelow::acknowledged(durable)), now, &mut self.out);
        if torn_bytes > 0 {
            self.core.note_torn(torn_bytes, now, fresh_salt(), &mut self.out);
        }
        self.settle()
    }

    /// Takes a link into the loop, and sends what the journal does not have yet.
    fn attach(&mut self, mut link: JournalLink) -> io::Result<()> {
        let welcome = link.welcome();
        link.register(self.poll.registry(), JOURNAL)?;
        resume::put_missing(self.core.recorder(), &welcome, link.tail())?;
        link.flush(self.poll.registry(), JOURNAL)?;
        self.journal = Some(link);
        Ok(())
    }

    fn drop_connection(&mut self, id: usize) {
        if let Some(mut connection) = self.connections.remove(&id) {
            drop(self.poll.registry().deregister(&mut connection.stream));
            // Its records are on their way all the same, and count against whoever asked.
            if connection.in_flight > 0 {
                self.gone.insert(id, (connection.party, connection.in_flight));
            }
        }
    }

    /// An answer nobody waits for any more is out.
    fn forget_one_of(&mut self, id: usize) {
        if let Some((party, left)) = self.gone.get_mut(&id) {
            self.turns.answered(party);
            *left -= 1;
            if *left == 0 {
                self.gone.remove(&id);
            }
        }
    }
}

/// Whether the parent has closed our standard input; anything it writes meanwhile is ignored.
fn lifeline_ended() -> io::Result<bool> {
    let mut scrap = [0; 64];
    match rustix::io::read(rustix::stdio::stdin(), &mut scrap) {
        Ok(0) => Ok(true),
        Ok(_) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn fresh_salt() -> [u8; 16] {
    let mut salt = [0; 16];
    keys::fill_random(&mut salt);
    salt
}
