//! What an agent produced, saved to disk without passing through the model.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::super::{Attention, Bridge, Failure};
use super::folders::{Folder, LARGEST, Spot, allow, open_folders, spots};
use super::list::Found;
use super::meter::Meter;
use super::part::{Existing, Part, sweep};
use super::{NAME_CHARS, ambiguous, downloadable, names, on_disk, patiently, too_large};
use crate::api::files::{Download as Content, File};
use crate::api::{Delivery, Error, Id};
use crate::session::clean::clean_line;
use crate::session::report::cut;

/// Of the reason why a file was not saved.
const WHY_CHARS: usize = 400;

/// What to save.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// One file.
    File(Id),
    /// All files of a session that can be had.
    Session(Id),
}

/// A file that was saved.
#[derive(Debug, Clone, Serialize)]
pub struct Saved {
    /// Its id.
    pub file_id: String,
    /// Where it is now, absolute.
    pub path: String,
    /// Bytes.
    pub size_bytes: u64,
    /// As the API says, if it is one.
    #[serde(skip)]
    pub media_type: Option<String>,
}

/// A file that was not saved.
#[derive(Debug, Clone, Serialize)]
pub struct Unsaved {
    /// Its id.
    pub file_id: String,
    /// As the agent called it, cleaned.
    pub name: String,
    /// What was in the way.
    pub why: String,
    /// What can be done about it.
    #[serde(skip)]
    pub next: Option<String>,
}

/// What became of the files that were wanted.
#[derive(Debug, Clone, Default)]
pub struct Download {
    /// The folder that was written to, absolute.
    pub directory: String,
    /// Those on disk.
    pub saved: Vec<Saved>,
    /// Those that are not; a single file that was wanted is an error instead.
    pub failed: Vec<Unsaved>,
    /// The agent may write more.
    pub is_working: bool,
    /// There are more than one listing reads.
    pub is_cut: bool,
}

/// Between a path and why there is no file now.
const UNSAVED: &str = " was not saved: ";

/// Where a folder may be.
struct Place {
    path_shown: String,
    spots: Vec<Spot>,
}

/// How the files of one call are saved.
struct Saving<'a> {
    folder: &'a Folder,
    existing: Existing,
    deadline: Instant,
    attention: &'a Attention,
}

impl Bridge {
    /// Saves files in a folder, by default the first that is allowed; it is made if it is not there.
    pub async fn download(
        &self,
        wanted: &Wanted,
        directory: Option<&str>,
        existing: Existing,
        attention: &Attention,
    ) -> Result<Download, Failure> {
        let place = self.place(directory)?;
        let found = self.found(wanted, attention).await?;
        let mut download = Download {
            is_working: found.is_working,
            is_cut: found.listed.is_cut,
            ..Download::default()
        };
        let can_be_had = |file: &File| file.downloadable != Some(false);
        let files: Vec<File> = found.listed.files.into_iter().filter(can_be_had).collect();
        if files.is_empty() {
            return Ok(download);
        }
        let folder = self.folder(place).await?;
        download.directory = folder.path.display().to_string();
        let sizes = files.iter().filter_map(|file| file.size_bytes);
        let saving = Saving {
            folder: &folder,
            existing,
            deadline: self.transferred_by(sizes.fold(0, u64::saturating_add)),
            attention,
        };
        let mut taken = HashSet::new();
        for file in &files {
            let name = names::unique(&names::safe_name(&file.filename, &file.id), &mut taken);
            match (self.save(file, &name, &saving).await, wanted) {
                (Ok(saved), _) => download.saved.push(saved),
                (Err(failure), Wanted::File(_)) => return Err(failure),
                (Err(failure), Wanted::Session(_)) => {
                    download.failed.push(Unsaved::new(file, failure));
                }
            }
        }
        Ok(download)
    }

    async fn found(&self, wanted: &Wanted, attention: &Attention) -> Result<Found, Failure> {
        match wanted {
            Wanted::File(id) => {
                let file = self.api_in_time().get_file(id).await;
                let file = file.map_err(Failure::while_trying(format!("read file {id}")))?;
                downloadable(&file)?;
                Ok(Found::only(file))
            }
            Wanted::Session(id) => self.settled_files(id, attention).await,
        }
    }

    fn place(&self, directory: Option<&str>) -> Result<Place, Failure> {
        let roots = self.roots()?;
        let path = match directory {
            Some(directory) => PathBuf::from(directory),
            None => roots.first().cloned().unwrap_or_default(),
        };
        let path_shown = path.display().to_string();
        match spots(roots, &path) {
            Ok(spots) => Ok(Place { path_shown, spots }),
            Err(why) => Err(self.unusable(&path_shown, &why)),
        }
    }

    /// The one folder that is meant; it is made if there is none.
    async fn folder(&self, place: Place) -> Result<Folder, Failure> {
        let Place { path_shown, spots } = place;
        let opened = on_disk(move || {
            let found = open_folders(&spots)?;
            if let [folder] = found.as_slice() {
                sweep(&folder.dir);
            }
            Ok(found)
        });
        let opened = opened.await;
        let mut found = opened.map_err(|error| self.unusable(&path_shown, &error))?;
        if found.len() > 1 {
            let paths: Vec<PathBuf> = found.into_iter().map(|folder| folder.path).collect();
            return Err(ambiguous(&path_shown, &paths));
        }
        found
            .pop()
            .ok_or_else(|| self.unusable(&path_shown, &ErrorKind::NotFound.into()))
    }

