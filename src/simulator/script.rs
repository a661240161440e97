//! What the scripted agent will do for a message: text in, steps out; pure.

use std::time::Duration;

use serde_json::{Value, json};

use super::calls::{call, chore, gates};
use super::directives::Directives;
use super::outputs;
use super::plan::{Cost, Plan, Step, Stop};
use super::speech::{filler, quote, reply};

/// What a script needs to know about its session.
pub(super) struct Scene<'a> {
    /// 1 for the first turn.
    pub(super) turn: u64,
    /// The session's agent, for its permission policies.
    pub(super) agent: &'a Value,
    pub(super) self_hosted: bool,
    pub(super) budgeted: bool,
}

/// Whether a message asks for graded work.
pub(super) fn graded(text: &str) -> bool {
    let asked = Directives::read(text);
    let words = ["outcome", "outcome_fails", "outcome_max", "outcome_gap"];
    words.iter().any(|word| asked.has(word))
}

/// The turn a message asks for, with what is attached to it in words.
#[inline(never)]
pub(super) fn plan(text: &str, scene: &Scene<'_>, attached: &str) -> Plan {
    let asked = Directives::read(text);
    let mut steps = vec![Step::Request, Step::Think];
    if asked.has("thinking") {
        steps.extend([Step::Think, Step::Think]);
    }
    steps.extend(work(&asked, scene));
    steps.extend(gates(&asked, scene));
    if asked.has("budget") && scene.budgeted {
        steps.extend([Step::Answered(Cost::Rest), Step::Request]);
    }
    let stop = ending(&asked, &mut steps);
    if !stop.is_failure() {
        if !asked.has("silent") {
            steps.push(Step::Conclude(reply(text, &asked, scene.turn, attached)));
        }
        steps.push(Step::Answered(Cost::Usual));
    }
    timed(&asked, steps, stop)
}

/// The turn of an outcome: work and a verdict, as often as it takes, and a last message.
#[inline(never)]
pub(super) fn outcome(text: &str, most: u64, scene: &Scene<'_>) -> Plan {
    let asked = Directives::read(text);
    let mut steps = Vec::new();
    for (iteration, result) in (0..).zip(verdicts(&asked, most)) {
        steps.extend([Step::Request, Step::Think]);
        steps.extend(work(&asked, scene));
        steps.extend(outputs::result(scene));
        steps.push(Step::Answered(Cost::Usual));
        if asked.has("outcome_gap") {
            let seconds = asked.number("outcome_gap", 0).unwrap_or(1.0);
            steps.push(Step::Gap(Duration::from_secs_f64(seconds)));
        }
        steps.push(Step::Evaluate { iteration, result });
    }
    let said = format!(
        "Simulated outcome (turn {}): the work for \"{}\" is done.",
        scene.turn,
        quote(text)
    );
    steps.extend([
        Step::Request,
        Step::Conclude(said),
        Step::Answered(Cost::Usual),
    ]);
    timed(&asked, steps, Stop::Idle(end_turn()))
}

/// What the grader finds, round by round.
fn verdicts(asked: &Directives, most: u64) -> Vec<&'static str> {
    let rounds = usize::try_from(most.clamp(1, 20)).unwrap_or(1);
    if asked.has("outcome_fails") {
        return vec!["failed"];
    }
    if asked.has("outcome_max") || rounds == 1 {
        let mut found = vec!["needs_revision"; rounds - 1];
        found.push("max_iterations_reached");
        return found;
    }
    vec!["needs_revision", "satisfied"]
}

fn timed(asked: &Directives, mut steps: Vec<Step>, stop: Stop) -> Plan {
    if let Some(seconds) = asked.number("quiet", 0) {
        steps.insert(
            steps.len() / 2,
            Step::Quiet(Duration::from_secs_f64(seconds)),
        );
    }
    Plan {
        steps,
        stop,
        lasts: Duration::from_secs_f64(asked.number("seconds", 0).unwrap_or(0.0)),
        batch: asked.has("batch"),
        late: asked
            .has("late")
            .then(|| Duration::from_secs_f64(asked.number("late", 0).unwrap_or(1.5))),
        spurious: asked.has("spurious"),
    }
}

