//! What a user who types an argument may mean: the newest sessions, and agents and environments by name. A suggestion
//! is worth little time: what is not there by then is left out, and no failure is told.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Bridge;
use super::locks::lock;
use crate::api::agents::AgentFilter;
use crate::api::sessions::SessionFilter;
use crate::api::{Client, Error, Id};
use crate::session::clean::clean_line;
use crate::session::report::cut;

/// Most values of one answer.
const MOST: usize = 100;
/// Pages of 100 that are read at most.
const PAGES: usize = 5;
/// So many are kept of them, of so many characters at most: no argument takes a longer name.
const MOST_KEPT: usize = 2000;
const LONGEST: usize = 300;
/// So long what was read serves the next letter that is typed.
const FRESH: Duration = Duration::from_secs(3);

/// What an argument names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A session by its id; found by the start of the id or by part of the title.
    Session,
    /// An agent by its name.
    Agent,
    /// An environment by its name.
    Environment,
}

/// Values for an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestions {
    /// At most 100.
    pub values: Vec<String>,
    /// How many there are in all, where that is known.
    pub total: Option<usize>,
    /// There are others, or may be.
    pub more: bool,
}

/// What was read a moment ago.
#[derive(Default)]
pub(super) struct Recent(Mutex<HashMap<Subject, (Instant, Arc<Known>)>>);

#[derive(Default)]
struct Known {
    candidates: Vec<Candidate>,
    complete: bool,
}

struct Candidate {
    /// What is put in.
    value: String,
    /// What is searched, in lower case: a name or a title.
    words: String,
}

/// A page of candidates and the token of the next one.
type Page = (Vec<Candidate>, Option<String>);

impl Bridge {
    /// Values that fit what was typed so far; `None` where they cannot be had in time.
    pub async fn suggest(
        &self,
        subject: Subject,
        typed: &str,
        within: Duration,
    ) -> Option<Suggestions> {
        // Typing is no reason to run the command that fetches the key.
        if !self.api.has_key_at_hand() {
            return None;
        }
        let known = self.known(subject, Instant::now() + within).await?;
        Some(chosen(subject, &known, &typed.trim().to_lowercase()))
    }

    async fn known(&self, subject: Subject, deadline: Instant) -> Option<Arc<Known>> {
        let recent = || lock(&self.recent.0);
        if let Some((at, known)) = recent().get(&subject)
            && at.elapsed() < FRESH
        {
            return Some(Arc::clone(known));
        }
        let (api, mut known) = (self.api.until(deadline), Known::default());
        let outcome = timeout_at(deadline, self.fill(subject, &api, &mut known)).await;
        let is_answered = matches!(outcome, Ok(Ok(()))) || !known.candidates.is_empty();
        let known = is_answered.then(|| Arc::new(known))?;
        recent().insert(subject, (Instant::now(), Arc::clone(&known)));
        Some(known)
    }

    /// Reads pages; those that were read stay when a later one fails.
    async fn fill(&self, subject: Subject, api: &Client, known: &mut Known) -> Result<(), Error> {
        let mut token = None;
        for _ in 0..PAGES {
            let (candidates, next) = match subject {
                Subject::Session => sessions(api, token).await?,
                Subject::Agent => self.agents(api, token).await?,
                Subject::Environment => self.environments(api, token).await?,
            };
            let room = MOST_KEPT - known.candidates.len();
            let is_cut = candidates.len() > room;
            known.candidates.extend(candidates.into_iter().take(room));
            known.complete = next.is_none() && !is_cut;
            if next.is_none() || is_cut {
                break;
            }
            token = next;
        }
        Ok(())
    }

    async fn agents(&self, api: &Client, page: Option<String>) -> Result<Page, Error> {
        let filter = AgentFilter {
            limit: Some(100),
            page,
            ..AgentFilter::default()
        };
        let page = api.list_agents(&filter).await?;
        let open = page.data.iter().filter(|agent| agent.archived_at.is_none());
        let allowed = &self.config.allow_agents;
        let named = open.filter_map(|agent| named(&agent.id, &agent.name, allowed));
        Ok((named.collect(), page.next_page))
    }

    async fn environments(&self, api: &Client, page: Option<String>) -> Result<Page, Error> {
        let page = api.list_environments(Some(100), page.as_deref()).await?;
        let open = page.data.iter().filter(|one| one.archived_at.is_none());
        let allowed = &self.config.allow_environments;
        let named = open.filter_map(|one| named(&one.id, &one.name, allowed));
        Ok((named.collect(), page.next_page))
    }
}

async fn sessions(api: &Client, page: Option<String>) -> Result<Page, Error> {
    let filter = SessionFilter {
        limit: Some(100),
        page,
        ..SessionFilter::default()
    };
    let page = api.list_sessions(&filter).await?;
    let named = page.data.iter().filter(|session| Id::is_id(&session.id));
    let candidates = named.map(|session| Candidate {
        value: session.id.clone(),
        words: cut(session.title.as_deref().unwrap_or_default(), LONGEST).to_lowercase(),
    });
    Ok((candidates.collect(), page.next_page))
}

/// The name, or the id where the name cannot be shown as it is.
fn named(id: &str, name: &str, allowed: &[String]) -> Option<Candidate> {
    let may_be_used = allowed.is_empty() || allowed.iter().any(|one| one == id || one == name);
    let is_short = name.len() <= LONGEST || name.chars().count() <= LONGEST;
    let is_plain = !name.is_empty() && is_short && clean_line(name) == name;
    (may_be_used && (is_plain || Id::is_id(id))).then(|| Candidate {
        value: if is_plain { name } else { id }.to_owned(),
        words: cut(name, LONGEST).to_lowercase(),
    })
}

/// The candidates that fit, in their order; names that begin with what was typed go first.
fn chosen(subject: Subject, known: &Known, typed: &str) -> Suggestions {
    let begins = |candidate: &Candidate| match subject {
        Subject::Session => candidate.value.to_lowercase().starts_with(typed),
        Subject::Agent | Subject::Environment => candidate.words.starts_with(typed),
    };
    let mut seen = HashSet::new();
    let fitting = known.candidates.iter();
    let mut fitting: Vec<&Candidate> = fitting
        .filter(|candidate| begins(candidate) || candidate.words.contains(typed))
        .filter(|candidate| seen.insert(candidate.value.as_str()))
        .collect();
    fitting.sort_by_key(|candidate| !begins(candidate));
    Suggestions {
        total: known.complete.then_some(fitting.len()),
        more: !known.complete || fitting.len() > MOST,
        values: fitting
            .iter()
            .take(MOST)
            .map(|candidate| candidate.value.clone())
            .collect(),
    }
}
