//! A file that is not all there yet: it has another name and is gone at every failure, also when nobody waits for it any more.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Result};
use std::time::Duration;

use cap_std::fs::{Dir, OpenOptions};
use uuid::Uuid;

/// What to do with a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and the new one is refused.
    Kept,
    /// The new one takes its place.
    Replaced,
}

/// A part of a file, in the folder where the whole is to be.
pub(super) struct Part {
    dir: Dir,
    /// Its name until it is whole.
    temporary: String,
}

impl Part {
    /// An empty one that only this user can read.
    pub(super) fn begin(dir: Dir) -> Result<(Part, File)> {
        let temporary = format!(".{}.part", Uuid::new_v4().simple());
        let file = dir.open_with(&temporary, &private())?.into_std();
        Ok((Part { dir, temporary }, file))
    }

    /// The whole file gets its name, at once or not at all.
    pub(super) fn place(self, name: &str, existing: Existing) -> Result<()> {
        if existing == Existing::Replaced {
            return self.dir.rename(&self.temporary, &self.dir, name);
        }
        // Unlike a renaming, a link never takes the place of a file, whoever creates it meanwhile.
        match self.dir.hard_link(&self.temporary, &self.dir, name) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => self.take(name),
            placed => placed,
        }
    }

    /// For a file system without hard links: an empty file takes the name first.
    fn take(&self, name: &str) -> Result<()> {
        self.dir.open_with(name, &private())?;
        let placed = self.dir.rename(&self.temporary, &self.dir, name);
        if placed.is_err() {
            self.dir.remove_file(name)?;
        }
        placed
    }
}

/// No download takes as long, so that a part of this age was left by a process that was killed.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 3600);
/// In a larger folder not every name is looked at.
const MOST_NAMES: usize = 10_000;

/// Removes what was left behind in a folder; where that fails, it stays.
pub(super) fn sweep(dir: &Dir) {
    let names = dir.entries().into_iter().flatten().take(MOST_NAMES);
    let names = names.flatten().map(|entry| entry.file_name());
    for name in names.filter(|name| is_temporary(name)) {
        let met = dir.symlink_metadata(&name).ok();
        let age = met
            .filter(|met| met.is_file())
            .and_then(|met| met.modified().ok()?.into_std().elapsed().ok());
        if age > Some(LEFT_BEHIND) {
            let _ = dir.remove_file(&name);
        }
    }
}

fn is_temporary(name: &OsStr) -> bool {
    let bare = |name: &str| {
        let middle = name.strip_prefix('.')?.strip_suffix(".part")?;
        Some(
            middle.len() == 32
                && middle
                    .bytes()
                    .all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')),
        )
    };
    name.to_str().and_then(bare) == Some(true)
}

impl Drop for Part {
    fn drop(&mut self) {
        // Once it is placed by renaming there is nothing to remove.
        let _ = self.dir.remove_file(&self.temporary);
    }
}

/// A new file, never one that is there or that a link leads to.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    cap_std::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn what_a_killed_process_left_is_removed_a_day_later_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let name = |digit: &str, end: &str| format!(".{}{end}", digit.repeat(32));
        let put = |name: &str, hours: u64| {
            let file = File::create(folder.path().join(name)).unwrap();
            let age = Duration::from_secs(hours * 3600);
            file.set_modified(std::time::SystemTime::now() - age)
                .unwrap();
        };
        put(&name("a", ".part"), 25);
        let kept = [
            (name("b", ".part"), 23),
            (name("c", ".parts"), 25),
            (name("g", ".part"), 25),
            (name("ab", ".part"), 25),
            ("mine.part".to_owned(), 25),
        ];
        kept.iter().for_each(|(name, hours)| put(name, *hours));
        std::fs::create_dir(folder.path().join(name("d", ".part"))).unwrap();
        std::os::unix::fs::symlink("mine.part", folder.path().join(name("e", ".part"))).unwrap();
        let dir = Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority()).unwrap();
        sweep(&dir);
        assert_eq!(dir.entries().unwrap().count(), kept.len() + 2);
        assert!(!dir.exists(name("a", ".part")));
    }

    #[test]
    fn without_hard_links_a_file_takes_the_name_of_no_other_either() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority()).unwrap();
        let begin = || Part::begin(dir.try_clone().unwrap()).unwrap().0;
        begin().take("name").unwrap();
        let error = begin().take("name").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        let lost = begin();
        dir.remove_file(&lost.temporary).unwrap();
        assert!(lost.take("other").is_err());
        assert_eq!(dir.entries().unwrap().count(), 1, "the name is given back");
    }
}
