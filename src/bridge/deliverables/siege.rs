//! A test: paths and names made at random from whatever ever led out of a folder, against a disk full of ways out.
//! `SIEGE_SEED` repeats a run, `SIEGE_PATHS` makes it longer.

use std::collections::HashSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use super::folders::{Folder, allow, open_folders, spots};
use super::names::{is_denied, safe_name};
use super::part::{Existing, Part};

/// So many different paths are tried in each direction.
const PATHS: u64 = 10_000;
const PLAIN: &str = "plain";
const SECRET: &str = "what must not leave";

/// Folders and links that are there, or may be made.
#[rustfmt::skip]
const WAYS: [&str; 20] = [
    "sub", "sub", "deep", "self", "folder", "up", "winding", "way-out", "absolute", "to-proc", "to-root", "root", "beside",
    "dev", "proc", "self", "fd", ".ssh", ".git", "new",
];

/// What is in them.
#[rustfmt::skip]
const ENDS: [&str; 14] = [
    "plain.txt", "plain.txt", "secret.txt", "out.txt", "inside", "innocent.txt", "zero", "round", "pipe", "socket", ".env",
    "server.pem", "id_rsa", "environ",
];

/// Ways up, keys, devices, what a shell, an address or Windows reads in another way, characters that are not seen.
#[rustfmt::skip]
const ODD: [&str; 48] = [
    "..", "..", ".", "", "...", ".. ", "..\t", "..\n", "..;", "..\0", "%2e%2e", "%2e%2e%2f", "..%00", "..\\", "..\\beside",
    "\u{ff0e}\u{ff0e}", "\u{2025}", "\u{2024}\u{2024}", ".\u{200b}.", "\u{202e}..", ".SSH.", ".env.local", ".g\u{200c}it",
    ".aws ", "tls.KEY::$DATA", ".mcp.json", "nul", "CON", "COM1.txt", "aux ", "LPT\u{b9}", "C:", "C:\\", "\\\\host\\share",
    "\\\\?\\C:", "file:", "~", "~root", "$HOME", "`id`", "-rf", "*", "\n", "\r\n", "\0", "\u{1b}[31m", "\u{feff}", "\u{7f}",
];

const BETWEEN: [&str; 10] = [
    "/", "/", "/", "/", "//", "/./", "/../", "\\", "\u{2215}", "\u{ff0f}",
];

/// `allowed`, with ways out of it, and what they lead to.
struct Besieged {
    all: tempfile::TempDir,
    rng: fastrand::Rng,
    seed: u64,
    tried: HashSet<String>,
}

