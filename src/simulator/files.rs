//! `/v1/files`: what was uploaded, what is mounted, and what agents deliver.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::content::Content;
use super::json::{at, set, text};
use super::outputs::Output;
use super::page::Page;
use super::stamp;
use super::state::{Call, State};

/// What the API refuses in a name.
const FORBIDDEN: [char; 9] = ['<', '>', ':', '"', '|', '?', '*', '\\', '/'];

/// Every file there is.
#[derive(Default)]
pub(super) struct Files {
    all: BTreeMap<u64, File>,
    lag: Duration,
}

struct File {
    object: Value,
    content: Content,
    /// What an agent wrote is seen only when its session has settled; anything else at once.
    settled: Option<Settled>,
}

/// When a session became idle after its files were written; shared by all of them.
#[derive(Clone, Default)]
pub(super) struct Settled(Arc<OnceLock<Instant>>);

impl Settled {
    /// It became idle now.
    pub(super) fn settle(&self) {
        self.0.get_or_init(Instant::now);
    }

    fn since(&self) -> Option<Duration> {
        self.0.get().map(Instant::elapsed)
    }
}

impl Files {
    /// None yet; what agents write is seen so long after they are idle.
    pub(super) fn new(lag: Duration) -> Self {
        Self {
            all: BTreeMap::new(),
            lag,
        }
    }

    fn visible(&self) -> impl DoubleEndedIterator<Item = (u64, &File)> {
        let seen = |file: &File| match &file.settled {
            None => true,
            Some(settled) => settled.since().is_some_and(|time| time >= self.lag),
        };
        self.all
            .iter()
            .filter(move |(_, file)| seen(file))
            .map(|(key, file)| (*key, file))
    }

    fn find(&self, id: &str) -> Result<(u64, &File), Refusal> {
        let mut visible = self.visible();
        let found = visible.find(|(_, file)| text(&file.object, "/id") == id);
        found.ok_or_else(|| Refusal::unknown("File", id))
    }

    /// Refuses the id of a file that is not there.
    pub(super) fn check(&self, id: &str) -> Result<(), Refusal> {
        self.find(id).map(|_| ())
    }
}

/// What the API tells of a new file.
fn described(name: &str, mime_type: &str, content: &Content) -> Value {
    json!({
        "id": stamp::id("file"), "type": "file", "filename": name, "mime_type": mime_type,
        "size_bytes": content.size(), "created_at": stamp::now(), "expires_at": null,
        "downloadable": false, "scope": null,
    })
}

impl State {
    fn keep_file(&mut self, object: Value, content: Content, settled: Option<Settled>) -> Value {
        let key = self.next();
        let file = File {
            object: object.clone(),
            content,
            settled,
        };
        self.files.all.insert(key, file);
        object
    }

    /// Mounts a copy of a file in a session; returns the copy's id.
    pub(super) fn mount_file(&mut self, id: &str, session: &str) -> Result<String, Refusal> {
        let (_, source) = self.files.find(id)?;
        let (mut object, content) = (source.object.clone(), source.content.clone());
        set(&mut object, "id", stamp::id("file"));
        set(&mut object, "created_at", stamp::now());
        set(&mut object, "scope", scope(session));
        let kept = self.keep_file(object, content, None);
        Ok(text(&kept, "/id").to_owned())
    }

    /// Keeps what an agent wrote.
    pub(super) fn deliver_file(&mut self, session: &str, output: &Output) {
        let settled = self.sessions.get(session).map(|one| one.settled.clone());
        let content = output.content();
        let mut object = described(&output.name, output.mime_type, &content);
        set(&mut object, "downloadable", true);
        set(&mut object, "scope", scope(session));
        self.keep_file(object, content, settled);
    }

    /// Forgets a file, if it is there.
    pub(super) fn forget_file(&mut self, id: &str) {
        self.files
            .all
            .retain(|_, file| text(&file.object, "/id") != id);
    }
}

fn scope(session: &str) -> Value {
    json!({"type": "session", "id": session})
}

pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    call.query.only(&[])?;
    let upload = call.upload.as_ref().ok_or_else(|| {
        Refusal::invalid("Content-Type: a multipart/form-data body with a boundary is required")
    })?;
    if let Some(wrong) = &upload.wrong {
        return Err(wrong.clone());
    }
    let missing = || Refusal::invalid("file: Field required");
    let part = upload.file.as_ref().ok_or_else(missing)?;
    let mime_type = part
        .mime_type
        .as_deref()
        .unwrap_or("application/octet-stream");
    let name = filename(&part.filename, mime_type)?;
    let mut object = described(&name, mime_type, &part.content);
    if let Some(seconds) = &upload.expires {
        set(&mut object, "expires_at", expiry(seconds)?);
    }
    Ok(state.keep_file(object, part.content.clone(), None))
}

/// The last component of a name as sent; the API makes a name up where there is none.
fn filename(sent: &str, mime_type: &str) -> Result<String, Refusal> {
    let last = sent.rsplit(['/', '\\']).next().unwrap_or_default();
    if last.is_empty() {
        let ending = match mime_type {
            "text/plain" => ".txt",
            "text/markdown" => ".md",
            "application/pdf" => ".pdf",
            "application/json" => ".json",
            "image/png" => ".png",
            "image/jpeg" => ".jpg",
            _ => "",
        };
        return Ok(format!("unnamed{ending}"));
    }
    let forbidden = |letter: char| FORBIDDEN.contains(&letter) || letter < ' ';
    if last.chars().any(forbidden) || last.chars().count() > 255 {
        return Err(Refusal::invalid(
            "filename: it has 1 to 255 characters, none of < > : \" | ? * \\ / and no control characters",
        ));
    }
    Ok(last.to_owned())
}

fn expiry(seconds: &str) -> Result<String, Refusal> {
    let seconds = seconds.parse::<u32>().ok();
    let fitting = seconds.filter(|seconds| (3600..=7_776_000).contains(seconds));
    let refused = "expires_in_seconds: Input should be an integer from 3600 to 7776000";
    let seconds = fitting.ok_or_else(|| Refusal::invalid(refused))?;
    Ok(stamp::later(Duration::from_secs(seconds.into())))
}

pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    let query = &call.query;
    query.only(&["ids[]", "limit", "page", "scope_id"])?;
    let (page, ids) = (Page::read(query, "desc", 20, 1000)?, query.all("ids[]"));
    if ids.len() > 100 {
        return Err(Refusal::invalid("ids: at most 100 are allowed"));
    }
    if !ids.is_empty() && (query.one("page").is_some() || query.one("limit").is_some()) {
        let why = "ids: cannot be combined with page or limit";
        return Err(Refusal::invalid(why));
    }
    let wanted = |file: &File| match query.one("scope_id") {
        Some(scope) if text(&file.object, "/scope/id") != scope => false,
        _ => ids.is_empty() || ids.contains(&text(&file.object, "/id")),
    };
    let files = state.files.visible().filter(|(_, file)| wanted(file));
    if ids.is_empty() {
        let files = files.map(|(key, file)| (key, file.object.clone()));
        return Ok(page.cut(files).one_way());
    }
    let data: Vec<&Value> = files.rev().map(|(_, file)| &file.object).collect();
    Ok(json!({"data": data, "next_page": null}))
}

pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    let (_, file) = state.files.find(call.id(0))?;
    Ok(file.object.clone())
}

/// What a file holds, and of which kind it is.
pub(super) fn content(state: &State, call: &Call) -> Result<(Content, String), Refusal> {
    let (_, file) = state.files.find(call.id(0))?;
    if at(&file.object, "/downloadable") != true {
        let why = format!("File `{}` is not downloadable.", call.id(0));
        return Err(Refusal::invalid(why).with_code("file_not_downloadable"));
    }
    let mime_type = text(&file.object, "/mime_type").to_owned();
    Ok((file.content.clone(), mime_type))
}

pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    state.files.check(call.id(0))?;
    state.forget_file(call.id(0));
    Ok(json!({"id": call.id(0), "type": "file_deleted"}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_component_of_a_name_is_kept_and_an_empty_one_is_made_up() {
        for (sent, kept) in [
            ("a/b\\report.pdf", "report.pdf"),
            ("", "unnamed.pdf"),
            ("folder/", "unnamed.pdf"),
            ("..", ".."),
        ] {
            assert_eq!(filename(sent, "application/pdf").unwrap(), kept);
        }
        assert_eq!(filename("", "application/x-odd").unwrap(), "unnamed");
        for odd in ["a:b", "a\nb", &"x".repeat(256)] {
            assert!(filename(odd, "text/plain").is_err(), "{odd}");
        }
    }
}
