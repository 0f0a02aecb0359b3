//! A log as large as wanted, written by the journal's own code.
//!
//! The records are what the vault writes for a bot that trades fifty times a second: one account,
//! orders that are filled at once, a denial in ten. Their times are spread so that the counters see
//! days go by; their leaves are signed by keys that the log's key vouches for.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use policy::{OrderName, Recorded, State, VenueEvent};
use trading::{Amount, Intent, Order, OrderType, Side, TimeInForce, Timestamp, TradingState, Venue};
use transparency::{Body, Denial, Epoch, Hash, Leaf, Outcome, Statement, sha256};
use vault::{Detail, counters};

/// Records in one write and sync.
const BATCH: u64 = 4096;
/// Checkpoints are written this often, in batches.
const CHECKPOINT_EVERY: u64 = 16;
/// Time between two records.
const GAP_MS: u64 = 20;
const START_MS: u64 = 1_770_000_000_000;
/// Where the appending is timed.
const REPORT_EVERY: u64 = 1_000_000;

/// What one stretch of appending took.
struct Stretch {
    append_us: f64,
    sync_ms: f64,
    checkpoint_ms: f64,
}

struct Writer {
    key: Ed25519KeyPair,
    public_key: [u8; 32],
    epoch: u64,
    previous: Hash,
    next: u64,
    time: u64,
    state: State,
    policy_hash: Hash,
    /// The last order's number, to be reported as closed in the next record.
    open: Option<u64>,
    /// From this record on the counters are to be written down.
    counters_due: u64,
}

/// Appends to the log in `dir` until it holds `size` records; the log's key is `key`. Returns what the
/// journal took for each of the last records, its sync apart, in microseconds.
pub(crate) fn grow(dir: &Path, key: &Path, size: u64) -> Result<f64> {
    let (_lock, mut log, recovered) = journal::open_dir(dir, key)?;
    ensure!(recovered.records == recovered.leaves, "the log has records without a leaf");
    let storage = journal::storage::Disk;
    let signer = journal::LogSigner::load_or_create(&storage, key, dir)?;
    let mut writer = Writer::new(&log, recovered.epoch + 1)?;
    let statement = signer.vouch(&Statement {
        isolation: "software".to_owned(),
        epoch: writer.epoch,
        public_key: writer.public_key,
        policy_hash: writer.policy_hash,
    });
    writer.open_epoch(&mut log, statement)?;
    let mut last = 0.0;
    while writer.next < size {
        let from = writer.next;
        let to = ((from / REPORT_EVERY + 1) * REPORT_EVERY).min(size);
        let stretch = writer.stretch(&mut log, to)?;
        eprintln!(
            "{to} records: append {:.2} µs each, sync {:.1} ms a batch, checkpoint {:.1} ms",
            stretch.append_us, stretch.sync_ms, stretch.checkpoint_ms
        );
        last = stretch.append_us;
    }
    log.checkpoint()?;
    Ok(last)
}

impl Writer {
    fn new(log: &journal::Log, epoch: u64) -> Result<Self> {
        let seed = sha256(format!("seawall test vault {epoch}").as_bytes());
        let key = Ed25519KeyPair::from_seed_unchecked(&seed).ok().context("32 bytes are a seed")?;
        let public_key = key.public_key().as_ref().try_into()?;
        Ok(Self {
            key,
            public_key,
            epoch,
            previous: log.last_body_digest(),
            next: log.next_sequence(),
            time: START_MS + log.next_sequence() * GAP_MS,
            state: State::new("main".parse()?),
            policy_hash: sha256(b"the policy of a generated log"),
            open: None,
            counters_due: (log.next_sequence() / counters::BLOCK + 1) * counters::BLOCK,
        })
    }

    fn open_epoch(&mut self, log: &mut journal::Log, statement: Vec<u8>) -> Result<()> {
        let epoch = Epoch {
            epoch: self.epoch,
            isolation: "software".to_owned(),
            public_key: self.public_key,
            policy_hash: self.policy_hash,
            previous_size: self.next,
            adopted: None,
            statement,
        };
        let (body, detail) =
            self.body("vault", None, Epoch::OPERATION, Outcome::Event, epoch.encode(), [0; 32])?;
        let sequence = self.next - 1;
        log.append_body(sequence, &body, &detail)?;
        log.append_leaf(sequence, &self.leaf(&body).to_bytes())?;
        log.sync()?;
        Ok(())
    }

    /// Appends up to record `to`, in batches, with a checkpoint now and then.
    fn stretch(&mut self, log: &mut journal::Log, to: u64) -> Result<Stretch> {
        let from = self.next;
        let (mut appending, mut syncing, mut publishing) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        let (mut batches, mut checkpoints) = (0_u64, 0_u64);
        while self.next < to {
            let first = self.next;
            let mut records = self.counters()?;
            while self.next < to.min(first + BATCH) {
                records.push(self.order()?);
            }
            let leaves = self.leaves(&records);
            let began = Instant::now();
            for (sequence, ((body, detail), leaf)) in (first..).zip(records.iter().zip(&leaves)) {
                log.append_body(sequence, body, detail)?;
                log.append_leaf(sequence, &leaf.to_bytes())?;
            }
            appending += began.elapsed();
            let began = Instant::now();
            log.sync()?;
            syncing += began.elapsed();
            batches += 1;
            if batches.is_multiple_of(CHECKPOINT_EVERY) {
                let began = Instant::now();
                log.checkpoint()?;
                publishing += began.elapsed();
                checkpoints += 1;
            }
        }
        Ok(Stretch {
            append_us: per(appending * 1_000_000, to - from),
            sync_ms: per(syncing * 1000, batches),
            checkpoint_ms: per(publishing * 1000, checkpoints),
        })
    }

