//! Sessions: one agent at work in one environment. <https://platform.claude.com/docs/en/api/beta/sessions>

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::agents::Agent;
use super::call::Call;
use super::rows::{odd_as_nothing, pairs, readable_rows};
use super::{Client, Error, Id, Page};

/// What is read of a session. It has no stop reason: that is only on the `session.status_idle` event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Session {
    /// Opaque id.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub id: String,
    /// `idle`, `running`, `rescheduling` or `terminated`; lags a little behind the events.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub status: String,
    /// As the caller named it.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub title: Option<String>,
    /// Up to 16 pairs.
    #[serde(deserialize_with = "pairs")]
    pub metadata: BTreeMap<String, String>,
    /// The agent as it was when the session was created.
    #[serde(deserialize_with = "agent_or_id")]
    pub agent: Agent,
    /// Where it runs.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub environment_id: String,
    /// Tokens and cost so far; the counters can lag behind the status.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub usage: Usage,
    /// The spend ceiling, if there is one.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub budget: Option<Budget>,
    /// How each outcome that was asked for stands, oldest first.
    #[serde(deserialize_with = "readable_rows")]
    pub outcome_evaluations: Vec<OutcomeEvaluation>,
    /// RFC 3339; set once the session is archived.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub archived_at: Option<String>,
    /// RFC 3339.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub created_at: Option<String>,
    /// RFC 3339.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub updated_at: Option<String>,
}

/// How an outcome stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct OutcomeEvaluation {
    /// Opaque id; the outcome's events carry it too.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub outcome_id: String,
    /// `pending`, `running` and `evaluating` until there is a verdict.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub result: String,
}

/// Cumulative use of a session.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens read, caches aside.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub input_tokens: Option<u64>,
    /// Tokens written.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub output_tokens: Option<u64>,
    /// Cost at list price.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub list_cost: Option<Money>,
    /// Seconds in which the session ran.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub active_seconds: Option<f64>,
}

/// The spend ceiling of a session.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// The cap at list price.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub max_list_cost: Money,
}

/// An amount as the API writes it: whole cents (`"41"`), though dollars (`"0.41"`) have been seen.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Money {
    amount: Value,
}

