//! The folders that file tools may touch. Whatever is opened, is opened through a handle of one of them, one component at a
//! time, so that no path and no symbolic link leads out, not even one that is swapped meanwhile. All of it blocks.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{Error, ErrorKind, Result};
use std::path::{Component, Path, PathBuf};

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};

use super::names;

/// Folders in folders: each is held open on the way.
const DEEPEST: usize = 64;
/// As many symbolic links are followed in one path.
const MOST_LINKS: usize = 40;
/// The most that the Files API takes.
pub(super) const LARGEST: u64 = 500 * 1000 * 1000;

/// A place that a path may mean: somewhere in one of the folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    root: PathBuf,
    inside: PathBuf,
}

/// What to do about a folder that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is an error.
    Refused,
    /// It is made.
    Made,
}

/// A file that was opened for reading.
pub(super) struct Source {
    pub(super) file: std::fs::File,
    /// Its own name, whatever link led to it.
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) path: PathBuf,
}

/// A folder that was opened.
pub(super) struct Folder {
    pub(super) dir: Dir,
    pub(super) path: PathBuf,
}

/// The places that a path may mean: one for an absolute path, one in each folder for another. The error says what is wrong.
pub(super) fn spots(roots: &[PathBuf], path: &Path) -> Result<Vec<Spot>> {
    let unfit = |why: &str| Error::new(ErrorKind::InvalidInput, why);
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(unfit("it holds `..`, which is never followed"));
    }
    if path.is_absolute() {
        let within = roots.iter().filter(|root| path.starts_with(root));
        // A folder in a folder was allowed by its own name.
        let nearest = within.max_by_key(|root| root.components().count());
        let root = nearest
            .ok_or_else(|| unfit("it is in no allowed folder"))?
            .clone();
        let inside = path.strip_prefix(&root).unwrap_or(path).to_owned();
        return Ok(vec![Spot { root, inside }]);
    }
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !path.components().all(plain) {
        return Err(unfit("it is neither an absolute path nor a relative one"));
    }
    let spot = |root: &PathBuf| Spot {
        root: root.clone(),
        inside: path.to_owned(),
    };
    Ok(roots.iter().map(spot).collect())
}

impl Spot {
    /// Opens a regular file of a size that can be uploaded.
    pub(super) fn open_file(&self) -> Result<Source> {
        let mut walk = Walk::new(&self.root)?;
        let Some(name) = walk.go_along(&self.inside, Missing::Refused)? else {
            return Err(refused("it is a folder, not a file"));
        };
        let here = walk.here();
        // Opening a device may already do something.
        if !here.symlink_metadata(&name)?.is_file() {
            return Err(refused("it is not a regular file"));
        }
        let mut options = OpenOptions::new();
        options.read(true).follow(FollowSymlinks::No).nonblock(true);
        let file = here.open_with(&name, &options)?.into_std();
        let met = file.metadata()?;
        if !met.is_file() || shows_the_kernel(&file) {
            return Err(refused("it is not a regular file"));
        }
        if met.len() > LARGEST {
            return Err(refused(
                "it is larger than 500 MB, the most that can be uploaded",
            ));
        }
        Ok(Source {
            file,
            size: met.len(),
            name: name.to_string_lossy().into_owned(),
            path: walk.path(Some(&name)),
        })
    }

    /// Opens a folder, and makes it if that is wanted.
    pub(super) fn open_folder(&self, missing: Missing) -> Result<Folder> {
        let mut walk = Walk::new(&self.root)?;
        match walk.go_along(&self.inside, missing)? {
            None => Ok(Folder {
                dir: walk.here().try_clone()?,
                path: walk.path(None),
            }),
            Some(_) => Err(refused("it is not a folder")),
        }
    }
}

/// A folder of the settings that cannot be opened.
#[derive(Debug)]
pub(super) struct ClosedRoot {
    root: String,
    error: Error,
}

impl fmt::Display for ClosedRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClosedRoot { root, error } = self;
        write!(f, "the allowed folder {root} cannot be opened: {error}")
    }
}

impl std::error::Error for ClosedRoot {}

