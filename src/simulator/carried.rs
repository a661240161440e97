//! What a request carries: a body read whole, or a form.

use std::io;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use serde_json::Value;

use super::answer::Refusal;
use super::checks;
use super::upload::Upload;

const MOST_BYTES: usize = 32 << 20;

/// The body of a request, read to its end.
pub(super) enum Carried {
    /// Any bytes.
    Whole(Bytes),
    /// More bytes than a call may have.
    TooLarge,
    /// A form.
    Form(Upload),
}

impl Carried {
    /// Reads it; it is read to its end in any case, so that the answer arrives.
    pub(super) async fn read(parts: &Parts, mut body: Incoming) -> io::Result<Self> {
        let kind = parts.headers.get("content-type");
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if let Ok(boundary) = multer::parse_boundary(kind) {
            return Upload::read(boundary, &mut body).await.map(Self::Form);
        }
        let (mut kept, mut fits) = (BytesMut::new(), true);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(io::Error::other)?;
            if let Some(bytes) = frame.data_ref() {
                fits &= kept.len() + bytes.len() <= MOST_BYTES;
                if fits {
                    kept.extend_from_slice(bytes);
                }
            }
        }
        Ok(if fits {
            Self::Whole(kept.freeze())
        } else {
            Self::TooLarge
        })
    }

    /// The bytes, if they were read whole.
    pub(super) fn bytes(&self) -> Bytes {
        match self {
            Self::Whole(bytes) => bytes.clone(),
            _ => Bytes::new(),
        }
    }

    /// The body as it is kept for tests, and how many bytes that takes.
    pub(super) fn shown(&self) -> (Value, usize) {
        let bytes = self.bytes();
        let shown = match serde_json::from_slice(&bytes) {
            Ok(json) => json,
            Err(_) if !bytes.is_empty() => String::from_utf8_lossy(&bytes).into_owned().into(),
            Err(_) => match self {
                Self::Form(form) => form.shown(),
                _ => Value::Null,
            },
        };
        (shown, bytes.len())
    }

    /// The body as JSON, and the form; one of them.
    pub(super) fn for_call(self) -> Result<(Value, Option<Upload>), Refusal> {
        match self {
            Self::Whole(bytes) => Ok((checks::json(&bytes)?, None)),
            Self::TooLarge => Err(Refusal::of_status(
                413,
                "Request exceeds the maximum allowed number of bytes.",
            )),
            Self::Form(form) => Ok((Value::Null, Some(form))),
        }
    }
}