impl Besieged {
    fn new() -> Besieged {
        let seed = number("SIEGE_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
        let besieged = Besieged {
            all: tempfile::tempdir().unwrap(),
            rng: fastrand::Rng::with_seed(seed),
            seed,
            tried: HashSet::new(),
        };
        besieged.furnish();
        besieged
    }

    /// What is allowed says `PLAIN`, all else something different.
    fn furnish(&self) {
        let put = |path: &str, text: &str| {
            let path = self.all.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for folder in ["", "sub/", "sub/deep/", "sub/sub/"] {
            put(&format!("allowed/{folder}plain.txt"), PLAIN);
            for secret in [
                ".ssh/plain.txt",
                ".env",
                ".git/plain.txt",
                "server.pem",
                "id_rsa",
            ] {
                put(&format!("allowed/{folder}{secret}"), SECRET);
            }
        }
        for outside in ["", "beside/", "beside/sub/", "beside/deep/", "allowed-not/"] {
            put(&format!("{outside}plain.txt"), SECRET);
            put(&format!("{outside}secret.txt"), SECRET);
        }
        let beside = self.all.path().join("beside");
        for (name, target) in [
            ("way-out", "../beside"),
            ("absolute", beside.to_str().unwrap()),
            ("out.txt", "../beside/plain.txt"),
            ("innocent.txt", ".env"),
            ("zero", "/dev/zero"),
            ("round", "round"),
            ("to-proc", "/proc"),
            ("to-root", "/"),
            ("up", ".."),
            ("sub/up", "../.."),
            ("sub/self", "."),
            ("sub/folder", "deep"),
            ("sub/deep/self", "../sub"),
            ("winding", "sub/../../beside/./sub"),
            ("self", "."),
            ("inside", "sub/plain.txt"),
            ("folder", "sub/deep"),
        ] {
            symlink(target, self.root().join(name)).unwrap();
        }
        let pipe = std::process::Command::new("mkfifo")
            .arg(self.root().join("pipe"))
            .status();
        assert!(pipe.unwrap().success());
        drop(std::os::unix::net::UnixListener::bind(self.root().join("socket")).unwrap());
    }

    fn root(&self) -> PathBuf {
        self.all.path().join("allowed")
    }

    /// A path that was not tried yet.
    fn path(&mut self) -> String {
        loop {
            let path = self.any_path();
            if self.tried.insert(path.clone()) {
                return path;
            }
        }
    }

    fn any_path(&mut self) -> String {
        let all = self.all.path().display();
        let starts = [
            format!("{all}/allowed/"),
            format!("{all}/allowed/../"),
            format!("{all}/allowed-not/"),
            format!("{all}/"),
            format!("/{all}/allowed/"),
            format!("/proc/self/root{all}/allowed/"),
            "/proc/self/".to_owned(),
            "/".to_owned(),
            "./".to_owned(),
            "a/".repeat(self.rng.usize(1..80)),
        ];
        // Most begin in the folder: the others are refused at once.
        let start = starts.get(self.rng.usize(..4 * starts.len()));
        let mut path = start.cloned().unwrap_or_default();
        // Some lead only where they may, or the others would prove little.
        let is_plain = self.rng.u8(..4) == 0;
        let ways = if is_plain { &WAYS[..5] } else { &WAYS[..] };
        for place in 0..self.rng.usize(1..6) {
            if place > 0 {
                let between = if is_plain {
                    &BETWEEN[..6]
                } else {
                    &BETWEEN[..]
                };
                path.push_str(self.rng.choice(between).unwrap());
            }
            let kind = if is_plain { 40 } else { self.rng.u8(..40) };
            match kind {
                0 => path.push(self.rng.char(..)),
                1 => path.push_str(&"x".repeat(self.rng.usize(100..400))),
                2..10 => path.push_str(self.rng.choice(ODD).unwrap()),
                10..18 => path.push_str(self.rng.choice(ENDS).unwrap()),
                _ => path.push_str(self.rng.choice(ways).unwrap()),
            }
        }
        if self.rng.bool() {
            path.push('/');
            path.push_str(self.rng.choice(ENDS).unwrap());
        }
        path
    }

    /// Everything that no download may touch, with what is in it.
    fn untouchable(&self) -> Vec<(PathBuf, String)> {
        let mut found = Vec::new();
        collect(self.all.path(), &mut found);
        let root = self.root();
        found.retain(|(path, _)| {
            let inside = path.strip_prefix(&root);
            inside.map_or(true, is_forbidden)
        });
        found.sort();
        found
    }

    /// Saves a file in the folder, which must be one of ours.
    fn save(&self, folder: Folder, name: &str, about: &str) {
        let path = fs::canonicalize(&folder.path).unwrap();
        let root = fs::canonicalize(self.root()).unwrap();
        let inside = path.strip_prefix(&root);
        assert!(inside.is_ok_and(|inside| !is_forbidden(inside)), "{about}");
        let (there, opened) = (
            fs::metadata(&path).unwrap(),
            folder.dir.try_clone().unwrap().into_std_file(),
        );
        let opened = opened.metadata().unwrap();
        assert_eq!(
            (there.dev(), there.ino()),
            (opened.dev(), opened.ino()),
            "{about}"
        );
        let (part, mut file) = Part::begin(folder.dir).unwrap();
        file.write_all(PLAIN.as_bytes()).unwrap();
        // A folder may have the name.
        if part.place(name, Existing::Replaced).is_ok() {
            let saved = fs::symlink_metadata(path.join(name)).unwrap();
            assert!(
                saved.is_file() && saved.len() == PLAIN.len() as u64,
                "{about}"
            );
            fs::remove_file(path.join(name)).unwrap();
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn is_forbidden(inside: &Path) -> bool {
    let mut names = inside
        .components()
        .map(|name| name.as_os_str().to_string_lossy());
    names.any(|name| is_denied(&name))
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let met = fs::symlink_metadata(&path).unwrap();
        if met.is_dir() {
            collect(&path, found);
        }
        let text = met.is_file().then(|| fs::read_to_string(&path).unwrap());
        found.push((path, text.unwrap_or_default()));
    }
}

#[test]
fn no_path_of_ten_thousand_reads_what_is_not_allowed() {
    let mut besieged = Besieged::new();
    let (roots, paths) = ([besieged.root()], number("SIEGE_PATHS").unwrap_or(PATHS));
    let mut read = 0;
    for _ in 0..paths {
        let path = besieged.path();
        let about = format!("SIEGE_SEED={}: {path:?}", besieged.seed);
        for spot in spots(&roots, Path::new(&path)).unwrap_or_default() {
            let Ok(source) = spot.open_file() else {
                continue;
            };
            let mut text = Vec::new();
            source.file.take(100).read_to_end(&mut text).unwrap();
            assert_eq!(String::from_utf8_lossy(&text), PLAIN, "{about}");
            assert!(source.path.starts_with(&roots[0]), "{about}");
            read += 1;
        }
    }
    assert!(besieged.tried.len() as u64 >= paths);
    assert!(read > paths / 1000, "only {read} of {paths} were read");
}

#[test]
fn no_path_and_no_name_of_ten_thousand_writes_outside() {
    let mut besieged = Besieged::new();
    let (roots, paths) = ([besieged.root()], number("SIEGE_PATHS").unwrap_or(PATHS));
    let before = besieged.untouchable();
    let mut opened = 0;
    for _ in 0..paths {
        let (path, foreign) = (besieged.path(), besieged.any_path());
        let about = format!("SIEGE_SEED={}: {path:?}, {foreign:?}", besieged.seed);
        let name = safe_name(&foreign, "file_1");
        let Ok(spots) = spots(&roots, Path::new(&path)) else {
            continue;
        };
        let Ok(mut folders) = open_folders(&spots) else {
            continue;
        };
        opened += 1;
        if allow(name.as_ref()).is_ok() {
            besieged.save(folders.remove(0), &name, &about);
        }
    }
    assert!(besieged.tried.len() as u64 >= paths);
    assert!(opened > paths / 20, "only {opened} of {paths} were opened");
    assert!(
        besieged.untouchable() == before,
        "SIEGE_SEED={}",
        besieged.seed
    );
}
