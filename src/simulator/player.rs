//! Plays the scripted agent of one session: takes up what was sent, and goes through the steps of a turn.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::json::{at, items, set, text};
use super::plan::{Plan, Stop};
use super::script::{self, Scene};
use super::session::{Phase, Session};
use super::stamp;
use super::state::World;
use super::turn::{End, Turn};

/// Starts the agent of a session that has something to do.
pub(super) fn start(world: &Arc<World>, id: String) {
    let task = play(Arc::clone(world), id);
    world.spawn(task);
}

async fn play(world: Arc<World>, id: String) {
    loop {
        world.pause(world.options.pace).await;
        let Some((event, plan)) = take(&world, &id) else {
            return;
        };
        let mut turn = Turn::new(&world, &id, &plan, text(&event, "/outcome_id"));
        let ended = turn.run(&plan).await;
        let late = turn.late.take();
        if matches!(ended, Err(End::Gone)) {
            return;
        }
        world.session(&id, |session| {
            finish(session, &mut turn, &plan, ended.is_err())
        });
        if let (Some(message), Some(wait)) = (late, plan.late) {
            reveal_later(&world, &id, message, wait);
        }
    }
}

/// The next thing to do and the plan for it; without one the agent stops playing.
fn take(world: &World, id: &str) -> Option<(Value, Plan)> {
    let mut state = world.state();
    let environment = text(&state.sessions.get(id)?.object, "/environment_id").to_owned();
    let environment = state.environments.get(&environment).ok();
    let self_hosted =
        environment.is_some_and(|environment| text(environment, "/config/type") == "self_hosted");
    let session = state.sessions.get_mut(id)?;
    while let Some(mut event) = session.queue.pop_front().filter(|_| !session.over()) {
        if text(&event, "/type") == "system.message" {
            session.log.process(text(&event, "/id"));
            continue;
        }
        if session.phase() != Phase::Running {
            session.run();
        }
        session.in_turn = true;
        session.turns += 1;
        session.log.process(text(&event, "/id"));
        let plan = plan(session, &mut event, self_hosted);
        return Some((event, plan));
    }
    session.playing = false;
    None
}

fn plan(session: &mut Session, event: &mut Value, self_hosted: bool) -> Plan {
    let said = if text(event, "/type") == "user.define_outcome" {
        text(event, "/description").to_owned()
    } else {
        words(event)
    };
    if script::graded(&said) && text(event, "/outcome_id").is_empty() {
        set(event, "outcome_id", stamp::id("outc"));
        session.define_outcome(text(event, "/outcome_id"), &said);
    }
    let agent = at(&session.object, "/agent").clone();
    let scene = Scene {
        turn: session.turns,
        agent: &agent,
        self_hosted,
        budgeted: session.cap().is_some(),
    };
    let outcome = text(event, "/outcome_id");
    if outcome.is_empty() {
        return script::plan(&said, &scene, &attached(event));
    }
    if let Some(outcome) = session.outcome(outcome) {
        set(outcome, "result", "running");
    }
    let most = at(event, "/max_iterations").as_u64();
    script::outcome(&said, most.unwrap_or(3), &scene)
}

/// What a message brings along besides text, in words.
fn attached(event: &Value) -> String {
    let count = |kind: &str, plural: &str| {
        let blocks = items(event, "/content").iter();
        match blocks.filter(|block| text(block, "/type") == kind).count() {
            0 => None,
            1 => Some(format!("1 {kind}")),
            many => Some(format!("{many} {plural}")),
        }
    };
    let counts = [count("image", "images"), count("document", "documents")];
    counts
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" and ")
}

/// The text blocks of a message.
pub(super) fn words(event: &Value) -> String {
    let blocks = items(event, "/content")
        .iter()
        .map(|block| text(block, "/text"));
    blocks
        .filter(|words| !words.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Ends a turn: its open request, its interrupts, and the idle event.
fn finish(session: &mut Session, turn: &mut Turn<'_>, plan: &Plan, interrupted: bool) {
    session.in_turn = false;
    session.pending.clear();
    for answer in std::mem::take(&mut session.answers) {
        session.log.process(text(&answer, "/id"));
    }
    session.stop_interrupted_threads();
    for interrupt in std::mem::take(&mut session.interrupts) {
        session.log.process(&interrupt);
    }
    if session.over() {
        return;
    }
    turn.end_request(session);
    match &plan.stop {
        _ if interrupted => {
            session.stop_threads();
            turn.interrupt_outcome(session);
            session.idle(&script::end_turn());
        }
        Stop::Idle(stop) => session.idle(stop),
        Stop::Terminated => session.terminate(),
    }
}

fn reveal_later(world: &Arc<World>, id: &str, message: String, wait: Duration) {
    let (at, id) = (Arc::clone(world), id.to_owned());
    world.spawn(async move {
        at.pause(wait).await;
        at.session(&id, |session| session.log.reveal(&message));
    });
}

impl World {
    /// Sleeps, or, for no time at all, lets others run.
    pub(super) async fn pause(&self, time: Duration) {
        if time.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(time).await;
        }
    }
}
