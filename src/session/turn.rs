//! When a turn is over, and why; what is pending; which events belong to it. Only this file decides by stop reasons.

use std::collections::HashSet;
use std::ops::Range;

use super::answering::answers;
pub use super::asked::{Asked, Unnamed};
use super::clean::clean_line;
use super::grading;
use super::history::{History, is_question};
pub use super::lifecycle::{Lifecycle, Over};
use super::places;
pub use super::state::State;
use crate::api::events::{Event, StopReason, Taken};

/// The judgement on the newest turn, or on the turn of the question that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// How it stands.
    pub state: State,
    /// Why, in the API's words.
    pub reason: Option<String>,
    /// Ids of the tool events that wait for an answer.
    pub pending: Vec<String>,
    /// The places of the turn's events in the history.
    pub events: Range<usize>,
    /// Nothing that belongs to the turn is known to be missing. A turn that is over may get its last words, or the
    /// tool call that it asks about, up to two seconds late.
    pub settled: bool,
}

impl Turn {
    /// Whether waiting longer can bring nothing, late words aside.
    pub fn is_over(&self) -> bool {
        self.state != State::Working
    }
}

/// So many events behind the newest a question that was just sent is not looked for.
const FAR_BACK: usize = 1000;

/// Whether an event of this type can change the state of a turn that is not over.
pub fn may_decide(kind: &str) -> bool {
    kind.starts_with("session.status_")
        || kind.starts_with("user.")
        || matches!(kind, "session.error" | "session.deleted")
}

/// The search for the beginning of the newest turn, through events that come newest first.
#[derive(Debug, Default)]
pub struct Beginning {
    seen: usize,
    question: bool,
    end_before: bool,
}

impl Beginning {
    /// One more event, older than those before it.
    pub fn see(&mut self, event: &Event, asked: &Asked) {
        self.seen += 1;
        self.question |= match &asked.question {
            Some(id) => *id == event.id,
            None => is_question(&event.kind) && event.taken != Taken::NotYet,
        };
        self.end_before |= self.question && ends_turn(event);
    }

    /// Whether the whole turn was seen: its question and the end of the turn before.
    pub fn is_found(&self, asked: &Asked) -> bool {
        // A question that the newest events do not hold is not listed yet: what it starts will come after them.
        self.end_before || (!self.question && asked.just_sent && self.seen >= FAR_BACK)
    }
}

pub(super) fn is_answer(kind: &str) -> bool {
    matches!(
        kind,
        "user.tool_confirmation" | "user.custom_tool_result" | "user.tool_result"
    )
}

/// Whether a status says that the session works, or will.
pub(super) fn is_running(kind: &str) -> bool {
    matches!(
        kind,
        "session.status_running" | "session.status_rescheduled"
    )
}

pub(super) fn is_work(kind: &str) -> bool {
    kind.starts_with("agent.") || kind == "span.model_request_start"
}

/// What the last status event says.
pub(super) enum Status {
    None,
    Running,
    /// Waits for an answer to these calls; where it names none, to any that is open.
    Awaits(Vec<String>),
    /// Rests, for this reason.
    Idle(String),
    Over,
}

