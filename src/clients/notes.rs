//! What a person should know beside the block: printed on stderr.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::block::Server;
use super::facts::facts;
use super::{Client, Launch, SERVER, Secret};

pub(super) fn of(client: Client, launch: &Launch) -> String {
    let facts = facts(client);
    let mut text = format!("{}: add this to", facts.name);
    text.push_str(if facts.files.len() > 1 { "\n" } else { " " });
    for (system, path) in facts.files {
        text.push_str(&format!("  {system:10}{path}\n"));
    }
    let mut paragraph = |title: &str, words: &str| {
        text.push_str(&format!("{title:9}{words}\n"));
    };
    if !launch.simulate {
        paragraph("Key", &key(client));
        if let Some(file) = key_file(client, launch) {
            paragraph("", &file);
        }
    }
    paragraph("Then", facts.restart);
    for (title, line) in install(client, launch) {
        paragraph(title, &line);
    }
    let is_of_the_key = |limit: &&&str| limit.contains("_KEY");
    let limits = facts.limits.iter();
    for limit in limits.filter(|limit| !launch.simulate || !is_of_the_key(limit)) {
        paragraph("Note", limit);
    }
    if is_a_build(&launch.command) {
        let words = "This binary is a build that `cargo clean` removes: `cargo install --locked --path .` gives one that stays.";
        paragraph("Note", words);
    }
    paragraph("Check", &check(client, launch));
    text
}

/// Whether a binary lies where cargo builds.
fn is_a_build(command: &str) -> bool {
    let command = command.replace('\\', "/");
    ["/target/debug/", "/target/release/"]
        .iter()
        .any(|folder| command.contains(folder))
}

/// `doctor`, which sees what the shell sets, and not what the block does.
fn check(client: Client, launch: &Launch) -> String {
    let command = shell(&launch.command);
    match client.secret() {
        _ if launch.simulate => format!("{command} doctor --simulate"),
        Secret::File if !cfg!(windows) => {
            let file = shell(&launch.key_file);
            format!("MANAGED_AGENTS_KEY_FILE={file} {command} doctor")
        }
        Secret::File => format!(
            "{command} doctor, with MANAGED_AGENTS_KEY_FILE set to {}",
            launch.key_file
        ),
        _ => format!("{command} doctor"),
    }
}

fn key(client: Client) -> String {
    match client.secret() {
        Secret::File => {
            "it stays out of this block, in a file that only you can read:".to_owned()
        }
        Secret::Variable(reference) => {
            let name = facts(client).name;
            format!("{name} puts ANTHROPIC_API_KEY of its own environment in the place of {reference}.")
        }
        Secret::Named if client == Client::Goose => {
            "Goose takes ANTHROPIC_API_KEY from its environment or its keyring (`goose configure`), and does not start the server without one.".to_owned()
        }
        Secret::Named => "Codex passes ANTHROPIC_API_KEY of its own environment on.".to_owned(),
        Secret::Asked => {
            "VS Code asks for it when the server starts first, and keeps it encrypted.".to_owned()
        }
    }
}

/// How to give the key in a file, where that is the way or the other way.
fn key_file(client: Client, launch: &Launch) -> Option<String> {
    let file = private_file(&launch.key_file);
    match client.secret() {
        Secret::File => Some(file),
        Secret::Variable(_) => Some(format!(
            "Or put \"MANAGED_AGENTS_KEY_FILE\": {:?} in its place in the block, after: {file}",
            launch.key_file
        )),
        Secret::Named if client == Client::Codex => Some(format!(
            "Or write env = {{ MANAGED_AGENTS_KEY_FILE = {:?} }} instead, after: {file}",
            launch.key_file
        )),
        Secret::Named | Secret::Asked => None,
    }
}

fn private_file(path: &str) -> String {
    if cfg!(windows) {
        return format!(
            "Make {path} a file that only your account may read, and paste the key into it."
        );
    }
    let folder = path.rsplit_once('/').map_or(path, |(folder, _)| folder);
    let (folder, path) = (shell(folder), shell(path));
    // Run a second time it harms nothing: a key that is there stays.
    format!(
        "(umask 077; mkdir -p {folder}; touch {path})  # then paste the key into it with an editor"
    )
}

/// One line that adds the server, and a link where the client has one. Neither carries a key.
fn install(client: Client, launch: &Launch) -> Vec<(&'static str, String)> {
    let run = [shell(&launch.command)]
        .into_iter()
        .chain(launch.arguments().into_iter().map(str::to_owned));
    let run = run.collect::<Vec<_>>().join(" ");
    let with = |option: &str, setting: &str| match launch.simulate {
        true => String::new(),
        false => format!("{option} {} ", shell(setting)),
    };
    let reference = "ANTHROPIC_API_KEY=${ANTHROPIC_API_KEY}";
    let file = format!("MANAGED_AGENTS_KEY_FILE={}", launch.key_file);
    let named = Server::named(launch).compact();
    match client {
        Client::ClaudeCode => vec![(
            "Or run",
            format!(
                "claude mcp add --scope project {SERVER} {}-- {run}",
                with("-e", reference)
            ),
        )],
        Client::Codex => vec![(
            "Or run",
            format!("codex mcp add {SERVER} {}-- {run}", with("--env", &file)),
        )],
        Client::Gemini => vec![(
            "Or run",
            format!(
                "gemini mcp add --scope user {}{SERVER} {run}",
                with("-e", reference)
            ),
        )],
        Client::VsCode => vec![
            ("Or run", format!("code --add-mcp {}", shell(&named))),
            ("Or open", format!("vscode:mcp/install?{}", percent(&named))),
        ],
        Client::Cursor => vec![("Or open", cursor_link(launch))],
        _ => Vec::new(),
    }
}

/// Base64 of the JSON as it stands.
fn cursor_link(launch: &Launch) -> String {
    let server = STANDARD.encode(Server::of(Client::Cursor, launch).compact());
    format!(
        "cursor://anysphere.cursor-deeplink/mcp/install?name={SERVER}&config={}",
        percent(&server)
    )
}

/// For a query, as JavaScript's `encodeURIComponent` writes it.
fn percent(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// A word for the shell, which must not look into it.
fn shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || r"/._-:=@%+,\".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) && (cfg!(windows) || !word.contains('\\')) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_told_from_what_is_installed() {
        for (command, expected) in [
            ("/src/shop/target/debug/managed-agents-mcp", true),
            (r"C:\src\target\release\managed-agents-mcp.exe", true),
            ("/home/you/.cargo/bin/managed-agents-mcp", false),
        ] {
            assert_eq!(is_a_build(command), expected, "{command}");
        }
    }
}
