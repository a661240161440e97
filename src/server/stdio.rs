//! The wire: a private copy of standard output for the protocol, and two ends that tell when the client is gone.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

/// The two ends for rmcp. From here on nothing else in this process can write to the client: file descriptor 1 leads
/// to standard error.
pub fn wire(gone: CancellationToken) -> io::Result<(Input, Output)> {
    let input = Input {
        inner: input(),
        gone: gone.clone(),
        opening: Some(Opening::default()),
    };
    Ok((
        input,
        Output {
            inner: output()?,
            gone,
        },
    ))
}

#[cfg(unix)]
fn output() -> io::Result<Box<dyn AsyncWrite + Send + Unpin>> {
    use std::os::fd::AsFd;
    let private = rustix::io::fcntl_dupfd_cloexec(io::stdout().as_fd(), 3)?;
    rustix::stdio::dup2_stdout(io::stderr().as_fd())?;
    #[cfg(target_os = "linux")]
    if let Some(pipe) = linux::sender(&private) {
        return Ok(Box::new(pipe));
    }
    Ok(Box::new(tokio::fs::File::from_std(std::fs::File::from(
        private,
    ))))
}

#[cfg(not(unix))]
fn output() -> io::Result<Box<dyn AsyncWrite + Send + Unpin>> {
    Ok(Box::new(tokio::io::stdout()))
}

fn input() -> Box<dyn AsyncRead + Send + Unpin> {
    #[cfg(target_os = "linux")]
    if let Some(pipe) = linux::receiver() {
        return Box::new(pipe);
    }
    Box::new(tokio::io::stdin())
}

/// Pipes without a thread: opened anew, so that only our own descriptions become non-blocking.
#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::{AsRawFd, OwnedFd};

    use tokio::net::unix::pipe;

    pub(super) fn sender(private: &OwnedFd) -> Option<pipe::Sender> {
        pipe::OpenOptions::new()
            .open_sender(format!("/proc/self/fd/{}", private.as_raw_fd()))
            .ok()
    }

    pub(super) fn receiver() -> Option<pipe::Receiver> {
        pipe::OpenOptions::new()
            .open_receiver("/proc/self/fd/0")
            .ok()
    }
}

/// Standard output. A write that fails cancels the token: nobody reads any more.
pub struct Output {
    inner: Box<dyn AsyncWrite + Send + Unpin>,
    gone: CancellationToken,
}

impl Output {
    fn watched<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(polled, Poll::Ready(Err(_))) {
            self.gone.cancel();
        }
        polled
    }
}

impl AsyncWrite for Output {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watched(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.watched(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Standard input. Its end cancels the token, so that waits end as well.
pub struct Input {
    inner: Box<dyn AsyncRead + Send + Unpin>,
    gone: CancellationToken,
    opening: Option<Opening>,
}

/// The lines before the first request. A notification among them would end rmcp's handshake, so it is left out.
#[derive(Default)]
struct Opening {
    /// The beginning of a line.
    line: Vec<u8>,
    /// Whole lines to be passed on.
    ready: Vec<u8>,
}

/// A first line longer than this is passed on unread.
const LONGEST_OPENING: usize = 1024 * 1024;

impl Opening {
    /// Takes bytes in; whether the first request is among them, so that all further bytes can pass.
    fn take(&mut self, bytes: &[u8]) -> bool {
        for (at, byte) in bytes.iter().enumerate() {
            self.line.push(*byte);
            if *byte != b'\n' && self.line.len() < LONGEST_OPENING {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let message: Value = serde_json::from_slice(&line).unwrap_or_default();
            if message.get("method").is_some() && message.get("id").is_none() {
                continue;
            }
            self.ready.extend(line);
            self.ready.extend(bytes.iter().skip(at + 1));
            return true;
        }
        false
    }
}

impl Input {
    /// Reads from the client and notices its end.
    fn poll_inner(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let ended = matches!(&polled, Poll::Ready(result) if result.is_err() || buf.filled().len() == before);
        if ended {
            self.gone.cancel();
        }
        polled
    }
}

impl AsyncRead for Input {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let Some(mut opening) = self.opening.take() else {
                return self.poll_inner(cx, buf);
            };
            if !opening.ready.is_empty() {
                let count = opening.ready.len().min(buf.remaining());
                let rest = opening.ready.split_off(count);
                buf.put_slice(&opening.ready);
                // Everything after the first request passes untouched.
                self.opening = (!rest.is_empty()).then_some(Opening {
                    ready: rest,
                    ..opening
                });
                return Poll::Ready(Ok(()));
            }
            let mut space = [0; 8192];
            let mut piece = ReadBuf::new(&mut space);
            let polled = self.poll_inner(cx, &mut piece);
            let ended = piece.filled().is_empty();
            opening.take(piece.filled());
            self.opening = Some(opening);
            ready!(polled)?;
            if ended {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What rmcp gets to read when the client writes `text` in pieces of `size` bytes.
    fn passed(text: &str, size: usize) -> String {
        let mut opening = Opening::default();
        let mut pieces = text.as_bytes().chunks(size);
        let found = pieces.any(|piece| opening.take(piece));
        let rest: Vec<u8> = pieces.flatten().copied().collect();
        let ready = if found { opening.ready } else { Vec::new() };
        String::from_utf8([ready, rest].concat()).unwrap()
    }

    #[test]
    fn notifications_before_the_first_request_are_left_out_and_nothing_else() {
        let early = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"}\n";
        let request = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\"}\n";
        let later = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\nnot json\n";
        for size in [1, 7, 1000] {
            assert_eq!(
                passed(&format!("{early}{early}{request}{later}"), size),
                format!("{request}{later}")
            );
            assert_eq!(
                passed(&format!("{request}{early}"), size),
                format!("{request}{early}")
            );
        }
    }
}