/// On the way from a folder to what a path names.
struct Walk {
    root: PathBuf,
    /// The folders entered so far, the outermost first, with their names.
    entered: Vec<(OsString, Dir)>,
    start: Dir,
}

impl Walk {
    fn new(root: &Path) -> Result<Walk> {
        let start = Dir::open_ambient_dir(root, ambient_authority());
        let start = start.map_err(|error| {
            let root = root.display().to_string();
            Error::new(error.kind(), ClosedRoot { root, error })
        })?;
        Ok(Walk {
            root: root.to_owned(),
            entered: Vec::new(),
            start,
        })
    }

    fn here(&self) -> &Dir {
        self.entered.last().map_or(&self.start, |(_, dir)| dir)
    }

    /// Where it stands, and a name there.
    fn path(&self, name: Option<&OsStr>) -> PathBuf {
        let entered = self.entered.iter().map(|(name, _)| name.as_os_str());
        self.root.join(entered.chain(name).collect::<PathBuf>())
    }

    /// Goes along a path and its links. What is at its end is entered if it is a folder; else its name there is returned.
    fn go_along(&mut self, path: &Path, missing: Missing) -> Result<Option<OsString>> {
        let mut ahead = components(path)?;
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            if name == ".." {
                // Only a link says so.
                self.entered
                    .pop()
                    .ok_or_else(|| refused("a symbolic link leads out of the folder"))?;
                continue;
            }
            let here = self.here();
            match here.symlink_metadata(&name) {
                Err(error) if error.kind() == ErrorKind::NotFound && missing == Missing::Made => {
                    here.create_dir(&name)?;
                    self.enter(name)?;
                }
                Err(error) => return Err(error),
                Ok(met) if met.is_symlink() => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(refused("its symbolic links go in a circle"));
                    }
                    let target = here.read_link_contents(&name)?;
                    ahead.extend(components(&target)?);
                }
                Ok(met) if met.is_dir() => self.enter(name)?,
                Ok(_) if ahead.is_empty() => return Ok(Some(name)),
                Ok(_) => return Err(Error::from(ErrorKind::NotADirectory)),
            }
        }
        Ok(None)
    }

    /// Whoever puts a link into its place meanwhile is not followed.
    fn enter(&mut self, name: OsString) -> Result<()> {
        if self.entered.len() >= DEEPEST {
            return Err(refused("it is too deep"));
        }
        let dir = self.here().open_dir_nofollow(&name)?;
        self.entered.push((name, dir));
        Ok(())
    }
}

/// The components of a relative path, the last first; none of them may be one that no file tool touches.
fn components(path: &Path) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for component in path.components().rev() {
        match component {
            Component::CurDir => continue,
            Component::ParentDir => {}
            Component::Normal(name) => allow(name)?,
            Component::RootDir | Component::Prefix(_) => {
                return Err(refused("a symbolic link leads out of the folder"));
            }
        }
        names.push(component.as_os_str().to_owned());
    }
    // Before any of them is made.
    if names.len() > DEEPEST {
        return Err(refused("it is too deep"));
    }
    Ok(names)
}

/// Refuses what no file tool touches.
pub(super) fn allow(name: &OsStr) -> Result<()> {
    let name = name.to_string_lossy();
    if names::is_denied(&name) {
        let why = format!("`{name}` may hold keys or steer a program, so no file tool touches it");
        return Err(refused(&why));
    }
    if cfg!(windows) && names::is_reserved(&name) {
        return Err(refused(&format!("`{name}` is a device")));
    }
    Ok(())
}

pub(super) fn refused(why: &str) -> Error {
    Error::new(ErrorKind::PermissionDenied, why)
}

/// Files of `/proc` and `/sys` look regular, but what they hold is the kernel's, or a process's memory.
#[cfg(target_os = "linux")]
fn shows_the_kernel(file: &std::fs::File) -> bool {
    const SYSFS: u64 = 0x6265_6572;
    let system = rustix::fs::fstatfs(file).map(|system| system.f_type as u64);
    system.is_ok_and(|kind| kind == rustix::fs::PROC_SUPER_MAGIC as u64 || kind == SYSFS)
}

