//! A file of this machine, sent once, for agents to have.

use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::Notify;
use tokio::time::{Duration, Instant};

use super::super::once::{Second, Write, named};
use super::super::{Attention, Bridge, Failure};
use super::folders::{Source, Spot, spots};
use super::meter::Meter;
use super::{NAME_CHARS, ambiguous, names, on_disk};
use crate::api::events::parse_time;
use crate::api::files::{File, Upload};
use crate::api::{Client, Delivery, Error};
use crate::session::clean::clean_line;
use crate::session::report::cut;

/// As much is read and sent at a time.
const PIECE: usize = 128 * 1024;
/// For the list of what was there before.
const LISTING: Duration = Duration::from_secs(5);

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
    /// Uploads a file, under its own name or another. What may have arrived is looked for.
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
        let unread = Unread::default();
        let reading = || Reading {
            file: source.file.try_clone().ok(),
            at: 0,
            size: source.size,
            meter: Meter::new(attention, &doing, source.size),
            unread: unread.clone(),
        };
        let content = &|| reading().pieces();
        let sent = tokio::select! {
            sent = self.upload_once(&upload, content) => sent,
            // The wire would only tell that the sending ended.
            why = unread.told() => Err(self.unusable(path, &io::Error::other(why))),
        };
        let file = sent?;
        Ok(Uploaded {
            file_id: clean_line(&file.id),
            name: cut(&clean_line(&file.filename), NAME_CHARS),
            size_bytes: file.size_bytes.unwrap_or(source.size),
            mime_type: cut(&clean_line(&file.mime_type), NAME_CHARS),
        })
    }

    /// Files carry no mark: one that may have arrived is known by its name and size, and by not having been there before.
    async fn upload_once<S>(
        &self,
        upload: &Upload,
        content: &impl Fn() -> S,
    ) -> Result<File, Failure>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let listing = self.api.until(Instant::now() + LISTING);
        // Where there is no list nobody can look, but a file can be sent all the same.
        let before = newest(&listing).await.ok();
        let known: Option<HashSet<String>> =
            before.map(|files| files.into_iter().map(|file| file.id).collect());
        let known = &known;
        let send = |_| async move {
            let until = self.transferred_by(upload.size);
            let file = self.api.upload_file(upload, content, until).await?;
            named(file, "file", |file| &file.id)
        };
        let look = |api: Client| async move {
            let known = known.as_ref().ok_or_else(unlisted)?;
            let mut files = newest(&api).await?.into_iter();
            Ok(files.find(|file| {
                let is_it = file.filename == upload.name && file.size_bytes == Some(upload.size);
                is_it && !known.contains(&file.id)
            }))
        };
        let next = "make the same call again: a second copy does no harm, but the first may exist beside it.";
        let transfer = self.transferred_by(upload.size) - Instant::now();
        Write::new(
            format!("upload {}", cut(&upload.name, NAME_CHARS)),
            Second::Creates,
            next,
        )
        .within(transfer)
        .once(&self.api, Instant::now() + 2 * transfer, send, look)
        .await
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
                None => self.unusable(path, &io::ErrorKind::NotFound.into()),
            }
        })
    }
}

/// The newest files, where the list begins with them or is whole.
async fn newest(api: &Client) -> Result<Vec<File>, Error> {
    let (files, goes_on) = api.list_newest_files().await?;
    let times = files
        .iter()
        .map(|file| parse_time(file.created_at.as_deref().unwrap_or_default()));
    let is_descending = times.is_sorted_by(|one, next| one.is_some() && one >= next);
    if goes_on && !is_descending {
        return Err(unlisted());
    }
    Ok(files)
}

fn unlisted() -> Error {
    Error::Unreachable {
        reason: "the API does not list the newest files".to_owned(),
        delivery: Delivery::NotSent,
    }
}

/// Why a file could not be read, once that is known.
#[derive(Clone, Default)]
struct Unread(Arc<(OnceLock<String>, Notify)>);

impl Unread {
    fn tell(&self, why: String) {
        let _ = self.0.0.set(why);
        self.0.1.notify_one();
    }

    async fn told(&self) -> String {
        self.0.1.notified().await;
        self.0.0.get().cloned().unwrap_or_default()
    }
}

/// A file that is read from its start to the size it had when it was opened.
struct Reading {
    file: Option<std::fs::File>,
    at: u64,
    size: u64,
    meter: Meter,
    unread: Unread,
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
                reading.unread.tell(error.to_string());
            })?;
            reading.file = Some(file);
            reading.at += piece.len() as u64;
            reading.meter.moved(piece.len());
            Ok(Some((piece, reading)))
        })
    }
}

/// The next piece, never an empty one.
fn read(mut file: std::fs::File, at: u64, most: u64) -> io::Result<(std::fs::File, Bytes)> {
    let mut piece = Vec::with_capacity(most as usize);
    file.seek(SeekFrom::Start(at))?;
    (&file).take(most).read_to_end(&mut piece)?;
    if piece.is_empty() {
        return Err(io::Error::other("it became shorter while it was read"));
    }
    Ok((file, piece.into()))
}
