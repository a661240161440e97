//! Asking the user about what an agent waits for, in a dialog of the host: elicitation where there was a handshake, and on
//! 2026-07-28 a result that asks for input, after which the client makes the same call again.
//!
//! Nothing is ever decided without an answer: whatever else a host returns leaves the call pending.

pub(super) mod dialog;
mod open;
mod rounds;
mod sealed;

use std::collections::HashSet;

use rmcp::RoleServer;
use rmcp::model::{InputRequiredResult, ProtocolVersion};
use rmcp::service::{ElicitationMode, RequestContext};
use tokio::time::{Duration, Instant};

use super::present::ToolError;
use super::{Server, audit};
use crate::api::Id;
use crate::bridge::{self, Attention, Decider, Decision, Failure, Patience, Until};
use crate::config::{Approvals, Config};
use crate::session::clean::clean_line;
use crate::session::report::{Pending, PendingKind, Report};
use crate::session::turn::State;
use dialog::form;
pub(super) use rounds::ContinueError;
pub(super) use sealed::Round;

/// A dialog that is open for a shorter time helps nobody, unless the whole call is short.
const SHORTEST_DIALOG: Duration = Duration::from_secs(8);

/// How this client's user can be asked in this call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Not at all.
    None,
    /// Not at all, since the host shows no dialogs.
    Unable,
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
    /// The call is about one turn, whatever comes after it.
    is_of_turn: bool,
    /// Several sessions were asked about.
    decides_at_once: bool,
    /// An answer was sent since it was waited last, by us or by somebody else.
    has_decided: bool,
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
            is_of_turn: false,
            decides_at_once: false,
            has_decided: false,
            notes: Vec::new(),
        }
    }

    /// The same in a call that returns the answer to one question.
    pub(super) fn of_turn(
        server: &'a Server,
        context: &'a RequestContext<RoleServer>,
        patience: &'a Patience,
        attention: &'a Attention,
    ) -> User<'a> {
        User {
            is_of_turn: true,
            ..User::new(server, context, patience, attention)
        }
    }

    /// Asks about what these sessions wait for, and returns how they stand after the answers.
    pub(super) async fn ask(
        &mut self,
        round: &Round,
        mut reports: Vec<Report>,
    ) -> Result<Asked<Vec<Report>>, Failure> {
        match self.way {
            Way::None | Way::Unable => {}
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
            let event_id = pending.event_id.clone();
            // One dialog about one thing is enough for a call, whatever comes of it.
            self.asked.insert(event_id.clone());
            let answered = tokio::select! {
                answered = open::dialog(&self.context.peer, form, left) => answered,
                // Somebody else decided, or stopped the turn: there is nothing to ask any more.
                () = self.server.bridge.until_answered(&session, &event_id, self.patience.deadline) => {
                    self.has_decided = true;
                    self.refresh(report).await;
                    continue;
                }
            };
            let answer = answered.and_then(|answer| dialog::read(&answer, pending.kind));
            let Some(verdict) = answer else {
                self.unanswered.insert(event_id);
                // Somebody else may have decided while the dialog was open.
                self.refresh(report).await;
                continue;
            };
            let question = report.question.as_ref().map(|asked| asked.event_id.clone());
            let decision = Decision { event_id, verdict };
            let decided = self
                .decide(&session, question.as_deref(), &[decision])
                .await?;
            match decided {
                Some(fresh) => renew(report, fresh),
                None => self.refresh(report).await,
            }
        }
        Ok(())
    }

    /// Looks again at a session: while a dialog was open, things went on.
    async fn refresh(&self, report: &mut Report) {
        let (before, bridge) = (report.clone(), &self.server.bridge);
        let question = report.question.as_ref().filter(|_| self.is_of_turn);
        let question = question.and_then(|asked| Id::parse(&asked.event_id).ok());
        let fresh = bridge.look_again(before, question.as_ref(), self.patience, self.attention);
        renew(report, fresh.await);
    }

    /// Sends what the user decided, and waits for what comes of it. `None` where it was not sent, which the notes tell.
    async fn decide(
        &mut self,
        session: &Id,
        question: Option<&str>,
        decisions: &[Decision],
    ) -> Result<Option<Report>, Failure> {
        let bridge = &self.server.bridge;
        let mut patience = self.patience.clone();
        if self.decides_at_once {
            patience.until = Instant::now();
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
        audit::decided(bridge.config().audit, session, decisions, &sent);
        match sent {
            Ok(report) => {
                self.has_decided = true;
                Ok(Some(report))
            }
            // Somebody else was faster, on the session's page perhaps; or one of several sessions is gone.
            Err(failure) if self.decides_at_once || matches!(failure, Failure::Argument { .. }) => {
                self.notes.push((session.to_string(), unsent(failure)));
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Whether answers were just sent without waiting for what comes of them, so that there is more to wait for.
    pub(super) fn takes_up_the_wait(&mut self, asked: &Asked<Vec<Report>>, until: Until) -> bool {
        let has_decided = std::mem::take(&mut self.has_decided);
        let Asked::Not(reports) = asked else {
            return false;
        };
        let works = |report: &Report| report.state == State::Working;
        let is_open = match until {
            Until::Any => reports.iter().all(works),
            Until::All => reports.iter().any(works),
        };
        let has_time = Instant::now() < self.patience.until;
        has_decided && is_open && has_time
    }

    /// What became of answers about a session that has no report.
    pub(super) fn notes_of(&self, session: &Id) -> impl Iterator<Item = &str> {
        let notes = self.notes.iter();
        notes
            .filter(move |(id, _)| id == session.as_str())
            .map(|(_, note)| note.as_str())
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
        let config = self.server.bridge.config();
        match self.way {
            Way::None => {}
            Way::Unable => explain_no_dialogs(report, config),
            _ => explain(report, config, |event_id| {
                self.unanswered.contains(event_id)
            }),
        }
    }
}

/// Says of a report what became of the questions to the user, and how the user can be asked again.
pub(super) fn explain(report: &mut Report, config: &Config, is_unanswered: impl Fn(&str) -> bool) {
    if report.state != State::NeedsAction {
        return;
    }
    let (approvals, longest) = (config.approvals, config.max_wait.as_secs());
    let is_confirmation = |pending: &&Pending| pending.kind == PendingKind::ToolConfirmation;
    let open = report.pending.iter();
    let open = open.filter(|pending| is_unanswered(&pending.event_id));
    let (calls, results): (Vec<_>, Vec<_>) = open.partition(is_confirmation);
    let notes = [
        (!calls.is_empty()).then(|| {
            format!(
                "the user was asked about {} of the pending calls and gave no answer, or the host answered by \
                 itself: nothing was sent, and it is neither allowed nor denied",
                calls.len()
            )
        }),
        (!results.is_empty()).then(|| {
            format!(
                "the user was asked for {} of the pending results and gave none: you may return it with resolve_action",
                results.len()
            )
        }),
    ];
    let asks = report
        .pending
        .iter()
        .any(|pending| is_confirmation(&pending) && dialog::fits(pending));
    let was_asked = notes.iter().any(Option::is_some);
    report.notes.extend(notes.into_iter().flatten());
    if asks {
        let again = format!(
            "get_status with session_ids [\"{}\"] and wait_seconds {longest} asks the user in a dialog",
            report.session_id
        );
        report.next = match (approvals, was_asked) {
            (Approvals::Human, false) if report.simulated => format!("{again}."),
            (Approvals::Human, true) if report.simulated => {
                format!("ask the user in your own words. Once the user is ready, {again}.")
            }
            (Approvals::Human, false) => format!(
                "{again}. Or the user decides on the session's page, {}.",
                report.url
            ),
            // Whoever has just left a dialog wants no second one at once.
            (Approvals::Human, true) => format!(
                "ask the user in your own words. Once the user is ready, {again}, or the session's page does, {}.",
                report.url
            ),
            (_, false) => format!("{again}. Or {}", report.next),
            (_, true) => format!("{} Or, once the user is ready, {again}.", report.next),
        };
        if approvals == Approvals::Human {
            report.next.push_str(&bridge::unseen(report));
        }
    }
}

/// Where only a person may allow, says how that is possible with a host that shows no dialogs.
fn explain_no_dialogs(report: &mut Report, config: &Config) {
    let is_confirmation = |pending: &Pending| pending.kind == PendingKind::ToolConfirmation;
    let waits = report.state == State::NeedsAction && report.pending.iter().any(is_confirmation);
    if !waits || config.approvals != Approvals::Human {
        return;
    }
    let place = match report.simulated {
        true => {
            "a simulated session has no page to do it on: that takes a host with dialogs".to_owned()
        }
        false => format!(
            "ask the user to decide on the session's page, {}",
            report.url
        ),
    };
    report.next = format!(
        "Only a person may allow, and this host shows no dialogs: {place}. resolve_action can only deny, or return the result of a \
         tool.{}",
        bridge::unseen(report)
    );
}

/// A newer report in the place of an older one, whose notes were not told yet.
fn renew(report: &mut Report, fresh: Report) {
    let notes = std::mem::take(&mut report.notes);
    *report = fresh;
    for note in notes.into_iter().rev() {
        if !report.notes.contains(&note) {
            report.notes.insert(0, note);
        }
    }
}

/// What a person is told whose answer failed, on one line.
fn unsent(failure: Failure) -> String {
    if let Failure::DeliveryUnknown { next, .. } = failure {
        return format!("it is not known whether the user's answer arrived: {next}");
    }
    let why = ToolError::from(failure).to_string();
    let what = why.lines().next().unwrap_or_default();
    clean_line(&format!("the user's answer was not sent: {what}"))
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
            Way::Unable
        };
    }
    if context
        .peer
        .supported_elicitation_modes()
        .contains(&ElicitationMode::Form)
    {
        Way::Elicitation
    } else {
        Way::Unable
    }
}
