//! Where the key comes from: the environment, a private file, or a command. It is fetched by the first call.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::AsyncReadExt;

use crate::secrets;

/// Variables that hold a secret of ours.
pub const SECRET_VARIABLES: [&str; 5] = [
    "ANTHROPIC_MANAGED_AGENTS_TOKEN",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "MANAGED_AGENTS_GITHUB_TOKEN",
    "GITHUB_TOKEN",
];
/// Where a key may be given: the first of these that is set counts.
pub(crate) const KEY_SOURCES: [&str; 5] = [
    "MANAGED_AGENTS_KEY_FILE",
    "MANAGED_AGENTS_KEY_COMMAND",
    "ANTHROPIC_MANAGED_AGENTS_TOKEN",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
];
/// Most bytes of a key.
const LONGEST_KEY: u64 = 16 * 1024;
const COMMAND: &str = "MANAGED_AGENTS_KEY_COMMAND";
/// What is said of something with spaces, line ends or foreign letters in it.
pub(crate) const NO_KEY: &str = "it holds spaces, line ends or other characters that no key has";
/// What is said of a placeholder, `${…}` or another, where a secret belongs.
pub(crate) const UNREPLACED: &str = "holds a placeholder that was not replaced";
/// How long a key command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// A secret, and the header it goes into.
#[derive(Debug, Clone)]
pub enum Key {
    /// Sent as `x-api-key`.
    Api(SecretString),
    /// Sent as `Authorization: Bearer`.
    Bearer(SecretString),
}

/// Where the key is.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// In the environment.
    Given(Key),
    /// In a file that only its owner can read.
    File(PathBuf),
    /// What this command prints; the first word is the program.
    Command(Vec<String>),
    /// In this variable, if the client had put it there.
    Unreplaced(&'static str),
    /// Nowhere.
    Missing,
}

impl KeySource {
    /// Fetches the key. The error is a sentence for the user.
    pub async fn resolve(&self) -> Result<Key, String> {
        let (text, from) = match self {
            KeySource::Given(key) => return Ok(key.clone()),
            KeySource::Missing => return Err("no API key is configured".to_owned()),
            KeySource::Unreplaced(name) => {
                return Err(format!("{name} {UNREPLACED}"));
            }
            KeySource::File(path) => (read(path)?, named_file(path)),
            KeySource::Command(words) => {
                let text = run(words).await;
                (text.map_err(|why| self.hinted(why))?, COMMAND.to_owned())
            }
        };
        match text.trim() {
            "" => Err(self.hinted(format!("{from}: it is empty"))),
            key if is_unreplaced(key) => Err(format!("{from}: {UNREPLACED}")),
            key if pasted(key).is_some() => {
                secrets::learn(&SecretString::from(secret_in(key).unwrap_or_default()));
                Err(format!("{from}: {}", with_name(key)))
            }
            key if !is_one_word(key) => Err(self.hinted(format!("{from}: {NO_KEY}"))),
            key => {
                let key = SecretString::from(key);
                secrets::learn(&key);
                Ok(Key::Api(key))
            }
        }
    }
}

impl KeySource {
    /// With a word on what a shell would have done.
    fn hinted(&self, why: String) -> String {
        let is_for_a_shell =
            |word: &String| word.contains(['"', '\'', '~', '$', '|', '`', '>', '&']);
        match self {
            KeySource::Command(words) if words.iter().any(is_for_a_shell) => format!(
                "{why}; there is no shell: words are split at spaces, and quotes, ~, $ and | mean nothing"
            ),
            _ => why,
        }
    }
}

/// Whether the client left its placeholder as it stands in its file, or the user that of an example.
pub(crate) fn is_unreplaced(text: &str) -> bool {
    let bare = text.trim_matches(['$', '%', '{', '}', '(', ')', '<', '>', ' ']);
    let is_marked = bare.len() < text.len() || bare.starts_with("env:");
    let bare = bare.rsplit([':', '.']).next().unwrap_or_default();
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let said = bare.replace(['-', ' '], "_").to_ascii_uppercase();
    let said = said.trim_matches(['@', '[', ']', '_']);
    let said = said.trim_start_matches("YOUR_").trim_end_matches("_HERE");
    (text.starts_with("${") && text.ends_with('}'))
        || (is_marked && bare.contains('_') && bare.chars().all(is_name))
        || ["API_KEY", "ANTHROPIC_KEY"].contains(&said)
        || SECRET_VARIABLES.contains(&said)
}

/// The key behind `NAME=` or `NAME:`, where somebody pasted a whole line.
pub(crate) fn pasted(text: &str) -> Option<&str> {
    named(text).map(|(_, key)| key)
}

