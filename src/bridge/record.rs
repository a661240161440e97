//! The record of a session as one document: from its start, as much as fits. What pages through it is `read.rs`.

use tokio::time::Instant;

use super::follow::Follow;
use super::read::{Order, Reading, cut_events};
use super::scan::fetch;
use super::window::{Read, from_window, moving};
use super::{Bridge, Failure, hidden};
use crate::api::Id;
use crate::api::events::Event;
use crate::session::digest::{Detail, Fitted, Page, fill};
use crate::session::turn::State;

/// Less than what an entry takes, so that the budget and not the number of entries ends the document.
const SMALLEST_ENTRY: usize = 150;

impl Bridge {
    /// The record from its start, as much as fits into `chars`. Unlike a page it also holds what has no final place yet:
    /// whoever reads a document has no second look that would bring it.
    pub async fn record(
        &self,
        session: &Id,
        detail: Detail,
        chars: usize,
    ) -> Result<Page, Failure> {
        let doing = format!("read the record of session {session}");
        let deadline = Instant::now() + self.config.max_wait;
        let mut follow = Follow::new(&self.api, deadline, session, self.memory.recall(session));
        let state = follow.glance().await;
        let state = state.map_err(Failure::while_trying(doing.as_str()))?;
        let reading = Reading {
            after: None,
            types: Vec::new(),
            thread: None,
            detail,
            limit: chars / SMALLEST_ENTRY,
            order: Order::Oldest,
        };
        let fetched;
        let read = match from_window(&follow, &reading) {
            Some(read) => read,
            None => {
                let api = self.api.until(deadline);
                let run = fetch(&api, session, &reading).await;
                // Only a cursor can be missing from the record, and there is none.
                fetched = run
                    .map_err(Failure::while_trying(doing))?
                    .unwrap_or_default();
                Read::of(&fetched)
            }
        };
        let page = document(session, (&follow, state), &read, &reading, chars);
        Ok(Page {
            simulated: self.config.is_simulated(),
            next: next(&page),
            ..page
        })
    }
}

fn document(
    session: &Id,
    (follow, state): (&Follow, State),
    read: &Read<'_>,
    reading: &Reading,
    chars: usize,
) -> Page {
    let events = &read.events;
    let shown = |event: &Event| reading.shows(event);
    let fitted = fill(
        events,
        &shown,
        Event::is_named,
        reading.detail,
        reading.limit,
        chars,
        hidden::MASKED,
    );
    let rest = events.get(fitted.used..).unwrap_or_default();
    let more = rest.iter().any(|event| shown(event)) || !read.ended;
    let cursor = cursor(follow, events.get(..fitted.used).unwrap_or_default());
    Page {
        session_id: session.as_str().to_owned(),
        state,
        omitted: omitted(session, &fitted, more, cursor.as_deref()),
        events: fitted.entries,
        cursor,
        more,
        untrusted: true,
        next: String::new(),
        notes: read
            .run
            .and_then(|run| run.note.clone())
            .into_iter()
            .collect(),
        simulated: false,
    }
}

/// The last event whose place is final: reading on after it loses nothing.
fn cursor(follow: &Follow, events: &[&Event]) -> Option<String> {
    let moving = moving(follow);
    let is_final = |event: &&&Event| !moving.contains(event.id.as_str());
    // What came after the look at the newest events may be moving as well.
    let known = events
        .iter()
        .rposition(|event| follow.history.get(&event.id).is_some());
    let looked_at = known.map_or(events.len(), |newest| newest + 1);
    let last = events.iter().take(looked_at).take_while(is_final);
    let last = last.filter(|event| event.can_be_cursor()).last();
    last.map(|event| event.id.clone())
}

fn omitted(session: &Id, fitted: &Fitted, more: bool, cursor: Option<&str>) -> Option<String> {
    let after = cursor
        .map(|cursor| format!(",\"after\":\"{cursor}\""))
        .unwrap_or_default();
    let later = more.then(|| {
        format!(
            "later events: get_events {{\"session_id\":\"{session}\"{after}}} and on from there"
        )
    });
    let cuts: Vec<String> = later
        .into_iter()
        .chain(cut_events(session, &fitted.cut))
        .collect();
    (!cuts.is_empty()).then(|| cuts.join("; "))
}

fn next(page: &Page) -> String {
    let id = &page.session_id;
    let after = page.cursor.as_ref();
    let after = after
        .map(|cursor| format!(" and after {cursor}"))
        .unwrap_or_default();
    match page.state {
        _ if page.more => format!("get_events with session_id {id}{after} reads on."),
        State::Working => {
            format!("get_events with session_id {id}{after} and wait_seconds waits for more.")
        }
        _ => "this is all so far.".to_owned(),
    }
}
