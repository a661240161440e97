//! What clients were told about tasks in this process. A cache, bounded: forgotten, a question is asked once more, and a task
//! that was handed to the assistant works again.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most that is remembered of each.
const MOST: usize = 10_000;

#[derive(Default)]
pub(in crate::server) struct Told(Mutex<Facts>);

#[derive(Default)]
struct Facts {
    /// Pending events that a user declined to decide within a task.
    declined: HashSet<String>,
    /// Tasks that were said to be completed though their turn only pauses.
    ended: HashSet<String>,
    /// What the call that began a task did on its own account.
    notes: HashMap<String, Vec<String>>,
}

impl Told {
    /// A task began, with these notes.
    pub(super) fn began(&self, task: String, notes: Vec<String>) {
        let known = &mut self.facts().notes;
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(task, notes);
    }

    /// What is to be told of the call that began a task.
    pub(super) fn notes(&self, task: &str) -> Vec<String> {
        self.facts().notes.get(task).cloned().unwrap_or_default()
    }

    /// The user does not decide about a pending event.
    pub(super) fn declined(&self, event_id: String) {
        add(&mut self.facts().declined, event_id);
    }

    pub(super) fn is_declined(&self, event_id: &str) -> bool {
        self.facts().declined.contains(event_id)
    }

    /// A task is said to be completed, and must stay so.
    pub(super) fn ended(&self, task: &str) {
        add(&mut self.facts().ended, task.to_owned());
    }

    pub(super) fn has_ended(&self, task: &str) -> bool {
        self.facts().ended.contains(task)
    }

    /// The sets are whole whatever a panicking holder was doing.
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(set: &mut HashSet<String>, entry: String) {
    if set.len() >= MOST {
        set.clear();
    }
    set.insert(entry);
}
