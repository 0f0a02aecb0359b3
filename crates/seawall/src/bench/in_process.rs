//! What takes place inside one thread: the decision, and each algorithm's signature.

use std::hint::black_box;
use std::time::Instant;

use policy::{Context, Decision, Policy, Request, State};
use trading::{
    AccountName, Amount, BotName, Instrument, Intent, Market, Order, OrderType, Side, Symbol, TimeInForce,
    Timestamp, Venue,
};

use crate::bench::Plan;
use crate::bench::algorithm::{Algorithm, Keys, RSA_BYTES};
use crate::bench::report::Report;
use crate::bench::rig::{self, Rig};
use crate::bench::rows::{Budget, Row};
use crate::bench::samples::{Distribution, Samples};

/// Decisions timed together: one is shorter than reading the clock twice.
const DECISIONS: usize = 16;
/// Bytes that are signed: a venue's query string.
const MESSAGE: [u8; 160] = [b'x'; 160];
/// Most that a decision may take at p50, in microseconds.
const DECISION_BUDGET: f64 = 0.3;
/// Most that our way to a library may cost, as a ratio.
const SIGN_BUDGET: f64 = 1.05;

/// Measures the rows of this file.
pub fn measure(plan: Plan, rig: &Rig<'_>, report: &mut Report) -> anyhow::Result<()> {
    let decision = decision(plan)?.summary();
    report.add(Row::floor("decision, 8 symbols, every rule", decision).within(Budget::Most(DECISION_BUDGET)));
    for algorithm in Algorithm::ALL {
        rig.check()?;
        let [own, floor] = sign(plan, &rig.keys, algorithm)?;
        report.add(Row::floor(format!("library call alone, {algorithm}"), floor.summary()));
        let row = Row::floor(format!("sign alone, {algorithm}"), own.summary());
        report.add(row.against(&floor).within(Budget::Ratio(SIGN_BUDGET)));
    }
    Ok(())
}

/// `policy::evaluate` over orders for all symbols, with counters that have seen every one before.
fn decision(plan: Plan) -> anyhow::Result<Distribution> {
    let policy = crate::installation::parse_policy(&rig::policy_text()?)?;
    let account: AccountName = Algorithm::Hmac.account()?;
    let mut state = State::new(account.clone());
    let orders = orders(&policy, &account)?;
    let mut context = Context { now: crate::installation::now(), ..Context::default() };
    let mut samples = Samples::default();
    for round in 0..plan.blocks * plan.requests {
        let requests: Vec<Request> = orders.iter().cycle().take(DECISIONS).cloned().collect();
        let started = Instant::now();
        let decisions: [Option<Decision>; DECISIONS] = {
            let mut requests = requests.into_iter();
            std::array::from_fn(|_| {
                requests.next().map(|request| policy::evaluate(&policy, &state, black_box(request), &context))
            })
        };
        samples.add(started.elapsed(), DECISIONS as u64);
        for decision in decisions.into_iter().flatten() {
            match decision {
                Decision::Approve(approved) if round % DECISIONS == 0 => state.commit(&approved),
                Decision::Approve(_) => {}
                Decision::Deny(denied) => anyhow::bail!("an order was denied: {:?}", denied.denials()),
            }
        }
        context.now = Timestamp::from_ms(context.now.as_ms() + 1);
    }
    samples.finish()
}

/// One order for each symbol of the policy.
fn orders(policy: &Policy, account: &AccountName) -> anyhow::Result<Vec<Request>> {
    let bot = BotName::new(rig::BOT)?;
    let symbols = [Market::Spot, Market::Linear]
        .into_iter()
        .flat_map(|market| ["BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT"].map(|symbol| (market, symbol)));
    let requests: Vec<Request> = symbols
        .map(|(market, symbol)| {
            let order = Order {
                instrument: Instrument { venue: Venue::Binance, market, symbol: Symbol::new(symbol)? },
                side: Side::Buy,
                order_type: OrderType::Limit,
                amount: Amount::Base("2".parse()?),
                price: Some("150.1".parse()?),
                trigger_price: None,
                time_in_force: TimeInForce::ImmediateOrCancel,
                post_only: false,
                reduce_only: false,
                client_order_id: None,
            };
            let mut request = Request::new(bot.clone(), account.clone(), Intent::Place(order));
            request.recv_window_ms = Some(1_000);
            Ok(request)
        })
        .collect::<anyhow::Result<_>>()?;
    let known = policy.account(account).map_or(0, |account| account.instruments().count());
    anyhow::ensure!(known == requests.len(), "the policy has {known} symbols");
    Ok(requests)
}

/// Ours, and the bare library call, in turns.
fn sign(plan: Plan, keys: &Keys, algorithm: Algorithm) -> anyhow::Result<[Distribution; 2]> {
    let (own, bare) = (keys.signing(algorithm)?, keys.bare(algorithm)?);
    let mut room = [0; RSA_BYTES];
    let length = bare.sign(&MESSAGE, &mut room);
    let same = *own.sign(&MESSAGE) == room[..length];
    anyhow::ensure!(same || !bare.is_deterministic(), "two ways of {algorithm} differ");
    // HMAC is timed in batches, because one is near the clock's own cost; RSA needs no more of itself.
    let (batch, share) = match algorithm {
        Algorithm::Hmac => (64, 1),
        Algorithm::Ed25519 | Algorithm::P256 | Algorithm::Secp256k1 => (1, 1),
        Algorithm::Rsa => (1, 10),
    };
    let (mut owns, mut bares) = (Samples::default(), Samples::default());
    for _ in 0..plan.blocks {
        for round in 0..(plan.warm_up + plan.requests) / share {
            let counts = round >= plan.warm_up / share;
            let started = Instant::now();
            for _ in 0..batch {
                black_box(own.sign(black_box(&MESSAGE)));
            }
            let took = started.elapsed();
            let started = Instant::now();
            for _ in 0..batch {
                bare.sign(black_box(&MESSAGE), black_box(&mut room));
            }
            if counts {
                bares.add(started.elapsed(), batch);
                owns.add(took, batch);
            }
        }
    }
    Ok([owns.finish()?, bares.finish()?])
}
