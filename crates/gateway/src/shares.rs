//! How much of the way to the vault and the venue one bot may take at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};
use trading::BotName;

/// Most requests of one bot under way at one venue, from the bot to the venue's answer.
pub(crate) const MOST_REQUESTS: usize = 64;
/// Most streams of one bot at one venue.
pub(crate) const MOST_STREAMS: usize = 32;
/// Most requests of one bot that the vault has before it: whoever comes next waits for so many of each.
const MOST_ASKED: usize = 8;

/// What is under way, by bot.
#[derive(Debug)]
pub(crate) struct Shares {
    most: usize,
    under_way: Mutex<BTreeMap<BotName, Own>>,
}

#[derive(Debug)]
struct Own {
    count: usize,
    asked: Arc<Semaphore>,
}

/// One thing under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    shares: Arc<Shares>,
    bot: BotName,
    asked: Arc<Semaphore>,
}

impl Shares {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, under_way: Mutex::default() })
    }

    /// Room for one more of `bot`, if it has not taken its share.
    pub(crate) fn take(self: &Arc<Self>, bot: &BotName) -> Option<Share> {
        let mut under_way = self.locked();
        let new = || Own { count: 0, asked: Arc::new(Semaphore::new(MOST_ASKED)) };
        let own = under_way.entry(bot.clone()).or_insert_with(new);
        if own.count >= self.most {
            return None;
        }
        own.count += 1;
        Some(Share { shares: Arc::clone(self), bot: bot.clone(), asked: Arc::clone(&own.asked) })
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<BotName, Own>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Waits until few enough of the same bot's requests are before the vault; this one is until what is
    /// returned is dropped.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.asked.acquire().await.ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut under_way = self.shares.locked();
        let left = under_way.get_mut(&self.bot).map(|own| {
            own.count -= 1;
            own.count
        });
        if left == Some(0) {
            under_way.remove(&self.bot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bot(name: &str) -> BotName {
        name.parse().expect("a name")
    }

    #[test]
    fn a_bot_that_takes_its_share_leaves_others_theirs() {
        let shares = Shares::new(5);
        let taken: Vec<_> = (0..5).filter_map(|_| shares.take(&bot("loud"))).collect();
        assert_eq!(taken.len(), 5);
        assert!(shares.take(&bot("loud")).is_none() && shares.take(&bot("quiet")).is_some());
        drop(taken);
        assert!(shares.take(&bot("loud")).is_some());
        assert!(shares.locked().is_empty(), "nothing is kept of bots that are silent");
    }

    #[tokio::test]
    async fn few_of_one_bot_are_before_the_vault_and_the_rest_in_line() {
        let shares = Shares::new(MOST_REQUESTS);
        let loud: Vec<_> = (0..=MOST_ASKED).filter_map(|_| shares.take(&bot("loud"))).collect();
        let mut before: Vec<_> = Vec::new();
        for share in &loud[..MOST_ASKED] {
            before.push(share.turn().await);
        }
        assert!(loud[MOST_ASKED].asked.try_acquire().is_err(), "one too many");
        let quiet = shares.take(&bot("quiet")).expect("room");
        assert!(quiet.turn().await.is_some());
        before.pop();
        assert!(loud[MOST_ASKED].turn().await.is_some());
    }
}
