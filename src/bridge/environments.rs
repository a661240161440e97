//! Environments: created, and closed.

use serde_json::Value;

use super::catalog::{EnvironmentRow, environment_row};
use super::marks::{Stamp, bears};
use super::once::{Second, Write, named};
use super::{Bridge, Ending, Failure, find};
use crate::api::environments::Environment;
use crate::api::{Client, Error};

/// An agent or an environment that was archived or deleted.
#[derive(Debug, Clone)]
pub struct Retired {
    /// Its id.
    pub id: String,
    /// What became of it.
    pub ending: Ending,
    /// Why it was not what was asked for.
    pub note: Option<String>,
}

impl Bridge {
    /// Creates an environment; a taken name is answered with the one that has it, and a note.
    pub async fn create_environment(
        &self,
        body: Value,
    ) -> Result<(EnvironmentRow, Option<String>), Failure> {
        let doing = "create the environment";
        let name = body.get("name").and_then(Value::as_str);
        let name = name.unwrap_or_default().to_owned();
        let reserved = find::unreserved("environment", &name, &self.config.allow_environments);
        let api = self.api_in_time();
        let refused = match reserved {
            Err(failure) => failure,
            Ok(()) => match self.new_environment(&api, body).await {
                Ok(created) => return Ok((environment_row(&created), None)),
                Err(failure @ Failure::Api { .. }) if failure.is_conflict() => failure,
                Err(failure) => return Err(failure),
            },
        };
        let is_it = |environment: &Environment| environment.name == name;
        let taken = find::first_environment(&api, is_it)
            .await
            .map_err(Failure::while_trying(doing))?;
        let note = "an environment of this name existed and was left as it is: check that it fits";
        taken
            .map(|taken| (environment_row(&taken), Some(note.to_owned())))
            .ok_or(refused)
    }

    async fn new_environment(&self, api: &Client, mut body: Value) -> Result<Environment, Failure> {
        let stamp = &Stamp::on(&mut body);
        let look = |api: Client| async move {
            let stamp = stamp.value()?;
            let stamped = |environment: &Environment| bears(&environment.metadata, stamp);
            newest_environment(&api, stamped).await
        };
        let body = &body;
        let send = |api: Client| async move { create(&api, body).await };
        let next = "make the same call again: the name is unique, so it returns the environment if it is there, and makes it if \
                    not.";
        Write::new("create the environment", Second::Creates, next)
            .once(&self.api, api.deadline(), send, look)
            .await
    }

    /// Archives or deletes an environment, found by id or name.
    pub async fn close_environment(
        &self,
        wanted: &str,
        ending: Ending,
    ) -> Result<Retired, Failure> {
        let api = self.api_in_time();
        let id = find::very_environment(&api, wanted).await?;
        let (end, next) = (
            &id,
            "list_environments shows whether it is there; then make the same call again.",
        );
        let send = |api: Client| async move {
            match ending {
                Ending::Archive => api.archive_environment(end).await,
                Ending::Delete => api.delete_environment(end).await,
            }
        };
        let look = |api: Client| async move {
            let read = api.get_environment(end).await;
            ending.is_reached(read.map(|environment| environment.archived_at.is_some()))
        };
        ending
            .write(&format!("environment {id}"), next.to_owned())
            .once(&self.api, api.deadline(), send, look)
            .await?;
        self.defaults.forget();
        Ok(Retired {
            id: id.to_string(),
            ending,
            note: None,
        })
    }
}

/// Sends a new environment.
pub(super) async fn create(api: &Client, body: &Value) -> Result<Environment, Error> {
    let created = api.create_environment(body.clone()).await?;
    named(created, "environment", |environment| &environment.id)
}

/// The newest environment that is looked for.
pub(super) async fn newest_environment(
    api: &Client,
    is_it: impl Fn(&Environment) -> bool,
) -> Result<Option<Environment>, Error> {
    let page = |page: Option<String>| async move {
        api.list_environments(Some(100), page.as_deref()).await
    };
    find::first(find::NEWEST_PAGES, page, is_it).await
}
