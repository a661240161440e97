//! One setting at a time: its value, its default, or a sentence that says what it must be.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;

use super::{SettingError, Toolset, cents, is_loopback};
use crate::key::{
    KEY_SOURCES, Key, KeySource, NO_KEY, SECRET_VARIABLES, UNREPLACED, is_one_word, is_unreplaced,
    pasted, secret_in, sources, with_name,
};
use crate::secrets;

const NO_PEM: &str = "holds no certificate in PEM form";

/// The environment, by name.
pub(super) struct Lookup<'a>(pub(super) &'a dyn Fn(&str) -> Option<String>);

impl Lookup<'_> {
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.0(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    /// Nothing may say these secrets from now on, whether they have an effect or not.
    pub(super) fn learn_secrets(&self) {
        for text in SECRET_VARIABLES.iter().filter_map(|name| self.get(name)) {
            if let Some(secret) = secret_in(&text) {
                secrets::learn(&SecretString::from(secret));
            }
        }
    }

    /// Proxies are chosen by the HTTP client, but may have a password, which nothing may say.
    pub(super) fn learn_proxy_passwords(&self) {
        for name in [
            "HTTPS_PROXY",
            "https_proxy",
            "HTTP_PROXY",
            "http_proxy",
            "ALL_PROXY",
            "all_proxy",
        ] {
            // The client takes an address without a scheme as well.
            let whole = |text: String| match text.contains("://") {
                true => text,
                false => format!("http://{text}"),
            };
            let url = self.get(name).map(whole);
            let url = url.and_then(|text| Url::parse(&text).ok());
            if let Some(password) = url.as_ref().and_then(Url::password) {
                secrets::learn(&SecretString::from(password));
            }
        }
    }

    /// A secret, unless it is a placeholder that was not replaced: then there is none.
    pub(super) fn filled(&self, name: &str) -> Result<Option<SecretString>, SettingError> {
        let text = self.get(name).filter(|text| !is_unreplaced(text));
        text.map(|text| one_word(name, text)).transpose()
    }

    fn list(&self, name: &str) -> Vec<String> {
        let value = self.get(name).unwrap_or_default();
        value
            .split(',')
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect()
    }

    /// Names of what is allowed. A list without any would allow all, which nobody means who writes one.
    pub(super) fn allowed(&self, name: &str) -> Result<Vec<String>, SettingError> {
        let names = self.list(name);
        match self.get(name) {
            Some(text) if names.is_empty() => {
                let wanted = "`all`, or a comma list of ids or names";
                Err(refused(name, wanted, &text))
            }
            _ if names == ["all"] => Ok(Vec::new()),
            _ => Ok(names),
        }
    }

    /// A file or a command is there because the environment is not to be trusted with the key, so they go first.
    pub(super) fn key(&self) -> Result<KeySource, SettingError> {
        let sources = sources(|name| self.get(name));
        let Some((name, text)) = sources.into_iter().next() else {
            return Ok(KeySource::Missing);
        };
        if is_unreplaced(&text) {
            return Ok(KeySource::Unreplaced(name));
        }
        match name {
            // A key may stand here by mistake, so the value is not said.
            "MANAGED_AGENTS_KEY_FILE" => match PathBuf::from(text) {
                file if file.is_absolute() => Ok(KeySource::File(file)),
                _ => Err(SettingError(
                    "MANAGED_AGENTS_KEY_FILE must be an absolute path, and is not (`~` and variables are not expanded)".to_owned(),
                )),
            },
            "MANAGED_AGENTS_KEY_COMMAND" => {
                let words = text.split_whitespace().map(str::to_owned);
                Ok(KeySource::Command(words.collect()))
            }
            "ANTHROPIC_AUTH_TOKEN" => Ok(KeySource::Given(Key::Bearer(one_word(name, text)?))),
            _ => Ok(KeySource::Given(Key::Api(one_word(name, text)?))),
        }
    }

    /// Of these settings what is set and has no effect, a sentence for each: a key beside another, a token that is none.
    pub(super) fn idle_secrets(&self) -> Vec<String> {
        let sources = sources(|name| self.get(name));
        let first = sources.first().map(|(name, _)| *name).unwrap_or_default();
        let tokens = ["MANAGED_AGENTS_GITHUB_TOKEN", "GITHUB_TOKEN"];
        let tokens = tokens
            .iter()
            .filter_map(|name| Some((*name, self.get(name)?)));
        let said = |(name, text): (&str, String)| match is_unreplaced(&text) {
            true => Some(format!("{name} {UNREPLACED}, and is ignored")),
            false if KEY_SOURCES.contains(&name) && name != first => {
                Some(format!("{name} has no effect: {first} goes before it"))
            }
            false => None,
        };
        let all: Vec<(&str, String)> = sources.iter().cloned().chain(tokens).collect();
        all.into_iter().filter_map(said).collect()
    }

    pub(super) fn base_url(&self) -> Result<Url, SettingError> {
        let name = "ANTHROPIC_BASE_URL";
        let text = self
            .get(name)
            .unwrap_or_else(|| "https://api.anthropic.com".to_owned());
        let wrong = |why: &str| SettingError(format!("{name} {why}"));
        let url = Url::parse(&text).map_err(|error| wrong(&format!("is not a URL: {error}")))?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => {
                return Err(wrong(
                    "must be https: plain http would send the key in the clear (loopback aside)",
                ));
            }
            _ => return Err(wrong("must begin with https://")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("must not hold a user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("must not hold a query or a fragment"));
        }
        if url.path().trim_end_matches('/').ends_with("/v1") {
            return Err(wrong(
                "must be the address before /v1, which is added to it",
            ));
        }
        Ok(url)
    }

    /// A date, which is how the API names its versions.
    pub(super) fn version(&self, name: &str, default: &str) -> Result<String, SettingError> {
        let version = self.get(name).unwrap_or_else(|| default.to_owned());
        let is_date = version.len() == default.len()
            && version.bytes().zip(default.bytes()).all(|(a, b)| {
                if b == b'-' {
                    a == b
                } else {
                    a.is_ascii_digit()
                }
            });
        match is_date {
            true => Ok(version),
            false => Err(refused(
                name,
                &format!("a date such as {default}"),
                &version,
            )),
        }
    }

    /// Names of betas, as one header carries them. A key may stand here by mistake, so the value is not said.
    pub(super) fn betas(&self, name: &str, default: &str) -> Result<String, SettingError> {
        let betas = self.get(name).unwrap_or_else(|| default.to_owned());
        let is_name = |beta: &str| !beta.is_empty() && is_one_word(beta);
        match betas.split(',').map(str::trim).all(is_name) {
            true => Ok(betas),
            false => Err(SettingError(format!(
                "{name} must be a comma list of names without spaces, and is not"
            ))),
        }
    }

    pub(super) fn word(&self, name: &str, default: &str) -> Result<String, SettingError> {
        let word = self.get(name).unwrap_or_else(|| default.to_owned());
        match word.chars().all(|c| c.is_ascii_graphic()) {
            true => Ok(word),
            false => Err(refused(name, "one word without spaces", &word)),
        }
    }

    /// An id, of which the value is not said: a key may stand here by mistake.
    pub(super) fn id(&self, name: &str) -> Result<Option<String>, SettingError> {
        match self.get(name) {
            Some(text) if !text.chars().all(|c| c.is_ascii_graphic()) => Err(SettingError(
                format!("{name} must be one word of plain characters without spaces, and is not"),
            )),
            id => Ok(id),
        }
    }

    pub(super) fn number(
        &self,
        name: &str,
        default: usize,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<usize, SettingError> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        let wrong = || {
            let wanted = format!("a whole number from {} to {}", range.start(), range.end());
            refused(name, &wanted, &text)
        };
        text.parse()
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(wrong)
    }

    pub(super) fn seconds(
        &self,
        name: &str,
        default: usize,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<Duration, SettingError> {
        let seconds = self.number(name, default, range)?;
        Ok(Duration::from_secs(seconds as u64))
    }

    pub(super) fn budget(&self) -> Result<Option<u64>, SettingError> {
        let name = "MANAGED_AGENTS_BUDGET_USD";
        match self.get(name).as_deref() {
            None => Ok(Some(1000)),
            Some("none") => Ok(None),
            Some(text) => {
                let cents = text.parse().ok().and_then(cents);
                let wanted = "dollars above 0 with at most two decimals, or `none`";
                cents.map(Some).ok_or_else(|| refused(name, wanted, text))
            }
        }
    }

    /// One of a few words, of which the first holds where nothing is set.
    pub(super) fn choice<T: Copy>(
        &self,
        name: &str,
        words: [(&str, T); 3],
    ) -> Result<T, SettingError> {
        let text = self.get(name).unwrap_or_else(|| words[0].0.to_owned());
        let chosen = words.iter().find(|(word, _)| *word == text);
        let wanted = || words.map(|(word, _)| format!("`{word}`")).join(", ");
        chosen
            .map(|(_, choice)| *choice)
            .ok_or_else(|| refused(name, &format!("one of {}", wanted()), &text))
    }

    pub(super) fn toolsets(&self) -> Result<Vec<Toolset>, SettingError> {
        let name = "MANAGED_AGENTS_TOOLSETS";
        let mut toolsets = Vec::new();
        for word in self.list(name) {
            match word.as_str() {
                "core" => toolsets.push(Toolset::Core),
                "admin" => toolsets.push(Toolset::Admin),
                "schedules" => toolsets.push(Toolset::Schedules),
                "all" => toolsets.extend(Toolset::ALL),
                _ => {
                    let wanted = "`all` or a comma list of `core`, `admin` and `schedules`";
                    return Err(refused(name, wanted, &word));
                }
            }
        }
        if toolsets.is_empty() {
            toolsets.push(Toolset::Core);
        }
        Ok(toolsets)
    }

    pub(super) fn switch(&self, name: &str) -> Result<bool, SettingError> {
        match self
            .get(name)
            .map(|value| value.to_ascii_lowercase())
            .as_deref()
        {
            None | Some("0" | "false" | "off" | "no") => Ok(false),
            Some("1" | "true" | "on" | "yes") => Ok(true),
            Some(text) => Err(refused(name, "1 or 0", text)),
        }
    }

    /// Whether they are there shows when they are used.
    pub(super) fn folders(&self, name: &str) -> Result<Vec<PathBuf>, SettingError> {
        let value = self.get(name).unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&value)
            .filter(|folder| !folder.as_os_str().is_empty())
            .collect();
        match folders.iter().find(|folder| !folder.is_absolute()) {
            Some(relative) => Err(SettingError(format!(
                "{name} must hold absolute paths; {} is not absolute (`~` and variables are not expanded)",
                relative.display()
            ))),
            None => Ok(folders),
        }
    }

    /// The HTTP client reads them itself, on systems that keep their certificates in files; without any no https comes through.
    pub(super) fn system_certificates(&self, url: &Url) -> Result<(), SettingError> {
        if url.scheme() != "https" || cfg!(not(target_os = "linux")) {
            return Ok(());
        }
        let (file, folders) = (self.get("SSL_CERT_FILE"), self.get("SSL_CERT_DIR"));
        // The folders of the other variable may hold enough.
        let is_folder = folders
            .as_ref()
            .is_some_and(|folders| std::env::split_paths(folders).any(|folder| folder.is_dir()));
        let wrong = match (file, folders) {
            _ if is_folder => None,
            (Some(path), _) => {
                without_certificates(&path).map(|why| format!("SSL_CERT_FILE: {path} {why}"))
            }
            (None, Some(path)) => Some(format!("SSL_CERT_DIR: {path} is no folder")),
            (None, None) => None,
        };
        wrong.map_or(Ok(()), |wrong| Err(SettingError(wrong)))
    }

    pub(super) fn certificates(&self, name: &str) -> Result<Option<Vec<u8>>, SettingError> {
        let Some(path) = self.get(name) else {
            return Ok(None);
        };
        let unreadable = |error| SettingError(format!("{name}: {path} cannot be read: {error}"));
        let pem = std::fs::read(&path).map_err(unreadable)?;
        match reqwest::Certificate::from_pem_bundle(&pem) {
            Ok(certificates) if !certificates.is_empty() => Ok(Some(pem)),
            _ => Err(SettingError(format!("{name}: {path} {NO_PEM}"))),
        }
    }
}

/// A secret that a header can carry.
fn one_word(name: &str, text: String) -> Result<SecretString, SettingError> {
    let refused = |why: &str| Err(SettingError(format!("{name} cannot be used: {why}")));
    match &text {
        line if pasted(line).is_some() => refused(&with_name(line)),
        text if !is_one_word(text) => refused(NO_KEY),
        _ => Ok(SecretString::from(text)),
    }
}

/// Why no certificate can be read from a file.
fn without_certificates(path: &str) -> Option<String> {
    let read = match std::fs::metadata(path) {
        Ok(facts) if facts.is_dir() => return Some("is a folder".to_owned()),
        Ok(facts) if facts.is_file() => std::fs::read(path),
        Ok(_) => return Some("is no file".to_owned()),
        Err(error) => Err(error),
    };
    match read {
        Ok(pem) => {
            let found = memchr::memmem::find(&pem, b"-----BEGIN CERTIFICATE-----");
            found.is_none().then(|| NO_PEM.to_owned())
        }
        Err(error) => Some(format!("cannot be read: {error}")),
    }
}

/// What a setting must be, and is not. Whoever put a key into it shall not read it in a log.
fn refused(name: &str, wanted: &str, text: &str) -> SettingError {
    let shown: String = secrets::mask(text).chars().take(40).collect();
    SettingError(format!("{name} must be {wanted}, but is {shown:?}"))
}
