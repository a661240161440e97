//! The pure merge under random schedules: whatever a server does, and in whatever order its list and its stream tell of
//! it, the record ends as the server has it, and the turn is judged as from the whole record. `SCHEDULES` sets how many
//! are tried, `SCHEDULES_SEED` the first.

use std::collections::HashSet;

use fastrand::Rng;
use managed_agents_mcp::api::events::{Event, Taken};
use managed_agents_mcp::session::history::{History, OVERLAP};
use managed_agents_mcp::session::places;
use managed_agents_mcp::session::turn::{Asked, Lifecycle, judge};

/// Words come late by so many events at most.
const LATE: usize = 3;
/// The list lags so many events behind at most.
const LAG: usize = 3;

/// Where a reader goes on who comes once nothing is young any more.
fn cursor(history: &History) -> Option<&str> {
    history.cursor_within(places::final_events(history, true, &|_| false))
}

/// An event as the server keeps it.
#[derive(Clone)]
struct Stored {
    event: Event,
    /// When it came to be as it is, in steps.
    since: usize,
}

/// A server and a reader.
struct World {
    rng: Rng,
    /// In the order of the list.
    record: Vec<Stored>,
    queue: Vec<Stored>,
    now: usize,
    is_open: bool,
    /// A frame that another one overtakes.
    held: Option<Event>,
    history: History,
}

/// Runs one schedule; says what is wrong.
pub(crate) fn run(seed: u64) -> Result<(), String> {
    let mut world = World {
        rng: Rng::with_seed(seed),
        record: Vec::new(),
        queue: Vec::new(),
        now: 0,
        is_open: false,
        held: None,
        history: History::default(),
    };
    for _ in 0..world.rng.usize(..80) {
        world.step();
        world.check_once()?;
    }
    world.is_open = false;
    world.list(0);
    world.check_once()?;
    world.check_end()
}

