//! Which events have their final place in the record, so that a cursor may stand after them.

use super::history::{History, is_call};
use super::turn::{pauses, speaks};
use crate::api::events::Event;

/// How many events, from the oldest on, have their final place: what comes later in the record stands after them.
///
/// A queued event moves when it is taken in. And the words of a model request may be listed after what follows them, for
/// as long as `fresh` says; until then everything from where they may come is left out. Those of one turn are listed in
/// their order: words that are there tell that all before them are.
pub fn final_events(history: &History, fresh: &dyn Fn(&Event) -> bool) -> usize {
    // Where the newest request began, whether its words are there, and where the first may be that the turn lacks.
    let (mut began, mut spoke, mut is_open, mut missing) = (0, false, false, None);
    let (mut after_speech, mut ends_in_words) = (0, false);
    for (place, event) in history.events().enumerate() {
        if history.is_queued(place) {
            return missing.unwrap_or(place);
        }
        let kind = event.kind.as_str();
        match kind {
            "session.status_idle" | "session.thread_status_idle"
                if !ends_in_words && !pauses(event) && fresh(event) =>
            {
                return missing.unwrap_or(after_speech);
            }
            "agent.message" => (began, spoke, missing) = (place + 1, true, None),
            "span.model_request_start" => (began, spoke, is_open) = (place + 1, false, true),
            "span.model_request_end" => is_open = false,
            // Results of tools may come before the end of the request that called them.
            _ if kind.starts_with("user.") || (is_result(kind) && !is_open) => {
                (began, spoke) = (place + 1, false);
            }
            _ => {}
        }
        let ends_request = is_call(kind) || kind == "span.model_request_end";
        if ends_request && !spoke && fresh(event) {
            missing.get_or_insert(began);
        }
        if speaks(event) {
            (after_speech, ends_in_words) = (place + 1, kind == "agent.message");
        }
    }
    missing.unwrap_or(history.events().len())
}

fn is_result(kind: &str) -> bool {
    matches!(kind, "agent.tool_result" | "agent.mcp_tool_result")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::turn::tests::history;

    #[test]
    fn a_page_stops_before_what_may_still_move() {
        let stable = |line: &str, is_fresh: bool| {
            let record = history(line);
            final_events(&record, &|_: &Event| is_fresh)
        };
        assert_eq!(stable("run u1 say end", true), 4);
        assert_eq!(stable("run u1 end", true), 2);
        assert_eq!(stable("run u1 end", false), 3);
        assert_eq!(stable("run u1 q2 say end", false), 2);
        for (line, places) in [
            ("run u1 start say tool:a stop result:a", 7),
            ("run u1 start tool:a result:a stop", 3),
            ("run u1 start tool:a stop ask:a", 3),
            ("run u1 tool:a budget", 2),
            ("run u1 say tool:a result:a tool:b", 5),
            ("run u1 start say stop start tool:b", 6),
            ("run u1 start tool:a stop result:a start tool:b", 3),
            ("run u1 start tool:a stop result:a start say stop end", 10),
            ("run u1 start say tool:a result:a stop end", 6),
        ] {
            assert_eq!(stable(line, true), places, "{line}");
            assert_eq!(stable(line, false), line.split_whitespace().count());
        }
    }
}
