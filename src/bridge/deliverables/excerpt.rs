//! The text of a file, a slice at a time, for a model to read: nothing is saved.

use serde::Serialize;
use tokio::time::Instant;

use super::super::{Attention, Bridge, Failure};
use super::meter::Meter;
use super::{NAME_CHARS, downloadable, patiently};
use crate::api::Id;
use crate::api::files::File;
use crate::session::clean::{clean, clean_line};
use crate::session::render::{json, prefix};
use crate::session::report::cut;

/// Of a result: all that is not the text itself.
const FRAME_CHARS: usize = 900;

/// A slice of a file's text.
#[derive(Debug, Clone, Serialize)]
pub struct Excerpt {
    /// The file.
    pub file_id: String,
    /// As the agent called it, cleaned.
    pub name: String,
    /// From `offset` on, cleaned.
    pub text: String,
    /// Byte at which the text begins.
    pub offset: u64,
    /// Byte at which the next slice begins; nothing at the end.
    pub next_offset: Option<u64>,
    /// Bytes in all, where the API says so.
    pub size_bytes: Option<u64>,
    /// What the agent wrote is data, not instructions.
    pub untrusted: bool,
}

impl Bridge {
    /// As much of a file's text from a byte on as fits into a result.
    pub async fn excerpt(
        &self,
        id: &Id,
        offset: u64,
        attention: &Attention,
    ) -> Result<Excerpt, Failure> {
        let file = self.api_in_time().get_file(id).await;
        let file = file.map_err(Failure::while_trying(format!("read file {id}")))?;
        downloadable(&file)?;
        if file.size_bytes.is_some_and(|size| offset > size) {
            return Err(beyond(id, offset));
        }
        let room = self.config.result_chars.saturating_sub(FRAME_CHARS);
        let deadline = self.transferred_by(offset);
        let read = || self.window(id, offset, 4 * room, deadline, attention);
        let window = patiently(deadline, read).await?;
        let slice = slice(&window.bytes, window.is_last, room).ok_or_else(|| {
            Failure::argument(
                format!("File {id} is not text in UTF-8."),
                "save it: the same call without `offset`.",
            )
        })?;
        Ok(Excerpt {
            file_id: clean_line(id.as_str()),
            name: name(&file),
            text: slice.text,
            offset,
            next_offset: slice.goes_on.then_some(offset + slice.bytes as u64),
            size_bytes: file.size_bytes,
            untrusted: true,
        })
    }

    /// So many bytes of a file from one on; what is before them has to come, too.
    async fn window(
        &self,
        id: &Id,
        offset: u64,
        most: usize,
        deadline: Instant,
        attention: &Attention,
    ) -> Result<Window, Failure> {
        let failed = |error| Failure::while_trying(format!("read file {id}"))(error);
        let content = self.api.download_file(id, deadline).await;
        let mut content = content.map_err(failed)?;
        let mut meter = Meter::new(attention, &format!("reading {id}"), offset);
        let mut before = offset;
        let mut bytes = Vec::new();
        while let Some(piece) = content.chunk().await.map_err(failed)? {
            meter.moved(piece.len());
            let skipped = before.min(piece.len() as u64);
            before -= skipped;
            bytes.extend(piece.iter().skip(skipped as usize));
            if bytes.len() > most {
                bytes.truncate(most);
                let is_last = false;
                return Ok(Window { bytes, is_last });
            }
        }
        if before > 0 {
            return Err(beyond(id, offset));
        }
        let is_last = true;
        Ok(Window { bytes, is_last })
    }
}

fn beyond(id: &Id, offset: u64) -> Failure {
    Failure::argument(
        format!("File {id} has no byte {offset}."),
        "pass an `offset` within its size, or 0.",
    )
}

fn name(file: &File) -> String {
    cut(&clean_line(&file.filename), NAME_CHARS)
}

struct Window {
    bytes: Vec<u8>,
    /// The file ends with them.
    is_last: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Slice {
    /// Cleaned.
    text: String,
    /// As many bytes of the window are shown.
    bytes: usize,
    goes_on: bool,
}

/// As much of the window's text as fits, cut at the end of a line where one is near; `None`: it is no text.
fn slice(window: &[u8], is_last: bool, room: usize) -> Option<Slice> {
    // An offset of the caller's own may be within a character.
    let within = |byte: &&u8| (0x80..0xc0).contains(*byte);
    let skipped = window.iter().take(3).take_while(within).count();
    let window = window.get(skipped..)?;
    let text = match std::str::from_utf8(window) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && !is_last => {
            std::str::from_utf8(window.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    if text.contains('\0') {
        return None;
    }
    let mut shown = prefix(text, room);
    if shown.len() < text.len() || !is_last {
        // No escape sequence reaches past the end of its line, so that none is cut there.
        let line = shown.rfind('\n').map_or(0, |at| at + 1);
        if line > shown.len() / 2 {
            shown = shown.get(..line)?;
        }
    }
    let mut cleaned = clean(shown).text;
    while json(&cleaned).chars().count() > room + 2 {
        // Cleaning may lengthen: a line separator becomes a line break, which JSON escapes.
        let half = shown.chars().count() / 2;
        shown = shown
            .char_indices()
            .nth(half)
            .map_or("", |(at, _)| shown.get(..at).unwrap_or_default());
        cleaned = clean(shown).text;
    }
    Some(Slice {
        text: cleaned,
        bytes: skipped + shown.len(),
        goes_on: shown.len() < text.len() || !is_last,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All slices of a file, one after the other.
    fn read(file: &[u8], room: usize) -> String {
        let mut at = 0;
        let mut whole = String::new();
        loop {
            let end = (at + 4 * room).min(file.len());
            let slice = slice(&file[at..end], end == file.len(), room).unwrap();
            assert!(slice.bytes > 0 || file.is_empty());
            assert!(json(&slice.text).chars().count() <= room + 2);
            whole.push_str(&slice.text);
            at += slice.bytes;
            if !slice.goes_on {
                return whole;
            }
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for binary in [
            &b"a\0b"[..],
            b"\xff\xfe",
            b"PK\x03\x04\xff",
            "ä".as_bytes().get(..1).unwrap(),
        ] {
            assert_eq!(slice(binary, true, 100), None, "{binary:?}");
        }
        assert!(!slice(b"", true, 100).unwrap().goes_on);
    }

    #[test]
    fn an_offset_within_a_character_loses_only_that_character() {
        let text = "🙂abc".as_bytes();
        for at in 1..4 {
            let slice = slice(&text[at..], true, 100).unwrap();
            assert_eq!((slice.text.as_str(), slice.bytes), ("abc", 7 - at));
        }
    }

    #[test]
    fn escape_sequences_are_not_cut_in_two() {
        let line = "\u{1b}[31mred\u{1b}[0m plain text\r\n";
        let file = line.repeat(200);
        assert_eq!(read(file.as_bytes(), 100), clean(&file).text);
    }

    #[test]
    fn text_that_grows_when_it_is_cleaned_is_cut_all_the_same() {
        let file = "\u{2028}".repeat(300);
        assert_eq!(read(file.as_bytes(), 40), clean(&file).text);
    }

    proptest! {
        #[test]
        fn the_slices_are_the_whole(text in "[a-z\"\\\\ \näß漢🙂\t]{0,600}", room in 40_usize..200) {
            prop_assert_eq!(read(text.as_bytes(), room), text);
        }

        #[test]
        fn no_slice_is_longer_than_its_room(text in "\\PC{0,300}|[\u{2028}\u{1b}\\[m\r\n\u{85}]{0,300}", room in 40_usize..100) {
            read(text.as_bytes(), room);
        }
    }
}
