//! One subject's place on the ladder: units, baselines, high-water mark and the rungs that hold.

use serde::{Deserialize, Serialize};
use trading::{SizeFactor, Timestamp};

use super::calendar::Period;
use super::clock::Clock;
use super::event::{Refusal, Said, What};
use super::input::{Signed, Subject};
use super::ladder::{Ladder, reaches, reaches_alone};
use super::rung::{
    Basis, COOL_OFF_MS, Latch, Latches, REDUCED_MS, RESTART_QUORUM, REVIEW_MS, Rung, Trigger, reduced_factor,
};
use super::sample::STOP_AGE_MS;
use super::standing::Values;
use super::unit_value::{Money, Precise, UnitValue, Units};
use super::window::{Point, Span, Window};

/// What is known of an account, or of the group, since it was commissioned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Measure {
    history: Option<History>,
    latches: Latches,
    /// Whether the watch was interrupted since the last valid sample.
    after_restart: bool,
    /// Limits are reduced while the running clock is below this.
    reduced_until_ms: u64,
    /// Mark and last value before a commission, for the record of the new mark.
    before: Option<(UnitValue, UnitValue)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct History {
    units: Units,
    mark: Point,
    last: Point,
    day: Window,
    week: Window,
    month: Window,
}

impl History {
    const fn window(&self, span: Span) -> &Window {
        match span {
            Span::Day => &self.day,
            Span::Week => &self.week,
            Span::Month => &self.month,
        }
    }

    /// The worse baseline of a rung.
    fn baseline(&self, rung: Rung) -> (Basis, UnitValue) {
        let Some(span) = rung.span() else { return (Basis::HighWaterMark, self.mark.value) };
        let (calendar, rolling) = (self.window(span).calendar(), self.window(span).rolling());
        if rolling > calendar { (Basis::Rolling, rolling) } else { (Basis::Calendar, calendar) }
    }
}

/// One look at the equity.
pub(super) struct Look {
    pub(super) at: Timestamp,
    /// The newest or lower word, which trips a rung by itself only far beyond it.
    pub(super) alone: Money,
    /// What two sources agree is left at most, if they do.
    pub(super) confirmed: Option<Money>,
    /// What baselines may be made of, if the sample is valid.
    pub(super) valid: Option<Money>,
    /// What both sources say was reached, if they do.
    pub(super) attested: Option<Money>,
}

impl Measure {
    /// Begins to count units.
    pub(super) fn begin(
        &mut self,
        subject: &Subject,
        at: Timestamp,
        equity: Money,
        clock: &Clock,
        said: &mut Said,
    ) -> bool {
        let Some(units) = Units::start(equity) else { return false };
        let first = Point { at, value: UnitValue::ONE };
        let window = |span| Window::start(span, first);
        let (day, week, month) = (window(Span::Day), window(Span::Week), window(Span::Month));
        self.history = Some(History { units, mark: first, last: first, day, week, month });
        self.reduced_until_ms = clock.running_ms().saturating_add(REDUCED_MS);
        self.after_restart = false;
        said.say(subject, What::Begun { equity });
        if let Some((old, new)) = self.before.take() {
            said.say(subject, What::Rebased { rung: Rung::Four, old, new });
        }
        true
    }

    pub(super) const fn has_begun(&self) -> bool {
        self.history.is_some()
    }

    pub(super) fn rung(&self) -> Rung {
        self.latches.rung()
    }

    pub(super) fn latches(&self) -> Vec<(Rung, Latch)> {
        Rung::DOWN.into_iter().filter_map(|rung| Some((rung, *self.latches.of(rung)?))).collect()
    }

    pub(super) fn values(&self) -> Option<Values> {
        let history = self.history.as_ref()?;
        let windows = [&history.day, &history.week, &history.month];
        Some(Values {
            value: history.last.value,
            high_water_mark: history.mark.value,
            high_water_mark_at: history.mark.at,
            calendar: windows.map(Window::calendar),
            rolling: windows.map(Window::rolling),
            lowest: windows.map(Window::lowest),
        })
    }

    /// The strictest of what holds.
    pub(super) fn size_factor(&self, ladder: &Ladder, clock: &Clock) -> SizeFactor {
        let weekly = if self.latches.reduces_sizes() { ladder.weekly_size_factor() } else { SizeFactor::ONE };
        let reduced =
            if clock.running_ms() < self.reduced_until_ms { reduced_factor() } else { SizeFactor::ONE };
        weekly.min(reduced)
    }

    pub(super) const fn restarted(&mut self) {
        self.after_restart = true;
    }

    /// Counts a flow. `late` says that `equity` holds it already.
    pub(super) fn flow(&mut self, equity: Money, amount: Money, late: bool) -> Result<(), Refusal> {
        let Some(history) = &mut self.history else { return Ok(()) };
        let units = if late {
            history.units.after_late_flow(equity, amount)
        } else {
            history.units.after_flow(equity, amount)
        };
        history.units = units.ok_or(Refusal::Impossible)?;
        Ok(())
    }

