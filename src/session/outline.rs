//! How a session stands, by its newest events and an outline of what came before them: a long turn need not be read back
//! event by event.

use std::collections::HashSet;

use super::history::{History, is_question};
use super::turn::{
    Asked, Lifecycle, State, Status, before_idle, judge, last_status, rules_out_errors,
};
use crate::api::events::{Event, Taken};

/// The events of an outline. What is not among them changes how a session stands only near its end, or not at all.
pub const KINDS: [&str; 12] = [
    "user.message",
    "user.define_outcome",
    "user.interrupt",
    "user.tool_confirmation",
    "user.custom_tool_result",
    "user.tool_result",
    "session.status_running",
    "session.status_idle",
    "session.status_rescheduled",
    "session.status_terminated",
    "session.error",
    "session.deleted",
];

/// How the session stands, from two runs of its list: the newest events, without a gap, and, read after these and newest
/// first, all events of [`KINDS`] back to the beginning of the turn. `None` where they do not tell for certain.
pub fn state(
    newest: &History,
    outline: &[Event],
    asked: &Asked,
    lifecycle: Lifecycle<'_>,
) -> Option<State> {
    if lifecycle.over.is_some() {
        return Some(State::Terminated);
    }
    let newest: Vec<&Event> = newest.events().collect();
    let older = older(&newest, outline)?;
    let (at, status) = last_status(&newest, asked);
    let is_told = match &status {
        Status::Over => true,
        // Without names they are looked for among all events of the turn.
        Status::Awaits(event_ids) => !event_ids.is_empty(),
        Status::Idle(_) | Status::Running => {
            let searched = before_idle(&newest, at);
            searched.iter().any(|event| rules_out_errors(event))
        }
        Status::None => {
            let older: Vec<&Event> = older.iter().rev().collect();
            let (at, status) = last_status(&older, asked);
            let is_running = matches!(status, Status::Running)
                && older.get(at).is_some_and(|event| !is_idle(event));
            is_running && newest.iter().any(|event| rules_out_errors(event))
        }
    };
    let is_seen = |id: &String| {
        let mut events = newest.iter().copied().chain(older);
        events.any(|event| event.id == *id)
    };
    if !is_told
        || older.iter().any(is_hard_to_judge)
        || asked.stale_status.as_ref().is_some_and(|id| !is_seen(id))
    {
        return None;
    }
    let mut history = History::default();
    let events = older.iter().rev().chain(newest.iter().copied());
    history.listed(events.cloned().collect());
    Some(judge(&history, asked, lifecycle).state)
}

/// What the outline holds beyond the newest events, which it must agree with.
fn older<'a>(newest: &[&Event], outline: &'a [Event]) -> Option<&'a [Event]> {
    let is_of_outline = |event: &&Event| KINDS.contains(&event.kind.as_str());
    // A server that knows no types lists everything.
    if !outline.iter().all(|event| is_of_outline(&event)) {
        return None;
    }
    let newest_first = newest.iter().rev().copied();
    let shared: Vec<&Event> = newest_first.filter(is_of_outline).collect();
    let (same, older) = outline.split_at_checked(shared.len())?;
    let is_same = |(a, b): (&&Event, &Event)| a.raw() == b.raw();
    if !shared.iter().zip(same).all(is_same) {
        return None;
    }
    // What happened between the two looks does not belong behind the newest events. Where they share nothing, times tell.
    if let (true, Some(last)) = (shared.is_empty(), older.first()) {
        let begins = newest.iter().find_map(|event| event.at);
        if last.at.is_none() || last.at >= begins {
            return None;
        }
    }
    let known: HashSet<&str> = newest.iter().map(|event| event.id.as_str()).collect();
    let is_apart = older.iter().all(|event| !known.contains(event.id.as_str()));
    is_apart.then_some(older)
}

fn is_idle(event: &Event) -> bool {
    event.kind == "session.status_idle"
}

