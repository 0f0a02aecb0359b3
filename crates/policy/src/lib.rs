//! Decides one intent: rules × state → approve, or every reason why not.
//!
//! Pure: no file, socket, clock or randomness; time and prices are arguments. Nothing is a float,
//! every operation is checked, and whatever cannot be judged is denied. The way of one order:
//!
//! ```text
//! Policy::parse(text)                    once, all mistakes at once
//! evaluate(&policy, &state, request, &context) -> Decision
//! state.commit(&approved)                after signing; `restore` does the same from the log
//! ```
//!
//! Each rule is one file in `rules`, names its tier and holds its own limit; the rule set of an
//! account takes itself apart to run, so a rule that is never run does not compile.

mod denial;
mod diff;
pub mod edit;
mod evaluate;
mod explain;
mod facts;
mod fields;
mod hours;
mod judged;
mod parse;
mod policy;
pub mod presets;
mod request;
mod rules;
mod state;
mod units;
mod value;

pub use denial::Denial;
pub use diff::{Change, Verdict as ChangeVerdict, is_tightening};
pub use evaluate::{Approved, Decision, Denied, evaluate};
pub use explain::{Finding, Verdict, explain};
pub use fields::{Direction, FIELDS, Field};
pub use parse::Mistake;
pub use policy::{Account, Policy, SymbolLimits};
pub use request::{Context, MarkPrice, Request};
pub use rules::{LossLimits, Tier};
pub use state::{Lent, OrderName, Recorded, State, VenueEvent};
