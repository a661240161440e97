//! A file of this machine, sent once, for agents to have.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::{Stream, stream};

use super::super::{Attention, Bridge, Failure};
use super::folders::{Source, Spot, spots};
use super::meter::Meter;
use super::{NAME_CHARS, ambiguous, names, on_disk};
use crate::api::files::Upload;
use crate::api::{Error, Fault};
use crate::session::clean::clean_line;
use crate::session::report::cut;

/// As much is read and sent at a time.
const PIECE: usize = 128 * 1024;

/// A file that the API has now.
#[derive(Debug, Clone)]
pub struct Uploaded {
    /// Its id.
    pub file_id: String,
    /// As the API calls it.
    pub name: String,
    /// Bytes.
    pub size_bytes: u64,
    /// Media type, as the API sees it.
    pub mime_type: String,
}

impl Bridge {
    /// Uploads a file, under its own name or another. What may have arrived is not sent again.
    pub async fn upload(
        &self,
        path: &str,
        name: Option<&str>,
        attention: &Attention,
    ) -> Result<Uploaded, Failure> {
        let source = self.source(path).await?;
        let name = names::plain_name(name.unwrap_or(&source.name));
        let upload = Upload {
            media_type: names::media_type(&name),
            name,
            size: source.size,
        };
        let doing = format!("uploading {}", cut(&upload.name, NAME_CHARS));
        let unread = Arc::new(OnceLock::new());
        let reading = || Reading {
            file: source.file.try_clone().ok(),
            at: 0,
            size: source.size,
            meter: Meter::new(attention, &doing, source.size),
            unread: Arc::clone(&unread),
        };
        let content = || reading().pieces();
        let sent = self
            .api
            .upload_file(&upload, content, self.transferred_by(source.size))
            .await
            .and_then(named);
        match (sent, unread.get()) {
            (Ok(file), _) => Ok(Uploaded {
                file_id: clean_line(&file.id),
                name: cut(&clean_line(&file.filename), NAME_CHARS),
                size_bytes: file.size_bytes.unwrap_or(source.size),
                mime_type: cut(&clean_line(&file.mime_type), NAME_CHARS),
            }),
            (Err(_), Some(why)) => Err(self.unusable(path, why)),
            (Err(error), None) => Err(failure(error, &upload.name)),
        }
    }

    /// The one regular file that a path means.
    async fn source(&self, path: &str) -> Result<Source, Failure> {
        let spots =
            spots(self.roots()?, Path::new(path)).map_err(|why| self.unusable(path, &why))?;
        let open = move || Ok(spots.iter().map(Spot::open_file).collect::<Vec<_>>());
        let opened = on_disk(open)
            .await
            .map_err(|error| self.unusable(path, &error))?;
        let (found, errors): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
        let mut found: Vec<Source> = found.into_iter().flatten().collect();
        if found.len() > 1 {
            let paths: Vec<_> = found.into_iter().map(|source| source.path).collect();
            return Err(ambiguous(path, &paths));
        }
        found.pop().ok_or_else(|| {
            // That it is not elsewhere says less than why it is not usable where it is.
            let mut errors = errors.iter().filter_map(|error| error.as_ref().err());
            let telling = errors
                .clone()
                .find(|error| error.kind() != io::ErrorKind::NotFound);
            match telling.or_else(|| errors.next()) {
                Some(error) => self.unusable(path, error),
                None => self.unusable(path, &"it is nowhere"),
            }
        })
    }
}

/// An answer without an id is none.
fn named(file: crate::api::files::File) -> Result<crate::api::files::File, Error> {
    if file.id.is_empty() {
        return Err(Error::Unreadable {
            reason: "the answer names no file".to_owned(),
            fault: Fault::Malformed,
            request_id: None,
        });
    }
    Ok(file)
}

fn failure(error: Error, name: &str) -> Failure {
    let doing = format!("upload {}", cut(name, NAME_CHARS));
    if !error.is_ambiguous() {
        return Failure::Api { doing, error };
    }
    Failure::DeliveryUnknown {
        doing,
        error,
        next: "make the same call again: a second copy does no harm, but the first may exist beside it."
            .to_owned(),
    }
}

/// A file that is read from its start to the size it had when it was opened.
struct Reading {
    file: Option<File>,
    at: u64,
    size: u64,
    meter: Meter,
    /// Why it could not be read: the wire only tells that the sending ended.
    unread: Arc<OnceLock<String>>,
}

impl Reading {
    fn pieces(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        stream::try_unfold(self, |mut reading| async move {
            let left = reading.size - reading.at;
            if left == 0 {
                return Ok(None);
            }
            let piece = match reading.file.take() {
                Some(file) => {
                    let (at, most) = (reading.at, left.min(PIECE as u64));
                    on_disk(move || read(file, at, most)).await
                }
                None => Err(io::Error::other("it cannot be read")),
            };
            let (file, piece) = piece.inspect_err(|error| {
                let _ = reading.unread.set(error.to_string());
            })?;
            reading.file = Some(file);
            reading.at += piece.len() as u64;
            reading.meter.moved(piece.len());
            Ok(Some((piece, reading)))
        })
    }
}

/// The next piece, never an empty one.
fn read(mut file: File, at: u64, most: u64) -> io::Result<(File, Bytes)> {
    let mut piece = Vec::with_capacity(most as usize);
    file.seek(SeekFrom::Start(at))?;
    (&file).take(most).read_to_end(&mut piece)?;
    if piece.is_empty() {
        return Err(io::Error::other("it became shorter while it was read"));
    }
    Ok((file, piece.into()))
}
