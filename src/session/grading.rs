//! An outcome and its grader: the verdicts, and the pauses between work and grading that end nothing.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::clean::{clean, clean_line};
use super::history::History;
use super::turn::{Asked, Beginning, stops_turn, why_idle};
use crate::api::events::{Event, Taken};
use crate::api::sessions::OutcomeEvaluation;

/// The grader's newest word on an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// `satisfied`, `needs_revision`, `max_iterations_reached`, `failed`, `interrupted`, or one that is not known yet.
    pub result: String,
    /// 0 for the first round.
    pub iteration: u64,
    /// Why, in the grader's words.
    pub explanation: Option<String>,
    /// The event that says so.
    #[serde(skip)]
    pub event_id: String,
}

/// Whether an outcome of the session object still awaits its last verdict.
pub fn is_open(outcome: &OutcomeEvaluation) -> bool {
    matches!(
        outcome.result.as_str(),
        "pending" | "running" | "evaluating" | REVISION
    )
}

/// So long after the work its grading is taken to begin, at the latest.
const GRADED_WITHIN: TimeDelta = TimeDelta::seconds(30);

/// After this verdict another round follows; after any other none does.
const REVISION: &str = "needs_revision";

/// The newest verdict among the events of a turn.
pub fn verdict(of_turn: &[&Event]) -> Option<Verdict> {
    let last = of_turn.iter().rev().find(|event| is_verdict(event))?;
    let value = last.value();
    let explanation = value.get("explanation").and_then(|text| text.as_str());
    Some(Verdict {
        result: result(last),
        iteration: value
            .get("iteration")
            .and_then(|number| number.as_u64())
            .unwrap_or(0),
        explanation: explanation
            .map(|text| clean(text).text)
            .filter(|text| !text.trim().is_empty()),
        event_id: last.id.clone(),
    })
}

/// Places of the idles that end no turn, because the outcome that is worked for still awaits its last verdict. What the
/// session object says decides only where the events do not.
pub fn pauses(events: &[&Event], outcomes: &[OutcomeEvaluation]) -> Vec<usize> {
    let mut pauses = Vec::new();
    let is_out_of_sight = outcomes.iter().any(is_open) && !events.iter().any(|event| tells(event));
    let mut open = is_out_of_sight.then(|| Open::of(Outcome::OutOfSight));
    for (place, event) in events.iter().enumerate() {
        match event.kind.as_str() {
            "user.define_outcome" if event.taken != Taken::NotYet => {
                let value = event.value();
                let id = value.get("outcome_id").and_then(|id| id.as_str());
                let outcome = id.map_or(Outcome::Newest, |id| Outcome::Named(id.to_owned()));
                open = Some(Open::of(outcome));
            }
            _ if stops_turn(event) => open = None,
            kind if kind.starts_with("span.outcome_evaluation_") => {
                let Some(outcome) = &mut open else { continue };
                pauses.append(&mut outcome.idles);
                outcome.awaits_revision = is_verdict(event) && result(event) == REVISION;
                if is_verdict(event) && !outcome.awaits_revision {
                    open = None;
                }
            }
            "session.status_idle" if why_idle(event).kind == "end_turn" => {
                open.iter_mut()
                    .for_each(|outcome| outcome.idles.push(place));
            }
            _ => {}
        }
    }
    pauses.extend(
        open.filter(|outcome| outcome.goes_on(outcomes))
            .into_iter()
            .flat_map(|outcome| outcome.idles),
    );
    pauses
}

/// Whether the session rests only until its work is graded, as far as these events tell.
pub(super) fn awaits_grading(history: &History, outcomes: &[OutcomeEvaluation]) -> bool {
    if !outcomes.iter().any(is_open) {
        return false;
    }
    let events: Vec<&Event> = history.events().collect();
    let end = history.resting().and_then(|end| history.position(&end.id));
    end.is_some_and(|end| pauses(&events, outcomes).contains(&end))
}

/// What the session object says of its outcomes, as far as it can be so: for an outcome from before a whole turn no grader begins
/// long after the end of that.
pub(super) fn believed<'a>(
    history: &History,
    outcomes: &'a [OutcomeEvaluation],
    now: DateTime<Utc>,
) -> &'a [OutcomeEvaluation] {
    let ended = history.resting().and_then(|end| end.at);
    let is_long_ago = ended.is_some_and(|ended| now - ended >= GRADED_WITHIN);
    if !is_long_ago || history.events().any(tells) {
        return outcomes;
    }
    let (mut beginning, asked) = (Beginning::default(), Asked::default());
    let newest_first = history.events().rev();
    newest_first.for_each(|event| beginning.see(event, &asked));
    match beginning.is_found(&asked) {
        true => &[],
        false => outcomes,
    }
}

/// Whether an event tells which outcome is worked for, or that none is.
fn tells(event: &Event) -> bool {
    event.kind == "user.define_outcome" || stops_turn(event)
}

/// An outcome, by the event that defined it.
enum Outcome {
    Named(String),
    /// It has no id: the last of the session object.
    Newest,
    /// Defined before all that is known: one that the session object calls open.
    OutOfSight,
}

/// An outcome without a last verdict.
struct Open {
    outcome: Outcome,
    /// Idles since the newest event of its grading.
    idles: Vec<usize>,
    awaits_revision: bool,
}

impl Open {
    fn of(outcome: Outcome) -> Open {
        Open {
            outcome,
            idles: Vec::new(),
            awaits_revision: false,
        }
    }

