//! The walk: a fault of every kind at every place of a scripted turn, and whoever follows it ends with the same record, the
//! same state and the same reply as if nothing had happened. `WALK_SEED` repeats a run, `WALK_STEP=1` takes every place.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use managed_agents_mcp::api::{Client, Id};
use managed_agents_mcp::bridge::follow::Follow;
use managed_agents_mcp::bridge::{Attention, Patience};
use managed_agents_mcp::config::Config;
use managed_agents_mcp::session::turn::{Asked, State};

use crate::scripted::{FIRST_WORDS, KINDS, Kind, LAST_WORDS, QUESTION, Server};

/// A single call of a tool lasts no longer.
const PATIENCE: Duration = Duration::from_secs(45);

/// One fault of the walk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    pub(crate) place: usize,
    pub(crate) seed: u64,
}

/// Every `each`-th place of every kind, from a place that the seed chooses.
pub(crate) fn steps(seed: u64, each: impl Fn(Kind) -> usize) -> Vec<Step> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut steps = Vec::new();
    for kind in KINDS {
        let each = each(kind);
        let places = kind
            .places()
            .into_iter()
            .skip(rng.usize(..each))
            .step_by(each);
        steps.extend(places.map(|place| Step {
            kind,
            place,
            seed: rng.u64(..),
        }));
    }
    // Slow kinds are spread over the whole time.
    rng.shuffle(&mut steps);
    steps
}

/// Takes these steps, so many at a time; what was wrong with each that failed, and how long each of the others took after
/// its fault.
pub(crate) async fn walk(
    steps: Vec<Step>,
    at_once: usize,
) -> std::io::Result<(Vec<String>, Vec<(Kind, Duration)>)> {
    let server = Server::start().await?;
    let outcomes = stream::iter(steps).map(|step| {
        let server = &server;
        async move {
            let survived = follow(server, step).await;
            survived
                .map(|time| (step.kind, time))
                .map_err(|wrong| format!("{step:?}: {wrong}"))
        }
    });
    let outcomes: Vec<_> = outcomes.buffer_unordered(at_once).collect().await;
    let (mut wrong, mut times) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Ok(time) => times.push(time),
            Err(why) => wrong.push(why),
        }
    }
    Ok((wrong, times))
}

/// A client of its own, as a process would have, with a rate limit of its own.
fn client(url: &str) -> Client {
    let setting = |name: &str| match name {
        "ANTHROPIC_BASE_URL" => Some(url.to_owned()),
        "ANTHROPIC_API_KEY" => Some("walk".to_owned()),
        _ => None,
    };
    Client::new(Arc::new(Config::read(&setting).expect("settings")))
}

/// Follows one turn as a call of a tool does; how long after the fault, or after its start, it had everything.
async fn follow(server: &Server, step: Step) -> Result<Duration, String> {
    let began = Instant::now();
    let session = server.script(step.kind, step.place, step.seed);
    let id = Id::parse(&session)?;
    let now = tokio::time::Instant::now();
    let patience = Patience {
        until: now + PATIENCE,
        deadline: now + PATIENCE + Duration::from_secs(2),
        note: None,
    };
    let asked = Asked {
        question: Some(QUESTION.to_owned()),
        ..Asked::default()
    };
    let mut follow = Follow::new(&client(&server.base_url()), patience.deadline, &id, asked);
    follow
        .look()
        .await
        .map_err(|error| format!("the first look: {error}"))?;
    follow
        .finish(&patience, &Attention::none())
        .await
        .map_err(|error| error.to_string())?;
    let seen: Vec<String> = follow
        .history()
        .events()
        .map(|event| event.id.clone())
        .collect();
    let ended = Instant::now();
    let (record, harmed) = server.forget(&session);
    let distinct: HashSet<&String> = seen.iter().collect();
    if seen != record {
        let lost: Vec<&String> = record.iter().filter(|id| !distinct.contains(id)).collect();
        return Err(format!(
            "{} doubled, lost {lost:?}: {seen:?}",
            seen.len() - distinct.len()
        ));
    }
    let report = follow.report();
    let reply = report.reply.unwrap_or_default();
    let in_order = reply.find(FIRST_WORDS) < reply.find(LAST_WORDS) && reply.contains(FIRST_WORDS);
    if report.state != State::Done
        || !in_order
        || reply.contains("old words")
        || !report.notes.is_empty()
    {
        return Err(format!(
            "{:?}, reply {reply:?}, notes {:?}",
            report.state, report.notes
        ));
    }
    Ok(ended - harmed.unwrap_or(began))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each takes about eight sockets.
    const AT_ONCE: usize = 100;

    fn number(name: &str) -> Option<u64> {
        std::env::var(name).ok().map(|text| text.parse().unwrap())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_fault_of_any_kind_at_any_place_changes_nothing() {
        let seed = number("WALK_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
        let step = number("WALK_STEP").map(|step| step as usize);
        let each = |kind| match kind {
            Kind::Finish | Kind::Reset | Kind::Garbage => step.unwrap_or(32),
            Kind::Mark | Kind::Lost | Kind::Doubled | Kind::Swapped | Kind::Repeated => {
                step.unwrap_or(4)
            }
            // It takes the longest to notice that nothing comes.
            Kind::Silence | Kind::ListSilence => step.unwrap_or(200),
            _ => step.unwrap_or(100),
        };
        let steps = steps(seed, each);
        let all = steps.len();
        let (wrong, _) = walk(steps, AT_ONCE).await.unwrap();
        let shown = wrong
            .iter()
            .take(20)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n");
        assert!(
            wrong.is_empty(),
            "WALK_SEED={seed}: {} of {all}\n{shown}",
            wrong.len()
        );
    }
}
