//! Each pending call is answered once: of two answers at the same time one is sent, and the other caller is told which.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::answer::{Decision, Verdict};
use super::follow::Follow;
use super::locks::lock;
use super::newest::Mark;
use super::{Bridge, Failure, Patience};
use crate::api::Id;
use crate::api::events::Event;
use crate::session::turn::Asked;

/// Decisions that are remembered; the record holds all.
const MOST: usize = 1000;

/// The times of a call and of its answer may be of clocks that differ by so much.
const CLOCKS_APART: TimeDelta = TimeDelta::minutes(5);

/// What the calls of this process decided, by session and event.
#[derive(Default)]
pub(super) struct Claims {
    decided: Mutex<HashMap<(String, String), Claimed>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claimed {
    decision: Word,
    progress: Progress,
}

/// What a confirmation says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Allow,
    Deny,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    OnItsWay,
    Sent,
}

/// What an answer that was made against another one does to the others of its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opposed {
    /// None of them is sent.
    StopsAll,
    /// It is left out.
    IsLeftOut,
}

/// What became of the answers of one call.
pub(super) struct Answered {
    pub(super) asked: Asked,
    /// Ids of events that had this answer already.
    pub(super) repeated: Vec<String>,
    /// Why others were not sent.
    pub(super) unsent: Vec<Failure>,
}

impl Word {
    fn of(answer: &Value) -> Option<Word> {
        Word::read(answer.get("result").and_then(Value::as_str))
    }

    fn read(result: Option<&str>) -> Option<Word> {
        match result {
            Some("allow") => Some(Word::Allow),
            Some("deny") => Some(Word::Deny),
            _ => None,
        }
    }

    fn of_decision(decision: &Decision) -> Option<Word> {
        match decision.verdict {
            Verdict::Allow => Some(Word::Allow),
            Verdict::Deny(_) => Some(Word::Deny),
            Verdict::Result { .. } => None,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Word::Allow => "allow",
            Word::Deny => "deny",
        }
    }

    /// Says that the opposite of this was decided.
    fn too_late(self, event_id: &str, how: &str) -> Failure {
        let (was, next) = match self {
            Word::Allow => ("denied", "send_message can ask the agent to try again."),
            Word::Deny => (
                "allowed",
                "interrupt_session stops the turn if it still runs; what was run cannot be undone.",
            ),
        };
        let how = how.replace("{}", was);
        Failure::argument(
            format!("{event_id} {how}; your `{}` was not sent.", self.text()),
            next,
        )
    }
}

impl Claims {
    /// The failure of an answer against which another call of this process decided.
    fn opposed(&self, session: &Id, event_id: &str, wanted: Option<Word>) -> Option<Failure> {
        let wanted = wanted?;
        let key = (session.to_string(), event_id.to_owned());
        let claimed = self.decided().get(&key).copied();
        let claimed = claimed.filter(|claimed| claimed.decision != wanted)?;
        let how = match claimed.progress {
            Progress::OnItsWay => "is just being {} by another call",
            Progress::Sent => "was already {} by another call",
        };
        Some(wanted.too_late(event_id, how))
    }

    fn note(&self, session: &Id, answers: &[Value], progress: Progress) {
        let mut decided = self.decided();
        if decided.len() >= MOST {
            decided.clear();
        }
        for answer in answers {
            if let Some(decision) = Word::of(answer) {
                let key = (session.to_string(), answered_id(answer));
                decided.insert(key, Claimed { decision, progress });
            }
        }
    }

    fn forget(&self, session: &Id, event_ids: &[String]) {
        let mut decided = self.decided();
        for id in event_ids {
            decided.remove(&(session.to_string(), id.clone()));
        }
    }

    fn decided(&self) -> MutexGuard<'_, HashMap<(String, String), Claimed>> {
        lock(&self.decided)
    }
}

/// No answer to one of these calls is older.
fn asked_at(answers: &[Value], follow: &Follow) -> Option<DateTime<Utc>> {
    let calls = answers.iter().map(|answer| {
        let call = follow.history.get(&answered_id(answer))?;
        call.at.map(|at| at - CLOCKS_APART)
    });
    calls.collect::<Option<Vec<_>>>()?.into_iter().min()
}

/// Events that this call answers and no other; given back unless they are kept.
struct Claim<'a> {
    bridge: &'a Bridge,
    session: &'a Id,
    ids: Vec<String>,
}

impl Claim<'_> {
    /// Gives some of them back.
    fn give_back(&mut self, ids: &[String]) {
        self.ids.retain(|id| !ids.contains(id));
        self.bridge.give_back(self.session, ids);
    }

    /// They have their answers.
    fn keep(mut self) {
        self.ids.clear();
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.bridge.give_back(self.session, &self.ids);
    }
}