impl Money {
    /// Cents are always whole, so an amount with a decimal point is in dollars.
    pub fn dollars(&self) -> Option<f64> {
        let text = match &self.amount {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let amount: f64 = text
            .parse()
            .ok()
            .filter(|amount: &f64| amount.is_finite())?;
        Some(if text.contains('.') {
            amount
        } else {
            amount / 100.0
        })
    }
}

/// The API's form of a budget: whole cents in a string.
pub fn budget(cents: u64) -> Value {
    json!({"type": "limit", "max_list_cost": {"amount": cents.to_string(), "currency": "USD"}})
}

/// Some servers return the bare id.
pub(super) fn agent_or_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Agent, D::Error> {
    let value = Value::deserialize(deserializer)?;
    if let Value::String(id) = value {
        return Ok(Agent {
            id,
            ..Agent::default()
        });
    }
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// Which sessions to list. `created_*` are RFC 3339.
#[derive(Debug, Clone, Default)]
pub struct SessionFilter {
    /// Of this agent.
    pub agent_id: Option<String>,
    /// Of this version of the agent.
    pub agent_version: Option<u64>,
    /// Any of these statuses.
    pub statuses: Vec<String>,
    /// Started by this deployment.
    pub deployment_id: Option<String>,
    /// With this memory store attached.
    pub memory_store_id: Option<String>,
    /// Created at or after.
    pub created_after: Option<String>,
    /// Created at or before.
    pub created_before: Option<String>,
    /// Archived ones too.
    pub include_archived: bool,
    /// `asc` or `desc` (the API's default).
    pub order: Option<&'static str>,
    /// Items on a page, at most 100.
    pub limit: Option<u32>,
    /// Token of the page.
    pub page: Option<String>,
}

impl Client {
    /// `POST /v1/sessions`
    pub async fn create_session(&self, body: Value) -> Result<Session, Error> {
        self.send(Call::create(&["sessions"], body)).await
    }

    /// `GET /v1/sessions/{id}`
    pub async fn get_session(&self, id: &Id) -> Result<Session, Error> {
        self.send(Call::get(&["sessions", id.as_str()])).await
    }

    /// `GET /v1/sessions`, one page.
    pub async fn list_sessions(&self, filter: &SessionFilter) -> Result<Page<Session>, Error> {
        let mut call = Call::get(&["sessions"])
            .query_some("agent_id", filter.agent_id.as_ref())
            .query_some("agent_version", filter.agent_version)
            .query_some("deployment_id", filter.deployment_id.as_ref())
            .query_some("memory_store_id", filter.memory_store_id.as_ref())
            .query_some("created_at[gte]", filter.created_after.as_ref())
            .query_some("created_at[lte]", filter.created_before.as_ref())
            .query_some("include_archived", filter.include_archived.then_some(true))
            .query_some("order", filter.order)
            .query_some("limit", filter.limit)
            .query_some("page", filter.page.as_ref());
        for status in &filter.statuses {
            call = call.query("statuses[]", status);
        }
        self.send(call).await
    }

    /// `POST /v1/sessions/{id}`: title, metadata, budget.
    pub async fn update_session(&self, id: &Id, body: Value) -> Result<Session, Error> {
        self.send(Call::set(&["sessions", id.as_str()], body)).await
    }

    /// `POST /v1/sessions/{id}/archive`: for good. Refused with 400 while it runs.
    pub async fn archive_session(&self, id: &Id) -> Result<(), Error> {
        self.send_for_status(Call::set(&["sessions", id.as_str(), "archive"], json!({})))
            .await
    }

    /// `DELETE /v1/sessions/{id}`: with its history. Refused with 400 while it runs.
    pub async fn delete_session(&self, id: &Id) -> Result<(), Error> {
        self.send_for_status(Call::delete(&["sessions", id.as_str()]))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_in_cents_and_in_dollars_and_never_fails() {
        let read = |json: &str| serde_json::from_str::<Money>(json).unwrap().dollars();
        assert_eq!(read(r#"{"amount":"41","currency":"USD"}"#), Some(0.41));
        assert_eq!(read(r#"{"amount":"0.02","currency":"USD"}"#), Some(0.02));
        assert_eq!(read(r#"{"amount":1000}"#), Some(10.0));
        assert_eq!(read(r#"{"amount":"much"}"#), None);
        assert_eq!(read("{}"), None);
    }

    #[test]
    fn an_odd_field_costs_nothing_but_itself() {
        let odd = [
            "null",
            "5",
            "\"x\"",
            "[]",
            "{}",
            "true",
            "-1.5",
            "[null]",
            "{\"a\":null}",
        ];
        let whole = r#""status":"idle","metadata":{"k":"v"},"usage":{"input_tokens":3},"environment_id":"env_1","title":"t","agent":{"id":"a"},"budget":{"max_list_cost":{"amount":"7"}},"outcome_evaluations":[{"outcome_id":"o"}],"created_at":"c","updated_at":"u""#;
        for field in [
            "status",
            "metadata",
            "usage",
            "environment_id",
            "title",
            "agent",
            "budget",
            "outcome_evaluations",
            "created_at",
            "updated_at",
        ] {
            for value in odd {
                let fields: Value = serde_json::from_str(&format!("{{{whole}}}")).unwrap();
                let mut fields = super::super::with(fields, "id", Some("s"));
                fields[field] = serde_json::from_str(value).unwrap();
                fields["archived_at"] = json!("now");
                let session: Session = serde_json::from_value(fields).unwrap();
                assert_eq!(
                    session.archived_at.as_deref(),
                    Some("now"),
                    "{field} {value}"
                );
                assert!(field == "metadata" || session.metadata["k"] == "v");
            }
        }
        let session: Session = serde_json::from_str(
            r#"{"id":"s","metadata":{"a":null,"b":"2"},"usage":{"input_tokens":null,"output_tokens":5,"list_cost":7}}"#,
        )
        .unwrap();
        assert_eq!(session.metadata["b"], "2");
        assert_eq!(session.usage.output_tokens, Some(5));
    }

    #[test]
    fn a_session_with_almost_nothing_in_it_is_read() {
        let session: Session =
            serde_json::from_str(r#"{"id":"s","agent":"agent_1","surprise":{}}"#).unwrap();
        assert_eq!(
            (session.id.as_str(), session.agent.id.as_str()),
            ("s", "agent_1")
        );
    }
}
