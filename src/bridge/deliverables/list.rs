//! The files of a session. What an agent wrote appears in the list a moment after its turn has ended.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::super::sessions::Glance;
use super::super::{Attention, Bridge, Failure};
use super::NAME_CHARS;
use crate::api::files::{File, Files};
use crate::api::{Client, Error, Id};
use crate::session::clean::clean_line;
use crate::session::report::cut;
use crate::session::turn::{Lifecycle, State};

/// A file is listed so long after the end of the turn that wrote it, at the latest.
const LISTED_WITHIN: Duration = Duration::from_millis(3500);
const LOOK: Duration = Duration::from_millis(700);

/// A file in a list.
#[derive(Debug, Clone, Serialize)]
pub struct FileRow {
    /// Its id.
    pub file_id: String,
    /// As it was written; may be anything, but is cleaned.
    pub name: String,
    /// Bytes.
    pub size_bytes: Option<u64>,
    /// Media type.
    pub mime_type: String,
    /// RFC 3339.
    pub created_at: Option<String>,
    /// Whether its content can be had.
    pub downloadable: bool,
}

/// The files of a session.
#[derive(Debug, Clone)]
pub struct SessionFiles {
    /// In the API's order.
    pub files: Vec<FileRow>,
    /// The agent may write more.
    pub is_working: bool,
    /// There are more than one listing reads.
    pub is_cut: bool,
}

/// The files, and whether the agent may write more.
pub(super) struct Found {
    pub(super) listed: Files,
    pub(super) is_working: bool,
}

impl Found {
    /// One file, of no session.
    pub(super) fn only(file: File) -> Found {
        let listed = Files {
            files: vec![file],
            ..Files::default()
        };
        Found {
            listed,
            is_working: false,
        }
    }
}

impl Bridge {
    /// The files of a session; waits for late ones if its turn has just ended.
    pub async fn list_files(
        &self,
        session: &Id,
        attention: &Attention,
    ) -> Result<SessionFiles, Failure> {
        let found = self.settled_files(session, attention).await?;
        Ok(SessionFiles {
            files: found.listed.files.iter().map(row).collect(),
            is_working: found.is_working,
            is_cut: found.listed.is_cut,
        })
    }

    pub(super) async fn settled_files(
        &self,
        session: &Id,
        attention: &Attention,
    ) -> Result<Found, Failure> {
        let api = self.api_in_time();
        let (listed, glance) = tokio::join!(
            api.list_session_files(session),
            self.stand_of(&api, session),
        );
        let failed = |error| Failure::while_trying("list the session's files")(error);
        let mut listed = listed.map_err(failed)?;
        let glance = match glance {
            Ok(glance) => glance,
            // A list of what belongs to nothing is only empty.
            Err(error) if error.status() == Some(404) && listed.files.is_empty() => {
                return Err(failed(error));
            }
            // Without its events the list is as good as any.
            Err(_) => Glance::default(),
        };
        let settled = Instant::now()
            + glance
                .idle_at
                .map_or(Duration::ZERO, |ended| left(ended, api.now()));
        while Instant::now() < settled {
            attention.tell("waiting for the files that were written last".to_owned());
            tokio::select! {
                () = sleep(LOOK.min(settled.saturating_duration_since(Instant::now()))) => {}
                () = attention.stop.cancelled() => break,
            }
            listed = api.list_session_files(session).await.unwrap_or(listed);
        }
        Ok(Found {
            listed,
            is_working: glance.state == Some(State::Working),
        })
    }

    async fn stand_of(&self, api: &Client, session: &Id) -> Result<Glance, Error> {
        let known = match Box::pin(api.get_session(session)).await {
            Err(error) if error.is_not_found() => return Err(error),
            known => known.ok(),
        };
        let said = known.as_ref().map(Lifecycle::of).unwrap_or_default();
        self.glance(api, session, said).await
    }
}

/// How long files may still appear after a turn that ended then. Clocks differ, in either direction.
fn left(ended: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    let age = (now - ended).abs().to_std().unwrap_or_default();
    LISTED_WITHIN.saturating_sub(age)
}

fn row(file: &File) -> FileRow {
    FileRow {
        file_id: clean_line(&file.id),
        name: cut(&clean_line(&file.filename), NAME_CHARS),
        size_bytes: file.size_bytes,
        mime_type: cut(&clean_line(&file.mime_type), NAME_CHARS),
        created_at: file.created_at.as_deref().map(clean_line),
        downloadable: file.downloadable.unwrap_or(true),
    }
}
