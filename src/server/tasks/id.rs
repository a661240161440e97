//! What a task's id says: the session, the question whose turn it is, and when it was created, so that any process finds it.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::api::Id;
use crate::session::report::Report;

/// `SESSION.QUESTION.MILLISECONDS`. The question is empty where the API did not name it, and stands for the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TaskId {
    pub(super) session: Id,
    pub(super) question: Option<Id>,
    pub(super) created: DateTime<Utc>,
}

impl TaskId {
    /// The turn of a report as a task, created now.
    pub(super) fn of(report: &Report, now: DateTime<Utc>) -> Result<TaskId, String> {
        let question = report.question.as_ref();
        let question = question.map(|question| Id::parse(&question.event_id));
        Ok(TaskId {
            session: Id::parse(&report.session_id)?,
            question: question.transpose()?,
            created: now,
        })
    }

    /// Reads an id. The error is a sentence for the client.
    pub(super) fn parse(text: &str) -> Result<TaskId, String> {
        let mut parts = text.split('.');
        let mut part = || parts.next().unwrap_or_default();
        let (session, question, created) = (part(), part(), part());
        let malformed = || "an id is what create_session or send_message returned".to_owned();
        if parts.next().is_some() {
            return Err(malformed());
        }
        let question = (!question.is_empty()).then(|| Id::parse(question));
        let created = created.parse().ok().filter(|ms: &i64| *ms >= 0);
        Ok(TaskId {
            session: Id::parse(session)?,
            question: question.transpose()?,
            created: created
                .and_then(DateTime::from_timestamp_millis)
                .ok_or_else(malformed)?,
        })
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let question = self.question.as_ref().map_or("", Id::as_str);
        let created = self.created.timestamp_millis();
        write!(f, "{}.{question}.{created}", self.session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written_and_nothing_else_is_one() {
        for text in ["sesn_1.sevt_2.1764218000123", "sesn_1..0"] {
            assert_eq!(TaskId::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "sesn_1",
            "sesn_1.sevt_2",
            "sesn_1.sevt_2.",
            "sesn_1.sevt_2.x",
            "sesn_1.sevt_2.-1",
            "sesn_1.sevt_2.99999999999999999999",
            "sesn_1.sevt_2.9223372036854775807",
            "sesn_1.sevt_2.1.1",
            "../a.sevt_2.1",
            "sesn_1.a/b.1",
        ] {
            assert!(TaskId::parse(text).is_err(), "{text}");
        }
    }
}