    async fn save(&self, file: &File, name: &str, saving: &Saving<'_>) -> Result<Saved, Failure> {
        downloadable(file)?;
        let id = Id::parse(&file.id)
            .map_err(|why| Failure::argument(why, "this file cannot be had."))?;
        let free = saving.is_free(name).await;
        free.map_err(|error| unsaved(name, saving, &error))?;
        let size_bytes = patiently(saving.deadline, || self.fetch(&id, file, name, saving)).await?;
        Ok(Saved {
            file_id: file.id.clone(),
            path: saving.folder.path.join(name).display().to_string(),
            size_bytes,
            media_type: Some(file.mime_type.clone()).filter(|kind| is_media_type(kind)),
        })
    }

    /// Downloads a file from its start and gives it its name; the bytes it has.
    async fn fetch(
        &self,
        id: &Id,
        file: &File,
        name: &str,
        saving: &Saving<'_>,
    ) -> Result<u64, Failure> {
        let lost = |error| unsaved(name, saving, &error);
        let mut content = self
            .api
            .download_file(id, saving.deadline)
            .await
            .map_err(Failure::while_trying(format!("download {id}")))?;
        let dir = saving.folder.dir.try_clone().map_err(lost)?;
        let (part, disk) = on_disk(move || Part::begin(dir)).await.map_err(lost)?;
        let mut disk = tokio::fs::File::from_std(disk);
        let size = receive(&mut content, &mut disk, file, name, saving).await?;
        disk.flush().await.map_err(lost)?;
        let (name, existing) = (name.to_owned(), saving.existing);
        on_disk(move || part.place(&name, existing))
            .await
            .map_err(lost)?;
        Ok(size)
    }
}

/// Writes a file's content as it comes; the bytes that it has, which are all.
async fn receive(
    content: &mut Content,
    disk: &mut tokio::fs::File,
    file: &File,
    name: &str,
    saving: &Saving<'_>,
) -> Result<u64, Failure> {
    let failed = |error| Failure::while_trying(format!("download {}", file.id))(error);
    let expected = file.size_bytes.or(content.length).unwrap_or_default();
    let mut meter = Meter::new(saving.attention, &format!("downloading {name}"), expected);
    let mut size = 0;
    while let Some(piece) = content.chunk().await.map_err(failed)? {
        size += piece.len() as u64;
        if size > LARGEST {
            return Err(too_large(file));
        }
        let written = disk.write_all(&piece).await;
        written.map_err(|error| unsaved(name, saving, &error))?;
        meter.moved(piece.len());
    }
    if size < expected {
        return Err(failed(Error::Unreachable {
            reason: format!("only {size} of {expected} bytes came"),
            delivery: Delivery::Unknown,
        }));
    }
    Ok(size)
}

impl Unsaved {
    fn new(file: &File, failure: Failure) -> Unsaved {
        let (why, next) = match failure {
            Failure::Argument { what, next } => (what, Some(next)),
            Failure::Api { error, .. } | Failure::DeliveryUnknown { error, .. } => {
                (error.to_string(), None)
            }
        };
        // The name stands beside it.
        let why = why.split_once(UNSAVED).map_or(&*why, |(_, why)| why);
        Unsaved {
            file_id: clean_line(&file.id),
            name: cut(&clean_line(&file.filename), NAME_CHARS),
            why: cut(&clean_line(why), WHY_CHARS),
            next,
        }
    }
}

impl Saving<'_> {
    /// Whether a file may get this name. What takes the name later is noticed then.
    async fn is_free(&self, name: &str) -> io::Result<()> {
        allow(OsStr::new(name))?;
        let (dir, name) = (self.folder.dir.try_clone()?, name.to_owned());
        let existing = self.existing;
        on_disk(move || match dir.symlink_metadata(&name) {
            Ok(met) if met.is_dir() => Err(ErrorKind::IsADirectory.into()),
            Ok(_) if existing == Existing::Kept => Err(ErrorKind::AlreadyExists.into()),
            _ => Ok(()),
        })
        .await
    }
}

/// Whether a word of the API's is `type/subtype`, perhaps with parameters.
fn is_media_type(text: &str) -> bool {
    let is_plain = |c: u8| c.is_ascii_graphic() || c == b' ';
    text.len() <= 128 && text.split('/').count() == 2 && text.bytes().all(is_plain)
}

fn unsaved(name: &str, saving: &Saving<'_>, error: &io::Error) -> Failure {
    let why = match error.kind() {
        ErrorKind::AlreadyExists => "there is a file of this name".to_owned(),
        ErrorKind::IsADirectory => "there is a folder of this name".to_owned(),
        ErrorKind::StorageFull => "the disk is full".to_owned(),
        _ => error.to_string(),
    };
    let next = match error.kind() {
        ErrorKind::AlreadyExists => {
            "pass another `directory`, or `overwrite` true if the user agrees."
        }
        ErrorKind::StorageFull => {
            "ask the user to make room, or pass a `directory` on another disk."
        }
        _ => "pass another `directory`.",
    };
    let path = saving.folder.path.join(name);
    Failure::argument(format!("{}{UNSAVED}{why}.", path.display()), next)
}
