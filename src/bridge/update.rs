//! Changes to a session that start no work of their own.

use serde_json::{Map, Value, json};
use tokio::time::{Duration, Instant};

use super::follow::Follow;
use super::once::{Second, Write};
use super::{Attention, Bridge, Failure, Patience};
use crate::api::sessions::{Session, budget};
use crate::api::{Client, Id, with};
use crate::session::report::Report;
use crate::session::turn::State;

/// A change may take so long, with the looks before and after it.
const CHANGING: Duration = Duration::from_secs(10);

/// And the look at what came of it.
const READING: Duration = Duration::from_secs(3);

/// What to change of a session.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// A new title.
    pub title: Option<String>,
    /// Pairs to set; null deletes one.
    pub metadata: Option<Map<String, Value>>,
    /// A new ceiling in cents.
    pub budget_cents: Option<u64>,
    /// No ceiling any more; this cannot be taken back.
    pub remove_budget: bool,
}

impl Bridge {
    /// Changes title, metadata or budget. A raised budget sets a paused session to work again.
    pub async fn update(&self, id: &Id, changes: Changes) -> Result<Report, Failure> {
        let doing = "update the session";
        let now = Instant::now();
        let patience = Patience {
            until: now,
            deadline: now + CHANGING,
            note: None,
        };
        let mut follow = Follow::new(&self.api, patience.deadline, id, self.memory.recall(id));
        follow.look().await.map_err(Failure::while_trying(doing))?;
        let resumes = changes.frees_budget() && follow.turn().state == State::BudgetReached;
        let next = format!(
            "get_status with session_ids [\"{id}\"] shows its title and budget; make the same call again if they are not as \
             wanted."
        );
        let (body, wanted) = (&changes.body(), &changes);
        let send =
            |api: Client| async move { api.update_session(id, body.clone()).await.map(|_| ()) };
        let look = |api: Client| async move {
            let session = api.get_session(id).await?;
            Ok(wanted.are_made(&session).then_some(()))
        };
        Write::new(doing, Second::ChangesNothing, next)
            .once(&self.api, patience.deadline, send, look)
            .await?;
        if resumes {
            // The pause is over, though the record does not say so yet.
            let pause = follow.history.newest_status();
            let pause = pause.map(|event| event.id.clone());
            self.memory.update(id, |asked| asked.stale_status = pause);
        }
        let reading = Patience {
            deadline: Instant::now() + READING,
            ..patience
        };
        match self.stand(id, &reading, &Attention::none()).await {
            // What is changed is changed: losing sight of it must not look like a failure to change it.
            Err(Failure::Api { error, .. }) if !error.is_final() => {
                let note = format!(
                    "It was changed, but the session could not be read since, and is shown as it was before: {error}"
                );
                Ok(self.conclude(id, &follow, vec![note]))
            }
            report => report,
        }
    }
}

impl Changes {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.title.is_none()
            && self.metadata.is_none()
            && self.budget_cents.is_none()
            && !self.remove_budget
    }

    fn frees_budget(&self) -> bool {
        self.budget_cents.is_some() || self.remove_budget
    }

    fn body(&self) -> Value {
        let budget = self
            .budget_cents
            .map(budget)
            .or(self.remove_budget.then_some(Value::Null));
        let body = with(json!({}), "title", self.title.clone());
        let body = with(body, "metadata", self.metadata.clone());
        with(body, "budget", budget)
    }

    /// Whether a session is as wanted.
    fn are_made(&self, session: &Session) -> bool {
        let title = session.title.as_deref().unwrap_or_default();
        let pairs = self.metadata.iter().flatten();
        let ceiling = session.budget.as_ref();
        let cents = ceiling.and_then(|budget| budget.max_list_cost.dollars());
        let is_ceiling = |cents: Option<f64>, wanted: u64| {
            cents.is_some_and(|dollars| (dollars * 100.0).round() as u64 == wanted)
        };
        self.title.as_deref().is_none_or(|wanted| wanted == title)
            && pairs
                .into_iter()
                .all(|(key, value)| match (value, session.metadata.get(key)) {
                    (Value::Null, held) => held.is_none(),
                    (wanted, held) => wanted.as_str() == held.map(String::as_str),
                })
            && self
                .budget_cents
                .is_none_or(|wanted| is_ceiling(cents, wanted))
            && (!self.remove_budget || ceiling.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_made_when_everything_is_as_wanted() {
        let session: Session = serde_json::from_value(json!({
            "title": "a", "metadata": {"kept": "1"}, "budget": budget(250),
        }))
        .unwrap();
        let of = |value: Value| value.as_object().cloned();
        let title = |title: &str| Some(title.to_owned());
        let made = |changes: Changes| changes.are_made(&session);
        assert!(made(Changes {
            title: title("a"),
            metadata: of(json!({"kept": "1", "gone": null})),
            budget_cents: Some(250),
            remove_budget: false,
        }));
        for odd in [
            Changes {
                title: title("b"),
                ..Changes::default()
            },
            Changes {
                metadata: of(json!({"kept": null})),
                ..Changes::default()
            },
            Changes {
                metadata: of(json!({"more": "1"})),
                ..Changes::default()
            },
            Changes {
                budget_cents: Some(251),
                ..Changes::default()
            },
            Changes {
                remove_budget: true,
                ..Changes::default()
            },
        ] {
            assert!(!made(odd.clone()), "{odd:?}");
        }
    }
}
