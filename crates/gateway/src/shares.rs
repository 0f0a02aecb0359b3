//! How much of the way to the vault and the venue one bot may take at a time.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use trading::BotName;

/// Most requests of one bot under way at one venue. Far below what the way to the vault holds, so that a
/// bot that floods waits for itself only.
const MOST: usize = 64;

/// Requests under way, by bot.
#[derive(Debug, Default)]
pub(crate) struct Shares(Mutex<BTreeMap<BotName, usize>>);

/// A request under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    shares: &'a Shares,
    bot: BotName,
}

impl Shares {
    /// Room for one more request of `bot`, if it has not taken its share.
    pub(crate) fn take(&self, bot: &BotName) -> Option<Share<'_>> {
        let mut under_way = self.locked();
        let count = under_way.entry(bot.clone()).or_default();
        if *count >= MOST {
            return None;
        }
        *count += 1;
        Some(Share { shares: self, bot: bot.clone() })
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<BotName, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut under_way = self.shares.locked();
        let left = under_way.get(&self.bot).copied().unwrap_or(0).saturating_sub(1);
        if left == 0 {
            under_way.remove(&self.bot);
        } else {
            under_way.insert(self.bot.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bot_that_takes_its_share_leaves_others_theirs() {
        let shares = Shares::default();
        let bot = |name: &str| name.parse::<BotName>().expect("a name");
        let taken: Vec<_> = (0..MOST).filter_map(|_| shares.take(&bot("loud"))).collect();
        assert_eq!(taken.len(), MOST);
        assert!(shares.take(&bot("loud")).is_none() && shares.take(&bot("quiet")).is_some());
        drop(taken);
        assert!(shares.take(&bot("loud")).is_some());
        assert!(shares.locked().is_empty(), "nothing is kept of bots that are silent");
    }
}
