//! Bytes in bulk, in either direction: streamed, so that no file is ever held in memory, and ended when no byte moves.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use reqwest::Response;
use reqwest::multipart::{Form, Part};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::call::Call;
use super::send::{timed_out, unreachable};
use super::{Client, Delivery, Error};

/// A transfer is given up when no byte has moved for so long.
const STALLED: Duration = Duration::from_secs(20);

/// What is said of a file that is uploaded.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Without quotes, separators or control characters.
    pub name: String,
    /// Media type; the API decides where it is not known.
    pub media_type: Option<&'static str>,
    /// Bytes of the content, no more and no fewer.
    pub size: u64,
}

/// The content of a file, as it arrives.
pub struct Download {
    response: Response,
    deadline: Instant,
    received: u64,
    /// Bytes in all, where the server says so.
    pub length: Option<u64>,
}

impl Client {
    /// Posts a form whose only field is a file. `content` is asked again for every attempt; there is a second one only if
    /// the first was surely not sent.
    pub(super) async fn post_file<T, S>(
        &self,
        call: &Call,
        upload: &Upload,
        content: impl Fn() -> S,
        deadline: Instant,
    ) -> Result<T, Error>
    where
        T: DeserializeOwned + Send + 'static,
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let http = &self.http()?.calls;
        let once = |_| {
            // The sender is dropped with the stream: then all is sent, and the answer may take its time.
            let (moved, movement) = watch::channel(());
            let content = content().inspect_ok(move |_| {
                moved.send_replace(());
            });
            async move {
                let form = form(upload, content)?;
                let request = self.request(http, call, deadline).await?.multipart(form);
                let answer = async {
                    let response = self.respond(call, request, deadline).await?;
                    self.shared.bodies.whole(response, deadline).await
                };
                tokio::select! {
                    answer = answer => answer,
                    () = stalled(movement) => Err(stall()),
                }
            }
        };
        let answer = self.repeat(call, deadline, once).await?;
        answer.object()?.decoded().await
    }

    /// Opens a file's content for reading: one attempt, since starting anew belongs to whoever keeps what came.
    pub(super) async fn get_content(
        &self,
        call: &Call,
        deadline: Instant,
    ) -> Result<Download, Error> {
        let headers_within = deadline.min(Instant::now() + STALLED);
        let http = &self.http()?.calls;
        let response = self.attempt(http, call, headers_within, None).await?;
        Ok(Download {
            length: response.content_length(),
            received: 0,
            deadline,
            response,
        })
    }
}

impl Download {
    /// The next piece; `None` at the end, which is never short of `length`.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let piece = async {
            timeout(STALLED, self.response.chunk())
                .await
                .map_err(|_| stall())?
                .map_err(unreachable)
        };
        let piece = timeout_at(self.deadline, piece)
            .await
            .unwrap_or_else(|_| Err(timed_out()))?;
        self.received += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        match self.length {
            Some(length) if piece.is_none() && self.received < length => Err(Error::Unreachable {
                reason: format!("only {} of {length} bytes came", self.received),
                delivery: Delivery::Unknown,
            }),
            _ => Ok(piece),
        }
    }
}

fn form(
    upload: &Upload,
    content: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Result<Form, Error> {
    let body = reqwest::Body::wrap_stream(content);
    let part = Part::stream_with_length(body, upload.size).file_name(upload.name.clone());
    let part = match upload.media_type {
        Some(media_type) => part.mime_str(media_type).map_err(unreachable)?,
        None => part,
    };
    Ok(Form::new().part("file", part))
}

/// Returns when nothing has moved for too long; never, once everything has.
async fn stalled(mut movement: watch::Receiver<()>) {
    loop {
        match timeout(STALLED, movement.changed()).await {
            Err(_) => return,
            Ok(Ok(())) => {}
            Ok(Err(_)) => return std::future::pending().await,
        }
    }
}

fn stall() -> Error {
    Error::Unreachable {
        reason: format!("no byte moved for {} s", STALLED.as_secs()),
        delivery: Delivery::Late,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_transfer_has_stalled_when_nothing_moves_and_never_once_all_is_sent() {
        let (moved, movement) = watch::channel(());
        let began = Instant::now();
        let sending = async {
            for _ in 0..3 {
                tokio::time::sleep(STALLED * 3 / 4).await;
                moved.send_replace(());
            }
            // Kept: there is more to send.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = stalled(movement) => {}
            () = sending => {}
        }
        assert_eq!(began.elapsed(), STALLED * 3 / 4 * 3 + STALLED);
        let (moved, movement) = watch::channel(());
        drop(moved);
        assert!(timeout(STALLED * 10, stalled(movement)).await.is_err());
    }
}
