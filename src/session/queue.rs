//! Messages that wait behind a turn, and the turn that they wait for.

use super::history::{History, is_question};
use super::turn::{Asked, Turn, ends_turn};
use crate::api::events::Event;

/// Whether the question waits for another turn to end: one whose own question was taken in and that has not ended.
pub fn is_behind(history: &History, asked: &Asked) -> bool {
    let question = asked.question.as_ref();
    let place = question.and_then(|id| history.position(id));
    let mut since_end = history
        .events()
        .enumerate()
        .rev()
        .take_while(|(_, event)| !ends_turn(event));
    place.is_some_and(|place| history.is_queued(place))
        && since_end.any(|(at, event)| is_question(&event.kind) && !history.is_queued(at))
}

/// Questions that wait for the turn to end, where the session [`rests`](History::waits) or not.
pub fn queued(history: &History, rests: bool) -> usize {
    let questions = history.events().enumerate();
    questions
        .filter(|(place, event)| is_question(&event.kind) && history.waits(*place, rests))
        .count()
}

/// The last words of the turn before.
pub fn reply_before<'h>(history: &'h History, turn: &Turn) -> Option<&'h Event> {
    let before = history.events().take(turn.events.start).rev();
    before
        .skip_while(|event| !ends_turn(event))
        .skip(1)
        .take_while(|event| !ends_turn(event))
        .find(|event| event.kind == "agent.message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::turn::{Lifecycle, judge};
    use serde_json::{Value, json};

    /// Events by word: `q…` a queued question, `u…` one that was taken in, `run`, `say`, `end`, `ask`.
    fn history(line: &str) -> History {
        let event = |(at, word): (usize, &str)| {
            let idle = |reason: &str| json!({"type": "session.status_idle", "stop_reason": {"type": reason}});
            let mut event = match word {
                "run" => json!({"type": "session.status_running"}),
                "say" => {
                    json!({"type": "agent.message", "content": [{"type": "text", "text": "words"}]})
                }
                "end" => idle("end_turn"),
                "ask" => idle("requires_action"),
                _ => json!({"type": "user.message", "content": []}),
            };
            event["id"] = json!(format!("{word}{at}"));
            let time = json!(format!("2026-11-01T10:00:{at:02}Z"));
            event["processed_at"] = if word.starts_with('q') {
                Value::Null
            } else {
                time
            };
            serde_json::from_value(event).unwrap()
        };
        let mut history = History::default();
        history.listed(line.split_whitespace().enumerate().map(event).collect());
        history
    }

    fn asked(id: &str) -> Asked {
        Asked {
            question: Some(id.to_owned()),
            ..Asked::default()
        }
    }

    #[test]
    fn a_question_is_behind_a_turn_that_is_not_over() {
        for (line, question, is_behind) in [
            ("run u say q", "q3", true),
            ("run u ask q", "q3", true),
            ("run u say end q", "q4", false),
            ("q", "q0", false),
            ("run u say end run q", "q5", false),
            ("run u say end q run", "q4", false),
            ("run u say end run u", "u5", false),
        ] {
            assert_eq!(
                super::is_behind(&history(line), &asked(question)),
                is_behind,
                "{line}"
            );
        }
        assert_eq!(queued(&history("run u say q q"), false), 2);
        assert_eq!(queued(&history("run u q say end"), false), 1);
        assert_eq!(queued(&history("run u q say end u say end"), true), 0);
    }

    #[test]
    fn the_reply_before_is_that_of_the_turn_that_ended_last() {
        let before = |line: &str, question: &str| {
            let history = history(line);
            let turn = judge(&history, &asked(question), Lifecycle::default());
            reply_before(&history, &turn).map(|reply| reply.id.clone())
        };
        assert_eq!(
            before("run u say end u say end", "u4").as_deref(),
            Some("say2")
        );
        assert_eq!(before("run u say end run u end run u say end", "u8"), None);
        assert_eq!(before("run u say end", "u1"), None);
    }
}
