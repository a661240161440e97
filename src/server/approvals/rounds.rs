//! Asking in rounds, as protocol 2026-07-28 has it: the call returns what the user shall be asked, and comes again with the
//! answers.

use std::collections::BTreeMap;

use rmcp::model::{ElicitRequest, InputRequest, InputRequiredResult};

use super::dialog::{form, verdict};
use super::sealed::{self, AskedAbout, AskedSession, Round};
use super::{ToolError, User};
use crate::api::Id;
use crate::bridge::{Decision, Failure};
use crate::session::report::Report;

/// Rounds of asking that one call takes.
const MOST_ROUNDS: u32 = 8;

impl User<'_> {
    /// The answers of the round before, sent; how the sessions stand now. `None` in a first round.
    pub(in crate::server) async fn continued(
        &mut self,
        round: &Round,
    ) -> Result<Option<Vec<Report>>, ContinueError> {
        let Some(sealed) = &round.state else {
            return Ok(None);
        };
        let key = self.server.bridge.sealing_key(self.patience).await?;
        let asked = sealed::open(&key, sealed, round).map_err(ContinueError::State)?;
        self.rounds = asked.rounds;
        self.asked.extend(asked.unanswered.iter().cloned());
        self.unanswered.extend(asked.unanswered);
        // One answer must not wait for what comes of another.
        self.decides_at_once = asked.sessions.len() > 1;
        let mut reports = Vec::new();
        for (session, AskedSession { question, events }) in asked.sessions {
            let session = Id::parse(&session).map_err(ContinueError::State)?;
            let mut decisions = Vec::new();
            for event_id in events {
                self.asked.insert(event_id.clone());
                // A call without an answer is asked about again.
                let Some(answer) = round.answer(&event_id) else {
                    self.asked.remove(&event_id);
                    continue;
                };
                match verdict(answer, None) {
                    Some(verdict) => decisions.push(Decision { event_id, verdict }),
                    None => {
                        self.unanswered.insert(event_id);
                    }
                }
            }
            let decided = match decisions.is_empty() {
                true => None,
                false => {
                    self.decide(&session, question.as_deref(), &decisions)
                        .await?
                }
            };
            if let Some(report) = &decided {
                let notes = report.notes.iter();
                let told = notes.map(|note| (report.session_id.clone(), note.clone()));
                self.notes.extend(told);
            }
            let report = match decided {
                Some(report) => Ok(report),
                None => self.look(&session, question.as_deref()).await,
            };
            match report {
                Ok(report) => reports.push(report),
                // How it stands the call finds out itself.
                Err(_) if self.decides_at_once => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        if let Some(report) = reports.first_mut() {
            report.notes.splice(..0, asked.notes);
        }
        Ok(Some(reports))
    }

    /// How a session stands, or the turn that the call is about once it is over.
    async fn look(&self, session: &Id, question: Option<&str>) -> Result<Report, Failure> {
        let bridge = &self.server.bridge;
        let question = question.filter(|_| self.is_of_turn);
        match question.and_then(|id| Id::parse(id).ok()) {
            Some(question) => {
                let (patience, attention) = (self.patience, self.attention);
                bridge
                    .turn_of(session, Some(&question), patience, attention)
                    .await
            }
            None => bridge.look_at(session, self.patience).await,
        }
    }

    pub(super) async fn input_required(
        &self,
        round: &Round,
        reports: &[Report],
    ) -> Result<Option<InputRequiredResult>, Failure> {
        let mut requests = BTreeMap::new();
        let mut asked = AskedAbout {
            rounds: self.rounds + 1,
            unanswered: self.unanswered.iter().cloned().collect(),
            ..AskedAbout::default()
        };
        for report in reports {
            let mut events = Vec::new();
            for pending in self.questions(report) {
                let request = ElicitRequest::new(form(report, pending));
                requests.insert(pending.event_id.clone(), InputRequest::Elicitation(request));
                events.push(pending.event_id.clone());
            }
            if !events.is_empty() {
                let question = report.question.as_ref();
                let question = question.map(|asked| asked.event_id.clone());
                let session = AskedSession { question, events };
                asked.sessions.insert(report.session_id.clone(), session);
                asked.notes.extend(report.notes.iter().cloned());
            }
        }
        // Clients give up on a call that asks without end; its report says how to go on.
        if requests.is_empty() || self.rounds >= MOST_ROUNDS {
            return Ok(None);
        }
        let key = self
            .server
            .bridge
            .sealing_key(self.patience)
            .await
            .map_err(Failure::while_trying("ask the user"))?;
        let state = sealed::seal(&key, &asked, round);
        Ok(state.map(|state| InputRequiredResult::new(Some(requests), Some(state))))
    }
}

/// Why a round could not be continued.
pub(in crate::server) enum ContinueError {
    /// The state is not one that this server sealed for this call.
    State(String),
    /// What was decided could not be carried out.
    Failed(Failure),
}

impl From<Failure> for ContinueError {
    fn from(failure: Failure) -> ContinueError {
        ContinueError::Failed(failure)
    }
}

impl From<crate::api::Error> for ContinueError {
    fn from(error: crate::api::Error) -> ContinueError {
        ContinueError::Failed(Failure::while_trying("read the request state")(error))
    }
}

impl From<ContinueError> for ToolError {
    fn from(error: ContinueError) -> ToolError {
        match error {
            ContinueError::State(why) => ToolError::State(why),
            ContinueError::Failed(failure) => failure.into(),
        }
    }
}
