//! Which events have their final place in the record, so that a cursor may stand after them.

use std::ops::Range;

use super::history::{History, ends_session, is_asked, is_call, is_question};
use super::turn::{ends_turn, pauses, speaks};
use crate::api::events::{Event, Taken};

/// Whether with this event a turn ends, or all of them.
fn settles(event: &Event) -> bool {
    ends_turn(event) || ends_session(event)
}

/// How many events, from the oldest on, have their final place: what comes later in the record stands after them.
///
/// A queued event moves when it is taken in; that it was passed over is believed once what shows it is no longer fresh, of a
/// question once the session [`rests`](History::waits). And the words of a model request may be listed after what follows them,
/// for as long as `fresh` says; until then everything from where they may come is left out. Those of one turn are listed in their
/// order: words that are there tell that all before them are. Whether more come after them its requests tell; of a server that
/// shows none nobody knows.
pub fn final_events(history: &History, rests: bool, fresh: &dyn Fn(&Event) -> bool) -> usize {
    let newest = |is_it: &dyn Fn(&Event) -> bool| {
        let mut events = history.events();
        events.rposition(|event| is_it(event) && !fresh(event))
    };
    let (question, end_of_turn) = (newest(&is_asked), newest(&settles));
    // Behind the end of the session nothing waits any more, wherever it stands.
    let ended = newest(&ends_session).map(|_| history.events().len());
    let may_move = |place: usize, event: &Event| {
        let passed = match is_question(&event.kind) {
            true => history.answered(rests).max(ended),
            false => question.max(end_of_turn).max(ended),
        };
        match event.taken {
            Taken::NotYet => passed <= Some(place),
            Taken::In | Taken::Unstated => history.waits(place, rests),
        }
    };
    let (missing, end) = walk(history, &may_move, &|_, event| fresh(event));
    missing.unwrap_or(end)
}

/// Whether a model request of the turn has no words, nor any after it.
pub(super) fn lacks_words(history: &History, turn: &Range<usize>) -> bool {
    // A rest decides nothing about what comes after it: threads of the turn rest before it ends.
    let is_request = |place: usize, event: &Event| turn.contains(&place) && !is_rest(&event.kind);
    let is_queued = |place: usize, _: &Event| history.is_queued(place);
    walk(history, &is_queued, &is_request).0.is_some()
}

/// The first place at which words may be missing, and where what is final ends otherwise.
fn walk(
    history: &History,
    may_move: &dyn Fn(usize, &Event) -> bool,
    fresh: &dyn Fn(usize, &Event) -> bool,
) -> (Option<usize>, usize) {
    // Where the newest request began, whether its words are there, and where the first may be that the turn lacks.
    let (mut began, mut spoke, mut is_open, mut missing) = (0, false, false, None);
    let (mut after_speech, mut ends_in_words, mut shows_requests) = (0, false, false);
    for (place, event) in history.events().enumerate() {
        if may_move(place, event) {
            return (missing, place);
        }
        let kind = event.kind.as_str();
        let is_over = is_rest(kind) && !pauses(event) && fresh(place, event);
        if is_over && !(ends_in_words && shows_requests) {
            return (missing, after_speech);
        }
        match kind {
            "agent.message" => (began, spoke, missing) = (place + 1, true, None),
            "span.model_request_start" => (began, spoke, is_open) = (place + 1, false, true),
            "span.model_request_end" => (is_open, shows_requests) = (false, true),
            // Results of tools may come before the end of the request that called them.
            _ if kind.starts_with("user.") || (is_result(kind) && !is_open) => {
                (began, spoke) = (place + 1, false);
                shows_requests &= !is_question(kind);
            }
            _ => {}
        }
        let ends_request = is_call(kind) || kind == "span.model_request_end";
        if ends_request && !spoke && fresh(place, event) {
            missing.get_or_insert(began);
        }
        if speaks(event) {
            (after_speech, ends_in_words) = (place + 1, kind == "agent.message");
        }
    }
    (missing, history.events().len())
}

fn is_rest(kind: &str) -> bool {
    matches!(kind, "session.status_idle" | "session.thread_status_idle")
}

fn is_result(kind: &str) -> bool {
    matches!(kind, "agent.tool_result" | "agent.mcp_tool_result")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::turn::tests::history;
    use crate::session::turn::{Asked, Lifecycle, judge};

    #[test]
    fn a_page_stops_before_what_may_still_move() {
        let stable = |line: &str, is_fresh: bool| {
            let record = history(line);
            final_events(&record, !is_fresh, &|_: &Event| is_fresh)
        };
        assert_eq!(stable("run u1 say end", true), 3);
        assert_eq!(stable("run u1 start say stop end", true), 6);
        assert_eq!(stable("run u1 start say stop end u2 say end", true), 8);
        assert_eq!(stable("run u1 end", true), 2);
        assert_eq!(stable("run u1 end", false), 3);
        assert_eq!(stable("run u1 q2 say end", false), 2);
        // What never got a time was passed over once the session rested after a later question.
        let passed = "run u1 q2 say end u3 say end";
        assert_eq!((stable(passed, true), stable(passed, false)), (2, 8));
        let at_work = |line: &str| final_events(&history(line), false, &|_: &Event| false);
        assert_eq!(at_work(passed), 2);
        // A queue is not so long as that.
        let later = |count: usize| -> String {
            let turns = (0..count).map(|turn| format!(" u3{turn} say end"));
            format!("run u1 q2{}", turns.collect::<String>())
        };
        assert_eq!((at_work(&later(10)), at_work(&later(17))), (2, 3 + 17 * 3));
        for (line, places) in [
            ("run u1 start say tool:a stop result:a", 7),
            ("run u1 start tool:a result:a stop", 3),
            ("run u1 start tool:a stop ask:a", 3),
            ("run u1 tool:a budget", 2),
            ("run u1 say tool:a result:a tool:b", 5),
            ("run u1 start say stop start tool:b", 6),
            ("run u1 start say stop start stop end", 6),
            ("run u1 start tool:a stop result:a start tool:b", 3),
            ("run u1 start tool:a stop result:a start say stop end", 10),
            ("run u1 start say tool:a result:a stop end", 6),
        ] {
            assert_eq!(stable(line, true), places, "{line}");
            assert_eq!(stable(line, false), line.split_whitespace().count());
        }
    }

    #[test]
    fn a_request_without_words_after_the_last_ones_lacks_them() {
        for (line, lacks) in [
            ("run u1 start say stop end", false),
            ("run u1 start say stop start stop end", true),
            (
                "run u1 start tool:a stop result:a start say stop end",
                false,
            ),
            ("run u1 start stop end u2 start say stop end", false),
            ("run u1 end", false),
            ("run u1 start stop rest start say stop rest end", false),
            (
                "run u1 start say stop rest start say stop start stop end",
                true,
            ),
        ] {
            let history = history(line);
            let turn = judge(&history, &Asked::default(), Lifecycle::default()).events;
            assert_eq!(lacks_words(&history, &turn), lacks, "{line}");
        }
    }
}
