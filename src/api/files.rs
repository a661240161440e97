//! Files: uploaded to be mounted or shown, or produced by an agent. <https://platform.claude.com/docs/en/api/beta/files>

use std::io;

use bytes::Bytes;
use futures_util::Stream;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::time::Instant;

use super::call::{Beta, Call};
use super::rows::null_as_none;
pub use super::transfer::{Download, Upload};
use super::{Client, Error, Id};
use crate::seen::Pages;

/// Files on a page of a list.
const PAGE: u32 = 100;
/// Most pages that one listing reads, and the most that is kept of them.
const MOST_PAGES: usize = 50;
const MOST_FILES: usize = MOST_PAGES * PAGE as usize;
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// What is read of a file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct File {
    /// Opaque id.
    pub id: String,
    /// As it was uploaded or written; may be anything.
    #[serde(deserialize_with = "null_as_empty")]
    pub filename: String,
    /// Media type.
    #[serde(deserialize_with = "null_as_empty")]
    pub mime_type: String,
    /// Bytes.
    pub size_bytes: Option<u64>,
    /// Whether its content can be had: not that of an upload.
    pub downloadable: Option<bool>,
    /// RFC 3339.
    pub created_at: Option<String>,
}

/// The files of a session, as far as they were read.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// In the API's order, each once.
    pub files: Vec<File>,
    /// More than one listing reads.
    pub is_cut: bool,
}

/// One page, in either of the API's ways of paging.
#[derive(Deserialize)]
struct FilePage {
    #[serde(deserialize_with = "null_as_none")]
    data: Vec<File>,
    next_page: Option<String>,
    has_more: Option<bool>,
    last_id: Option<String>,
}

impl FilePage {
    /// The parameter that asks for what comes after this page.
    fn next(&self) -> Option<(&'static str, String)> {
        if let Some(page) = self.next_page.as_ref().filter(|page| !page.is_empty()) {
            return Some(("page", page.clone()));
        }
        let last = self
            .last_id
            .clone()
            .or_else(|| Some(self.data.last()?.id.clone()))?;
        (self.has_more == Some(true)).then_some(("after_id", last))
    }
}

/// A listing while it is read.
#[derive(Default)]
struct Listing {
    found: Files,
    bytes: usize,
    pages: Pages,
}

impl Listing {
    /// Takes in what is new on a page. The parameter that asks for the next one, if that is worth reading.
    fn take(&mut self, page: FilePage) -> Option<(&'static str, String)> {
        let next = page.next();
        for file in page.data {
            if !self.pages.is_new(&file.id) {
                continue;
            }
            self.bytes += file.id.len() + file.filename.len() + file.mime_type.len();
            if self.found.files.len() >= MOST_FILES || self.bytes > MOST_BYTES {
                self.found.is_cut = true;
                return None;
            }
            self.found.files.push(file);
        }
        next.filter(|(_, token)| self.pages.goes_on(token))
    }
}

fn null_as_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

impl Client {
    /// `GET /v1/files/{id}`
    pub async fn get_file(&self, id: &Id) -> Result<File, Error> {
        self.send(Call::get(&["files", id.as_str()]).with_beta(Beta::Files))
            .await
    }

    /// `GET /v1/files?scope_id=…`, all pages of a session's files.
    pub async fn list_session_files(&self, session: &Id) -> Result<Files, Error> {
        let mut listing = Listing::default();
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let call = Call::get(&["files"])
                .query("scope_id", session)
                .query("limit", PAGE)
                .with_beta(Beta::SessionFiles);
            let call = match next.take() {
                Some((name, value)) => call.query(name, value),
                None => call,
            };
            next = listing.take(self.send(call).await?);
            if next.is_none() {
                return Ok(listing.found);
            }
        }
        listing.found.is_cut = true;
        Ok(listing.found)
    }

    /// `GET /v1/files`, one page: the newest, and whether there are more.
    pub async fn list_newest_files(&self) -> Result<(Vec<File>, bool), Error> {
        let call = Call::get(&["files"])
            .query("limit", PAGE)
            .with_beta(Beta::Files);
        let page: FilePage = self.send(call).await?;
        let goes_on = page.next().is_some();
        Ok((page.data, goes_on))
    }

    /// `POST /v1/files`. `content` is asked again where the connection was never made.
    pub async fn upload_file<S>(
        &self,
        upload: &Upload,
        content: impl Fn() -> S,
        deadline: Instant,
    ) -> Result<File, Error>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let call = Call::create(&["files"], Value::Null).with_beta(Beta::Files);
        self.post_file(&call, upload, content, deadline).await
    }

    /// `GET /v1/files/{id}/content`
    pub async fn download_file(&self, id: &Id, deadline: Instant) -> Result<Download, Error> {
        let call = Call::get(&["files", id.as_str(), "content"]).with_beta(Beta::Files);
        self.get_content(&call, deadline).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(page: &str) -> Option<(&'static str, String)> {
        serde_json::from_str::<FilePage>(page).unwrap().next()
    }

    #[test]
    fn both_ways_of_paging_are_followed() {
        assert_eq!(
            next(r#"{"data": [], "next_page": "page_2", "has_more": true}"#),
            Some(("page", "page_2".to_owned()))
        );
        assert_eq!(
            next(r#"{"data": [{"id": "file_1"}], "has_more": true, "last_id": "file_9"}"#),
            Some(("after_id", "file_9".to_owned()))
        );
        assert_eq!(
            next(r#"{"data": [{"id": "file_1"}], "has_more": true}"#),
            Some(("after_id", "file_1".to_owned()))
        );
        for last in [
            r#"{"data": null, "next_page": null}"#,
            r#"{"data": [{"id": "file_1"}], "next_page": "", "has_more": false, "last_id": "file_1"}"#,
        ] {
            assert_eq!(next(last), None, "{last}");
        }
        assert!(serde_json::from_str::<FilePage>("{}").is_err());
    }

    #[test]
    fn of_files_without_end_some_are_kept_and_the_rest_is_said_to_be_missing() {
        for name in ["a".to_owned(), "a".repeat(10_000)] {
            let mut listing = Listing::default();
            let mut pages = 0;
            let page = |number: usize| FilePage {
                data: (0..1000)
                    .map(|at| File {
                        id: format!("file_{number}_{at}"),
                        filename: name.clone(),
                        ..File::default()
                    })
                    .collect(),
                next_page: Some(format!("page_{number}")),
                has_more: None,
                last_id: None,
            };
            while listing.take(page(pages)).is_some() {
                pages += 1;
            }
            let found = listing.found;
            let bytes: usize = found.files.iter().map(|file| file.filename.len()).sum();
            assert!(found.is_cut && pages <= MOST_FILES / 1000);
            assert!(found.files.len() <= MOST_FILES && bytes <= MOST_BYTES);
        }
    }

    #[test]
    fn a_file_with_nulls_is_read_all_the_same() {
        let file: File = serde_json::from_str(
            r#"{"id": "file_1", "filename": null, "mime_type": null, "size_bytes": null}"#,
        )
        .unwrap();
        assert_eq!((file.filename.as_str(), file.size_bytes), ("", None));
    }
}