#[cfg(not(target_os = "linux"))]
fn shows_the_kernel(_file: &std::fs::File) -> bool {
    false
}

/// The folders that are there at these places; where there is none, the first that can be made.
pub(super) fn open_folders(spots: &[Spot]) -> Result<Vec<Folder>> {
    let there: Vec<Folder> = spots
        .iter()
        .filter_map(|spot| spot.open_folder(Missing::Refused).ok())
        .collect();
    if !there.is_empty() {
        return Ok(there);
    }
    let mut trouble = Error::from(ErrorKind::NotFound);
    for spot in spots {
        match spot.open_folder(Missing::Made) {
            Ok(folder) => return Ok(vec![folder]),
            Err(error) => trouble = error,
        }
    }
    Err(trouble)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::part::{Existing, Part};
    use super::*;

    const SECRET: &str = "the secret";

    /// `allowed` and `secret` beside it, in a folder of its own that is gone at the end.
    struct Place(PathBuf);

    impl Place {
        fn new() -> Place {
            let name = format!("managed-agents-mcp-{}", uuid::Uuid::new_v4().simple());
            let place = Place(std::env::temp_dir().join(name));
            fs::create_dir_all(place.root().join("sub")).unwrap();
            fs::create_dir(place.0.join("outside")).unwrap();
            fs::write(place.0.join("outside/secret.txt"), SECRET).unwrap();
            fs::write(place.root().join("plain.txt"), "plain").unwrap();
            fs::write(place.root().join("sub/plain.txt"), "plain").unwrap();
            place
        }

        fn root(&self) -> PathBuf {
            self.0.join("allowed")
        }

        fn spot(&self, path: &str) -> std::result::Result<Spot, String> {
            let spots = spots(&[self.root()], Path::new(path)).map_err(|why| why.to_string());
            Ok(spots?.remove(0))
        }

        fn read(&self, path: &str) -> std::result::Result<String, String> {
            let source = self.spot(path)?.open_file();
            let mut source = source.map_err(|error| error.to_string())?;
            let mut text = String::new();
            source.file.read_to_string(&mut text).unwrap();
            Ok(text)
        }

        /// Swaps `name` in the allowed folder between `good` and a link to `bad`, for as long as the work takes.
        fn while_swapped<T>(&self, name: &str, bad: &str, work: impl FnOnce() -> T) -> T {
            let (real, link) = (self.root().join("real"), self.root().join("link"));
            let shown = self.root().join(name);
            let done = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    symlink(bad, &link).unwrap();
                    while !done.load(Ordering::Relaxed) {
                        fs::rename(&shown, &real).unwrap();
                        fs::rename(&link, &shown).unwrap();
                        fs::rename(&shown, &link).unwrap();
                        fs::rename(&real, &shown).unwrap();
                    }
                    fs::remove_file(&link).unwrap();
                });
                let result = work();
                done.store(true, Ordering::Relaxed);
                result
            })
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_path_means_a_place_in_a_folder_or_nothing() {
        let place = Place::new();
        let root = place.root().display().to_string();
        for good in [
            "plain.txt",
            "./plain.txt",
            "sub/plain.txt",
            "sub//./plain.txt",
        ] {
            assert_eq!(place.read(good).unwrap(), "plain", "{good}");
            assert_eq!(place.read(&format!("{root}/{good}")).unwrap(), "plain");
        }
        let nested = [PathBuf::from("/a"), PathBuf::from("/a/.ssh/b")];
        let found = spots(&nested, Path::new("/a/.ssh/b/c")).unwrap();
        assert_eq!(found[0].root, nested[1], "the nearest folder");
        assert_eq!(spots(&nested, Path::new("c")).unwrap().len(), 2);
        assert!(spots(&nested, Path::new("/ab/c")).is_err());
    }

    #[test]
    fn a_link_is_followed_inside_the_folder_only() {
        let place = Place::new();
        let link = |target: &str, name: &str| symlink(target, place.root().join(name)).unwrap();
        link("sub/plain.txt", "inside");
        link("sub", "folder");
        link("../plain.txt", "sub/up");
        link("folder/up", "twice");
        link("../outside/secret.txt", "out");
        link("../outside", "outdoors");
        link("sub/../../outside/secret.txt", "winding");
        let secret = place.0.join("outside/secret.txt");
        symlink(&secret, place.root().join("absolute")).unwrap();
        link("circle", "circle");
        fs::write(place.root().join(".env"), SECRET).unwrap();
        link(".env", "harmless.txt");
        for good in ["inside", "folder/plain.txt", "sub/up", "twice", "folder/up"] {
            assert_eq!(place.read(good).unwrap(), "plain", "{good}");
        }
        for bad in [
            "out",
            "outdoors/secret.txt",
            "winding",
            "absolute",
            "circle",
            "harmless.txt",
            ".env",
        ] {
            let error = place.read(bad).unwrap_err();
            assert!(!error.contains("os error"), "{bad}: {error}");
        }
        assert!(
            place
                .spot("outdoors")
                .unwrap()
                .open_folder(Missing::Made)
                .is_err()
        );
        assert!(
            place
                .spot("out/new")
                .unwrap()
                .open_folder(Missing::Made)
                .is_err()
        );
    }

    #[test]
    fn no_swapped_link_leads_out_when_reading() {
        let place = Place::new();
        let (mut read, mut escaped) = (0, 0);
        for (name, bad, path) in [
            ("plain.txt", "../outside/secret.txt", "plain.txt"),
            ("sub", "../outside", "sub/secret.txt"),
            ("sub", "../outside", "sub/plain.txt"),
        ] {
            place.while_swapped(name, bad, || {
                for _ in 0..10_000 {
                    match place.read(path) {
                        Ok(text) if text == SECRET => escaped += 1,
                        Ok(_) => read += 1,
                        Err(_) => {}
                    }
                }
            });
        }
        assert_eq!(escaped, 0);
        assert!(read > 0, "nothing was ever read");
    }

    #[test]
    fn no_swapped_link_leads_out_when_writing() {
        let place = Place::new();
        let mut placed = 0;
        place.while_swapped("sub", "../outside", || {
            for number in 0..3_000 {
                let Ok(folder) = place.spot("sub").unwrap().open_folder(Missing::Refused) else {
                    continue;
                };
                let (part, _) = Part::begin(folder.dir).unwrap();
                part.place(&format!("{number}"), Existing::Kept).unwrap();
                placed += 1;
            }
        });
        let outside = fs::read_dir(place.0.join("outside")).unwrap().count();
        assert_eq!(outside, 1, "only what was there before");
        assert!(placed > 0, "nothing was ever placed");
    }

    #[test]
    fn a_part_has_its_name_only_when_it_is_whole_and_takes_that_of_no_other() {
        let place = Place::new();
        let folder = place
            .spot("sub")
            .unwrap()
            .open_folder(Missing::Refused)
            .unwrap();
        let begin = || Part::begin(folder.dir.try_clone().unwrap()).unwrap();
        let names = || fs::read_dir(place.root().join("sub")).unwrap().count();
        drop(begin());
        assert_eq!(names(), 1, "a part that was given up is gone");
        let error = begin().0.place("plain.txt", Existing::Kept).unwrap_err();
        assert_eq!((error.kind(), names()), (ErrorKind::AlreadyExists, 1));
        symlink("/nowhere", place.root().join("sub/dangling")).unwrap();
        let error = begin().0.place("dangling", Existing::Kept).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        begin().0.place("dangling", Existing::Replaced).unwrap();
        begin().0.place("plain.txt", Existing::Replaced).unwrap();
        let met = fs::symlink_metadata(place.root().join("sub/dangling")).unwrap();
        assert!(met.is_file());
        let mode = std::os::unix::fs::PermissionsExt::mode(&met.permissions());
        assert_eq!((mode & 0o777, names()), (0o600, 2));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_of_the_kernel_is_no_regular_file() {
        let read =
            |path: &str| spots(&[PathBuf::from("/")], Path::new(path)).unwrap()[0].open_file();
        for path in [
            "/proc/self/environ",
            "/proc/1/cmdline",
            "/sys/kernel/mm/transparent_hugepage/enabled",
            "/dev/null",
        ] {
            assert!(read(path).is_err(), "{path}");
        }
    }
}
