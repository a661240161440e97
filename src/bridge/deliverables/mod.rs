//! Files in and out: what is uploaded for agents, and what they produced, listed, saved or read.
//!
//! The disk is touched only in the folders that `MANAGED_AGENTS_FILE_ROOTS` allows, and never on the runtime's own thread.

mod download;
mod excerpt;
mod folders;
mod list;
mod meter;
mod names;
mod part;
#[cfg(unix)]
#[cfg(test)]
mod siege;
mod upload;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::{Bridge, Failure};
use crate::api::Error;
use crate::api::files::File;
use crate::session::clean::clean_line;
pub use download::{Download, Saved, Unsaved, Wanted};
pub use excerpt::Excerpt;
use folders::ClosedRoot;
pub use list::{FileRow, SessionFiles};
pub use part::Existing;
pub use upload::Uploaded;

/// A transfer may take as long as at this pace, or the longest wait, whichever is longer.
const BYTES_PER_SECOND: u64 = 100_000;
/// However much there is to transfer.
const LONGEST: Duration = Duration::from_secs(3600);
/// Of a name in a message.
const NAME_CHARS: usize = 100;

impl Bridge {
    /// The folders that file tools may touch.
    fn roots(&self) -> Result<&[PathBuf], Failure> {
        match self.config.file_roots.as_slice() {
            [] => Err(Failure::argument(
                "No folder of this machine is open to the file tools.",
                "ask the user to set MANAGED_AGENTS_FILE_ROOTS in this server's configuration to the folders that may be read and \
                 written (absolute paths), and to restart it. The text of an agent's file can be read without: download_file with \
                 file_id and offset 0.",
            )),
            roots => Ok(roots),
        }
    }

    /// When a transfer of so many bytes that begins now must have ended.
    fn transferred_by(&self, bytes: u64) -> Instant {
        let at_pace = Duration::from_secs(bytes / BYTES_PER_SECOND);
        Instant::now() + at_pace.min(LONGEST).max(self.config.max_wait)
    }

    /// Says that a path cannot be used, and what can be done.
    fn unusable(&self, path: &str, error: &io::Error) -> Failure {
        let roots = listed(&self.config.file_roots);
        let next = match error.kind() {
            _ if error.get_ref().is_some_and(|inner| inner.is::<ClosedRoot>()) => {
                "ask the user to make this folder, or to correct MANAGED_AGENTS_FILE_ROOTS and restart this server.".to_owned()
            }
            io::ErrorKind::NotFound => format!("check the path; the allowed folders are {roots}."),
            io::ErrorKind::PermissionDenied => {
                format!("another file or folder will do; the allowed folders are {roots}.")
            }
            _ => format!("pass a path in an allowed folder: {roots}."),
        };
        Failure::argument(format!("`{path}` cannot be used: {error}."), next)
    }
}

fn listed(paths: &[PathBuf]) -> String {
    let shown = paths.iter().take(5);
    let shown: Vec<String> = shown.map(|path| path.display().to_string()).collect();
    shown.join(", ")
}

/// Says that a relative path means more than one place.
fn ambiguous(path: &str, places: &[PathBuf]) -> Failure {
    Failure::argument(
        format!("`{path}` is in more than one allowed folder."),
        format!("pass one of these: {}.", listed(places)),
    )
}

/// Work on the disk, which may block.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|gone| Err(io::Error::other(gone)))
}

/// Refuses what the API never gives back.
fn downloadable(file: &File) -> Result<(), Failure> {
    if file.downloadable == Some(false) {
        return Err(Failure::argument(
            format!(
                "{} was uploaded: the API gives back only what an agent wrote.",
                clean_line(&file.id)
            ),
            "list_files shows which files of a session are downloadable.",
        ));
    }
    if file.size_bytes > Some(folders::LARGEST) {
        return Err(too_large(file));
    }
    Ok(())
}

fn too_large(file: &File) -> Failure {
    Failure::argument(
        format!(
            "{} is larger than 500 MB, the most that is downloaded.",
            clean_line(&file.id)
        ),
        "ask the agent with send_message to split or to compress it.",
    )
}

/// How long to wait before a download is begun anew; `None`: it is not. Who has waited in vain does not wait again.
fn pause(error: &Error, attempt: u32) -> Option<Duration> {
    const MOST: u32 = 2;
    let asked = match error {
        Error::Refused(refusal) => refusal.retry_after,
        Error::Unreachable {
            delivery: crate::api::Delivery::Late,
            ..
        } => return None,
        _ => None,
    };
    let usual = Duration::from_millis(300) * 3_u32.pow(attempt.min(MOST));
    (attempt < MOST && error.is_transient()).then(|| asked.unwrap_or(usual))
}

/// Makes an attempt again while `pause` says so and there is time.
async fn patiently<T, F: Future<Output = Result<T, Failure>>>(
    deadline: Instant,
    once: impl Fn() -> F,
) -> Result<T, Failure> {
    let mut attempt = 0;
    loop {
        let failure = match once().await {
            Err(failure) => failure,
            done => return done,
        };
        let pause = match &failure {
            Failure::Api { error, .. } => pause(error, attempt),
            _ => None,
        };
        match pause.filter(|pause| Instant::now() + *pause < deadline) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(failure),
        }
        attempt += 1;
    }
}
