//! A form as `POST /v1/files` wants it: read to its end, its file put where it needs no memory.

use std::io;

use http_body_util::{BodyDataStream, BodyExt};
use hyper::body::Incoming;
use multer::{Field, Multipart};
use serde_json::{Value, json};

use super::answer::Refusal;
use super::content::{Arriving, Content};

/// The vendor's limit for one file.
const MOST_BYTES: u64 = 500 << 20;
/// Parts that are no file hold a number.
const MOST_TEXT: usize = 64;

/// What a form held.
#[derive(Default)]
pub(super) struct Upload {
    /// Every part, without its content.
    pub(super) parts: Vec<Value>,
    /// The part named `file`.
    pub(super) file: Option<Part>,
    /// The part named `expires_in_seconds`.
    pub(super) expires: Option<String>,
    /// What is wrong with the form.
    pub(super) wrong: Option<Refusal>,
}

/// A file within a form.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) filename: String,
    pub(super) mime_type: Option<String>,
    pub(super) content: Content,
}

impl Upload {
    /// Reads a form; it is read to its end whatever it holds, so that the answer arrives.
    pub(super) async fn read(boundary: String, body: &mut Incoming) -> io::Result<Self> {
        let mut upload = Self::default();
        // multer buffers whatever is ready; a body of hyper never has more than a frame or two ready.
        let outcome = upload
            .take_parts(Multipart::new(BodyDataStream::new(&mut *body), boundary))
            .await;
        if let Err(error) = outcome {
            if matches!(error, multer::Error::StreamReadFailed(_)) {
                return Err(io::Error::other(error));
            }
            upload.wrong = Some(Refusal::invalid(format!(
                "The request body is not a valid form: {error}"
            )));
        }
        while let Some(frame) = body.frame().await {
            frame.map_err(io::Error::other)?;
        }
        Ok(upload)
    }

    async fn take_parts(&mut self, mut form: Multipart<'_>) -> Result<(), multer::Error> {
        while let Some(field) = form.next_field().await? {
            let mut shown = json!({
                "name": field.name(), "filename": field.file_name(),
                "content_type": field.content_type().map(ToString::to_string),
            });
            let size = match field.name() {
                Some("file") if self.file.is_none() => self.take_file(field).await?,
                name => {
                    let name = name.unwrap_or_default().to_owned();
                    self.take_text(&name, field).await?
                }
            };
            super::json::set(&mut shown, "size", size);
            self.parts.push(shown);
        }
        Ok(())
    }

    async fn take_file(&mut self, mut field: Field<'_>) -> Result<u64, multer::Error> {
        let mut arriving = Arriving::default();
        let mut size = 0;
        while let Some(chunk) = field.chunk().await? {
            size += chunk.len() as u64;
            if size <= MOST_BYTES {
                arriving.push(&chunk).await.map_err(unreadable)?;
            }
        }
        if size > MOST_BYTES {
            let why = format!("The file has {size} bytes; at most {MOST_BYTES} are allowed.");
            self.wrong = Some(Refusal::of_status(413, why));
        }
        self.file = Some(Part {
            filename: field.file_name().unwrap_or_default().to_owned(),
            mime_type: field.content_type().map(ToString::to_string),
            content: arriving.whole().await.map_err(unreadable)?,
        });
        Ok(size)
    }

    async fn take_text(&mut self, name: &str, mut field: Field<'_>) -> Result<u64, multer::Error> {
        let (mut text, mut size) = (Vec::new(), 0);
        while let Some(chunk) = field.chunk().await? {
            size += chunk.len() as u64;
            text.extend(chunk.into_iter().take(MOST_TEXT - text.len()));
        }
        match name {
            "expires_in_seconds" => self.expires = Some(String::from_utf8_lossy(&text).into()),
            _ => {
                let why = format!("{name}: Extra inputs are not permitted");
                self.wrong = Some(Refusal::invalid(why));
            }
        }
        Ok(size)
    }

    /// The form as it is shown among the requests.
    pub(super) fn shown(&self) -> Value {
        json!({"multipart": self.parts})
    }
}

fn unreadable(error: io::Error) -> multer::Error {
    multer::Error::StreamReadFailed(error.into())
}