/// Judges the newest turn.
pub fn judge(history: &History, asked: &Asked, lifecycle: Lifecycle<'_>) -> Turn {
    let events: Vec<&Event> = history.events().collect();
    let (at, status) = last_status(&events, asked);
    let waiting = is_waiting(history, &events, asked, lifecycle.rests);
    let gradings = grading::pauses(&events, lifecycle.outcomes);
    let (turn_events, is_certain) = turn_events(history, &events, asked, &gradings);
    let turn = |state, reason: Option<String>| Turn {
        state,
        reason,
        pending: Vec::new(),
        settled: true,
        events: turn_events.clone(),
    };
    if let Some(over) = lifecycle.over {
        let reason = match over {
            Over::Archived => "archived".to_owned(),
            Over::Deleted => "deleted".to_owned(),
            Over::Terminated => over_reason(&events),
        };
        return turn(State::Terminated, Some(reason));
    }
    match status {
        Status::Over => turn(State::Terminated, Some(over_reason(&events))),
        Status::None
            if waiting
                || lifecycle.running
                || events.iter().any(|event| is_question(&event.kind)) =>
        {
            turn(State::Working, None)
        }
        Status::None => turn(State::Ready, None),
        Status::Running => match fatal_error(&events, at) {
            Some(error) if !waiting => Turn {
                settled: false,
                ..turn(State::Failed, Some(error))
            },
            _ => turn(State::Working, None),
        },
        Status::Awaits(event_ids) => {
            let named = !event_ids.is_empty();
            let ids = if named {
                event_ids
            } else {
                open_calls(&events, &turn_events)
            };
            let pending = unanswered(&events, asked, ids);
            let settled = pending.iter().all(|id| history.get(id).is_some());
            let is_answered = pending.is_empty() && (named || !asked.answered.is_empty());
            let state = if is_answered {
                State::Working
            } else {
                State::NeedsAction
            };
            Turn {
                pending,
                settled,
                ..turn(state, None)
            }
        }
        // Nothing goes on before the budget is raised, and what is queued waits for that as well. Until then no question is
        // accepted: behind one that was, it is raised.
        Status::Idle(kind)
            if kind == "budget_reached"
                && !is_asked_since(history, &events, at)
                && !events
                    .get(at)
                    .is_some_and(|pause| asked.is_sent_after(pause)) =>
        {
            let (state, reason) = verdict(&kind, &events, at);
            Turn {
                settled: !waiting,
                ..turn(state, reason)
            }
        }
        // What was taken in after the end of the turn before starts the next one.
        Status::Idle(_) if waiting || events.iter().skip(at).any(|event| asks(event)) => {
            turn(State::Working, None)
        }
        Status::Idle(kind) => {
            let (state, reason) = verdict(&kind, &events, at);
            if state == State::Done && gradings.contains(&at) {
                return turn(State::Working, None);
            }
            let late =
                !ends_in_words(&events, &turn_events) || places::lacks_words(history, &turn_events);
            Turn {
                settled: !late && is_certain,
                ..turn(state, reason)
            }
        }
    }
}

/// How the turn that was judged ended, though another may have begun since; `None` while it goes on or pauses.
pub fn end(history: &History, turn: &Turn) -> Option<(State, Option<String>)> {
    let events: Vec<&Event> = history.events().collect();
    let last = turn.events.end.checked_sub(1)?;
    let idle = events
        .get(last)
        .filter(|event| turn.events.contains(&last) && ends_turn(event))?;
    let (state, reason) = verdict(&why_idle(idle).kind, &events, last);
    Some((state, reason.map(|reason| clean_line(&reason))))
}

/// Why a session went idle; one that does not say so ended its turn.
pub(super) fn why_idle(event: &Event) -> StopReason {
    event.stop_reason().unwrap_or_else(|| StopReason {
        kind: "end_turn".to_owned(),
        event_ids: Vec::new(),
    })
}

pub(super) fn last_status(events: &[&Event], asked: &Asked) -> (usize, Status) {
    for (at, event) in events.iter().enumerate().rev() {
        if asked
            .stale_status
            .as_ref()
            .is_some_and(|stale| *stale == event.id)
        {
            return (at, Status::Running);
        }
        let status = match event.kind.as_str() {
            kind if is_running(kind) => Status::Running,
            "session.status_terminated" | "session.deleted" => Status::Over,
            "session.status_idle" => match why_idle(event) {
                reason if reason.kind == "requires_action" => Status::Awaits(reason.event_ids),
                reason => Status::Idle(reason.kind),
            },
            _ => continue,
        };
        return (at, status);
    }
    (0, Status::None)
}

