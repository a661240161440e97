//! A file that is not all there yet: it has another name and is gone at every failure, also when nobody waits for it any more.

use std::fs::File;
use std::io::{ErrorKind, Result};

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
