//! What a call carries from one round to the next. The client holds it, so it is sealed: it opens only for the same call with
//! the same arguments, for a day, and in every process that has the same API key.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rmcp::ErrorData;
use rmcp::handler::server::common::FromContextPart;
use rmcp::handler::server::tool::ToolCallContext;
use rmcp::model::{InputResponses, RequestStateCodec, SealOptions};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const LIFETIME: Duration = Duration::from_secs(86_400);

/// What the user was asked about.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AskedAbout {
    /// By session.
    pub(super) sessions: BTreeMap<String, AskedSession>,
    /// What the call was to tell of what it did on its own account.
    pub(super) notes: Vec<String>,
    /// How often the client was sent to ask.
    pub(super) rounds: u32,
    /// Pending events of the rounds before that came back without an answer: nobody asks about them again.
    pub(super) unanswered: BTreeSet<String>,
}

/// What the user was asked about in one session.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AskedSession {
    /// Id of the question whose turn waits.
    pub(super) question: Option<String>,
    /// Ids of the pending events.
    pub(super) events: Vec<String>,
}

/// A call as one round of asking and answering sees it. Stands before the arguments in a tool, which takes them away.
pub(in crate::server) struct Round {
    /// Tool and arguments, to which a state is bound.
    call: String,
    /// The state that the client brings back.
    pub(in crate::server) state: Option<String>,
    answers: InputResponses,
}

impl<S> FromContextPart<ToolCallContext<'_, S>> for Round {
    fn from_context_part(context: &mut ToolCallContext<S>) -> Result<Self, ErrorData> {
        let arguments = Value::Object(context.arguments.clone().unwrap_or_default());
        let answers = context.input_responses.take().unwrap_or_default();
        let state = context.request_state.take();
        Ok(Round {
            call: format!("{} {arguments}", context.name),
            state,
            answers,
        })
    }
}

impl Round {
    /// The user's answer about a pending event.
    pub(super) fn answer(&self, event_id: &str) -> Option<&Value> {
        self.answers.get(event_id)
    }
}

/// Seals what was asked about; `None` where the key is too short to seal anything.
pub(super) fn seal(key: &[u8], asked: &AskedAbout, round: &Round) -> Option<String> {
    let codec = RequestStateCodec::try_new(key).ok()?;
    let options = SealOptions::new()
        .associated_data(round.call.as_bytes())
        .ttl(LIFETIME);
    Some(codec.seal_with(&serde_json::to_vec(asked).ok()?, &options))
}

/// Opens what the client brought back. The error is a sentence for the client.
pub(super) fn open(key: &[u8], state: &str, round: &Round) -> Result<AskedAbout, String> {
    let codec = RequestStateCodec::try_new(key).map_err(|error| error.to_string())?;
    let opened = codec
        .open_with(state, round.call.as_bytes())
        .map_err(|error| {
            format!(
                "the requestState does not belong to this call, or is too old ({error}). The session goes on: list_sessions with \
                 `mine` finds it, and get_status with wait_seconds asks the user again; do not start it again."
            )
        })?;
    serde_json::from_slice(&opened).map_err(|error| format!("the requestState is damaged: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(call: &str) -> Round {
        Round {
            call: call.to_owned(),
            state: None,
            answers: InputResponses::default(),
        }
    }

    #[test]
    fn a_state_opens_for_its_call_only() {
        let key = [7_u8; 32];
        let session = AskedSession {
            question: Some("sevt_0".to_owned()),
            events: vec!["sevt_1".to_owned()],
        };
        let asked = AskedAbout {
            sessions: BTreeMap::from([("sesn_1".to_owned(), session)]),
            notes: vec!["made an agent".to_owned()],
            rounds: 1,
            unanswered: BTreeSet::from(["sevt_9".to_owned()]),
        };
        let state = seal(&key, &asked, &round("send_message {}")).unwrap();
        assert_eq!(open(&key, &state, &round("send_message {}")), Ok(asked));
        assert!(open(&key, &state, &round("send_message {\"a\":1}")).is_err());
        assert!(open(&[8; 32], &state, &round("send_message {}")).is_err());
        let mut forged = state.clone();
        forged.pop();
        forged.push(if state.ends_with('A') { 'B' } else { 'A' });
        assert!(open(&key, &forged, &round("send_message {}")).is_err());
        assert!(open(&key, "", &round("send_message {}")).is_err());
    }
}
