//! Names of files, pure: those that may stand on this machine's disk, and those that are never touched.

use std::collections::HashSet;

use crate::session::clean::clean_line;

/// Longest name, in bytes: room for ` (2)` is left in every file system.
const LONGEST: usize = 120;
/// A longer end of a name is no extension.
const LONGEST_EXTENSION: usize = 20;

/// The name under which a file from elsewhere may be saved: the last component, without anything that a file system, a
/// shell or a reader could take for something else. Where nothing is left it is `instead`, an id.
pub(super) fn safe_name(foreign: &str, instead: &str) -> String {
    let mut name = safer(foreign);
    // What one step takes away may bare what another would have taken; none of them makes a name longer than its mark.
    loop {
        let again = safer(&name);
        if again == name {
            break;
        }
        name = again;
    }
    if name.is_empty() {
        shorter(instead)
    } else {
        name
    }
}

/// The name under which a local file is uploaded: what the API and a form field take, and no more is changed.
pub(super) fn plain_name(name: &str) -> String {
    let line = without(name, "<>:\"|?*");
    if line.is_empty() {
        "file".to_owned()
    } else {
        shorter(&line)
    }
}

/// The last component on one line, without these characters.
fn without(name: &str, characters: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = last
        .chars()
        .map(|c| if characters.contains(c) { '_' } else { c });
    clean_line(&plain.collect::<String>())
}

fn safer(name: &str) -> String {
    let line = without(name, "<>:\"|?*`$");
    let bare = line
        .trim_start_matches(['.', '-', '~', ' '])
        .trim_end_matches(['.', ' ']);
    let mark = if is_reserved(bare) { "_" } else { "" };
    shorter(&format!("{mark}{bare}"))
}

/// The name cut to its longest, with its extension kept.
fn shorter(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let (stem, extension) = parts(name);
    let room = LONGEST.saturating_sub(extension.len());
    let mut left = room;
    let fits = |c: &char| {
        let fits = c.len_utf8() <= left;
        left = left.saturating_sub(c.len_utf8());
        fits
    };
    let stem: String = stem.chars().take_while(fits).collect();
    format!("{}{extension}", stem.trim_end_matches(['.', ' ']))
}

/// A name before its extension, and the extension with its dot.
fn parts(name: &str) -> (&str, &str) {
    name.rfind('.')
        .filter(|at| *at > 0 && name.len() - at <= LONGEST_EXTENSION)
        .and_then(|at| name.split_at_checked(at))
        .unwrap_or((name, ""))
}

/// Whether Windows takes the name for a device, whatever its extension.
pub(super) fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    let stem = stem.trim_end().to_uppercase();
    let port = |kind: &str| {
        stem.strip_prefix(kind).is_some_and(|number| {
            matches!(number, "¹" | "²" | "³")
                || matches!(number.as_bytes(), [digit] if digit.is_ascii_digit())
        })
    };
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&stem.as_str())
        || port("COM")
        || port("LPT")
}

/// The name, or the first of `name (2)`, `name (3)`, … that is not taken yet; it is taken from now on. Case does not tell names
/// apart, since not every file system lets it.
pub(super) fn unique(name: &str, taken: &mut HashSet<String>) -> String {
    let (stem, extension) = parts(name);
    let numbered = (2_usize..).map(|number| format!("{stem} ({number}){extension}"));
    std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|name| taken.insert(name.to_lowercase()))
        .unwrap_or_else(|| name.to_owned())
}