/// Something was sent that the last status cannot have answered.
fn is_waiting(history: &History, events: &[&Event], asked: &Asked, rests: bool) -> bool {
    let is_in = |id: &String, waits: fn(&History, usize) -> bool| {
        let place = history.position(id);
        place.is_some_and(|place| !waits(history, place))
    };
    let unasked = |id: &String| !is_in(id, History::is_untaken);
    let unanswered = |id: &String| !is_in(id, History::is_queued);
    let queued = |place: usize| {
        history.waits(place, rests) && events.get(place).is_some_and(|event| asks(event))
    };
    let unnamed_unseen =
        asked.unnamed.is_some() && unnamed_question(history, events, asked).is_none();
    unnamed_unseen
        || asked.question.iter().any(unasked)
        || asked.answers.iter().any(unanswered)
        || (0..events.len()).any(queued)
}

/// Where the question stands that was sent without learning its id, once it is taken in.
fn unnamed_question(history: &History, events: &[&Event], asked: &Asked) -> Option<usize> {
    let unnamed = asked.unnamed.as_ref()?;
    let mut found = events
        .iter()
        .enumerate()
        .filter(|(_, event)| unnamed.may_be(event));
    found
        .find(|(place, _)| !history.is_untaken(*place))
        .map(|(place, _)| place)
}

/// Whether a question or an answer was taken in after this place.
fn is_asked_since(history: &History, events: &[&Event], at: usize) -> bool {
    let since = events.iter().enumerate().skip(at);
    since
        .filter(|(_, event)| asks(event))
        .any(|(place, _)| !history.is_untaken(place))
}

fn asks(event: &Event) -> bool {
    is_question(&event.kind) || is_answer(&event.kind)
}

fn unanswered(events: &[&Event], asked: &Asked, mut ids: Vec<String>) -> Vec<String> {
    let answers = events
        .iter()
        .filter(|event| is_answer(&event.kind))
        .filter_map(|event| event.answers());
    let answered: HashSet<String> = answers.collect();
    ids.retain(|id| !answered.contains(id) && !asked.answered.contains(id));
    ids
}

/// The calls of a turn that ask for an answer and have no result, for a server that does not say which.
fn open_calls(events: &[&Event], turn: &Range<usize>) -> Vec<String> {
    let of_turn = events.get(turn.clone()).unwrap_or_default();
    let results: HashSet<String> = of_turn.iter().filter_map(|event| event.answers()).collect();
    let asks = |event: &&&Event| match event.kind.as_str() {
        "agent.custom_tool_use" => true,
        "agent.tool_use" | "agent.mcp_tool_use" => event.permission().as_deref() == Some("ask"),
        _ => false,
    };
    let calls = of_turn.iter().filter(asks).map(|event| event.id.clone());
    calls.filter(|id| !results.contains(id)).collect()
}

fn verdict(kind: &str, events: &[&Event], idle_at: usize) -> (State, Option<String>) {
    let idle = events.get(idle_at);
    let details = idle.map(|event| event.value()).and_then(|value| {
        let details = value.get("stop_details")?;
        let text = |key| {
            details
                .get(key)
                .and_then(|field| field.as_str())
                .map(str::to_owned)
        };
        text("explanation").or_else(|| text("category"))
    });
    let error = || fatal_error(events, idle_at);
    match kind {
        "budget_reached" => (
            State::BudgetReached,
            Some("the session's budget is used up".to_owned()),
        ),
        "refusal" => (
            State::Refused,
            Some(details.unwrap_or_else(|| "the model declined".to_owned())),
        ),
        "retries_exhausted" => (
            State::Failed,
            Some(error().unwrap_or_else(|| kind.to_owned())),
        ),
        "end_turn" => match error() {
            Some(error) => (State::Failed, Some(error)),
            None => (State::Done, None),
        },
        unknown => (State::Done, Some(unknown.to_owned())),
    }
}

/// Events among which the error of a turn is looked for: those before the idle that ended it, or all.
pub(super) fn before_idle<'a, 'e>(events: &'a [&'e Event], at: usize) -> &'a [&'e Event] {
    let status = events.get(at);
    match status.is_some_and(|event| event.kind == "session.status_idle") {
        true => events.get(..at).unwrap_or_default(),
        false => events,
    }
}

/// Whether no error from before this event ended the turn.
pub(super) fn rules_out_errors(event: &Event) -> bool {
    is_question(&event.kind) || event.kind == "session.status_running" || is_work(&event.kind)
}