    fn goes_on(&self, outcomes: &[OutcomeEvaluation]) -> bool {
        let known = match &self.outcome {
            Outcome::Named(id) => outcomes.iter().find(|outcome| outcome.outcome_id == *id),
            Outcome::Newest => outcomes.last(),
            Outcome::OutOfSight => return true,
        };
        known.map_or(self.awaits_revision, is_open)
    }
}

/// Whether the grader is done, and the agent too.
pub(super) fn ends_grading(event: &Event) -> bool {
    is_verdict(event) && result(event) != REVISION
}

/// Whether a grader starts or is at work.
pub(super) fn is_grading(event: &Event) -> bool {
    event.kind.starts_with("span.outcome_evaluation") && !is_verdict(event)
}

fn is_verdict(event: &Event) -> bool {
    event.kind == "span.outcome_evaluation_end"
}

fn result(event: &Event) -> String {
    let value = event.value();
    let result = value.get("result").and_then(|result| result.as_str());
    clean_line(result.unwrap_or("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// `define`, `start`, `revise`, `satisfied`, `idle`, `stop` (an interrupt), `hold` (one of a thread), `ask`, `say`.
    fn events(line: &str) -> Vec<Event> {
        let event = |(at, word): (usize, &str)| {
            let verdict = |result: &str| json!({"type": "span.outcome_evaluation_end", "result": result, "iteration": at, "explanation": "why"});
            let mut event = match word {
                "define" => json!({"type": "user.define_outcome", "outcome_id": "outc_1"}),
                "start" => json!({"type": "span.outcome_evaluation_start"}),
                "revise" => verdict("needs_revision"),
                "satisfied" => verdict("satisfied"),
                "idle" => {
                    json!({"type": "session.status_idle", "stop_reason": {"type": "end_turn"}})
                }
                "stop" => json!({"type": "user.interrupt"}),
                "ask" => json!({"type": "user.message", "content": []}),
                "hold" => json!({"type": "user.interrupt", "session_thread_id": "sthr_1"}),
                _ => json!({"type": "agent.message", "content": []}),
            };
            event["id"] = json!(format!("e{at}"));
            event["processed_at"] = json!("2026-11-01T10:00:00Z");
            serde_json::from_value(event).unwrap()
        };
        line.split_whitespace().enumerate().map(event).collect()
    }

    fn pauses_in(line: &str, said: Option<&str>) -> Vec<usize> {
        let outcomes = said.map(|result| OutcomeEvaluation {
            outcome_id: "outc_1".to_owned(),
            result: result.to_owned(),
        });
        let events = events(line);
        pauses(&events.iter().collect::<Vec<_>>(), outcomes.as_slice())
    }

    #[test]
    fn an_idle_before_the_last_verdict_is_a_pause() {
        assert_eq!(pauses_in("define say idle start satisfied idle", None), [2]);
        assert_eq!(
            pauses_in("define idle start revise idle start satisfied idle", None),
            [1, 4]
        );
        assert_eq!(pauses_in("define start revise idle", None), [3]);
    }

    #[test]
    fn where_no_grading_is_seen_the_session_object_decides() {
        assert_eq!(pauses_in("define say idle", Some("evaluating")), [2]);
        assert!(pauses_in("define say idle", Some("satisfied")).is_empty());
        assert!(pauses_in("define say idle", None).is_empty());
    }

    #[test]
    fn an_interrupt_ends_the_outcome_whatever_the_object_says() {
        assert!(pauses_in("define say stop idle", Some("running")).is_empty());
        assert!(pauses_in("define start revise stop idle", None).is_empty());
    }

    #[test]
    fn an_interrupt_of_a_thread_ends_no_outcome() {
        assert_eq!(pauses_in("define say hold idle", Some("running")), [3]);
    }

    #[test]
    fn an_outcome_that_was_defined_out_of_sight_is_graded_as_well() {
        assert_eq!(pauses_in("say idle", Some("evaluating")), [1]);
        assert_eq!(
            pauses_in("say idle say idle", Some("needs_revision")),
            [1, 3]
        );
        assert_eq!(pauses_in("idle start satisfied idle", Some("running")), [0]);
        assert!(pauses_in("say idle", Some("satisfied")).is_empty());
        assert!(pauses_in("stop say idle", Some("running")).is_empty());
        assert!(pauses_in("say idle", None).is_empty());
    }

    #[test]
    fn what_the_object_says_of_an_outcome_out_of_sight_is_believed_for_a_while() {
        let outcomes = [OutcomeEvaluation {
            outcome_id: "outc_1".to_owned(),
            result: "running".to_owned(),
        }];
        let awaits = |line: &str, seconds: i64| {
            let mut history = History::default();
            history.listed(events(line));
            let ended: DateTime<Utc> = "2026-11-01T10:00:00Z".parse().unwrap();
            !believed(&history, &outcomes, ended + TimeDelta::seconds(seconds)).is_empty()
        };
        let turns = "say idle ask say idle";
        assert!(awaits(turns, 29) && !awaits(turns, 30));
        assert!(awaits(&format!("{turns} start"), 99) && awaits(&format!("define {turns}"), 99));
        // The turn before may be the one that the outcome began.
        assert!(awaits("say idle", 99) && awaits("ask say idle", 99));
    }

    #[test]
    fn the_newest_verdict_is_the_one_that_counts() {
        let events = events("define start revise start satisfied say idle");
        let newest = verdict(&events.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(
            (
                newest.result.as_str(),
                newest.iteration,
                newest.explanation.as_deref()
            ),
            ("satisfied", 4, Some("why"))
        );
    }
}