    /// Judges the equity, then remembers it: rungs only go up here, but for those that were
    /// acknowledged and whose time is over.
    pub(super) fn look(
        &mut self,
        subject: &Subject,
        look: &Look,
        ladder: &Ladder,
        clock: &Clock,
        said: &mut Said,
    ) {
        let Some(history) = &mut self.history else { return };
        let value = |equity: Money| history.units.value_at(equity);
        // A worth that cannot be calculated is judged as nothing.
        let low = |equity| value(equity).and_then(Precise::down);
        let alone = low(look.alone).unwrap_or(UnitValue::ZERO);
        let confirmed = look.confirmed.map(|equity| low(equity).unwrap_or(UnitValue::ZERO));
        let valid = look.valid.and_then(value).and_then(Precise::up);
        let attested = look.attested.and_then(value).and_then(Precise::up);
        if let Some(value) = valid {
            let point = Point { at: look.at.max(history.last.at), value };
            for window in [&mut history.day, &mut history.week, &mut history.month] {
                window.observe(point, history.last, self.after_restart);
            }
            history.last = point;
            self.after_restart = false;
        }
        if let Some(value) = attested.filter(|value| *value > history.mark.value) {
            history.mark = Point { at: look.at, value };
        }
        for rung in Rung::DOWN {
            let trigger = trigger(history, ladder, rung, alone, confirmed);
            match trigger {
                Some(trigger) => trip(&mut self.latches, subject, rung, trigger, ladder, clock, said),
                None if valid.is_some() && confirmed.is_some() => {
                    // It would not be reached again at once, not even by the lower of the two.
                    let would = trigger_at(history, ladder, rung, alone).is_some();
                    if !would {
                        clear(&mut self.latches, subject, rung, clock, said);
                    }
                }
                None => {}
            }
        }
    }

    /// Rung 1 that nobody acknowledges gets the effect of rung 2.
    pub(super) fn watch(&mut self, subject: &Subject, ladder: &Ladder, clock: &Clock, said: &mut Said) {
        let Some(Some(latch)) = self.latches.slot(Rung::One) else { return };
        let waits = latch.acknowledged_at.is_none() && !latch.escalated;
        if waits && clock.since(latch.since_ms) >= REVIEW_MS {
            latch.escalated = true;
            said.say(subject, What::ReviewOverdue { tripped_at: latch.tripped_at });
            said.say(subject, What::CancelOversized { factor: ladder.weekly_size_factor() });
        }
    }

    pub(super) fn acknowledge(
        &mut self,
        subject: &Subject,
        rung: Rung,
        tripped_at: Timestamp,
        signed: &Signed,
        clock: &Clock,
        said: &mut Said,
    ) -> Result<(), Refusal> {
        quorum(signed, 1)?;
        if rung >= Rung::Three {
            return Err(Refusal::NotByAcknowledgement);
        }
        let latch = self.named(rung, tripped_at)?;
        if latch.acknowledged_at.is_none() {
            latch.acknowledged_at = Some(clock.utc());
            said.say(subject, What::Acknowledged { rung, tripped_at, signed: signed.clone() });
        }
        Ok(())
    }

    /// Lifts rung 3. The month's baselines start from the last valid value, or the rung would be
    /// reached again at once; the high-water mark stays, and so do rungs 1 and 2.
    pub(super) fn resume(
        &mut self,
        subject: &Subject,
        tripped_at: Timestamp,
        signed: &Signed,
        clock: &Clock,
        said: &mut Said,
    ) -> Result<(), Refusal> {
        quorum(signed, RESTART_QUORUM)?;
        let latch = *self.named(Rung::Three, tripped_at)?;
        if self.latches.of(Rung::Four).is_some() {
            return Err(Refusal::RungFour);
        }
        cooled_off(&latch, clock)?;
        let last = self.history.as_ref().map(|history| history.last.at);
        if last.is_some_and(|at| clock.utc().since_ms(at) >= STOP_AGE_MS) {
            return Err(Refusal::NoSample);
        }
        said.say(subject, What::Resumed { signed: signed.clone() });
        // An emptied account has none, and takes a commission besides.
        if let Some(history) = &mut self.history {
            let (_, old) = history.baseline(Rung::Three);
            let new = history.last;
            history.month = Window::start(Span::Month, new);
            said.say(subject, What::Rebased { rung: Rung::Three, old, new: new.value });
        }
        self.latches.slot(Rung::Three).and_then(Option::take);
        self.reduced_until_ms = clock.running_ms().saturating_add(REDUCED_MS);
        said.say(subject, What::RungCleared { rung: Rung::Three, tripped_at });
        Ok(())
    }

