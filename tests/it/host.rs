//! The host around a client: whether it can ask its user, what the user answers, and what was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use rmcp::model::{
    ClientConfig, ElicitRequestParams, ElicitResult, ElicitationCapability,
    FormElicitationCapability,
};
use rmcp::service::RequestContext;
use rmcp::{ClientHandler, ErrorData, RoleClient};
use serde_json::{Value, json};

/// A host. Without answers it cannot ask, and says so; once they have run out, its user is silent.
#[derive(Clone, Default)]
pub(crate) struct Host {
    answers: Option<Arc<Mutex<VecDeque<Value>>>>,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Host {
    /// A host whose user gives these answers, one after the other.
    pub(crate) fn answering(answers: impl IntoIterator<Item = Value>) -> Host {
        Host {
            answers: Some(Arc::new(Mutex::new(answers.into_iter().collect()))),
            ..Host::default()
        }
    }

    /// The dialogs that were shown, oldest first.
    pub(crate) fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }
}

/// The user accepts, with this content.
pub(crate) fn accept(content: Value) -> Value {
    json!({"action": "accept", "content": content})
}

impl ClientHandler for Host {
    fn get_info(&self) -> ClientConfig {
        let mut info = ClientConfig::default();
        info.capabilities.elicitation = self
            .answers
            .as_ref()
            .map(|_| ElicitationCapability::new().with_form(FormElicitationCapability::default()));
        info
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.asked.lock().unwrap().push(json!(request));
        let answers = self.answers.as_ref().expect("a host that can ask");
        let answer = answers.lock().unwrap().pop_front();
        match answer {
            Some(answer) => Ok(serde_json::from_value(answer).unwrap()),
            None => std::future::pending().await,
        }
    }
}