impl Bridge {
    /// Sends answers. Those that another call is just sending, or that the record holds by now, are left out.
    pub(super) async fn answer_once(
        &self,
        answers: Vec<Value>,
        opposed: Opposed,
        follow: &Follow,
        patience: &Patience,
    ) -> Result<Answered, Failure> {
        let (session, doing) = (&follow.id, "resolve the action");
        let (mut claim, answers, mut answered) = self.claim(session, answers, opposed)?;
        if answers.is_empty() {
            return Ok(answered);
        }
        // Another process may have been faster than our last look.
        let asked_at = asked_at(&answers, follow);
        let is_known = |mark: &Mark| {
            let is_older = |asked| mark.at.is_some_and(|at| at < asked);
            follow.history.is_settled(&mark.id) || asked_at.is_some_and(is_older)
        };
        let parcel = self.parcel(session, answers, doing, is_known, patience.deadline);
        let mut parcel = parcel.await?;
        let (before, mut late, mut lost) = (&parcel.before, Vec::new(), Vec::new());
        parcel.events.retain(|answer| {
            let Some(recorded) = before.answer_to(&answered_id(answer)) else {
                return true;
            };
            let recorded = Word::read(recorded.result.as_deref());
            match Word::of(answer).filter(|wanted| recorded != Some(*wanted)) {
                Some(wanted) => {
                    late.push(wanted.too_late(&answered_id(answer), "was already {}"));
                    lost.push(answered_id(answer));
                }
                None => answered.repeated.push(answered_id(answer)),
            }
            false
        });
        if let (Opposed::StopsAll, Some(_)) = (opposed, late.first()) {
            return Err(late.remove(0));
        }
        answered.unsent.append(&mut late);
        claim.give_back(&lost);
        let sent_events = parcel.events.clone();
        if !sent_events.is_empty() {
            // Who is cancelled here may have sent them or not: whoever comes next looks at the record first.
            let sent = parcel.send().await?;
            self.claims.note(session, &sent_events, Progress::Sent);
            answered.asked = self
                .memory
                .update(session, |asked| asked.answers = sent.ids);
        }
        claim.keep();
        Ok(answered)
    }

    /// Takes what no other call has taken; one answer against another one is a failure.
    fn claim<'a>(
        &'a self,
        session: &'a Id,
        mut answers: Vec<Value>,
        opposed: Opposed,
    ) -> Result<(Claim<'a>, Vec<Value>, Answered), Failure> {
        let (mut ids, mut repeated, mut unsent) = (Vec::new(), Vec::new(), Vec::new());
        let asked = self.memory.update(session, |asked| {
            answers.retain(|answer| {
                let failure = self
                    .claims
                    .opposed(session, &answered_id(answer), Word::of(answer));
                let is_free = failure.is_none();
                unsent.extend(failure);
                is_free
            });
            if opposed == Opposed::StopsAll && !unsent.is_empty() {
                return;
            }
            answers.retain(|answer| {
                let id = answered_id(answer);
                let is_new = asked.answered.insert(id.clone());
                if is_new {
                    ids.push(id);
                } else {
                    repeated.push(id);
                }
                is_new
            });
            self.claims.note(session, &answers, Progress::OnItsWay);
        });
        if let (Opposed::StopsAll, Some(_)) = (opposed, unsent.first()) {
            return Err(unsent.remove(0));
        }
        let claim = Claim {
            bridge: self,
            session,
            ids,
        };
        let answered = Answered {
            asked,
            repeated,
            unsent,
        };
        Ok((claim, answers, answered))
    }

    fn give_back(&self, session: &Id, ids: &[String]) {
        if ids.is_empty() {
            return;
        }
        self.claims.forget(session, ids);
        self.memory.update(session, |asked| {
            asked.answered.retain(|id| !ids.contains(id))
        });
    }

    /// The failure of a decision that comes too late: the record holds the opposite, or another call decided so.
    pub(super) fn contradicted(&self, follow: &Follow, decision: &Decision) -> Option<Failure> {
        let wanted = Word::of_decision(decision);
        let id = decision.event_id.as_str();
        let is_opposite = |event: &Event| {
            event.kind == "user.tool_confirmation"
                && event.answers().as_deref() == Some(id)
                && Word::of(&event.value()).is_some_and(|word| Some(word) != wanted)
        };
        let known = self.claims.opposed(&follow.id, id, wanted);
        known.or_else(|| {
            let wanted = wanted.filter(|_| follow.history.events().any(is_opposite))?;
            Some(wanted.too_late(id, "was already {}"))
        })
    }
}

/// The event that an answer is for.
pub(super) fn answered_id(answer: &Value) -> String {
    let id = answer
        .get("tool_use_id")
        .or_else(|| answer.get("custom_tool_use_id"));
    id.and_then(Value::as_str).unwrap_or_default().to_owned()
}
