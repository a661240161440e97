//! `create_schedule`: an agent that runs by the clock, or when told to.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;
use serde_json::json;

use super::parameters::Parameters;
use super::schedule::{line, row_schema};
use super::{MESSAGE_CHARS, ToolError, budget_cents, outcome, text};
use crate::api::Id;
use crate::api::with;
use crate::bridge::schedules::NewSchedule;
use crate::server::Server;
use crate::server::present::{Answer, Shown, fenced_data, schema};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateSchedule {
    /// Up to 256 characters.
    name: String,
    /// Id or name; needed unless one is configured.
    agent: Option<String>,
    /// Id or name; needed unless one is configured.
    environment: Option<String>,
    /// The whole task of each run.
    message: String,
    /// Five fields: minute hour day month weekday, such as 0 9 * * 1-5. Left out: it runs only when told to.
    cron: Option<String>,
    /// Of cron, such as Europe/Berlin; default UTC.
    timezone: Option<String>,
    /// Ceiling of each run. Default: as configured.
    budget_usd: Option<f64>,
}

#[tool_router(router = create_schedule_router, vis = "pub(super)")]
impl Server {
    /// Create a schedule: each run starts a session with this message and costs money, up to its budget. Ask the user
    /// before you create one that runs by the clock. control_schedule runs, pauses and ends it.
    #[tool(
        title = "Create a schedule",
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = false, open_world_hint = true),
        output_schema = schema(with(json!({
            "type": "object",
            "required": ["schedule_id", "name", "status", "next_runs", "next"],
        }), "properties", Some(with(row_schema(), "next", Some(json!({"type": "string"}))))))
    )]
    async fn create_schedule(
        &self,
        Parameters(args): Parameters<CreateSchedule>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let schedule = schedule(args)?;
        let call = self.attend(&context);
        let row = call.run(self.bridge.create_schedule(&schedule)).await?;
        let next = if Id::is_id(&row.schedule_id) {
            format!(
                "control_schedule with schedule_id {} runs it now, pauses or archives it; list_schedules shows its runs.",
                row.schedule_id
            )
        } else {
            "list_schedules shows its runs.".to_owned()
        };
        let text = format!("{}\n\nNext: {next}", fenced_data("schedule", &line(&row)));
        Ok(Shown::new(&with(json!(row), "next", Some(next)), text))
    }
}

fn schedule(args: CreateSchedule) -> Result<NewSchedule, ToolError> {
    text("name", &args.name, 256)?;
    text("message", &args.message, MESSAGE_CHARS)?;
    let cron = match (args.cron, args.timezone) {
        (Some(cron), _) if cron.split_whitespace().count() != 5 => {
            return Err(ToolError::argument(
                "`cron` needs five fields: minute, hour, day of month, month, weekday.",
                "pass such as 0 9 * * 1-5 for 9:00 on working days.",
            ));
        }
        (Some(cron), zone) => Some((cron, zone.unwrap_or_else(|| "UTC".to_owned()))),
        (None, Some(_)) => {
            return Err(ToolError::argument(
                "`timezone` was given without `cron`.",
                "pass both, or neither for a schedule that runs only when told to.",
            ));
        }
        (None, None) => None,
    };
    Ok(NewSchedule {
        question: outcome::message(&args.message),
        name: args.name,
        agent: args.agent,
        environment: args.environment,
        cron,
        budget_cents: args.budget_usd.map(budget_cents).transpose()?,
    })
}
