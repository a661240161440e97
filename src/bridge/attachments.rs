//! Images and documents in a message, by the id of an uploaded file.

use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::Failure;
use crate::api::{Client, Id};

/// What a session is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// The event, `user.message` or `user.define_outcome`.
    pub event: Value,
    /// Files that a message shows.
    pub attachments: Vec<Id>,
}

impl Question {
    /// The event with the files behind its text. Whether one is an image is asked of the API.
    pub(super) async fn assembled(&self, api: &Client) -> Result<Value, Failure> {
        let mut event = self.event.clone();
        let blocks = try_join_all(self.attachments.iter().map(async |id| {
            let file = api.get_file(id).await;
            let file = file.map_err(Failure::while_trying(format!("attach file {id}")))?;
            let kind = if file.mime_type.starts_with("image/") {
                "image"
            } else {
                "document"
            };
            Ok(json!({"type": kind, "source": {"type": "file", "file_id": id.as_str()}}))
        }))
        .await?;
        if let Some(Value::Array(content)) = event.get_mut("content") {
            content.extend(blocks);
        }
        Ok(event)
    }
}