fn event(id: usize, kind: &str, time: Option<i64>) -> Event {
    let time = time.map_or("null".to_owned(), |at| {
        format!("\"2026-11-01T10:{:02}:{:02}Z\"", at / 60 % 60, at % 60)
    });
    let more = match kind {
        "session.status_idle" => r#","stop_reason":{"type":"end_turn"}"#,
        "user.message" | "agent.message" => r#","content":[{"type":"text","text":"words"}]"#,
        _ => "",
    };
    let json = format!(r#"{{"id":"e{id}","type":"{kind}","processed_at":{time}{more}}}"#);
    serde_json::from_str(&json).expect("an event")
}

impl World {
    fn step(&mut self) {
        match self.rng.u32(..20) {
            0..9 => self.emit(0),
            9 => {
                let late = self.rng.usize(1..=LATE);
                self.emit(late);
            }
            10 | 11 => self.ask(),
            12 | 13 => self.take_in(),
            14 => self.repeat(),
            15 | 16 => self.toggle(),
            _ => {
                let lag = self.rng.usize(..=LAG);
                self.list(lag);
            }
        }
    }

    /// Times are not in order: clocks of several machines write them.
    fn time(&mut self) -> Option<i64> {
        self.now += 1;
        Some(self.now as i64 + self.rng.i64(..5))
    }

    /// Something happens; with `late` it is listed ahead of so many events.
    fn emit(&mut self, late: usize) {
        const KINDS: [&str; 7] = [
            "session.status_running",
            "agent.message",
            "agent.tool_use",
            "agent.thinking",
            "span.model_request_end",
            "session.status_idle",
            "nobody.knows_it",
        ];
        let kind = KINDS[self.rng.usize(..KINDS.len())];
        let time = self.time();
        let event = event(self.now, kind, time);
        let place = self.record.len().saturating_sub(late);
        let since = self.now;
        self.record.insert(
            place,
            Stored {
                event: event.clone(),
                since,
            },
        );
        self.send(event);
    }

    fn ask(&mut self) {
        self.now += 1;
        let event = event(self.now, "user.message", None);
        self.queue.push(Stored {
            event: event.clone(),
            since: self.now,
        });
        self.send(event);
    }

    /// The oldest question is taken in, and moves to the end of what has happened.
    fn take_in(&mut self) {
        if self.queue.is_empty() {
            return;
        }
        let asked = self.queue.remove(0);
        let time = self.time();
        let number = asked.event.id[1..].parse().expect("a number");
        let event = event(number, "user.message", time);
        self.record.push(Stored {
            event: event.clone(),
            since: self.now,
        });
        self.send(event);
    }

    /// An old frame comes once more; what was taken in may be said to be queued.
    fn repeat(&mut self) {
        if self.record.is_empty() || !self.is_open {
            return;
        }
        let old = self.record[self.rng.usize(..self.record.len())]
            .event
            .clone();
        let queued = old.kind == "user.message" && self.rng.bool();
        let number = old.id[1..].parse().expect("a number");
        let frame = if queued {
            event(number, "user.message", None)
        } else {
            old
        };
        self.history.streamed(frame);
    }

    /// The stream is cut, or opens; some replay everything then.
    fn toggle(&mut self) {
        self.held = None;
        self.is_open = !self.is_open;
        if self.is_open && self.rng.u8(..4) == 0 {
            for stored in self.record.iter().chain(&self.queue) {
                self.history.streamed(stored.event.clone());
            }
        }
    }

    /// A frame goes over the stream, if it is open; one in six is overtaken by the next.
    fn send(&mut self, event: Event) {
        if !self.is_open {
            return;
        }
        match self.held.take() {
            None if self.rng.u8(..6) == 0 => self.held = Some(event),
            held => {
                self.history.streamed(event);
                if let Some(held) = held {
                    self.history.streamed(held);
                }
            }
        }
    }

    /// What the list shows, newest first, when it lags so many steps behind.
    fn listed(&self, lag: usize) -> Vec<Event> {
        let until = self.now.saturating_sub(lag);
        let mut taken = Vec::new();
        let mut queued = Vec::new();
        for stored in &self.record {
            let number: usize = stored.event.id[1..].parse().expect("a number");
            if stored.since <= until {
                taken.push(stored.event.clone());
            } else if stored.event.kind == "user.message" && number <= until {
                queued.push(event(number, "user.message", None));
            }
        }
        let asked = self.queue.iter().filter(|stored| stored.since <= until);
        let asked = asked.map(|stored| stored.event.clone());
        let mut all: Vec<Event> = taken.into_iter().chain(queued).chain(asked).collect();
        all.reverse();
        all
    }

    /// Reads the list back in pages, as `bridge/back.rs` does, while more may happen between them.
    fn list(&mut self, lag: usize) {
        let size = self.rng.usize(1..40);
        let mut run: Vec<Event> = Vec::new();
        let mut seen = HashSet::new();
        let mut at = 0;
        loop {
            let all = self.listed(lag);
            let page = all.iter().skip(at).take(size);
            run.extend(page.filter(|event| seen.insert(event.id.clone())).cloned());
            at += size;
            let settled = run
                .iter()
                .filter(|event| self.history.is_settled(&event.id));
            if at >= all.len() || settled.count() >= OVERLAP {
                break;
            }
            // Offsets shift when something new comes ahead of them.
            if lag == 0 && self.is_open && self.rng.u8(..4) == 0 {
                self.emit(0);
            }
        }
        run.reverse();
        self.history.listed(run);
    }

    fn check_once(&self) -> Result<(), String> {
        let mut seen = HashSet::new();
        match self.history.events().find(|event| !seen.insert(&event.id)) {
            Some(event) => Err(format!("{} stands twice", event.id)),
            None => Ok(()),
        }
    }

    fn check_end(&self) -> Result<(), String> {
        let mut all = self.listed(0);
        all.reverse();
        let known = |event: &Event| (event.id.clone(), event.taken == Taken::In);
        let seen: Vec<_> = self.history.events().map(known).collect();
        let record: Vec<_> = all.iter().map(known).collect();
        if seen != record {
            return Err(format!("{seen:?} instead of {record:?}"));
        }
        let mut whole = History::default();
        whole.listed(all);
        let judged = |history: &History| judge(history, &Asked::default(), Lifecycle::default());
        if judged(&self.history) != judged(&whole) {
            return Err(format!(
                "{:?} instead of {:?}",
                judged(&self.history),
                judged(&whole)
            ));
        }
        if cursor(&self.history) != cursor(&whole) {
            return Err(format!(
                "cursor {:?} instead of {:?}",
                cursor(&self.history),
                cursor(&whole)
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_schedule_ends_in_the_record_and_the_judgement_of_the_server() {
        let number = |name| std::env::var(name).ok().map(|text| text.parse().unwrap());
        let count = number("SCHEDULES").unwrap_or(3_000);
        let first: u64 = number("SCHEDULES_SEED").unwrap_or_else(|| fastrand::u64(..1 << 40));
        for seed in first..first + count {
            if let Err(wrong) = super::run(seed) {
                panic!("SCHEDULES_SEED={seed} SCHEDULES=1: {wrong}");
            }
        }
    }
}
