//! Asking the user about what an agent waits for, in a dialog of the host: elicitation where there was a handshake, and on
//! 2026-07-28 a result that asks for input, after which the client makes the same call again.
//!
//! Nothing is ever decided without an answer: whatever else a host returns leaves the call pending.

pub(super) mod dialog;
mod open;
mod sealed;

use std::collections::{BTreeMap, HashSet};

use rmcp::RoleServer;
use rmcp::model::{ElicitRequest, InputRequest, InputRequiredResult, ProtocolVersion};
use rmcp::service::{ElicitationMode, RequestContext};
use tokio::time::{Duration, Instant};

use super::present::ToolError;
use super::{Server, audit};
use crate::api::Id;
use crate::bridge::{Attention, Decider, Decision, Failure, Patience};
use crate::config::Approvals;
use crate::session::report::{Pending, PendingKind, Report};
use crate::session::turn::State;
use dialog::{form, verdict};
pub(super) use sealed::Round;
use sealed::{AskedAbout, AskedSession};

/// A dialog that is open for a shorter time helps nobody, unless the whole call is short.
const SHORTEST_DIALOG: Duration = Duration::from_secs(8);

/// Rounds of asking that one call takes.
const MOST_ROUNDS: u32 = 8;

/// How this client's user can be asked in this call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Not at all.
    None,
    /// By a request of ours, while the call waits.
    Elicitation,
    /// By a result, after which the call comes again.
    InputRequired,
}

/// The user, as far as one call can ask.
pub(super) struct User<'a> {
    server: &'a Server,
    context: &'a RequestContext<RoleServer>,
    patience: &'a Patience,
    attention: &'a Attention,
    way: Way,
    /// Time that a dialog needs at least.
    least: Duration,
    /// Was asked about in this call or in the round before it, and is asked no second time.
    asked: HashSet<String>,
    /// Of these: without an answer.
    unanswered: HashSet<String>,
    /// How often the client was sent to ask.
    rounds: u32,
    /// Several sessions were asked about.
    decides_at_once: bool,
    /// What became of answers, by session, for its report.
    notes: Vec<(String, String)>,
}

/// What a waiting call comes to.
pub(super) enum Asked<T> {
    /// Nothing more is to be asked.
    Not(T),
    /// The client shall ask, and make the call again.
    Input(InputRequiredResult),
}

