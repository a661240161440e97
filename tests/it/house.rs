//! The walls of the house: which room may name what, as `src/lib.rs` says.

use std::fs;
use std::path::{Path, PathBuf};

/// Room, and what its code never names.
const WALLS: [(&str, &[&str]); 7] = [
    ("server", &["reqwest", "api::Client", "sse_stream", "hyper"]),
    (
        "bridge",
        &["rmcp", "schemars", "crate::server", "reqwest", "hyper"],
    ),
    (
        "session",
        &[
            "tokio",
            "reqwest",
            "rmcp",
            "crate::bridge",
            "crate::server",
            "crate::config",
            "std::fs",
            "std::net",
            "std::env",
        ],
    ),
    (
        "api",
        &[
            "rmcp",
            "schemars",
            "crate::bridge",
            "crate::session",
            "crate::server",
        ],
    ),
    (
        "simulator",
        &[
            "crate::api",
            "crate::session",
            "crate::bridge",
            "crate::server",
            "crate::config",
            "rmcp",
            "reqwest",
        ],
    ),
    (
        "doctor",
        &["rmcp", "reqwest", "hyper", "crate::bridge", "crate::server"],
    ),
    (
        "clients",
        &["tokio", "reqwest", "rmcp", "crate::api", "crate::config"],
    ),
];

/// A file with so many lines of code should have become two.
const MOST_LINES: usize = 500;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The text of a file up to its tests, some of which other tests build on.
fn without_tests(text: &str) -> &str {
    let ends = ["mod tests {", "pub(super) mod tests {"];
    let ends = ends.map(|opening| text.find(&format!("#[cfg(test)]\n{opening}")));
    let end = ends.into_iter().flatten().min();
    &text[..end.unwrap_or(text.len())]
}

/// The code of a file, without comments and without its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let lines = without_tests(&text)
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn names(code: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + name.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[test]
fn no_room_names_what_belongs_to_another() {
    for (room, forbidden) in WALLS {
        let found = files(&source().join(room));
        assert!(!found.is_empty(), "{room} is empty");
        for path in found {
            let code = code(&path);
            for name in forbidden {
                assert!(!names(&code, name), "{} names {name}", path.display());
            }
        }
    }
}

#[test]
fn only_one_room_knows_each_foreign_library() {
    for (library, rooms) in [
        ("rmcp", &["server", "main.rs"][..]),
        ("reqwest", &["api", "config.rs", "config"]),
        ("sse_stream", &["api/stream.rs"]),
        ("hyper", &["simulator"]),
        ("cap_std", &["bridge/deliverables"]),
    ] {
        for path in files(&source()) {
            let place = path.strip_prefix(source()).unwrap();
            let allowed = rooms.iter().any(|room| place.starts_with(room));
            assert!(
                allowed || !names(&code(&path), library),
                "{} names {library}",
                place.display()
            );
        }
    }
}

#[test]
fn nothing_ever_logs_the_bytes_of_a_connection() {
    for path in files(&source()) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("connection_verbose"), "{}", path.display());
    }
}

#[test]
fn every_file_opens_with_its_job_and_is_not_too_long() {
    for path in files(&source()) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{}", path.display());
        let lines = without_tests(&text).lines().count();
        assert!(lines <= MOST_LINES, "{}: {lines} lines", path.display());
    }
}

#[test]
fn a_word_is_only_found_as_a_word() {
    assert!(names("use tokio::time;", "tokio"));
    assert!(!names("fn retokio() {}", "tokio"));
    assert!(names("crate::api::Client", "api::Client"));
    assert!(!names("crate::api::Clients", "api::Client"));
}
