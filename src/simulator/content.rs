//! The bytes of a file: in memory when few, on disk when many, or made up while they are read.

use std::fs::File;
use std::io;
use std::sync::{Arc, LazyLock};

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt, unfold};
use tokio::io::AsyncWriteExt;
use tokio::task::spawn_blocking;

const IN_MEMORY: usize = 256 << 10;
const PIECE: u64 = 64 << 10;
const LINE: &str = "\nSimulated filler, a line of sixty-four characters with its end....";

static FILLER: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(LINE.repeat(1024)));

/// What a file holds; a clone shares it.
#[derive(Clone)]
pub(super) enum Content {
    /// Few bytes.
    Kept(Bytes),
    /// Many bytes, in a file without a name: nothing is left behind, however the process ends.
    Disk(Arc<File>, u64),
    /// A beginning, and filler up to a size.
    Made(Bytes, u64),
}

impl Content {
    /// How many bytes there are.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Kept(bytes) => bytes.len() as u64,
            Self::Disk(_, size) | Self::Made(_, size) => *size,
        }
    }

    /// The bytes from first to last, a piece at a time.
    pub(super) fn stream(self) -> BoxStream<'static, io::Result<Bytes>> {
        let pieces = unfold((self, 0), async |(content, at)| {
            if at >= content.size() {
                return None;
            }
            let piece = content.piece(at).await;
            // After an error nothing follows.
            let next = piece
                .as_ref()
                .map_or(u64::MAX, |bytes| at + bytes.len() as u64);
            Some((piece, (content, next)))
        });
        pieces.boxed()
    }

    async fn piece(&self, at: u64) -> io::Result<Bytes> {
        let most = PIECE.min(self.size() - at);
        match self {
            Self::Kept(bytes) => Ok(slice(bytes, at, bytes.len() as u64)),
            Self::Made(head, _) if at < head.len() as u64 => Ok(slice(head, at, most)),
            Self::Made(head, _) => {
                let phase = (at - head.len() as u64) % LINE.len() as u64;
                Ok(slice(&FILLER, phase, most))
            }
            Self::Disk(file, _) => {
                let file = Arc::clone(file);
                let read = spawn_blocking(move || read(&file, at, most));
                read.await.map_err(io::Error::other)?
            }
        }
    }
}

/// At most so many bytes from a place on.
fn slice(bytes: &Bytes, from: u64, most: u64) -> Bytes {
    let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let mut rest = bytes.clone();
    let mut rest = rest.split_off(whole(from).min(bytes.len()));
    rest.truncate(whole(most));
    rest
}

fn read(file: &File, at: u64, most: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; usize::try_from(most).unwrap_or_default()];
    #[cfg(unix)]
    let count = std::os::unix::fs::FileExt::read_at(file, &mut piece, at)?;
    #[cfg(windows)]
    let count = std::os::windows::fs::FileExt::seek_read(file, &mut piece, at)?;
    piece.truncate(count);
    if piece.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Bytes::from(piece))
}

/// Content that still arrives.
#[derive(Default)]
pub(super) struct Arriving {
    held: BytesMut,
    disk: Option<tokio::fs::File>,
    size: u64,
}

impl Arriving {
    /// Takes the next bytes in.
    pub(super) async fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.size += bytes.len() as u64;
        self.held.extend_from_slice(bytes);
        if self.held.len() > IN_MEMORY {
            self.put_down().await?;
        }
        Ok(())
    }

    async fn put_down(&mut self) -> io::Result<()> {
        let disk = match &mut self.disk {
            Some(disk) => disk,
            none => {
                let file = spawn_blocking(tempfile::tempfile).await;
                none.insert(tokio::fs::File::from_std(file.map_err(io::Error::other)??))
            }
        };
        disk.write_all(&self.held).await?;
        self.held.clear();
        Ok(())
    }

    /// All of it.
    pub(super) async fn whole(mut self) -> io::Result<Content> {
        if self.disk.is_none() {
            return Ok(Content::Kept(self.held.freeze()));
        }
        self.put_down().await?;
        let Some(mut disk) = self.disk else {
            return Err(io::ErrorKind::NotFound.into());
        };
        disk.flush().await?;
        Ok(Content::Disk(Arc::new(disk.into_std().await), self.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(content: Content) -> Vec<u8> {
        let pieces: Vec<_> = content.stream().collect().await;
        pieces.into_iter().flat_map(Result::unwrap).collect()
    }

    #[tokio::test]
    async fn what_arrives_is_what_is_read_whether_it_is_little_or_much() {
        for count in [0, 1, IN_MEMORY, IN_MEMORY + 1, 3 * IN_MEMORY + 7] {
            let sent: Vec<u8> = (0..count).map(|n| (n % 251) as u8).collect();
            let mut arriving = Arriving::default();
            for chunk in sent.chunks(10_000) {
                arriving.push(chunk).await.unwrap();
            }
            let content = arriving.whole().await.unwrap();
            assert_eq!(content.size(), count as u64);
            assert_eq!(all(content).await, sent);
        }
    }

    #[tokio::test]
    async fn made_up_content_has_its_size_and_its_beginning_and_no_seam() {
        for size in [0, 3, 4, 200_000] {
            let made = Content::Made(Bytes::from_static(b"head"), size);
            let wanted = format!("head{}", LINE.repeat(3000));
            assert_eq!(all(made).await, wanted.as_bytes()[..size as usize]);
        }
    }
}
