//! The configuration that each MCP client wants: the block for its file, and what to know about it. No key is ever in either.

mod block;
mod facts;
mod notes;

use std::path::Path;

use clap::ValueEnum;

/// What this server is called in every client.
const SERVER: &str = "managed-agents";

/// A client whose configuration is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "their names say it all")]
pub enum Client {
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    #[value(name = "vscode")]
    VsCode,
    Codex,
    Zed,
    Windsurf,
    Gemini,
    Goose,
    #[value(name = "jetbrains")]
    JetBrains,
    #[value(name = "opencode")]
    OpenCode,
}

/// How a client comes by the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Secret {
    /// A private file that a setting names.
    File,
    /// A variable of the client's own environment, written in this way in its file.
    Variable(&'static str),
    /// The client passes the variable on, or asks its own store for it, by name.
    Named,
    /// The client asks, and remembers it encrypted.
    Asked,
}

/// What is to be started.
#[derive(Debug, Clone)]
pub struct Launch {
    command: String,
    simulate: bool,
    key_file: String,
}

impl Launch {
    /// This binary. The path is absolute: a desktop application does not see the shell's PATH.
    pub fn of(
        binary: &Path,
        simulate: bool,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Launch, String> {
        let command = binary.to_str().ok_or_else(|| {
            format!(
                "{} cannot be written into a configuration: its path is not UTF-8",
                binary.display()
            )
        })?;
        Ok(Launch {
            command: command.to_owned(),
            simulate,
            key_file: key_file(lookup),
        })
    }

    fn arguments(&self) -> Vec<&'static str> {
        if self.simulate {
            vec!["--simulate"]
        } else {
            Vec::new()
        }
    }
}

/// Where the file with the key is suggested to be. No client replaces `~` in a variable.
fn key_file(lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
    if cfg!(windows) {
        let folder = set("APPDATA").unwrap_or_else(|| r"C:\path\to".to_owned());
        return format!(r"{folder}\managed-agents-mcp\key");
    }
    match set("HOME") {
        Some(home) => format!("{home}/.config/managed-agents-mcp/key"),
        None => "/path/to/key".to_owned(),
    }
}

impl Client {
    fn secret(self) -> Secret {
        match self {
            Client::ClaudeDesktop | Client::Zed | Client::JetBrains => Secret::File,
            // With braces, so that one that was not replaced is noticed: see `config.rs`.
            Client::ClaudeCode | Client::Gemini => Secret::Variable("${ANTHROPIC_API_KEY}"),
            Client::Cursor | Client::Windsurf => Secret::Variable("${env:ANTHROPIC_API_KEY}"),
            Client::OpenCode => Secret::Variable("{env:ANTHROPIC_API_KEY}"),
            Client::Codex | Client::Goose => Secret::Named,
            Client::VsCode => Secret::Asked,
        }
    }

    /// The block for the client's file, in the file's own format, valid by itself.
    pub fn block(self, launch: &Launch) -> String {
        block::of(self, launch)
    }

    /// Where the file is, what to start again, how to install in one line, and which limits matter.
    pub fn notes(self, launch: &Launch) -> String {
        notes::of(self, launch)
    }
}