    /// Makes ready to begin anew: without a history, or after rung 4 and its time.
    pub(super) fn commission(
        &mut self,
        subject: &Subject,
        tripped_at: Option<Timestamp>,
        signed: &Signed,
        clock: &Clock,
        said: &mut Said,
    ) -> Result<(), Refusal> {
        quorum(signed, RESTART_QUORUM)?;
        match (self.latches.of(Rung::Four), tripped_at) {
            (Some(_), named) => {
                let latch = *self.named(Rung::Four, named.ok_or(Refusal::NoSuchRung)?)?;
                cooled_off(&latch, clock)?;
            }
            (None, Some(_)) => return Err(Refusal::NoSuchRung),
            // An emptied account keeps rung 3: money that leaves and comes back is no restart.
            (None, None) if self.latches.of(Rung::Three).is_some() => return Err(Refusal::Running),
            (None, None) if self.history.is_some() => return Err(Refusal::Running),
            (None, None) => {}
        }
        said.say(subject, What::Commissioned { signed: signed.clone() });
        for rung in Rung::DOWN {
            if let Some(latch) = self.latches.slot(rung).and_then(Option::take) {
                said.say(subject, What::RungCleared { rung, tripped_at: latch.tripped_at });
            }
        }
        self.end_history();
        Ok(())
    }

    /// Forgets units and baselines; the rungs that hold stay.
    pub(super) fn end_history(&mut self) {
        if let Some(history) = self.history.take() {
            self.before = Some((history.mark.value, history.last.value));
        }
    }

    fn named(&mut self, rung: Rung, tripped_at: Timestamp) -> Result<&mut Latch, Refusal> {
        let slot = self.latches.slot(rung).and_then(Option::as_mut);
        slot.filter(|latch| latch.tripped_at == tripped_at).ok_or(Refusal::NoSuchRung)
    }
}

fn quorum(signed: &Signed, needed: usize) -> Result<(), Refusal> {
    let enough = signed.quorum() >= needed;
    enough.then_some(()).ok_or(Refusal::Quorum { needed: u8::try_from(needed).unwrap_or(u8::MAX) })
}

fn cooled_off(latch: &Latch, clock: &Clock) -> Result<(), Refusal> {
    match COOL_OFF_MS.saturating_sub(clock.since(latch.since_ms)) {
        0 => Ok(()),
        remaining_ms => Err(Refusal::CoolOff { remaining_ms }),
    }
}

const fn threshold(ladder: &Ladder, rung: Rung) -> Option<u16> {
    let bps = ladder.thresholds().bps();
    match rung {
        Rung::Zero => None,
        Rung::One => Some(bps.daily_bps),
        Rung::Two => Some(bps.weekly_bps),
        Rung::Three => Some(bps.monthly_bps),
        Rung::Four => Some(bps.from_high_water_mark_bps),
    }
}

/// The numbers with which a rung is reached, if it is.
fn trigger(
    history: &History,
    ladder: &Ladder,
    rung: Rung,
    alone: UnitValue,
    confirmed: Option<UnitValue>,
) -> Option<Trigger> {
    if let Some(trigger) = confirmed.and_then(|value| trigger_at(history, ladder, rung, value)) {
        return Some(trigger);
    }
    let threshold_bps = threshold(ladder, rung)?;
    let (basis, baseline) = history.baseline(rung);
    let fires = reaches_alone(alone, baseline, threshold_bps);
    fires.then_some(Trigger { basis, baseline, value: alone, threshold_bps, alone: true })
}

/// As [`trigger`], for a value that is sure.
fn trigger_at(history: &History, ladder: &Ladder, rung: Rung, value: UnitValue) -> Option<Trigger> {
    let threshold_bps = threshold(ladder, rung)?;
    let (basis, baseline) = history.baseline(rung);
    let fires = reaches(value, baseline, threshold_bps);
    fires.then_some(Trigger { basis, baseline, value, threshold_bps, alone: false })
}

fn trip(
    latches: &mut Latches,
    subject: &Subject,
    rung: Rung,
    trigger: Trigger,
    ladder: &Ladder,
    clock: &Clock,
    said: &mut Said,
) {
    let Some(slot @ None) = latches.slot(rung) else { return };
    *slot = Some(Latch {
        tripped_at: clock.utc(),
        trigger,
        acknowledged_at: None,
        escalated: false,
        since_ms: clock.running_ms(),
    });
    said.say(subject, What::RungReached { rung, trigger });
    let actions: &[What] = match rung {
        Rung::Zero => &[],
        Rung::One => &[What::ReviewTask { rung }],
        Rung::Two => {
            &[What::ReviewTask { rung }, What::CancelOversized { factor: ladder.weekly_size_factor() }]
        }
        Rung::Three => &[What::CancelAll, What::ScaleToZero],
        Rung::Four => &[What::Kill],
    };
    actions.iter().for_each(|action| said.say(subject, action.clone()));
    said.say(subject, What::Alert { rung });
}

/// Clears rung 1 or 2 if it was acknowledged on an earlier UTC day, or in an earlier ISO week.
fn clear(latches: &mut Latches, subject: &Subject, rung: Rung, clock: &Clock, said: &mut Said) {
    let period = match rung {
        Rung::One => Period::Day,
        Rung::Two => Period::Week,
        Rung::Zero | Rung::Three | Rung::Four => return,
    };
    let Some(latch) = latches.of(rung) else { return };
    let tripped_at = latch.tripped_at;
    if latch.acknowledged_at.is_some_and(|at| period.start_of(clock.utc()) > at) {
        latches.slot(rung).and_then(Option::take);
        said.say(subject, What::RungCleared { rung, tripped_at });
    }
}
