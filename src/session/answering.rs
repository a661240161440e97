//! Which end of a turn is that of the turn that answers a question.

use super::history::is_question;
use super::turn::{ends_turn, is_work, stops_turn};
use crate::api::events::Event;

/// Whether the end of a turn, listed after a question, can be that of the turn that answers it.
///
/// A server that keeps a queued message where it was sent lists the end of the turn before it behind it. What was sent to a
/// session at rest stands behind no turn; otherwise times tell. And a turn that is stopped for a question may end behind it.
pub(super) fn answers(events: &[&Event], question: usize, end: usize) -> bool {
    let time = |at: usize| events.get(at).and_then(|event| event.at);
    if stops_before(events, question, end) {
        return false;
    }
    let (Some(taken_in), Some(ended)) = (time(question), time(end)) else {
        return true;
    };
    let between = events.get(question..end).unwrap_or_default();
    let mut work = between.iter().filter(|event| works(event));
    ended > taken_in
        || work.any(|event| event.at.is_some_and(|at| at >= taken_in))
        || begins_turn(events, question, end)
}

/// Whether a question came to a session at rest, which began to work with it before this end.
fn begins_turn(events: &[&Event], question: usize, end: usize) -> bool {
    let before = events.get(..question).unwrap_or_default();
    let rest = before.iter().rposition(|event| ends_turn(event));
    let rest = rest.unwrap_or_default();
    let mut since = before.iter().skip(rest);
    let is_first = !since.any(|event| is_work(&event.kind) || is_question(&event.kind));
    let turn = events.get(rest..end).unwrap_or_default();
    is_first && turn.iter().any(|event| begins_work(event))
}

/// Whether this is the end of a turn at work that was interrupted for the question, which has begun nothing yet.
fn stops_before(events: &[&Event], question: usize, end: usize) -> bool {
    let before = events.get(..question).unwrap_or_default();
    let mut newest_first = before.iter().rev().take_while(|event| !ends_turn(event));
    // Work before the interrupt: a session at rest has none to stop.
    let is_stopped =
        newest_first.any(|event| stops_turn(event)) && newest_first.any(|event| works(event));
    let between = events.get(question..end).unwrap_or_default();
    is_stopped && !between.iter().any(|event| works(event))
}

fn works(event: &Event) -> bool {
    is_work(&event.kind) || begins_work(event)
}

fn begins_work(event: &Event) -> bool {
    event.kind == "session.status_running"
}

#[cfg(test)]
mod tests {
    use crate::session::turn::tests::history;
    use crate::session::turn::{Asked, Lifecycle, judge};

    #[test]
    fn a_turn_that_was_stopped_for_a_question_does_not_answer_it() {
        for (line, turn) in [
            ("run u1 say halt u2 end run say end", 5..9),
            ("run u1 say halt u2 end u3 say end", 5..9),
            ("run u1 say halt u2 end", 4..6),
            ("run u1 say end halt u2 run say end", 5..9),
            ("run u1 say end halt u2 end", 5..7),
            ("run u1 say end halt run u2 end u3 say end", 6..8),
            ("run u1 say halt end u2 run say end", 5..9),
            ("run u1 say u2 end", 3..5),
            ("run u1 say hold u2 end", 4..6),
        ] {
            let asked = Asked {
                question: Some("u2".to_owned()),
                ..Asked::default()
            };
            let judged = judge(&history(line), &asked, Lifecycle::default());
            assert_eq!(judged.events, turn, "{line}");
        }
    }
}