/// The stop of a turn that went well.
pub(super) fn end_turn() -> Value {
    json!({"stop_reason": {"type": "end_turn"}})
}

/// Tool calls and other events that need nobody's answer, unless the agent's policies ask.
fn work(asked: &Directives, scene: &Scene<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    if asked.has("retrying") {
        steps.push(error("retrying"));
    }
    if asked.has("two") {
        steps.push(Step::Say(format!(
            "Simulated first message (turn {}): I begin.",
            scene.turn
        )));
    }
    let calls = asked.count("work", if asked.has("two") { 2 } else { 0 }, 100_000);
    for place in 0..calls {
        if place > 0 && place % 10 == 0 {
            steps.extend([Step::Answered(Cost::Usual), Step::Request]);
        }
        let (name, input, result) = chore(place);
        steps.extend(call(name, input, &result, scene));
    }
    let kilobytes = asked.number("big", 1).unwrap_or(20.0);
    for place in 0..asked.count("big", 0, 100_000) {
        let input = json!({"file_path": format!("/workspace/repo/big{place}.log")});
        steps.extend(call(
            "read",
            input,
            &filler("Simulated output.", kilobytes),
            scene,
        ));
    }
    steps.extend(outputs::deliveries(asked, scene));
    if asked.has("delegate") {
        steps.push(Step::Delegate {
            count: asked.count("delegate", 1, 20),
            time: Duration::from_secs_f64(asked.number("delegate", 1).unwrap_or(0.0)),
        });
    }
    if asked.has("unknown") {
        steps.extend(unknown_events());
    }
    steps
}

/// How the turn ends; failures bring their events along.
fn ending(asked: &Directives, steps: &mut Vec<Step>) -> Stop {
    let exhausted = Stop::Idle(json!({"stop_reason": {"type": "retries_exhausted"}}));
    if asked.has("terminate") {
        steps.push(Step::Answered(Cost::Usual));
        return Stop::Terminated;
    }
    if asked.has("refuse") {
        steps.push(Step::Answered(Cost::Usual));
        let why = "Simulated refusal: the request was declined.";
        let details = json!({"type": "refusal", "category": "general_harms", "explanation": why});
        return Stop::Idle(json!({"stop_reason": {"type": "refusal"}, "stop_details": details}));
    }
    if asked.has("error") {
        steps.extend([Step::Answered(Cost::Failed), error("exhausted")]);
        return exhausted;
    }
    if asked.has("retries") {
        let failed = Step::Answered(Cost::Failed);
        steps.extend([
            failed.clone(),
            error("retrying"),
            Step::Reschedule,
            Step::Request,
            failed,
        ]);
        return exhausted;
    }
    if asked.has("unknown_stop") {
        let reason =
            json!({"type": "waiting_for_moonrise", "resume_after": "2030-01-01T00:00:00Z"});
        return Stop::Idle(json!({"stop_reason": reason}));
    }
    Stop::Idle(end_turn())
}

fn error(retry: &str) -> Step {
    Step::Event(json!({"type": "session.error", "error": {
        "type": "model_overloaded_error", "message": "Simulated: the model is overloaded.", "retry_status": {"type": retry},
    }}))
}

fn unknown_events() -> [Step; 3] {
    [
        json!({"type": "agent.daydream", "depth": 3, "subject": {"kind": "sheep", "electric": true}}),
        json!({"type": "session.weather_changed", "weather": ["rain", null, 7.5]}),
        json!({"type": "span.reflection_end", "notes": "nobody knows this type", "reflection_id": "refl_1"}),
    ]
    .map(Step::Event)
}

#[cfg(test)]
mod tests {
    use super::super::plan::Use;
    use super::*;

