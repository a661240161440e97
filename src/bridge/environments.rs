//! Environments: created, and closed.

use serde_json::Value;

use super::catalog::{EnvironmentRow, environment_row};
use super::{Bridge, Ending, Failure, find};

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
            Ok(()) => match api.create_environment(body).await {
                Ok(created) => return Ok((environment_row(&created), None)),
                Err(error) if error.status() != Some(409) => {
                    return Err(Failure::while_trying(doing)(error));
                }
                Err(error) => Failure::while_trying(doing)(error),
            },
        };
        let all = find::environments(&api)
            .await
            .map_err(Failure::while_trying(doing))?;
        let taken = all.iter().find(|environment| environment.name == name);
        let note = "an environment of this name existed and was left as it is: check that it fits";
        taken
            .map(|taken| (environment_row(taken), Some(note.to_owned())))
            .ok_or(refused)
    }

    /// Archives or deletes an environment, found by id or name.
    pub async fn close_environment(
        &self,
        wanted: &str,
        ending: Ending,
    ) -> Result<Retired, Failure> {
        let api = self.api_in_time();
        let id = find::very_environment(&api, wanted).await?;
        let (doing, done) = match ending {
            Ending::Archive => ("archive", api.archive_environment(&id).await),
            Ending::Delete => ("delete", api.delete_environment(&id).await),
        };
        done.map_err(Failure::while_trying(format!("{doing} environment {id}")))?;
        self.defaults.forget();
        Ok(Retired {
            id: id.to_string(),
            ending,
            note: None,
        })
    }
}
