//! Whose line is next: fair between users, between the bots of a user, and between a bot's
//! connections, in this order, however many connections anybody opens.
//!
//! The kernel says which user is connected. Which bot it is, the first line that names one says: a user
//! that lies about that divides its own share further, and takes nothing from another user.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use trading::BotName;

/// How long somebody who asked something is reckoned with.
const AWAKE: Duration = Duration::from_secs(60);
/// Most lines in a turn of the loop: replies leave between turns, and whoever comes in one waits for it.
const LINES_ALONE: usize = 256;
const LINES_IN_COMPANY: usize = 8;
/// Most lines of one party whose replies are not out; more wait in the socket. Whoever comes waits until
/// the journal is through with them.
const IN_FLIGHT_ALONE: usize = 1_024;
const IN_FLIGHT_IN_COMPANY: usize = 16;
/// The gateway speaks for many bots, and holds each of them to a share of its own.
const IN_FLIGHT_OF_THE_GATEWAY: usize = 512;
/// Shares kept of those who may have gone.
const MOST_KEPT: usize = 1_024;

/// Who is answerable for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Whose {
    /// The gateway, for all its bots.
    Gateway,
    /// A user of the machine.
    User(u32),
}

/// Those who share one place in the order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Party {
    pub(crate) whose: Whose,
    /// The bot, once a line has named it.
    pub(crate) bot: Option<BotName>,
}

/// How much somebody had, and how far those are who share it among themselves.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    /// Lines taken; of somebody who was silent, as many as those who were not had at least.
    had: u64,
    /// What the last one served among those below had before.
    below: u64,
    /// Lines whose replies are not out.
    in_flight: usize,
    asked: Option<Instant>,
}

/// Everybody's shares.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// What the last user served had before.
    users_below: u64,
    users: BTreeMap<Whose, Share>,
    parties: BTreeMap<Party, Share>,
}

/// Sorts by who had least; of those who had equally little, whoever was silent longer comes first.
type Rank = [(u64, u64); 2];

impl Turns {
    /// Where `party` stands; the lowest is next. Of its connections the one that had least is.
    pub(crate) fn rank(&self, party: &Party) -> Rank {
        let user = self.users.get(&party.whose).copied().unwrap_or_default();
        let own = self.parties.get(party).copied().unwrap_or_default();
        let level = |had: u64, below: u64| (had.max(below), had);
        [level(user.had, self.users_below), level(own.had, user.below)]
    }

    /// Takes note that a connection of `party` had `lines` more, of which `asked` are due an answer; what it
    /// had so far is in `connection`.
    pub(crate) fn had(
        &mut self,
        party: &Party,
        connection: &mut u64,
        lines: usize,
        asked: usize,
        now: Instant,
    ) {
        let lines = lines as u64;
        let user = self.users.entry(party.whose).or_default();
        let own = self.parties.entry(party.clone()).or_default();
        for (had, below) in [
            (&mut user.had, &mut self.users_below),
            (&mut own.had, &mut user.below),
            (connection, &mut own.below),
        ] {
            *below = (*had).max(*below);
            *had = *below + lines;
        }
        own.in_flight += asked;
        if asked > 0 {
            own.asked = Some(now);
        }
    }

    /// Takes note that an answer to `party` is out, or that nobody waits for it any more.
    pub(crate) fn answered(&mut self, party: &Party) {
        if let Some(own) = self.parties.get_mut(party) {
            own.in_flight = own.in_flight.saturating_sub(1);
        }
    }

    /// A connection of `from` has turned out to be of `to`, with `in_flight` answers due.
    pub(crate) fn move_over(&mut self, from: &Party, to: &Party, in_flight: usize) {
        if let Some(share) = self.parties.get_mut(from) {
            share.in_flight = share.in_flight.saturating_sub(in_flight);
        }
        self.parties.entry(to.clone()).or_default().in_flight += in_flight;
    }

    /// How many lines of `party` may be taken now, [`Turns::in_company`] or not.
    pub(crate) fn room(&self, party: &Party, in_company: bool) -> usize {
        let in_flight = self.parties.get(party).map_or(0, |share| share.in_flight);
        Self::most_in_flight(party.whose, in_company).saturating_sub(in_flight)
    }

    /// Whether more than one party has asked for something lately.
    pub(crate) fn in_company(&self, now: Instant) -> bool {
        let awake = |share: &&Share| share.asked.is_some_and(|asked| now.duration_since(asked) < AWAKE);
        self.parties.values().filter(awake).nth(1).is_some()
    }

    /// Most lines in a turn of the loop.
    pub(crate) const fn most_lines(in_company: bool) -> usize {
        if in_company { LINES_IN_COMPANY } else { LINES_ALONE }
    }

    /// How many lines of `whose` party may be on their way.
    const fn most_in_flight(whose: Whose, in_company: bool) -> usize {
        match whose {
            Whose::Gateway => IN_FLIGHT_OF_THE_GATEWAY,
            Whose::User(_) if in_company => IN_FLIGHT_IN_COMPANY,
            Whose::User(_) => IN_FLIGHT_ALONE,
        }
    }

