//! Standard input and output: a private copy of the latter for the protocol, and two ends that tell when the client is
//! gone. What is said over them belongs to `wire.rs`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The two ends. From here on nothing else in this process can write to the client: file descriptor 1 leads to standard
/// error.
pub fn ends(gone: CancellationToken) -> io::Result<(Input, Output)> {
    let input = Input {
        inner: input(),
        ended: Box::pin(gone.clone().cancelled_owned()),
        gone: gone.clone(),
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

/// Standard input. Its end cancels the token, so that waits end as well; and once the token is cancelled it is at its end.
pub struct Input {
    inner: Box<dyn AsyncRead + Send + Unpin>,
    gone: CancellationToken,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Input {
    /// Returns once the client has closed its end, though there is more to be read, and tells so.
    pub(super) async fn hung_up(gone: &CancellationToken) {
        while !is_hung_up() {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        gone.cancel();
    }

    /// What tells that the client is gone.
    pub(super) fn gone(&self) -> CancellationToken {
        self.gone.clone()
    }
}

/// The other end of standard input is looked at so often while nothing is read from it.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

#[cfg(unix)]
fn is_hung_up() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdin = io::stdin();
    let mut watched = [PollFd::new(&stdin, PollFlags::IN)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut watched, Some(&at_once)).is_ok()
        && watched
            .iter()
            .any(|stdin| stdin.revents().contains(PollFlags::HUP))
}

#[cfg(not(unix))]
fn is_hung_up() -> bool {
    false
}

impl AsyncRead for Input {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let ended = matches!(&polled, Poll::Ready(result) if result.is_err() || buf.filled().len() == before);
        if ended {
            self.gone.cancel();
        }
        if polled.is_pending()
            && (self.gone.is_cancelled() || self.ended.as_mut().poll(cx).is_ready())
        {
            return Poll::Ready(Ok(()));
        }
        polled
    }
}
