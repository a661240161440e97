//! `get_status`: how sessions stand.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::parameters::Parameters;
use super::{ToolError, id};
use crate::api::Id;
use crate::bridge::{Failure, Sessions, Threads, Until};
use crate::server::Server;
use crate::server::approvals::{Asked, ContinueError, Round, User};
use crate::server::present::{Shown, report_schema, schema, strings};
use crate::server::reply::{Reply, Waited};
use crate::session::render;
use crate::session::report::{Report, cut};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetStatus {
    /// 1 to 50 sessions.
    session_ids: Vec<String>,
    /// While they work. Default 0.
    #[serde(default)]
    wait_seconds: u64,
    /// Until any (default) or all of them stopped working.
    #[serde(default)]
    until: Wanted,
    /// Show the threads of each.
    #[serde(default)]
    threads: bool,
}

#[derive(Debug, Default, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Wanted {
    #[default]
    Any,
    All,
}

/// Least that a report is given of the whole; those of more sessions are listed by state only.
const SMALLEST_SHARE: usize = 1200;
/// What one of them takes at most.
const OTHER_CHARS: usize = 150;
/// Failures that are told in words; the rest is counted.
const TOLD_FAILURES: usize = 5;
/// What each of them takes at most.
const FAILURE_CHARS: usize = 250;

#[derive(Serialize)]
struct Statuses {
    sessions: Vec<Report>,
    /// Sessions that did not fit, as `id: state`.
    others: Vec<String>,
    /// Sessions that could not be read, and why.
    failures: Vec<String>,
    omitted: Option<String>,
}

#[tool_router(router = get_status_router, vis = "pub(super)")]
impl Server {
    /// How sessions stand: state, reply, pending, cost. With wait_seconds it waits for those that are `working`; repeat
    /// until they are not. Returns a report for each.
    #[tool(
        title = "Check or await sessions",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false),
        output_schema = schema(json!({
            "type": "object",
            "properties": {
                "sessions": {"type": "array", "items": report_schema()},
                "others": strings(),
                "failures": strings(),
                "omitted": crate::server::present::text_or_null(),
            },
            "required": ["sessions", "others", "failures", "omitted"],
        }))
    )]
    async fn get_status(
        &self,
        round: Round,
        Parameters(args): Parameters<GetStatus>,
        context: RequestContext<RoleServer>,
    ) -> Waited {
        let mut ids = Vec::new();
        for text in &args.session_ids {
            let id = id("session_ids", text)?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        if ids.is_empty() || ids.len() > 50 {
            return Err(ToolError::argument(
                "`session_ids` takes 1 to 50 ids.",
                "pass a list of 1 to 50; list_sessions shows which exist.",
            ));
        }
        let until = match args.until {
            Wanted::Any => Until::Any,
            Wanted::All => Until::All,
        };
        let threads = if args.threads {
            Threads::Shown
        } else {
            Threads::Hidden
        };
        let patience = self.bridge.patience(Some(args.wait_seconds));
        let call = self.attend(&context);
        let mut user = User::new(self, &context, &patience, call.attention());
        let status = async {
            // What was decided shows in how the sessions stand.
            user.continued(&round).await?;
            loop {
                let mut sessions = self
                    .bridge
                    .status(&ids, until, threads, &patience, call.attention())
                    .await;
                let reports = std::mem::take(&mut sessions.reports);
                let asked = user.ask(&round, reports).await?;
                // What the user decided about several sessions set them to work again, and the wait goes on.
                if !user.takes_up_the_wait(&asked, until) {
                    break Ok::<_, ContinueError>((asked, sessions));
                }
            }
        };
        let (asked, mut sessions) = call.run(status).await?;
        match asked {
            Asked::Input(input) => return Ok(Reply::Input(input)),
            Asked::Not(reports) => sessions.reports = reports,
        }
        if sessions.reports.is_empty() && sessions.failures.len() == 1 {
            return Err(sessions.failures.remove(0).1.into());
        }
        let answers: Vec<String> = sessions
            .failures
            .iter()
            .flat_map(|(id, _)| user.notes_of(id).map(move |note| format!("{id}: {note}")))
            .collect();
        let budget = self.bridge.config().result_chars;
        let nothing_succeeded = sessions.reports.is_empty();
        let shown = shown(sessions, answers, budget);
        Ok(Reply::Shown(if nothing_succeeded {
            shown.into_error()
        } else {
            shown
        }))
    }
}

/// `answers`: what became of the user's answers about sessions that could not be read.
fn shown(sessions: Sessions, answers: Vec<String>, budget: usize) -> Shown {
    let failed = sessions.failures.len();
    let told = (budget / 2 / 300).clamp(1, TOLD_FAILURES);
    let words = |(id, failure): (Id, Failure)| {
        format!("{id}: {}", ToolError::from(failure).within(FAILURE_CHARS))
    };
    let mut failures: Vec<String> = sessions
        .failures
        .into_iter()
        .take(told)
        .map(words)
        .collect();
    if failed > told {
        failures.push(format!("{} more could not be read", failed - told));
    }
    let answers = answers.iter().map(|answer| cut(answer, FAILURE_CHARS));
    failures.extend(answers.take(told));
    let failure_chars: usize = failures
        .iter()
        .map(|failure| render::json(failure).chars().count() + 1)
        .sum();
    let room = budget.saturating_sub(failure_chars + 300);
    let whole = (room / SMALLEST_SHARE).max(1).min(sessions.reports.len());
    let mut reports = sessions.reports;
    let rest = reports.split_off(whole);
    let most = room / 2 / OTHER_CHARS;
    let mut others: Vec<String> = rest
        .iter()
        .take(most)
        .map(|report| format!("{}: {}", report.session_id, report.state.word()))
        .collect();
    if rest.len() > most {
        others.push(format!("{} more", rest.len() - most));
    }
    let other_chars: usize = others.iter().map(|other| other.len() + 4).sum();
    let share = room.saturating_sub(other_chars) / whole.max(1);
    let statuses = Statuses {
        sessions: reports
            .into_iter()
            .map(|report| render::fit(report, share.saturating_sub(8)))
            .collect(),
        omitted: (!others.is_empty())
            .then(|| "the reports of `others`: get_status with fewer session_ids".to_owned()),
        others,
        failures,
    };
    let text = text(&statuses);
    Shown::new(&statuses, text)
}

fn text(statuses: &Statuses) -> String {
    let mut parts: Vec<String> = statuses.sessions.iter().map(render::text).collect();
    if !statuses.others.is_empty() {
        parts.push(format!("Others:\n{}", statuses.others.join("\n")));
    }
    parts.extend(statuses.failures.clone());
    parts.extend(
        statuses
            .omitted
            .iter()
            .map(|omitted| format!("Omitted: {omitted}")),
    );
    parts.join("\n\n")
}
