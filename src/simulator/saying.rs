//! What the agent thinks and says within a turn, and its previews.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::json::text;
use super::plan::Plan;
use super::player::words;
use super::session::Session;
use super::stamp;
use super::turn::{End, Turn};

impl Turn<'_> {
    pub(super) fn think(&mut self) -> Result<(), End> {
        let id = stamp::id("sevt");
        self.act(|_, session| {
            if session.log.previewed("agent.thinking") {
                let start =
                    json!({"type": "event_start", "event": {"type": "agent.thinking", "id": id}});
                session.log.preview("agent.thinking", start);
            }
            session
                .log
                .record(json!({"type": "agent.thinking", "id": id}));
        })
    }

    /// A message: its preview for those who asked, then the event itself.
    pub(super) async fn say(&mut self, words: &str) -> Result<(), End> {
        let id = stamp::id("sevt");
        if self.act(|_, session| session.log.previewed("agent.message"))? {
            self.preview(&id, words).await?;
        }
        self.record(message(&id, words)).map(|_| ())
    }

    async fn preview(&mut self, id: &str, words: &str) -> Result<(), End> {
        let piece = |piece: Value| {
            move |_: &mut Self, session: &mut Session| session.log.preview("agent.message", piece)
        };
        self.act(piece(
            json!({"type": "event_start", "event": {"type": "agent.message", "id": id}}),
        ))?;
        // Previews may stop early; those of an enormous message do.
        let letters: Vec<char> = words.chars().take(100_000).collect();
        for part in letters.chunks(letters.len().div_ceil(4).max(1)) {
            self.rest(self.gap / 4).await?;
            let part: String = part.iter().collect();
            let delta = json!({"type": "content_delta", "index": 0, "content": {"type": "text", "text": part}});
            self.act(piece(
                json!({"type": "event_delta", "event_id": id, "delta": delta}),
            ))?;
        }
        Ok(())
    }

    /// The last message, after whatever else is to be answered in this turn.
    pub(super) async fn conclude(&mut self, words: &str, plan: &Plan) -> Result<(), End> {
        if plan.batch {
            self.act(Self::absorb)?;
        }
        let mut said = words.to_owned();
        for note in self.notes.drain(..) {
            said.push('\n');
            said.push_str(&note);
        }
        match plan.late {
            None => self.say(&said).await,
            Some(_) => {
                let late = message(&stamp::id("sevt"), &said);
                self.late = Some(self.act(|_, session| session.log.record_hidden(late))?);
                Ok(())
            }
        }
    }

    fn absorb(&mut self, session: &mut Session) {
        let (messages, rest) = session
            .queue
            .drain(..)
            .partition(|event| text(event, "/type") == "user.message");
        session.queue = rest;
        let messages: VecDeque<Value> = messages;
        for message in messages {
            session.log.process(text(&message, "/id"));
            let said: String = words(&message).chars().take(200).collect();
            self.notes.push(format!("Also answered: \"{said}\"."));
        }
    }
}

fn message(id: &str, words: &str) -> Value {
    json!({"type": "agent.message", "id": id, "content": [{"type": "text", "text": words}]})
}