/// The error that ended the turn: given up for good, and no work came after it.
fn fatal_error(events: &[&Event], until: usize) -> Option<String> {
    let newest_first = before_idle(events, until).iter().rev();
    let last = newest_first.take_while(|event| !rules_out_errors(event));
    let error = last
        .filter(|event| event.kind == "session.error")
        .find_map(|event| {
            let value = event.value();
            let error = value.get("error")?;
            let retry = error.get("retry_status")?;
            let retry = retry.as_str().or_else(|| retry.get("type")?.as_str())?;
            let kind = error
                .get("type")
                .and_then(|kind| kind.as_str())
                .unwrap_or("error");
            let message = error
                .get("message")
                .and_then(|message| message.as_str())
                .unwrap_or_default();
            // A tool server that is down is no reason for the agent to stop.
            let ends = matches!(retry, "exhausted" | "terminal") && !kind.starts_with("mcp_");
            ends.then(|| format!("{kind}: {message}"))
        })?;
    Some(error)
}

fn over_reason(events: &[&Event]) -> String {
    let of_turn = events
        .iter()
        .rev()
        .take_while(|event| !is_question(&event.kind));
    let mut reasons = of_turn.filter_map(|event| match event.kind.as_str() {
        "session.deleted" => Some("deleted".to_owned()),
        "session.error" => {
            let value = event.value();
            value.pointer("/error/message")?.as_str().map(str::to_owned)
        }
        _ => None,
    });
    reasons
        .next()
        .unwrap_or_else(|| "ended by the platform".to_owned())
}

/// The events of the turn that answers the question: from the question, but not from before the turn ahead of it
/// ended, to the end of the turn; and whether that end is this turn's for certain.
fn turn_events(
    history: &History,
    events: &[&Event],
    asked: &Asked,
    gradings: &[usize],
) -> (Range<usize>, bool) {
    let taken = |at: &usize| {
        events
            .get(*at)
            .is_some_and(|event| is_question(&event.kind))
            && !history.is_untaken(*at)
    };
    let named = asked.question.as_ref().map(|id| history.position(id));
    let unseen = match named {
        Some(place) => place.is_none_or(|place| history.is_untaken(place)),
        None => asked.unnamed.is_some() && unnamed_question(history, events, asked).is_none(),
    };
    if unseen {
        return (events.len()..events.len(), true);
    }
    let asked_question = named
        .flatten()
        .or_else(|| unnamed_question(history, events, asked));
    let question = asked_question
        .or_else(|| (0..events.len()).rev().find(taken))
        .unwrap_or(0);
    let ends: Vec<usize> = (0..events.len())
        .filter(|at| events.get(*at).is_some_and(|event| ends_turn(event)))
        .filter(|at| !gradings.contains(at))
        .collect();
    let answering = ends
        .iter()
        .find(|end| **end > question && answers(events, question, **end));
    let end = answering.or_else(|| ends.last().filter(|end| **end > question));
    let is_certain = answering.is_some() || end.is_none();
    let end = end.copied().unwrap_or(events.len());
    let start = ends
        .iter()
        .rev()
        .find(|before| **before < end)
        .map_or(question, |before| question.max(*before));
    (start..(end + 1).min(events.len()), is_certain)
}

pub(super) fn ends_turn(event: &Event) -> bool {
    event.kind == "session.status_idle" && !pauses(event)
}

/// A pause for an answer or for a higher budget is not the end: the same turn goes on after it.
pub(super) fn pauses(event: &Event) -> bool {
    let pause = |kind: &str| matches!(kind, "requires_action" | "budget_reached");
    event
        .stop_reason()
        .is_some_and(|reason| pause(&reason.kind))
}

/// Whether somebody stops the turn; an interrupt of one thread is none of it.
pub(super) fn stops_turn(event: &Event) -> bool {
    let names_thread = |event: &Event| {
        let value = event.value();
        let thread = value.get("session_thread_id").and_then(|id| id.as_str());
        thread.is_some_and(|id| !id.is_empty())
    };
    event.kind == "user.interrupt" && !names_thread(event)
}

