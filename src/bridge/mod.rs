//! What a request means. The only room where order and time matter.
//!
//! Only a watch outlives the call that began it, and every future may be dropped at any await: the record is kept by the
//! API.

pub mod agents;
pub mod catalog;
pub mod failure;
pub mod follow;
pub mod schedules;
pub mod start;

mod agent_update;
mod answer;
mod attachments;
mod back;
mod bookmarks;
mod claims;
mod close;
mod defaults;
mod deliver;
mod deliverables;
mod environments;
mod find;
mod hidden;
mod line;
mod locks;
mod marks;
mod memory;
mod newest;
mod once;
mod progress;
mod read;
mod record;
mod scan;
mod schedule_changes;
mod search;
mod send;
mod sessions;
mod status;
mod suggestions;
mod turns;
mod update;
mod watch;
mod window;

use std::sync::Arc;
use std::time::Duration;

use follow::Follow;
use memory::{Memory, Told};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::{Client, Id};
use crate::config::{Approvals, Config};
use crate::session::clean::clean_line;
use crate::session::queue;
use crate::session::render::call;
use crate::session::report::{self, Asking, Pending, PendingKind, Report, Seen};
use crate::session::turn::{State, Turn};
pub use answer::{Decider, Decision, Verdict};
pub use attachments::Question;
pub use catalog::Listed;
pub use close::{Closed, Ending};
pub use deliverables::{
    Download, Excerpt, Existing, FileRow, Saved, SessionFiles, Unsaved, Uploaded, Wanted,
};
pub use environments::Retired;
pub use failure::Failure;
pub use marks::MARK;
pub use read::{Order, Reading};
pub use sessions::{SessionQuery, SessionRow};
pub use status::{Sessions, Threads, Until};
pub use suggestions::{Subject, Suggestions};
pub use turns::Interrupted;
pub use update::Changes;
pub use watch::Watch;

/// What a call may take beyond its `wait_seconds`: the last look, and a slow line.
const GRACE: Duration = Duration::from_millis(1800);
/// Most of a line of progress; hosts cut soon after.
const PROGRESS_CHARS: usize = 180;

/// The operations behind the tools.
pub struct Bridge {
    config: Arc<Config>,
    api: Client,
    memory: Memory,
    claims: claims::Claims,
    defaults: defaults::Defaults,
    started: start::Started,
    /// Held by whoever is sending a message to a session.
    sending: locks::Locks,
    watched: watch::Places,
    recent: suggestions::Recent,
    bookmarks: bookmarks::Bookmarks,
}

/// How long a call waits, and when it must have ended.
#[derive(Debug, Clone)]
pub struct Patience {
    /// The waiting ends here.
    pub until: Instant,
    /// The call ends here, with whatever is known.
    pub deadline: Instant,
    /// What to tell the caller about it.
    pub note: Option<String>,
}

/// The caller's end of a wait: told what happens, and able to cut the wait short.
#[derive(Clone)]
pub struct Attention {
    /// The newest line of progress.
    pub progress: tokio::sync::watch::Sender<String>,
    /// Once cancelled, the wait ends with what is known.
    pub stop: CancellationToken,
}

impl Attention {
    /// Nobody listens.
    pub fn none() -> Attention {
        Attention {
            progress: tokio::sync::watch::Sender::default(),
            stop: CancellationToken::new(),
        }
    }

    /// Says what happens.
    pub fn tell(&self, line: String) {
        let line = report::cut(&clean_line(&line), PROGRESS_CHARS);
        self.progress.send_if_modified(|told| {
            let news = *told != line;
            *told = line;
            news
        });
    }
}