/// What is wrong with a line that was pasted, without the key.
pub(crate) fn with_name(line: &str) -> String {
    // What stands before the name may be a key as well.
    let name = named(line).map_or("", |(name, _)| name);
    format!("remove `{name}`: the key belongs there alone")
}

/// Behind so many signs nobody's name of a variable is looked for.
const SIGNS: usize = 50;

/// The name of a variable with its sign, and what stands behind it.
fn named(text: &str) -> Option<(&str, &str)> {
    let around = |c: char| "\"' ;,{}".contains(c);
    let mut signs = text.match_indices(['=', ':']).take(SIGNS);
    signs.find_map(|(at, sign)| {
        let (before, after) = (text.get(..at)?, text.get(at + sign.len()..)?);
        let bare = before.trim_end_matches(around);
        let start = bare
            .rfind([' ', ':', '"', '\'', '{'])
            .map_or(0, |at| at + 1);
        let name = text.get(start..at + sign.len())?;
        let is_variable = SECRET_VARIABLES.contains(&bare.get(start..)?);
        is_variable.then(|| (name, after.trim_matches(around)))
    })
}

/// The secret in a text, if it has one: not a placeholder, nor the name in a line that was pasted.
pub(crate) fn secret_in(text: &str) -> Option<&str> {
    let secret = Some(text).filter(|text| !is_unreplaced(text))?;
    Some(pasted(secret).unwrap_or(secret))
}

/// The sources of a key that are set, the one that counts first: a placeholder counts only where there is nothing else.
pub(crate) fn sources(
    lookup: impl Fn(&'static str) -> Option<String>,
) -> Vec<(&'static str, String)> {
    let set = KEY_SOURCES
        .iter()
        .filter_map(|name| Some((*name, lookup(name)?)));
    let mut set: Vec<(&'static str, String)> = set.collect();
    set.sort_by_key(|(_, text)| is_unreplaced(text));
    set
}

/// The program of a key command as it may be named: what is neither a path nor there may be a key, put in the wrong place.
pub(crate) fn named_program(program: &str) -> String {
    let is_relative = ["./", "../", "~/"]
        .iter()
        .any(|start| program.starts_with(start));
    let is_path = is_relative || Path::new(program).is_absolute();
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |folder: PathBuf| {
        let file = folder.join(program);
        file.is_file() || file.with_extension("exe").is_file()
    };
    match is_path || std::env::split_paths(&folders).any(is_there) {
        true => format!("`{program}`"),
        false => "what it names".to_owned(),
    }
}

fn named_file(path: &Path) -> String {
    format!("MANAGED_AGENTS_KEY_FILE {}", path.display())
}

/// Whether a text can be a key or a token, and be carried by a header.
pub(crate) fn is_one_word(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_graphic())
}

/// What is checked is the file that is open, not one that may have taken its place since.
fn read(path: &Path) -> Result<String, String> {
    let named = |why: String| format!("{}: {why}", named_file(path));
    let failed = |error: std::io::Error| named(error.to_string());
    if fs::symlink_metadata(path).map_err(failed)?.is_symlink() {
        return Err(named("is a link, which is not followed".to_owned()));
    }
    let mut options = fs::File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A pipe would wait for its other end.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path).map_err(failed)?;
    let facts = file.metadata().map_err(failed)?;
    if !facts.is_file() {
        return Err(named("is not a regular file".to_owned()));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if facts.permissions().mode() & 0o077 != 0 {
            return Err(named(
                "others can read it; make it private with `chmod 600`".to_owned(),
            ));
        }
    }
    let mut text = String::new();
    file.take(LONGEST_KEY)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(text)
}

