//! What goes wrong, and what people do.

use trading::Market;

use crate::disk::Trouble;
use crate::ledger::Checked;
use crate::setup::ACCOUNTS;
use crate::vault_side::OPERATOR;
use crate::world::{Event, World};

/// Pause between two steps of the market.
const MARKET_MS: u64 = 700;

impl World {
    pub(crate) fn something_goes_wrong(&mut self) -> Checked {
        if self.calm {
            return Ok(());
        }
        let wait = self.random.between(1, 2 * self.weather.fault_every);
        self.at(wait, Event::Fault);
        match self.random.below(16) {
            0..3 => {
                self.counts.kills += 1;
                self.vault_dies();
            }
            3..6 => {
                // In the middle of what it does next on the disk.
                let more = self.random.below(8);
                self.log.disk.plan(more, Trouble::Killed);
            }
            6 => {
                self.counts.kills += 1;
                self.gate_dies();
            }
            7..9 => self.power_fails(),
            9 => {
                let more = self.random.below(10);
                self.log.disk.plan(more, Trouble::Error);
            }
            10 => {
                if let Some(link) = self.link() {
                    self.break_link(link);
                }
            }
            11 => self.gate_loses_vault(),
            12 => {
                // A clock is set; it is set right again with one of the next.
                let step = self.random.between(0, 6_000).cast_signed() - 3_000;
                self.vault.skew_ms = if self.vault.skew_ms.abs() > 50 { 0 } else { step };
            }
            13 => {
                let down = self.random.between(100, 4_000);
                self.venue_down_until = self.now + down;
            }
            14 => {
                // The owner cancels on the venue's own page.
                let account = self.random.pick(&ACCOUNTS).name;
                self.venue.cancel_all(account, Market::Linear, self.now);
            }
            _ => {
                self.counts.kills += 2;
                self.vault_dies();
                self.log_dies();
            }
        }
        Ok(())
    }

    /// Everything on the machine ends at once, and what was not synced may be lost.
    fn power_fails(&mut self) {
        self.counts.power_cuts += 1;
        self.counts.kills += 3;
        self.vault_dies();
        self.gate_dies();
        self.log_dies();
        self.log.disk.cut_power();
    }

    pub(crate) fn market_moves(&mut self) {
        self.at(MARKET_MS, Event::Market);
        self.venue.step(self.now);
        if self.calm {
            self.vault.skew_ms = 0;
            return;
        }
        if self.random.chance(60) {
            self.operator_acts();
        }
        if self.random.chance(25) {
            // The machine sleeps.
            self.now += self.random.between(1, 14) * 3_600_000 + self.random.below(60_000);
        }
    }

    /// An operator halts, reduces or resumes, everywhere or one account.
    fn operator_acts(&mut self) {
        let state = *self.random.pick(&["halted", "reducing", "active", "active"]);
        let account = match self.random.below(3) {
            0 => "null".to_owned(),
            _ => format!("\"{}\"", self.random.pick(&ACCOUNTS).name),
        };
        let command = |state: &str| {
            format!(r#"{{"command":"set_state","state":"{state}","account":{account},"why":"a drill"}}"#)
        };
        let (now, later) = (command(state), command("active"));
        self.operator_says(20, now);
        if state != "active" {
            let wait = self.random.between(500, 4_000);
            self.operator_says(wait, later);
        }
    }

    fn operator_says(&mut self, wait: u64, line: String) {
        let vault = self.vault.life;
        self.at(wait, Event::Line { vault, from: OPERATOR, line });
    }
}
