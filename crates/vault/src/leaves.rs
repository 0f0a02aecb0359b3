//! Signs leaves beside the event loop: nobody who asked for something waits for them.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use keys::RecordKey;
use transparency::Leaf;

use crate::recorder::{Recorder, sign_leaf};

/// Most leaves that wait to be signed here; more wait with the recorder.
const MOST_WAITING: usize = 1_024;
/// Pause between looks for work while there is some now and then: waking this thread for each record
/// would cost the event loop a system call.
const PAUSE: Duration = Duration::from_millis(1);
/// Looks without any work before the thread sleeps until it is woken.
const IDLE_LOOKS: u32 = 50;
/// How nice the thread is: decisions go first.
const NICE: i32 = 10;

/// The thread, as the event loop sees it.
pub(crate) struct LeafSigner {
    work: SyncSender<(u64, Vec<u8>)>,
    done: Receiver<(u64, Leaf)>,
    /// Bodies below this index were handed over.
    handed: u64,
}

impl LeafSigner {
    /// Starts the thread; it ends with the returned value.
    pub(crate) fn start(key: Arc<RecordKey>) -> std::io::Result<Self> {
        let (work, taken) = sync_channel(MOST_WAITING);
        // Room for everything that was ever waiting: the thread never waits for the event loop.
        let (put, done) = sync_channel(2 * MOST_WAITING);
        std::thread::Builder::new().name("leaves".to_owned()).spawn(move || sign_all(&key, &taken, &put))?;
        Ok(Self { work, done, handed: 0 })
    }

    /// Takes the leaves that are signed and hands on the bodies of those that are not.
    pub(crate) fn exchange(&mut self, recorder: &mut Recorder) {
        while let Ok((index, leaf)) = self.done.try_recv() {
            recorder.take_leaf(index, leaf);
        }
        for (index, body) in recorder.bodies_without_leaf(self.handed) {
            if self.work.try_send((index, body.to_vec())).is_err() {
                return;
            }
            self.handed = index + 1;
        }
    }
}

fn sign_all(key: &RecordKey, work: &Receiver<(u64, Vec<u8>)>, done: &SyncSender<(u64, Leaf)>) {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "the thread that signs leaves is as urgent as decisions");
    }
    let sign = |(index, body): (u64, Vec<u8>)| done.send((index, sign_leaf(key, &body))).is_ok();
    while let Ok(first) = work.recv() {
        if !sign(first) {
            return;
        }
        let mut idle_looks = 0;
        while idle_looks < IDLE_LOOKS {
            std::thread::sleep(PAUSE);
            idle_looks += 1;
            for next in work.try_iter() {
                idle_looks = 0;
                if !sign(next) {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use trading::Timestamp;

    use super::*;
    use crate::recorder::Heading;
    use crate::ticket::Verdict;

    fn recorder() -> Recorder {
        Recorder::new(1, RecordKey::from_seed(&[7; 32]), 100, [0; 32])
    }

    fn record(recorder: &mut Recorder, count: u64) {
        for _ in 0..count {
            let heading = Heading {
                time: Timestamp::from_ms(1),
                actor: "operator",
                account: None,
                operation: "state",
                policy_hash: [1; 32],
                state_digest: [2; 32],
            };
            recorder.record(&heading, b"{}".to_vec(), Verdict::Event, None, [3; 16]);
        }
    }

    fn leaves(recorder: &mut Recorder) -> Vec<(u64, [u8; 128])> {
        recorder.leaves_from(100).map(|(index, leaf)| (index, leaf.to_bytes())).collect()
    }

    /// Exchanges until every leaf is signed.
    fn until_signed(signer: &mut LeafSigner, recorder: &mut Recorder) {
        let started = Instant::now();
        while recorder.leaves_to_sign() > 0 {
            signer.exchange(recorder);
            assert!(started.elapsed() < Duration::from_secs(30), "{} are missing", recorder.leaves_to_sign());
            std::thread::yield_now();
        }
    }

    #[test]
    fn leaves_come_back_in_order_and_are_those_the_recorder_would_sign() {
        let (mut with, mut alone) = (recorder(), recorder());
        let mut signer = LeafSigner::start(with.key()).expect("a thread");
        // More at once than may wait there, and twice, with the thread idle and not.
        for count in [3 * MOST_WAITING as u64, 1, 70] {
            record(&mut with, count);
            record(&mut alone, count);
            until_signed(&mut signer, &mut with);
        }
        assert_eq!(with.leaves_to_hand_over(), 3 * MOST_WAITING as u64 + 71);
        assert_eq!(leaves(&mut with), leaves(&mut alone));
    }

    #[test]
    fn what_the_loop_signed_meanwhile_is_not_taken_twice() {
        let mut recorder = recorder();
        let mut signer = LeafSigner::start(recorder.key()).expect("a thread");
        record(&mut recorder, 20);
        signer.exchange(&mut recorder);
        (0..15).for_each(|_| assert!(recorder.sign_a_leaf()));
        until_signed(&mut signer, &mut recorder);
        record(&mut recorder, 1);
        until_signed(&mut signer, &mut recorder);
        assert_eq!((recorder.leaves_to_sign(), recorder.leaves_to_hand_over()), (0, 21));
    }
}