    fn played(words: &str) -> Plan {
        let agent = json!({"tools": []});
        plan(
            words,
            &Scene {
                turn: 2,
                agent: &agent,
                self_hosted: false,
                budgeted: true,
            },
            "",
        )
    }

    fn calls(plan: &Plan) -> Vec<&Use> {
        let calls = plan.steps.iter().filter_map(|step| match step {
            Step::Use(call) => Some(call),
            _ => None,
        });
        calls.collect()
    }

    #[test]
    fn a_plain_message_is_quoted_in_four_steps() {
        let long = "x".repeat(500);
        let plan = played(&long);
        let [
            Step::Request,
            Step::Think,
            Step::Conclude(said),
            Step::Answered(Cost::Usual),
        ] = plan.steps.as_slice()
        else {
            panic!("{:?}", plan.steps)
        };
        assert!(said.contains("Simulated") && said.contains("(turn 2)"));
        assert_eq!(said.matches('x').count(), 200);
        assert_eq!(plan.stop, Stop::Idle(end_turn()));
    }

    #[test]
    fn every_request_that_begins_ends_unless_a_wait_ends_it() {
        for word in crate::simulator::directives::KNOWN {
            let plan = played(&format!("[{word} 12]"));
            let count =
                |wanted: fn(&Step) -> bool| plan.steps.iter().filter(|step| wanted(step)).count();
            let begun = count(|step| matches!(step, Step::Request | Step::Await));
            let ended = count(|step| matches!(step, Step::Answered(_) | Step::Await));
            assert_eq!(begun, ended, "{word}");
        }
    }

    #[test]
    fn directives_combine() {
        let plan = played("[work 2] [approve 3] [custom] [seconds 4] [late] [batch] [spurious]");
        let gated = calls(&plan)
            .iter()
            .filter(|call| !call.gates.is_empty())
            .count();
        assert_eq!((calls(&plan).len(), gated), (6, 4));
        assert_eq!(
            plan.steps
                .iter()
                .filter(|step| **step == Step::Await)
                .count(),
            1
        );
        assert_eq!(
            (plan.lasts.as_secs(), plan.late),
            (4, Some(Duration::from_millis(1500)))
        );
        assert!(plan.batch && plan.spurious);
    }

    #[test]
    fn a_policy_gates_the_tool_it_is_for() {
        let ask = json!({"type": "always_ask"});
        let agent = json!({"tools": [{
            "type": "agent_toolset_20260401", "configs": [{"name": "read", "permission_policy": ask}],
            "default_config": {"permission_policy": {"type": "always_allow"}},
        }]});
        let scene = Scene {
            turn: 1,
            agent: &agent,
            self_hosted: false,
            budgeted: false,
        };
        let plan = plan("[work 3] [budget]", &scene, "");
        let gates: Vec<bool> = calls(&plan)
            .iter()
            .map(|call| !call.gates.is_empty())
            .collect();
        assert_eq!(gates, [false, true, false]);
        assert!(!plan.steps.contains(&Step::Answered(Cost::Rest)));
    }

    #[test]
    fn an_outcome_needs_a_revision_unless_it_may_not() {
        let agent = json!({});
        let scene = Scene {
            turn: 1,
            agent: &agent,
            self_hosted: false,
            budgeted: false,
        };
        for (words, most, wanted) in [
            ("a report", 1, vec!["max_iterations_reached"]),
            ("a report", 3, vec!["needs_revision", "satisfied"]),
            ("[outcome_fails]", 3, vec!["failed"]),
            (
                "[outcome_max]",
                3,
                vec!["needs_revision", "needs_revision", "max_iterations_reached"],
            ),
        ] {
            let plan = outcome(words, most, &scene);
            let verdicts = plan.steps.iter().filter_map(|step| match step {
                Step::Evaluate { result, .. } => Some(*result),
                _ => None,
            });
            assert_eq!(verdicts.collect::<Vec<_>>(), wanted);
        }
    }
}