    /// Forgets those that `is_here` does not know and nothing is due to, now and then.
    pub(crate) fn forget(&mut self, is_here: impl Fn(&Party) -> bool) {
        if self.parties.len() > MOST_KEPT {
            self.parties.retain(|party, share| share.in_flight > 0 || is_here(party));
            let parties = &self.parties;
            self.users.retain(|whose, _| parties.keys().any(|party| party.whose == *whose));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connections that always have something to say, and how many lines each party had after `rounds`.
    fn served(connections: &[Party], rounds: usize) -> BTreeMap<Party, usize> {
        let (mut turns, now) = (Turns::default(), Instant::now());
        let mut lines = vec![0; connections.len()];
        let mut counts = BTreeMap::new();
        for _ in 0..rounds {
            let next = (0..connections.len())
                .min_by_key(|&at| (turns.rank(&connections[at]), lines[at]))
                .expect("somebody");
            turns.had(&connections[next], &mut lines[next], 1, 1, now);
            *counts.entry(connections[next].clone()).or_default() += 1;
        }
        counts
    }

    fn party(uid: u32, bot: &str) -> Party {
        Party { whose: Whose::User(uid), bot: bot.parse().ok() }
    }

    #[test]
    fn many_connections_are_no_larger_share() {
        let mut connections = vec![party(1, "loud"); 200];
        connections.push(party(1, "quiet"));
        let counts = served(&connections, 1_000);
        assert_eq!(counts[&party(1, "quiet")], 500, "{counts:?}");
    }

    #[test]
    fn many_names_of_one_user_take_nothing_from_another() {
        let mut connections: Vec<Party> = (0..100).map(|name| party(1, &format!("n{name}"))).collect();
        connections.push(party(2, "other"));
        let counts = served(&connections, 1_000);
        assert_eq!(counts[&party(2, "other")], 500);
        assert_eq!(counts[&party(1, "n7")], 5, "and they share what is left");
    }

    #[test]
    fn whoever_was_silent_is_next_and_has_saved_nothing_up() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        let (loud, quiet) = (party(1, "loud"), party(2, "quiet"));
        let (mut of_loud, mut of_quiet) = (0, 0);
        for _ in 0..1_000 {
            turns.had(&loud, &mut of_loud, 4, 4, now);
        }
        let mut in_a_row = 0;
        while turns.rank(&quiet) < turns.rank(&loud) {
            turns.had(&quiet, &mut of_quiet, 1, 1, now);
            in_a_row += 1;
            assert!(in_a_row < 10, "silence is no credit");
        }
        assert!(in_a_row >= 1);
    }

    #[test]
    fn a_lone_party_may_have_much_on_its_way_and_less_as_soon_as_another_asks() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        turns.had(&party(1, "loud"), &mut 0, 1, 1, now);
        turns.had(&Party { whose: Whose::Gateway, bot: None }, &mut 0, 1, 0, now);
        assert_eq!(
            Turns::most_in_flight(Whose::User(1), turns.in_company(now)),
            IN_FLIGHT_ALONE,
            "reports are no company"
        );
        turns.had(&party(1, "quiet"), &mut 0, 1, 1, now);
        assert_eq!(Turns::most_in_flight(Whose::User(1), turns.in_company(now)), IN_FLIGHT_IN_COMPANY);
        assert_eq!(Turns::most_lines(turns.in_company(now)), LINES_IN_COMPANY);
        assert_eq!(Turns::most_lines(turns.in_company(now + AWAKE)), LINES_ALONE);
    }

    #[test]
    fn what_is_on_its_way_counts_against_the_party_whatever_connection_it_came_by() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        let (nobody, loud) = (Party { whose: Whose::User(1), bot: None }, party(1, "loud"));
        turns.had(&party(1, "quiet"), &mut 0, 1, 1, now);
        turns.had(&nobody, &mut 0, 3, 3, now);
        turns.move_over(&nobody, &loud, 2);
        assert_eq!(turns.room(&nobody, true), IN_FLIGHT_IN_COMPANY - 1);
        turns.had(&loud, &mut 0, IN_FLIGHT_IN_COMPANY, IN_FLIGHT_IN_COMPANY - 2, now);
        assert_eq!(turns.room(&loud, true), 0);
        turns.answered(&loud);
        assert_eq!(turns.room(&loud, true), 1);
        turns.forget(|_| false);
        assert_eq!(turns.room(&loud, true), 1, "nobody is forgotten to whom something is due");
    }

    #[test]
    fn those_who_left_are_forgotten() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        for number in 0..2 * MOST_KEPT {
            let party = party(1, &format!("n{number}"));
            turns.had(&party, &mut 0, 1, 1, now);
            turns.answered(&party);
            turns.forget(|_| false);
        }
        assert!(turns.parties.len() <= MOST_KEPT && turns.users.len() <= 1);
    }
}
