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

/// The lines before a client has made itself known, by `initialize` or by a request of the stateless protocol. rmcp ends the
/// process at a notification among them, which a client may well send when it gives up its first probe; so only requests
/// pass.
#[derive(Default)]
struct Opening {
    /// The beginning of a line.
    line: Vec<u8>,
    /// Whole lines to be passed on.
    ready: Vec<u8>,
    /// The client is known: everything passes from here on.
    is_over: bool,
}

/// A line longer than this is passed on unread.
const LONGEST_OPENING: usize = 1024 * 1024;

impl Opening {
    /// Takes bytes in.
    fn take(&mut self, bytes: &[u8]) {
        for (at, byte) in bytes.iter().enumerate() {
            self.line.push(*byte);
            let is_long = self.line.len() >= LONGEST_OPENING;
            if *byte != b'\n' && !is_long {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            match Said::by(&line) {
                _ if is_long => self.is_over = true,
                Said::Request => self.is_over = true,
                Said::Probe => {}
                Said::Nothing => continue,
            }
            self.ready.extend(line);
            if self.is_over {
                self.ready.extend(bytes.iter().skip(at + 1));
                return;
            }
        }
    }
}

/// What a line of the opening says.
enum Said {
    /// A request that makes the client known.
    Request,
    /// A question that is answered without that.
    Probe,
    /// Nothing that needs an answer.
    Nothing,
}

impl Said {
    fn by(line: &[u8]) -> Said {
        let message: Value = serde_json::from_slice(line).unwrap_or_default();
        match (&message, message.get("method").and_then(Value::as_str)) {
            (_, Some("server/discover")) => Said::Probe,
            (_, Some(_)) if message.get("id").is_some() => Said::Request,
            // Batches are refused, which is an answer.
            (Value::Array(_), _) => Said::Probe,
            _ => Said::Nothing,
        }
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
                let goes_on = !rest.is_empty() || !opening.is_over;
                self.opening = goes_on.then_some(Opening {
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
        for piece in &mut pieces {
            opening.take(piece);
            if opening.is_over {
                break;
            }
        }
        let rest: Vec<u8> = pieces.flatten().copied().collect();
        String::from_utf8([opening.ready, rest].concat()).unwrap()
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
            // A probe does not make the client known.
            let probe = "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"server/discover\"}\n";
            let noise = "\nnot json\n{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}\n";
            assert_eq!(
                passed(
                    &format!("{noise}{probe}{early}{noise}{request}{later}"),
                    size
                ),
                format!("{probe}{request}{later}")
            );
        }
    }
}