/// What is queued, or graded, is judged by what stands around it.
fn is_hard_to_judge(event: &Event) -> bool {
    let is_queued = match event.taken {
        Taken::In => false,
        Taken::NotYet => true,
        Taken::Unstated => is_question(&event.kind),
    };
    is_queued || event.kind == "user.define_outcome"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::sieve::Sieve;
    use crate::session::turn::{Beginning, Unnamed};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// What a record is made of; the number names what an answer answers, or which calls an idle waits for.
    const WORDS: [&str; 18] = [
        "user.message",
        "queued",
        "untimed",
        "user.interrupt",
        "user.tool_confirmation",
        "user.define_outcome",
        "session.status_running",
        "end",
        "end",
        "ask",
        "ask for something",
        "budget",
        "session.error",
        "session.status_terminated",
        "span.outcome_evaluation_end",
        "agent.message",
        "agent.tool_use",
        "span.model_request_end",
    ];

    fn event(place: usize, word: usize, number: usize) -> Event {
        let idle = |reason: Value| json!({"type": "session.status_idle", "stop_reason": reason});
        let mut event = match WORDS[word] {
            "queued" | "untimed" => json!({"type": "user.message"}),
            "end" => idle(json!({"type": "end_turn"})),
            "ask" => idle(
                json!({"type": "requires_action", "event_ids": [format!("e{}", place.saturating_sub(number))]}),
            ),
            "ask for something" => idle(json!({"type": "requires_action"})),
            "budget" => idle(json!({"type": "budget_reached"})),
            "session.error" => {
                json!({"type": "session.error", "error": {"type": "api_error", "message": "m", "retry_status": {"type": "exhausted"}}})
            }
            "span.outcome_evaluation_end" => {
                json!({"type": "span.outcome_evaluation_end", "result": (["satisfied", "needs_revision"][number % 2])})
            }
            "user.tool_confirmation" => {
                json!({"type": "user.tool_confirmation", "tool_use_id": format!("e{}", place.saturating_sub(number)), "result": "allow"})
            }
            "agent.tool_use" => {
                json!({"type": "agent.tool_use", "name": "bash", "evaluated_permission": "ask"})
            }
            kind => json!({"type": kind}),
        };
        event["id"] = json!(format!("e{place}"));
        match WORDS[word] {
            "queued" => event["processed_at"] = Value::Null,
            "untimed" => {}
            _ => {
                let (minute, second) = (place / 60, place % 60);
                event["processed_at"] = json!(format!("2026-11-01T10:{minute:02}:{second:02}Z"));
            }
        }
        serde_json::from_value(event).unwrap()
    }

    /// Most words are of work, so that turns are long.
    fn record() -> impl Strategy<Value = Vec<Event>> {
        let word = prop_oneof![3 => 15..18_usize, 2 => 0..18_usize];
        let events = prop::collection::vec((word, 1..6_usize), 1..40);
        events.prop_map(|words| {
            let events = words.into_iter().enumerate();
            events
                .map(|(place, (word, number))| event(place, word, number))
                .collect()
        })
    }

    fn asked() -> impl Strategy<Value = Asked> {
        let id = || (0..60_usize).prop_map(|place| format!("e{place}"));
        let question = prop_oneof![2 => Just(None), 1 => id().prop_map(Some)];
        let stale = prop_oneof![4 => Just(None), 1 => id().prop_map(Some)];
        let answers = prop_oneof![4 => Just(Vec::new()), 1 => id().prop_map(|id| vec![id])];
        (question, stale, answers, 0..8_u8).prop_map(
            |(question, stale_status, answers, unnamed)| Asked {
                unnamed: (unnamed == 0 && question.is_none()).then(Unnamed::default),
                question,
                stale_status,
                answers,
                ..Asked::default()
            },
        )
    }

    fn history(events: &[Event]) -> History {
        let mut history = History::default();
        history.listed(events.to_vec());
        history
    }

    /// The newest events back to the beginning of the turn.
    fn turn<'a>(record: impl DoubleEndedIterator<Item = &'a Event>, asked: &Asked) -> Vec<Event> {
        let mut beginning = Beginning::default();
        let mut newest_first: Vec<Event> = Vec::new();
        for event in record.rev() {
            newest_first.push(event.clone());
            beginning.see(event, asked);
            if beginning.is_found(asked) {
                break;
            }
        }
        newest_first
    }

    fn judged(record: &[Event], asked: &Asked) -> State {
        let mut whole = turn(record.iter(), asked);
        whole.reverse();
        judge(&history(&whole), asked, Lifecycle::default()).state
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3_000, max_global_rejects: 100_000, ..ProptestConfig::default() })]

        #[test]
        fn what_a_sieve_keeps_tells_the_same_as_all(record in record(), asked in asked(), recent in 0..10_usize) {
            let is_sent = |id: &String| record.iter().all(|event| event.id != *id || KINDS.contains(&event.kind.as_str()));
            prop_assume!(asked.question.iter().chain(&asked.answers).all(is_sent));
            let mut sieve = Sieve::new(recent);
            let mut kept: Vec<Event> = record.clone();
            kept.reverse();
            kept.retain(|event| sieve.keeps(event, 1, &asked));
            kept.reverse();
            let newest: Vec<&Event> = record.iter().skip(record.len() - recent.min(record.len())).collect();
            let all: Vec<&Event> = record.iter().collect();
            // Who asks for something without a name, and then works on, is not understood either way.
            let is_vague = |events: &[&Event]| matches!(
                last_status(events, &asked).1,
                Status::Awaits(event_ids) if event_ids.is_empty()
            );
            prop_assume!(is_vague(&newest) || !is_vague(&all));
            let (all, kept) = (history(&record), history(&kept));
            let judged = |history: &History| {
                let turn = judge(history, &asked, Lifecycle::default());
                (turn.state, turn.reason, turn.pending, turn.settled)
            };
            prop_assert_eq!(judged(&kept), judged(&all));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3_000, max_global_rejects: 100_000, ..ProptestConfig::default() })]

        #[test]
        fn an_outline_never_tells_another_word_than_the_whole_turn(
            record in record(), asked in asked(), newest in 1..12_usize, later in 0..4_usize,
        ) {
            // What was sent is of these kinds.
            let is_sent = |id: &String| record.iter().all(|event| event.id != *id || KINDS.contains(&event.kind.as_str()));
            prop_assume!(asked.question.iter().chain(&asked.answers).all(is_sent));
            let before = record.len().saturating_sub(later).max(1);
            let newest = &record[before - newest.min(before)..before];
            let mut beginning = Beginning::default();
            newest.iter().rev().for_each(|event| beginning.see(event, &asked));
            prop_assume!(!beginning.is_found(&asked) && newest.len() < before);
            let of_outline = |event: &&Event| KINDS.contains(&event.kind.as_str());
            let outline = turn(record.iter().filter(of_outline), &asked);
            let told = state(&history(newest), &outline, &asked, Lifecycle::default());
            let (then, now) = (judged(&record[..before], &asked), judged(&record, &asked));
            prop_assert!(
                told.is_none_or(|told| told == then || told == now),
                "{:?} instead of {:?} or {:?}", told, then, now
            );
        }
    }

    #[test]
    fn what_happened_between_the_two_looks_is_not_taken_for_older() {
        let word = |word: &str| WORDS.iter().position(|known| *known == word).unwrap();
        let words = [
            "agent.message",
            "agent.message",
            "session.status_running",
            "session.error",
        ];
        let words = words.into_iter().enumerate();
        let record: Vec<Event> = words.map(|(at, name)| event(at, word(name), 1)).collect();
        let outline = [record[3].clone(), record[2].clone()];
        let newest = history(&record[1..2]);
        let told = state(&newest, &outline, &Asked::default(), Lifecycle::default());
        assert_eq!(told, None);
    }

    #[test]
    fn a_long_turn_is_told_by_its_outline() {
        for (end, expected) in [
            ("agent.tool_use", State::Working),
            ("end", State::Done),
            ("ask", State::NeedsAction),
            ("budget", State::BudgetReached),
        ] {
            let word = |word: &str| WORDS.iter().position(|known| *known == word).unwrap();
            let mut words = vec!["end", "session.status_running", "user.message"];
            words.extend(["agent.tool_use"; 300]);
            words.push(end);
            let words = words.into_iter().enumerate();
            let record: Vec<Event> = words.map(|(at, name)| event(at, word(name), 1)).collect();
            let of_outline = |event: &&Event| KINDS.contains(&event.kind.as_str());
            let outline = turn(record.iter().filter(of_outline), &Asked::default());
            let newest = history(&record[200..]);
            let told = |outline: &[Event]| {
                state(&newest, outline, &Asked::default(), Lifecycle::default())
            };
            assert_eq!(told(&outline), Some(expected), "{end}");
            // A server that lists everything is asked for everything.
            let mut all = record.clone();
            all.reverse();
            assert_eq!(told(&all), None, "{end}");
        }
    }
}