/// Whether somebody says or does something, as opposed to what only accompanies it.
pub(super) fn speaks(event: &Event) -> bool {
    (event.kind.starts_with("agent.") && event.kind != "agent.thinking")
        || event.kind.starts_with("user.")
}

/// Whether the agent had the last word, so that no late message is to be expected.
fn ends_in_words(events: &[&Event], turn: &Range<usize>) -> bool {
    let of_turn = events.get(turn.clone()).unwrap_or_default();
    of_turn
        .iter()
        .rev()
        .find(|event| speaks(event))
        .is_some_and(|event| event.kind == "agent.message")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Events from a line of words: `u1` a question, `q1` a queued one, `run`, `say`, `tool:a`, `ask:a,b` idle with
    /// pending calls, `yes:a` an answer, `end` the end of a turn, `rest` that of a thread, `halt` an interrupt, `hold` one of a thread, `budget`, `err` an
    /// exhausted error, `over`.
    pub(in crate::session) fn history(line: &str) -> History {
        let mut history = History::default();
        history.listed(
            line.split_whitespace()
                .enumerate()
                .map(|(at, word)| event(at, word))
                .collect(),
        );
        history
    }

    fn event(at: usize, word: &str) -> Event {
        let (name, rest) = word.split_once(':').unwrap_or((word, ""));
        let time = json!(format!("2026-11-01T10:00:{at:02}Z"));
        let idle = |reason: Value| json!({"type": "session.status_idle", "stop_reason": reason});
        let ids: Vec<&str> = rest.split(',').filter(|id| !id.is_empty()).collect();
        let mut event = match name {
            "run" => json!({"type": "session.status_running"}),
            "say" => {
                json!({"type": "agent.message", "content": [{"type": "text", "text": "words"}]})
            }
            "start" => json!({"type": "span.model_request_start"}),
            "stop" => json!({"type": "span.model_request_end"}),
            "result" => json!({"type": "agent.tool_result", "tool_use_id": rest}),
            "tool" => {
                json!({"type": "agent.tool_use", "id": rest, "name": "bash", "evaluated_permission": "ask"})
            }
            "ask" => idle(json!({"type": "requires_action", "event_ids": ids})),
            "yes" => {
                json!({"type": "user.tool_confirmation", "tool_use_id": rest, "result": "allow"})
            }
            "end" => idle(json!({"type": "end_turn"})),
            "rest" => json!({"type": "session.thread_status_idle"}),
            "budget" => idle(json!({"type": "budget_reached"})),
            "odd" => idle(json!({"type": "waiting_for_rain"})),
            "bare" => json!({"type": "session.status_idle"}),
            "err" => {
                let retry = json!({"type": "exhausted"});
                json!({"type": "session.error", "error": {"type": "api_error", "message": "m", "retry_status": retry}})
            }
            "halt" => json!({"type": "user.interrupt"}),
            "hold" => json!({"type": "user.interrupt", "session_thread_id": "sthr_1"}),
            "over" => json!({"type": "session.status_terminated"}),
            "gone" => json!({"type": "session.deleted"}),
            _ => json!({"type": "user.message", "id": name, "content": []}),
        };
        let id = event
            .get("id")
            .cloned()
            .unwrap_or_else(|| json!(format!("{name}{at}")));
        event["id"] = id;
        event["processed_at"] = if name.starts_with('q') {
            Value::Null
        } else {
            time
        };
        serde_json::from_value(event).unwrap()
    }

    fn asked(id: &str) -> Asked {
        Asked {
            question: Some(id.to_owned()),
            ..Asked::default()
        }
    }

    fn state(line: &str, asked: &Asked) -> State {
        judge(&history(line), asked, Lifecycle::default()).state
    }

    #[test]
    fn each_record_has_its_word() {
        for (line, expected) in [
            ("", State::Ready),
            ("u1", State::Working),
            ("run u1 say", State::Working),
            ("run u1 say end", State::Done),
            ("run u1 say bare", State::Done),
            ("run u1 say odd", State::Done),
            ("run u1 tool:a ask:a", State::NeedsAction),
            ("run u1 tool:a ask:a yes:a", State::Working),
            ("run u1 tool:a ask:a yes:a run ask:a", State::Working),
            (
                "run u1 tool:a tool:b ask:a,b yes:a ask:b",
                State::NeedsAction,
            ),
            ("run u1 tool:a ask:", State::NeedsAction),
            ("run u1 budget", State::BudgetReached),
            ("run u1 err", State::Failed),
            ("run u1 err end", State::Failed),
            ("run u1 err say end", State::Done),
            ("run u1 say end over", State::Terminated),
            ("run u1 say end q2", State::Working),
            ("run u1 say end u2", State::Working),
            // A message that never got a time may be next, until the session rests.
            ("run u1 q2 say end u3 say end", State::Working),
            ("run u1 q2 say end u3 say", State::Working),
        ] {
            assert_eq!(state(line, &Asked::default()), expected, "{line}");
        }
        let rests = Lifecycle {
            rests: true,
            ..Lifecycle::default()
        };
        for (line, expected) in [
            ("run u1 q2 say end u3 say end", State::Done),
            ("run u1 say end q2", State::Working),
        ] {
            let turn = judge(&history(line), &Asked::default(), rests);
            assert_eq!(turn.state, expected, "{line}");
        }
    }

    #[test]
    fn the_end_of_a_session_has_its_reason() {
        for (line, reason) in [
            ("run u1 say over", "ended by the platform"),
            ("run u1 err over", "m"),
            ("run u1 err gone", "deleted"),
        ] {
            let turn = judge(&history(line), &Asked::default(), Lifecycle::default());
            assert_eq!(turn.reason.as_deref(), Some(reason), "{line}");
        }
    }

    #[test]
    fn an_idle_from_before_our_message_ends_nothing() {
        assert_eq!(state("run u1 say end", &asked("u2")), State::Working);
        assert_eq!(state("run u1 say end q2", &asked("q2")), State::Working);
        let passed = "run u1 q2 say end u3 say end";
        assert_eq!(state(passed, &asked("q2")), State::Working);
        assert_eq!(
            state("run u1 say end run u2 say end", &asked("u2")),
            State::Done
        );
        let unnamed = Asked {
            unnamed: Some(Unnamed::default()),
            ..Asked::default()
        };
        assert_eq!(state("", &unnamed), State::Working);
        assert_eq!(state("run u1 end", &unnamed), State::Done);
    }

    #[test]
    fn what_was_answered_is_not_pending_even_before_the_record_says_so() {
        let answered = Asked {
            answered: ["a".to_owned()].into(),
            ..Asked::default()
        };
        assert_eq!(state("run u1 tool:a ask:a", &answered), State::Working);
        let turn = judge(
            &history("run u1 tool:a tool:b ask:a,b"),
            &answered,
            Lifecycle::default(),
        );
        assert_eq!(turn.pending, ["b"]);
    }

    #[test]
    fn a_status_from_before_the_interrupt_is_stale() {
        let record = history("run u1 tool:a ask:a");
        let stale_status = record.events().last().map(|event| event.id.clone());
        let asked = Asked {
            stale_status,
            ..Asked::default()
        };
        assert_eq!(
            judge(&record, &asked, Lifecycle::default()).state,
            State::Working
        );
        assert_eq!(state("run u1 tool:a ask:a u9 end", &asked), State::Done);
    }

    /// At its budget a session accepts none.
    #[test]
    fn a_question_that_was_accepted_long_after_the_pause_says_that_the_budget_was_raised() {
        let sent = |second: u32| Asked {
            sent: format!("2026-11-01T10:00:{second:02}Z").parse().ok(),
            ..asked("q4")
        };
        let line = "run u1 say budget q4";
        assert_eq!(state(line, &sent(6)), State::Working);
        assert_eq!(state(line, &sent(5)), State::BudgetReached);
        assert_eq!(state(line, &asked("q4")), State::BudgetReached);
        assert_eq!(
            state("run u1 say q4 budget", &sent(4)),
            State::BudgetReached
        );
    }

    #[test]
    fn a_turn_without_last_words_is_not_settled() {
        let settled = |line| judge(&history(line), &Asked::default(), Lifecycle::default()).settled;
        assert!(settled("run u1 tool:a say end"));
        assert!(!settled("run u1 say tool:a end"));
        assert!(!settled("run u1 end"));
        assert!(!settled("run u1 ask:a"));
        assert!(settled("run u1 tool:a ask:a"));
    }

    /// The words of the turn that answers `id`, as places in the line.
    fn words(line: &str, id: &str) -> Vec<usize> {
        let turn = judge(&history(line), &asked(id), Lifecycle::default());
        let is_word = |at: &usize| line.split_whitespace().nth(*at) == Some("say");
        turn.events.filter(is_word).collect()
    }

    #[test]
    fn the_reply_belongs_to_its_question() {
        assert_eq!(words("run u1 say end run u2 say end", "u2"), [6]);
        assert_eq!(words("run u1 say end run u2 say end", "u1"), [2]);
        assert_eq!(words("run u1 budget run say end", "u1"), [4]);
        // Both were answered in one turn.
        assert_eq!(words("run u1 u2 say end", "u1"), [3]);
        // A message that is still queued has no reply.
        assert!(words("run u1 say end q2", "q2").is_empty());
        assert!(words("run u1 say", "u2").is_empty());
    }

    #[test]
    fn a_message_that_is_listed_where_it_was_sent_gets_the_reply_of_its_own_turn() {
        let mut record = history("run u1 say u2 say end run say end");
        // It was taken in after the first turn had ended, at 10:00:06.
        let mut late = event(6, "u2");
        late.id = "u2".to_owned();
        let events: Vec<Event> = record
            .events()
            .map(|event| {
                if event.id == "u2" {
                    late.clone()
                } else {
                    event.clone()
                }
            })
            .collect();
        record = History::default();
        record.listed(events);
        let turn = judge(&record, &asked("u2"), Lifecycle::default());
        assert_eq!((turn.state, turn.events), (State::Done, 5..9));
    }

    #[test]
    fn an_end_that_may_be_that_of_the_turn_before_is_not_settled() {
        // `u2` is listed where it was sent, and was taken in when the turn before ended.
        for (line, seconds, settled) in [
            ("run u1 u2 say end", 4, false),
            ("run u1 u2 say end", 5, false),
            ("run u1 u2 say end", 3, true),
            ("run u1 u2 say end run say end", 4, true),
        ] {
            let record = with_time(&history(line), 2, seconds);
            let turn = judge(&record, &asked("u2"), Lifecycle::default());
            assert_eq!(
                (turn.state, turn.settled),
                (State::Done, settled),
                "{line} {seconds}"
            );
        }
    }

    #[test]
    fn the_first_question_of_a_session_need_not_be_older_than_the_end_of_its_turn() {
        for line in ["u0 run say end", "run u1 say end"] {
            let place = usize::from(line.starts_with("run"));
            let record = with_time(&history(line), place, 9);
            let turn = judge(&record, &Asked::default(), Lifecycle::default());
            assert_eq!((turn.state, turn.settled), (State::Done, true), "{line}");
        }
    }

    /// The same record, in which the question at this place has another time.
    fn with_time(history: &History, place: usize, seconds: usize) -> History {
        let mut events: Vec<Event> = history.events().cloned().collect();
        let question = events[place].id.clone();
        events[place] = event(seconds, &question);
        let mut record = History::default();
        record.listed(events);
        record
    }

    #[test]
    fn a_question_whose_time_is_ahead_of_its_turn_gets_its_own_reply() {
        for (line, reply) in [
            ("run u1 say end u4 run say end u8 run say end", 4..8),
            ("run u1 say end run u5 say end run u8 say end", 5..8),
        ] {
            let place = reply.start;
            let record = with_time(&history(line), place, 20);
            let id = record.events().nth(place).map(|event| event.id.clone());
            let turn = judge(&record, &asked(&id.unwrap()), Lifecycle::default());
            assert_eq!(turn.events, reply, "{line}");
        }
    }
}