/// Components of a path that hold keys, or that make a program on this machine do something.
const SECRET: [&str; 31] = [
    ".ssh",
    ".aws",
    ".azure",
    ".gnupg",
    ".kube",
    ".docker",
    ".gcloud",
    "gcloud",
    ".netrc",
    "_netrc",
    ".git-credentials",
    ".git",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".htpasswd",
    ".claude",
    ".claude.json",
    ".mcp.json",
    "mcp.json",
    "mcp_config.json",
    "mcp-config.json",
    "claude_desktop_config.json",
    ".cursor",
    ".codex",
    ".gemini",
    ".codeium",
    ".windsurf",
    ".vscode",
    ".zed",
    "application_default_credentials.json",
];
const SECRET_STARTS: [&str; 5] = [".env", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"];
const SECRET_ENDS: [&str; 8] = [
    ".pem",
    ".key",
    ".p12",
    ".pfx",
    ".ppk",
    ".jks",
    ".keystore",
    ".kdbx",
];

/// Whether a component of a path is on the list of what no file tool touches, in either direction.
pub(super) fn is_denied(component: &str) -> bool {
    // As file systems compare that ignore case, invisible characters and trailing dots; `:` begins a stream of the same file.
    let name = clean_line(component).to_lowercase();
    let name = name.split(':').next().unwrap_or_default();
    let name = name.trim_end_matches(['.', ' ']);
    SECRET.contains(&name)
        || SECRET_STARTS.iter().any(|start| name.starts_with(start))
        || SECRET_ENDS.iter().any(|end| name.ends_with(end))
}

/// The media type of a file by its name; the API decides on all others.
pub(super) fn media_type(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension.to_lowercase().as_str() {
        "pdf" => "application/pdf",
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "xml" => "application/xml",
        "json" => "application/json",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "zip" => "application/zip",
        "gz" | "tgz" => "application/gzip",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn safe(name: &str) -> String {
        safe_name(name, "file_01")
    }

    #[test]
    fn a_hostile_name_becomes_a_plain_one() {
        let long = format!("{}.tar", "ä".repeat(100));
        for (foreign, name) in [
            ("report.pdf", "report.pdf"),
            ("Übersicht 2026.xlsx", "Übersicht 2026.xlsx"),
            ("../../etc/passwd", "passwd"),
            ("/etc/shadow", "shadow"),
            ("..\\..\\windows\\win.ini", "win.ini"),
            ("C:\\boot.ini", "boot.ini"),
            ("C:evil", "C_evil"),
            ("notes.txt:stream", "notes.txt_stream"),
            ("..", "file_01"),
            (".", "file_01"),
            ("", "file_01"),
            ("///", "file_01"),
            ("a/", "file_01"),
            (".bashrc", "bashrc"),
            ("-rf", "rf"),
            ("--.-x", "x"),
            ("~", "file_01"),
            ("CON", "_CON"),
            ("nul.txt", "_nul.txt"),
            ("Com1 .log", "_Com1 .log"),
            ("LPT¹", "_LPT¹"),
            ("COM10", "COM10"),
            ("a\nb\r\0c.txt", "a b c.txt"),
            ("cod\u{202e}fdp.exe", "codfdp.exe"),
            ("\u{1b}]0;title\u{7}x", "x"),
            ("a\u{200b}.\u{feff}txt", "a.txt"),
            ("trailing. . ", "trailing"),
            ("$(touch x)`id`", "_(touch x)_id_"),
            ("a<b>|?*\".md", "a_b_____.md"),
            (&long, &format!("{}.tar", "ä".repeat(58))),
        ] {
            assert_eq!(safe(foreign), name, "{foreign:?}");
        }
    }

    #[test]
    fn names_that_are_the_same_are_told_apart() {
        let mut taken = HashSet::new();
        let mut names = Vec::new();
        for name in ["a.txt", "A.txt", "a.txt", "a (2).txt", "b", "b"] {
            names.push(unique(name, &mut taken));
        }
        assert_eq!(
            names,
            [
                "a.txt",
                "A (2).txt",
                "a (3).txt",
                "a (2) (2).txt",
                "b",
                "b (2)"
            ]
        );
    }

    #[test]
    fn what_holds_keys_is_denied_in_every_spelling() {
        for secret in [
            ".ssh",
            ".SSH",
            ".ssh.",
            ".ssh ",
            ".aws",
            ".gnupg",
            ".env",
            ".env.local",
            ".envrc",
            "server.pem",
            "SERVER.PEM",
            "tls.key",
            "tls.key::$DATA",
            "id_rsa",
            "id_rsa.pub",
            "id_ed25519",
            ".netrc",
            ".git-credentials",
            ".claude.json",
            "claude_desktop_config.json",
            ".mcp.json",
            "mcp.json",
            ".g\u{200c}it",
            ".cursor",
        ] {
            assert!(is_denied(secret), "{secret:?}");
        }
        for plain in [
            "report.pdf",
            "environment.md",
            "keys.md",
            "ssh.txt",
            "my.env.md",
            "pem",
            "src",
            ".github",
            "monkey",
        ] {
            assert!(!is_denied(plain), "{plain:?}");
        }
    }

    proptest! {
        #[test]
        fn a_safe_name_is_always_one_plain_component(foreign in "\\PC{0,300}|[./\\\\ \\-~:a-zA-Z\u{200d}\u{fe0f}\u{1f469}*#\u{20e3}\r\n\u{1b}]{0,80}") {
            let name = safe(&foreign);
            prop_assert!(!name.is_empty() && name.len() <= LONGEST);
            prop_assert!(!name.contains(['/', '\\', ':', '\0']) && !name.chars().any(char::is_control));
            prop_assert!(!name.starts_with(['.', '-', '~', ' ']) && !name.ends_with(['.', ' ']));
            prop_assert!(!is_reserved(&name));
            prop_assert_eq!(&clean_line(&name), &name);
            prop_assert_eq!(safe(&name), name);
        }

        #[test]
        fn a_long_name_keeps_its_extension(stem in "[a-zäß漢]{100,200}", extension in "[a-z]{1,8}") {
            let name = safe(&format!("{stem}.{extension}"));
            let end = format!(".{extension}");
            prop_assert!(name.ends_with(&end));
        }
    }
}