impl Bridge {
    /// Builds no connection: that waits for the first call.
    pub fn new(config: Arc<Config>) -> Bridge {
        let api = Client::new(Arc::clone(&config));
        Bridge {
            config,
            api,
            memory: Memory::default(),
            claims: claims::Claims::default(),
            defaults: defaults::Defaults::default(),
            started: start::Started::default(),
            sending: locks::Locks::default(),
            watched: watch::Places::default(),
            recent: suggestions::Recent::default(),
            bookmarks: bookmarks::Bookmarks::default(),
        }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A secret that every process with the same API key shares and nobody else can know.
    pub async fn sealing_key(&self, patience: &Patience) -> Result<Vec<u8>, crate::api::Error> {
        self.api
            .until(patience.deadline)
            .derived_key("managed-agents-mcp request state")
            .await
    }

    /// The client of a call that does not wait: it ends within the longest wait, however many requests it takes.
    fn api_in_time(&self) -> Client {
        self.api.until(Instant::now() + self.config.max_wait)
    }

    /// The patience of a call that waits for nothing, but has the time to do its work.
    pub fn unhurried(&self) -> Patience {
        let now = Instant::now();
        Patience {
            until: now,
            deadline: now + self.config.max_wait,
            note: None,
        }
    }

    /// The patience of a call that was asked to wait so long; `None` means the configured default.
    pub fn patience(&self, wait_seconds: Option<u64>) -> Patience {
        let longest = self.config.max_wait;
        let asked = wait_seconds.map_or(self.config.wait, Duration::from_secs);
        let note = (asked > longest).then(|| {
            format!(
                "wait_seconds was cut to {} s, the longest wait of this server",
                longest.as_secs()
            )
        });
        let now = Instant::now();
        let until = now + asked.min(longest);
        Patience {
            until,
            deadline: until + GRACE,
            note,
        }
    }

    /// The report of what was followed, with what only the bridge knows.
    fn conclude(&self, session: &Id, follow: &Follow, notes: Vec<String>) -> Report {
        let turn = follow.turn();
        if follow.asked.behind {
            self.memory.update(session, |asked| {
                asked.behind |= asked.question == follow.asked.question;
            });
        }
        // Once the list shows the whole turn, the record says by itself how the session stands.
        if turn.is_over()
            && turn.settled
            && turn.state != State::NeedsAction
            && follow.shows_question()
        {
            self.memory.settle(session, &follow.asked);
        }
        let mut report = follow.report();
        if let (None, Some(event_id)) = (&report.question, &follow.asked.question) {
            report.question = Some(Asking {
                event_id: event_id.clone(),
                at: None,
                interrupted: false,
            });
        }
        // Of what could not be read nobody can say that nothing is at work.
        if report.state == State::Ready && follow.listed_at.is_none() {
            report.state = State::Working;
        }
        report.simulated = self.config.is_simulated();
        report.next = next(&report, &self.config);
        let told = Told {
            state: Some(report.state),
            cursor: report.cursor.clone(),
        };
        self.memory.tell(session, told);
        report.notes.extend(notes);
        let question = report.question.as_ref();
        let is_queued = question.is_some_and(|question| question.at.is_none());
        report
            .notes
            .extend(behind(session, follow, &turn, is_queued));
        report
    }
}

/// What is said of a message that was sent while another turn ran.
fn behind(session: &Id, follow: &Follow, turn: &Turn, is_queued: bool) -> Option<String> {
    let is_behind = queue::is_behind(&follow.history, &follow.asked);
    let note = match turn.state {
        State::Terminated if is_queued => return None,
        State::NeedsAction if is_behind || follow.asked.just_sent && is_queued => {
            "a message still queued is read once everything pending is answered; it allowed nothing and must not be sent again"
        }
        State::BudgetReached if is_behind => "the message is queued until the budget is raised",
        _ if is_behind => "the message is queued behind the turn that runs, which ends first",
        _ if follow.asked.behind => return reply_before(session, follow, turn),
        _ => return None,
    };
    Some(note.to_owned())
}

fn reply_before(session: &Id, follow: &Follow, turn: &Turn) -> Option<String> {
    let reply = queue::reply_before(&follow.history, turn)?;
    Some(format!(
        "the message waited for another turn, whose reply is not shown here: {}",
        call(session.as_str(), &reply.id, 0)
    ))
}

/// What to call next. Names tools and parameters only.
fn next(report: &Report, config: &Config) -> String {
    let id = &report.session_id;
    if config.read_only {
        return format!(
            "get_events with session_id {id} reads what happened; this server only reads."
        );
    }
    match report.state {
        State::Ready => format!("send_message with session_id {id} starts the work."),
        State::Working => format!(
            "get_status with session_ids [\"{id}\"] and wait_seconds waits on; \
             get_events with after (the cursor) reads what happens from here on; interrupt_session stops the turn."
        ),
        State::Done if report.awaits_words && report.reply.is_none() => format!(
            "get_status with session_ids [\"{id}\"] and wait_seconds 5 shows the agent's words, which may be listed seconds after \
             the end of a turn."
        ),
        State::Done if report.activity.iter().any(|line| line.contains("/mnt/session/outputs/")) => format!(
            "list_files with session_id {id} shows the files that it wrote, download_file saves them. send_message continues; \
             close_session when nothing more is needed."
        ),
        State::Done => format!("send_message with session_id {id} continues; close_session when nothing more is needed."),
        State::NeedsAction
            if config.approvals == Approvals::Human
                && report.pending.iter().any(is_confirmation) =>
        {
            let page = match report.simulated {
                true => "a simulated session has no page to decide on".to_owned(),
                false => format!("else ask the user to decide on the session's page, {}", report.url),
            };
            let dialog = format!(
                "get_status with session_ids [\"{id}\"] and wait_seconds {} asks the user in a dialog, where the host has one",
                config.max_wait.as_secs(),
            );
            // Not all that waits can be put into a dialog.
            let dialog = match report.pending.iter().any(|pending| is_confirmation(pending) && !is_unseen(pending)) {
                true => dialog,
                false => "none of these calls can be shown whole".to_owned(),
            };
            format!(
                "Only a person may allow: {dialog}; {page}. resolve_action can only deny, or return the result of a tool.{}",
                unseen(report)
            )
        }
        State::NeedsAction => format!(
            "show what is pending to the user, then resolve_action with session_id {id}: for each event_id `decision` \
             on a tool_confirmation, `result` for the other kinds.{}",
            unseen(report)
        ),
        State::BudgetReached => format!("Ask the user; update_session with session_id {id} and a higher budget_usd resumes it."),
        State::Refused => format!("send_message with session_id {id} asks in other words; get_events shows what happened."),
        State::Failed => format!("send_message with session_id {id} tries again; get_events shows what happened."),
        State::Terminated => "create_session starts a new session; get_events still reads the record unless it was deleted.".to_owned(),
    }
}

fn is_confirmation(pending: &Pending) -> bool {
    pending.kind == PendingKind::ToolConfirmation
}

fn is_unseen(pending: &Pending) -> bool {
    matches!(pending.seen, Seen::InPart | Seen::Masked)
}

/// What is to be said of calls that nobody may allow here.
pub fn unseen(report: &Report) -> String {
    let calls = report.pending.iter().filter(|call| is_confirmation(call));
    let calls: Vec<&Pending> = calls.filter(|call| is_unseen(call)).collect();
    let sentence = |seen: Seen, why: &str| {
        let calls = calls.iter().filter(|call| call.seen == seen);
        let ids: Vec<&str> = calls.map(|call| call.event_id.as_str()).collect();
        let ids = (!ids.is_empty()).then(|| ids.join(", "));
        ids.map(|ids| format!(" {why}, and only to be denied here: {ids}."))
    };
    let page = " The user can decide on the session's page.";
    let page = (!calls.is_empty() && !report.simulated).then(|| page.to_owned());
    [
        sentence(Seen::InPart, "Not shown whole"),
        sentence(
            Seen::Masked,
            "Masked in part, since that looks like a secret",
        ),
        page,
    ]
    .into_iter()
    .flatten()
    .collect()
}
