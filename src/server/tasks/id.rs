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
    /// The turn of a report as a task, created now; none where the API's ids are no ids.
    pub(super) fn of(report: &Report, now: DateTime<Utc>) -> Option<TaskId> {
        let question = report.question.as_ref();
        let question = question.map(|question| Id::parse(&question.event_id));
        Some(TaskId {
            session: Id::parse(&report.session_id).ok()?,
            question: question.transpose().ok()?,
            created: now,
        })
    }

    /// Reads an id.
    pub(super) fn parse(text: &str) -> Option<TaskId> {
        let mut parts = text.split('.');
        let (session, question, created) = (parts.next()?, parts.next()?, parts.next()?);
        let question = (!question.is_empty()).then(|| Id::parse(question));
        let created: u64 = created.parse().ok()?;
        let id = TaskId {
            session: Id::parse(session).ok()?,
            question: question.transpose().ok()?,
            created: DateTime::from_timestamp_millis(i64::try_from(created).ok()?)?,
        };
        parts.next().is_none().then_some(id)
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
            assert!(TaskId::parse(text).is_none(), "{text}");
        }
    }
}