async fn run(words: &[String]) -> Result<String, String> {
    let named = |why: String| format!("{COMMAND}: {why}");
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| named("is empty".to_owned()))?;
    let shown = || named_program(program);
    let failed = |error: std::io::Error| named(format!("{} could not be run: {error}", shown()));
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    // It fetches one secret and needs none of the others.
    for secret in SECRET_VARIABLES {
        command.env_remove(secret);
    }
    let output = async {
        let mut child = command.spawn().map_err(failed)?;
        let mut text = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            let mut key = stdout.take(LONGEST_KEY);
            key.read_to_end(&mut text).await.map_err(failed)?;
        }
        let status = child.wait().await.map_err(failed)?;
        if status.success() {
            Ok(text)
        } else {
            Err(named(format!("{} failed ({status})", shown())))
        }
    };
    let text = tokio::time::timeout(COMMAND_TIMEOUT, output)
        .await
        .map_err(|_| named(format!("{} took longer than 10 s", shown())))??;
    String::from_utf8(text).map_err(|_| named("printed something that is not text".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn resolve(source: KeySource) -> Result<String, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(source.resolve()).map(|key| match key {
            Key::Api(key) | Key::Bearer(key) => key.expose_secret().to_owned(),
        })
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_must_be_private_and_regular() {
        use std::os::unix::fs::PermissionsExt;
        let folder =
            std::env::temp_dir().join(format!("managed-agents-key-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let (file, link) = (folder.join("key"), folder.join("link"));
        fs::write(&file, "sk-test\n").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(
            resolve(KeySource::File(file.clone()))
                .unwrap_err()
                .contains("chmod 600")
        );
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(
            resolve(KeySource::File(file.clone())).as_deref(),
            Ok("sk-test")
        );
        for (text, why) in [(" \n", "empty"), ("sk-test\nsk-other", "no key has")] {
            fs::write(&file, text).unwrap();
            let said = resolve(KeySource::File(file.clone())).unwrap_err();
            assert!(said.contains(why), "{said}");
            assert!(said.contains(&file.display().to_string()), "{said}");
        }
        for (text, why) in [
            ("${ANTHROPIC_API_KEY}\n", "a placeholder"),
            (
                "ANTHROPIC_API_KEY=gwkey-canary71\n",
                "remove `ANTHROPIC_API_KEY=`",
            ),
        ] {
            fs::write(&file, text).unwrap();
            let said = resolve(KeySource::File(file.clone())).unwrap_err();
            assert!(said.contains(why) && !said.contains("canary"), "{said}");
        }
        assert!(secrets::mask("gwkey-canary71") != "gwkey-canary71");
        assert!(resolve(KeySource::File(link)).unwrap_err().contains("link"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_names_no_program_is_not_said_for_it_may_be_a_key() {
        for text in ["gw-canary5d20b8", "ca/nary5d20b8+x="] {
            let command = KeySource::Command(vec![text.to_owned()]);
            let said = resolve(command).unwrap_err();
            assert!(said.contains("could not be run"), "{said}");
            assert!(!said.contains("nary"), "{said}");
        }
        let said = resolve(KeySource::Command(vec!["/no/such/program".to_owned()])).unwrap_err();
        assert!(said.contains("`/no/such/program`"), "{said}");
    }

    #[test]
    fn placeholders_are_told_from_keys() {
        for text in [
            "${X}",
            "${input:key}",
            "$MY_KEY",
            "%MY_KEY%",
            "{env:MY_KEY}",
            "<YOUR_KEY>",
            "YOUR_ANTHROPIC_API_KEY",
            "{{ANTHROPIC_API_KEY}}",
            "${{ secrets.KEY }}",
            "ANTHROPIC_API_KEY",
            "$env:ANTHROPIC_API_KEY",
            "your-anthropic-api-key-here",
            "${ANTHROPIC_API_KEY:-}",
            "__ANTHROPIC_API_KEY__",
            "@ANTHROPIC_API_KEY@",
            "<your-api-key>",
            "[YOUR_API_KEY]",
        ] {
            assert!(is_unreplaced(text), "{text}");
        }
        for text in [
            "sk-ant-api03-Ab_c",
            "MY_KEY",
            "$2b$12$Ab",
            "x",
            "GW_9F8A7B",
            "gw:GW_9F8A7B",
            "ANTHROPIC_API_KEY=x",
            "ANTHROPIC_API_KEY-9f8a",
            "${X}-9f8a",
        ] {
            assert!(!is_unreplaced(text), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn where_a_command_fails_that_is_written_for_a_shell_it_is_said_that_there_is_none() {
        let command = |text: &str| KeySource::Command(text.split(' ').map(str::to_owned).collect());
        for text in [
            "false \"a b\"",
            "cat ~/no-such-key",
            "cat $HOME/no-such-key",
            "echo a | cat",
        ] {
            let said = resolve(command(text)).unwrap_err();
            assert!(said.contains("split at spaces"), "{text}: {said}");
        }
        assert!(!resolve(command("false")).unwrap_err().contains("shell"));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_command_is_run_without_a_shell() {
        let command = |text: &str| KeySource::Command(text.split(' ').map(str::to_owned).collect());
        assert_eq!(
            resolve(command("printf sk-test;true")).as_deref(),
            Ok("sk-test;true")
        );
        assert!(resolve(command("false")).unwrap_err().contains("failed"));
        assert!(
            resolve(command("no-such-program-here"))
                .unwrap_err()
                .contains("could not be run")
        );
    }
}