    /// Signs leaves on both halves at once: signing takes longest of all.
    fn leaves(&self, records: &[(Vec<u8>, Vec<u8>)]) -> Vec<Leaf> {
        let (left, right) = records.split_at(records.len() / 2);
        std::thread::scope(|scope| {
            let sign = |part: &[(Vec<u8>, Vec<u8>)]| -> Vec<Leaf> {
                part.iter().map(|(body, _)| self.leaf(body)).collect()
            };
            let other = scope.spawn(move || sign(right));
            let mut leaves = sign(left);
            leaves.extend(other.join().expect("signing cannot panic"));
            leaves
        })
    }

    fn leaf(&self, body: &[u8]) -> Leaf {
        let Ok(leaf) = Leaf::sign(body, &self.public_key, |message| {
            Ok::<_, Infallible>(self.key.sign(message).as_ref().try_into().expect("64 bytes"))
        });
        leaf
    }

    /// The records of the counters, where the vault would write them.
    fn counters(&mut self) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        if self.next < self.counters_due {
            return Ok(Vec::new());
        }
        self.counters_due = (self.next / counters::BLOCK + 1) * counters::BLOCK;
        let states = BTreeMap::from([(self.state.account().clone(), self.state.clone())]);
        let (details, digest) = counters::details(&states, TradingState::Active, false);
        let event = |detail| self.body("vault", None, counters::OPERATION, Outcome::Event, detail, digest);
        details.into_iter().map(event).collect()
    }

    /// The next order's record.
    fn order(&mut self) -> Result<(Vec<u8>, Vec<u8>)> {
        let number = self.next;
        let at = Timestamp::from_ms(self.time);
        let heard: Vec<VenueEvent> = self
            .open
            .take()
            .map(|number| VenueEvent::Closed { order: OrderName::Number(number) })
            .into_iter()
            .collect();
        heard.iter().for_each(|event| self.state.observe(event));
        let intent = order(number)?;
        let denied = number.is_multiple_of(10);
        let mut detail = Detail {
            thesis: None,
            bot: "grid".parse()?,
            door: "socket".to_owned(),
            venue: Venue::Bybit,
            account: "main".parse()?,
            endpoint: "POST /v5/order/create".to_owned(),
            approved: None,
            denied: None,
            undecoded: None,
            sent_at: Some(at),
            recv_window_ms: Some(5000),
            marks: Vec::new(),
            extras: Vec::new(),
            heard,
        };
        let outcome = if denied {
            detail.denied = Some(intent);
            let text = "the order's notional of 91250 USDT is above the limit of 50000 USDT".to_owned();
            Outcome::Denied(vec![Denial { code: "max_notional".to_owned(), text }])
        } else {
            let recorded = Recorded {
                stops: Vec::new(),
                bot: "grid".parse()?,
                account: "main".parse()?,
                intent,
                notional: "91.25".parse()?,
                at,
                expires: Timestamp::from_ms(self.time + 5000),
            };
            self.open = Some(self.state.next_order());
            self.state.restore(&recorded);
            detail.approved = Some(recorded);
            Outcome::Approved
        };
        let detail = serde_json::to_vec(&detail)?;
        self.body("grid", Some("main"), "place", outcome, detail, self.state.digest())
    }

    /// The next record's body, and its detail.
    fn body(
        &mut self,
        actor: &str,
        account: Option<&str>,
        operation: &str,
        outcome: Outcome,
        detail: Vec<u8>,
        state_digest: Hash,
    ) -> Result<(Vec<u8>, Vec<u8>)> {
        let signed = matches!(outcome, Outcome::Approved);
        let digest = |what: &str| signed.then(|| sha256(format!("{what} {}", self.next).as_bytes()));
        let salt = sha256(&self.next.to_be_bytes());
        let body = Body {
            version: Body::VERSION,
            sequence: self.next,
            epoch: self.epoch,
            time: Timestamp::from_ms(self.time),
            actor: actor.to_owned(),
            account: account.map(ToOwned::to_owned),
            operation: operation.to_owned(),
            detail_digest: sha256(&detail),
            outcome,
            policy_hash: self.policy_hash,
            state_digest,
            signed_digest: digest("signed"),
            signature_digest: digest("signature"),
            key_id: signed.then(|| "bybit-main-1".to_owned()),
            previous: self.previous,
            salt: std::array::from_fn(|at| salt[at]),
        };
        let bytes = body.encode()?;
        self.previous = sha256(&bytes);
        self.next += 1;
        self.time += GAP_MS;
        Ok((bytes, detail))
    }
}

fn order(number: u64) -> Result<Intent> {
    Ok(Intent::Place(Order {
        instrument: "bybit:linear:BTCUSDT".parse()?,
        side: if number.is_multiple_of(2) { Side::Buy } else { Side::Sell },
        order_type: OrderType::Limit,
        amount: Amount::Base("0.001".parse()?),
        price: Some(format!("{}.5", 91_000 + number % 500).parse()?),
        trigger_price: None,
        time_in_force: TimeInForce::ImmediateOrCancel,
        post_only: false,
        reduce_only: false,
        client_order_id: Some(format!("grid-{number:012}").parse()?),
    }))
}

/// Seconds that each of `count` took.
#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "times, not money")]
fn per(total: Duration, count: u64) -> f64 {
    total.as_secs_f64() / count.max(1) as f64
}
