//! Bodies of answers, read within bounds: so much of each, and large ones a few at a time, however many calls there are.

use std::sync::Arc;

use reqwest::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::send::{header, timed_out, unreachable};
use super::{Error, Fault};

const LARGEST: usize = 16 * 1024 * 1024;
/// A larger one is read once there is a place for it.
const LARGE: usize = 512 * 1024;
const MOST_LARGE: usize = 4;

/// The body of an answer, and the API's id of its request.
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    pub(super) request_id: Option<String>,
    /// Held until it is decoded.
    _place: Option<OwnedSemaphorePermit>,
}

/// The places for large bodies.
pub(super) struct Bodies(Arc<Semaphore>);

impl Bodies {
    pub(super) fn new() -> Bodies {
        Bodies(Arc::new(Semaphore::new(MOST_LARGE)))
    }

    /// The whole body of a response.
    pub(super) async fn whole(
        &self,
        response: Response,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let read = timeout_at(deadline, self.read(response)).await;
        read.unwrap_or_else(|_| Err(timed_out()))
    }

    async fn read(&self, mut response: Response) -> Result<Answer, Error> {
        let request_id = header(response.headers(), "request-id");
        let length = response.content_length();
        let length = length.map(|length| usize::try_from(length).unwrap_or(LARGEST).min(LARGEST));
        let is_large = length.is_some_and(|length| length > LARGE);
        let mut body = Vec::with_capacity(length.unwrap_or_default().min(LARGE));
        let mut place = None;
        let mut ended = !is_large && read(&mut response, &mut body, LARGE).await?;
        if !ended {
            // The semaphore is never closed.
            place = Arc::clone(&self.0).acquire_owned().await.ok();
            // One that grows piece by piece takes twice its size.
            body.reserve_exact(length.unwrap_or(LARGEST).saturating_sub(body.len()));
            ended = read(&mut response, &mut body, LARGEST).await?;
        }
        if !ended {
            return Err(Error::Unreadable {
                reason: "the answer is larger than 16 MiB".to_owned(),
                fault: Fault::TooLarge,
                request_id,
            });
        }
        Ok(Answer {
            body,
            request_id,
            _place: place,
        })
    }
}

/// The start of a body, or all of it.
pub(super) async fn start(mut response: Response, most: usize) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    read(&mut response, &mut body, most).await?;
    body.truncate(most);
    Ok(body)
}

/// Reads on until there are more than `most` bytes. Whether the body ended before.
async fn read(response: &mut Response, body: &mut Vec<u8>, most: usize) -> Result<bool, Error> {
    while body.len() <= most {
        match response.chunk().await.map_err(unreachable)? {
            Some(chunk) => body.extend_from_slice(&chunk),
            None => return Ok(true),
        }
    }
    Ok(false)
}