impl<'a> User<'a> {
    /// Finds out how the user can be asked.
    pub(super) fn new(
        server: &'a Server,
        context: &'a RequestContext<RoleServer>,
        patience: &'a Patience,
        attention: &'a Attention,
    ) -> User<'a> {
        let whole = patience.until.saturating_duration_since(Instant::now());
        User {
            server,
            context,
            patience,
            attention,
            way: way(server, context, whole),
            least: SHORTEST_DIALOG.min(whole / 2),
            asked: HashSet::new(),
            unanswered: HashSet::new(),
            rounds: 0,
            decides_at_once: false,
            notes: Vec::new(),
        }
    }

    /// Asks about what these sessions wait for, and returns how they stand after the answers.
    pub(super) async fn ask(
        &mut self,
        round: &Round,
        mut reports: Vec<Report>,
    ) -> Result<Asked<Vec<Report>>, Failure> {
        match self.way {
            Way::None => {}
            Way::Elicitation => {
                self.decides_at_once = reports.len() > 1;
                let before = self.asked.len();
                for report in &mut reports {
                    self.elicit(report).await?;
                }
                // While one dialog was open, the other sessions went on.
                if reports.len() > 1 && self.asked.len() > before {
                    for report in &mut reports {
                        self.refresh(report).await;
                    }
                }
            }
            Way::InputRequired => {
                if let Some(input) = self.input_required(round, &reports).await? {
                    return Ok(Asked::Input(input));
                }
            }
        }
        for report in &mut reports {
            for (_, note) in self.notes.iter().filter(|(id, _)| *id == report.session_id) {
                if !report.notes.contains(note) {
                    report.notes.push(note.clone());
                }
            }
            self.explain(report);
        }
        Ok(Asked::Not(reports))
    }

    /// The answers of the round before, sent; how the sessions stand now. `None` in a first round.
    pub(super) async fn continued(
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
            let decided = self.decide(&session, question.as_deref(), &decisions).await;
            match decided {
                Ok(report) => {
                    let notes = report
                        .notes
                        .iter()
                        .map(|note| (report.session_id.clone(), note.clone()));
                    self.notes.extend(notes);
                    reports.push(report);
                }
                // A session that is gone takes no answer of another with it; how it stands its own report says.
                Err(failure) if self.decides_at_once => {
                    tracing::info!(%session, ?failure, "the user's answer was not sent");
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        if let Some(report) = reports.first_mut() {
            report.notes.splice(..0, asked.notes);
        }
        Ok(Some(reports))
    }

    /// Asks one after the other; each answer is sent before the next question, so that none is lost.
    async fn elicit(&mut self, report: &mut Report) -> Result<(), Failure> {
        let session = Id::parse(&report.session_id)
            .map_err(|why| Failure::argument(why, "the API returned this session id."))?;
        loop {
            let next = self.questions(report).next().cloned();
            let Some(pending) = next else { break };
            let left = self
                .patience
                .until
                .saturating_duration_since(Instant::now());
            if left < self.least {
                break;
            }
            self.attention
                .tell(format!("asking the user: {}", pending.tool));
            let form = form(report, &pending);
            let answered = open::dialog(&self.context.peer, form, left).await;
            // One dialog about one thing is enough for a call, whatever comes of it.
            let event_id = pending.event_id.clone();
            self.asked.insert(event_id.clone());
            let answer = answered.and_then(|answer| dialog::read(&answer, pending.kind));
            let Some(verdict) = answer else {
                self.unanswered.insert(event_id);
                // Somebody else may have decided while the dialog was open.
                self.refresh(report).await;
                continue;
            };
            let notes = std::mem::take(&mut report.notes);
            let question = report.question.as_ref().map(|asked| asked.event_id.clone());
            let decision = Decision { event_id, verdict };
            *report = self
                .decide(&session, question.as_deref(), &[decision])
                .await?;
            report.notes.splice(..0, notes);
        }
        Ok(())
    }

    /// Looks again at a session; where that fails, the older report stands.
    async fn refresh(&self, report: &mut Report) {
        let Ok(session) = Id::parse(&report.session_id) else {
            return;
        };
        if let Ok(mut fresh) = self.server.bridge.look_at(&session, self.patience).await {
            let notes = std::mem::take(&mut report.notes);
            fresh.notes.splice(..0, notes);
            fresh.notes.dedup();
            *report = fresh;
        }
    }

    /// Sends what the user decided, and waits for what comes of it.
    async fn decide(
        &self,
        session: &Id,
        question: Option<&str>,
        decisions: &[Decision],
    ) -> Result<Report, Failure> {
        let bridge = &self.server.bridge;
        let mut patience = self.patience.clone();
        if self.decides_at_once {
            patience.until = Instant::now();
        }
        if decisions.is_empty() {
            return bridge.look_at(session, self.patience).await;
        }
        let sent = bridge.resolve(
            session,
            decisions,
            Decider::User,
            question,
            &patience,
            self.attention,
        );
        let sent = sent.await;
        if sent.is_ok() {
            audit::decided(bridge.config().audit, session, decisions);
        }
        match sent {
            // Somebody else was faster, on the session's page perhaps.
            Err(Failure::Argument { what, .. }) => {
                let mut report = bridge.look_at(session, self.patience).await?;
                report
                    .notes
                    .push(format!("the user's answer was not sent: {what}"));
                Ok(report)
            }
            sent => sent,
        }
    }

    async fn input_required(
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

    /// What can be asked about.
    fn questions<'r>(&'r self, report: &'r Report) -> impl Iterator<Item = &'r Pending> {
        let waits = report.state == State::NeedsAction;
        report
            .pending
            .iter()
            .filter(move |pending| waits && dialog::fits(pending))
            .filter(|pending| !self.asked.contains(&pending.event_id))
    }

    /// Says what became of the questions, and how the user can be asked again.
    fn explain(&self, report: &mut Report) {
        if self.way == Way::None || report.state != State::NeedsAction {
            return;
        }
        let open = |pending: &&Pending| self.unanswered.contains(&pending.event_id);
        let unanswered = report.pending.iter().filter(open).count();
        if unanswered > 0 {
            report.notes.push(format!(
                "the user was asked about {unanswered} of the pending calls and gave no answer, or the host answered by \
                 itself: nothing was sent, and it is neither allowed nor denied"
            ));
        }
        let asks = report
            .pending
            .iter()
            .any(|pending| pending.kind == PendingKind::ToolConfirmation && dialog::fits(pending));
        if asks {
            let again = format!(
                "get_status with session_ids [\"{}\"] and wait_seconds asks the user in a dialog.",
                report.session_id
            );
            report.next = match self.server.bridge.config().approvals {
                Approvals::Human => format!(
                    "{again} Or the user decides on the session's page, {}.",
                    report.url
                ),
                _ => format!("{again} Or: {}", report.next),
            };
        }
    }
}

/// Why a round could not be continued.
pub(super) enum ContinueError {
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

/// Whether the client of this request can show a form. Without a mode, forms are meant.
pub(super) fn has_forms(context: &RequestContext<RoleServer>) -> bool {
    let declared = context.client_capabilities().unwrap_or_default();
    declared
        .elicitation
        .is_some_and(|modes| modes.form.is_some() || modes.url.is_none())
}

/// Whoever does not wait, or only reads, is not asked.
fn way(server: &Server, context: &RequestContext<RoleServer>, whole: Duration) -> Way {
    let config = server.bridge.config();
    if config.approvals == Approvals::Tool || config.read_only || whole.is_zero() {
        return Way::None;
    }
    let is_modern = context
        .protocol_version()
        .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
    if is_modern {
        return if has_forms(context) {
            Way::InputRequired
        } else {
            Way::None
        };
    }
    if context
        .peer
        .supported_elicitation_modes()
        .contains(&ElicitationMode::Form)
    {
        Way::Elicitation
    } else {
        Way::None
    }
}
