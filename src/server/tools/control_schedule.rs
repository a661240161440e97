//! `control_schedule`: run, pause, resume, archive.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;
use serde_json::json;

use super::id;
use super::parameters::Parameters;
use super::schedule::{line_but, row_schema, run_line, run_schema};
use crate::api::Id;
use crate::api::with;
use crate::bridge::schedules::{self, RunRow, ScheduleRow};
use crate::server::Server;
use crate::server::present::{Answer, Shown, fenced_data, schema};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ControlSchedule {
    /// As list_schedules has it.
    schedule_id: String,
    /// run: start a session now. pause, resume: its clock. archive: never again, cannot be undone.
    action: Action,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Action {
    Run,
    Pause,
    Resume,
    Archive,
}

#[tool_router(router = control_schedule_router, vis = "pub(super)")]
impl Server {
    /// Run a schedule now, pause or resume it, or end it for good. Sessions that it started go on. A run costs money, up to
    /// its budget, and returns the session to follow with get_status.
    #[tool(
        title = "Run or change a schedule",
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = false, open_world_hint = true),
        output_schema = schema(json!({
            "type": "object",
            "properties": {
                "schedule": {"type": "object", "properties": row_schema()},
                "run": {"anyOf": [run_schema(), {"type": "null"}]},
                "next": {"type": "string"},
            },
            "required": ["schedule", "run", "next"],
        }))
    )]
    async fn control_schedule(
        &self,
        Parameters(args): Parameters<ControlSchedule>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let schedule = id("schedule_id", &args.schedule_id)?;
        let action = match args.action {
            Action::Run => schedules::Action::Run,
            Action::Pause => schedules::Action::Pause,
            Action::Resume => schedules::Action::Resume,
            Action::Archive => schedules::Action::Archive,
        };
        let call = self.attend(&context);
        let (row, run) = call
            .run(self.bridge.control_schedule(&schedule, action))
            .await?;
        Ok(shown(&row, run.as_ref()))
    }
}

fn shown(row: &ScheduleRow, run: Option<&RunRow>) -> Shown {
    let session = run.and_then(|run| run.session_id.as_ref());
    let session = session.filter(|id| Id::is_id(id));
    let next = match (run, session) {
        (_, Some(session)) => {
            format!("get_status with session_ids [\"{session}\"] and wait_seconds waits for it.")
        }
        (Some(run), None) if run.session_id.is_some() => {
            "list_sessions shows the session that was started.".to_owned()
        }
        (Some(_), None) => {
            "no session was started: fix what the error names, then run it again.".to_owned()
        }
        (None, None) if !Id::is_id(&row.schedule_id) => {
            "list_schedules shows how it stands.".to_owned()
        }
        (None, None) => format!(
            "list_schedules shows how it stands; list_sessions with deployment_id {} has the sessions it started.",
            row.schedule_id
        ),
    };
    let ran = run.map(|run| format!("\n  ran now {}", run_line(run)));
    let body = format!("{}{}", line_but(row, run), ran.unwrap_or_default());
    let text = format!("{}\n\nNext: {next}", fenced_data("schedule", &body));
    let facts = with(json!({"schedule": row, "run": run}), "next", Some(next));
    Shown::new(&facts, text)
}
