//! Completions: what a user who types an argument of a prompt or a template may mean.

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{CompleteRequestParams, CompleteResult, CompletionInfo, Reference};

use super::{Server, prompts};
use crate::bridge::Subject;

/// Typing does not wait: an answer that takes longer is empty.
const WITHIN: Duration = Duration::from_millis(250);

impl Server {
    /// Values for an argument; none for one that nothing is known of.
    pub(super) async fn suggestions(
        &self,
        request: &CompleteRequestParams,
    ) -> Result<CompleteResult, ErrorData> {
        let argument = &request.argument;
        let takes = match &request.r#ref {
            Reference::Prompt(prompt) => {
                prompts::takes(&prompt.name, &argument.name, self.bridge.config())?
            }
            Reference::Resource(template) => {
                self.template(&template.uri)?;
                argument.name == "session_id"
            }
            _ => false,
        };
        let subject = match argument.name.as_str() {
            "session_id" if takes => Subject::Session,
            "agent" if takes => Subject::Agent,
            "environment" if takes => Subject::Environment,
            _ => return Ok(CompleteResult::default()),
        };
        let found = self.bridge.suggest(subject, &argument.value, WITHIN).await;
        let Some(found) = found else {
            return Ok(CompleteResult::default());
        };
        let total = found.total.and_then(|total| u32::try_from(total).ok());
        let info = CompletionInfo::with_pagination(found.values, total, found.more);
        Ok(CompleteResult::new(info.unwrap_or_default()))
    }
}
