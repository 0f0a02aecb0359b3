//! Lines that never become a question for the policy: a denial in the log if somebody we know asked,
//! an error without a record if not.

use protocol::envelope::Envelope;
use protocol::sign::{MAX_ID, SignLine};
use serde_json::value::RawValue;

use super::{CallerToken, Core, Output};
use crate::detail::{Detail, Event};
use crate::place::{Refused, Unresolved};
use crate::recorder::{Heading, Salt, bound};
use crate::request::{self, Caller};
use crate::ticket::Verdict;

/// A line's `id`, to be echoed.
pub(super) type Id = Option<Box<RawValue>>;

impl Core {
    /// Reads a line, or says what it comes to instead.
    pub(super) fn read_line<'a>(
        &self,
        line: &'a [u8],
        caller: Caller,
    ) -> Result<SignLine<'a>, (Id, Unresolved)> {
        let envelope = Envelope::read(line)
            .map_err(|error| (None, Unresolved::Error(request::malformed(error.to_string()))))?;
        let unreadable = |id, problem| (id, request::unreadable(&envelope, caller, &self.policy, problem));
        if envelope.id.is_some_and(|id| id.get().len() > MAX_ID) {
            return Err(unreadable(None, format!("`id` is longer than {MAX_ID} bytes")));
        }
        SignLine::read(line)
            .map_err(|error| unreadable(envelope.id.map(ToOwned::to_owned), error.to_string()))
    }

    /// Answers what is not a request, and records it if somebody we know asked.
    pub(super) fn turn_down(
        &mut self,
        from: CallerToken,
        id: Id,
        why: Unresolved,
        salt: Salt,
        out: &mut Vec<Output>,
    ) {
        let refused = match why {
            Unresolved::Error(error) => return self.answer(from, request::error_line(id, error), out),
            Unresolved::Refused(refused) => refused,
        };
        if let Err(error) = self.room() {
            return self.answer(from, request::error_line(id, error), out);
        }
        let Refused { actor, place, door, what, denial } = *refused;
        if let Some(place) = place {
            let detail = Detail::refused(&place, door, &what, &denial.text);
            return self.record(from, id, detail, Verdict::Denied(vec![denial]), salt, out);
        }
        self.counts.denied += 1;
        let event = Event::refused(&denial.text);
        let mut denials = vec![denial];
        bound(&mut denials);
        let heading = Heading {
            time: self.context.now,
            actor: &actor,
            account: None,
            operation: "unknown",
            policy_hash: self.policy.hash(),
            state_digest: [0; 32],
        };
        let verdict = Verdict::Denied(denials);
        let (frame, recorded) = self.recorder.record(&heading, event.bytes(), verdict, id, salt);
        out.push(frame);
        self.enqueue(from, recorded, out);
    }
}
