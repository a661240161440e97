//! Response bodies, and the faults that strike their bytes: cut, silence, trickle.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, once, unfold};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;

use super::faults::Kind;
use super::stream::Feed;
use super::struck::Struck;

/// Any body the simulator sends.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A body that is known whole.
pub(super) fn whole(bytes: Bytes, struck: &Struck) -> Body {
    match Fate::of(struck) {
        None => Full::new(bytes)
            .map_err(|never| match never {})
            .boxed_unsync(),
        Some(fate) => fated(once(async { Ok(bytes) }).boxed(), fate),
    }
}

/// A body that goes on.
pub(super) fn endless(feed: Feed, struck: &Struck) -> Body {
    let bytes = unfold(feed, async |mut feed| {
        feed.next().await.map(|bytes| (Ok(bytes), feed))
    })
    .boxed();
    fated(bytes, Fate::of(struck).unwrap_or_default())
}

/// A body that is read piece by piece.
pub(super) fn pieces(source: BoxStream<'static, io::Result<Bytes>>, struck: &Struck) -> Body {
    fated(source, Fate::of(struck).unwrap_or_default())
}

/// What becomes of the bytes of a body.
#[derive(Default)]
struct Fate {
    trickle: bool,
    stop: Option<(usize, Stop)>,
}

#[derive(Clone, Copy)]
enum Stop {
    Cut,
    Silence,
}

impl Fate {
    fn of(struck: &Struck) -> Option<Self> {
        let stop = struck.find(|kind| match kind {
            Kind::CutAfterBytes { bytes } => Some((*bytes, Stop::Cut)),
            Kind::Silence { after_bytes } => Some((*after_bytes, Stop::Silence)),
            _ => None,
        });
        let trickle = struck.has(&Kind::Trickle);
        (trickle || stop.is_some()).then_some(Self { trickle, stop })
    }

    /// The next bytes of what is left, as much as may go out at once.
    async fn next(
        &mut self,
        rest: &mut Bytes,
        source: &mut BoxStream<'static, io::Result<Bytes>>,
    ) -> Option<io::Result<Bytes>> {
        match &self.stop {
            Some((0, Stop::Cut)) => {
                // What was sent before, be it only the headers, must leave the process first.
                tokio::time::sleep(Duration::from_millis(2)).await;
                return Some(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            Some((0, Stop::Silence)) => std::future::pending().await,
            _ => {}
        }
        while rest.is_empty() {
            match source.next().await? {
                Ok(bytes) => *rest = bytes,
                Err(error) => return Some(Err(error)),
            }
        }
        let mut most = rest.len();
        if self.trickle {
            tokio::task::yield_now().await;
            most = 1;
        }
        if let Some((left, _)) = &mut self.stop {
            most = most.min(*left);
            *left -= most;
        }
        Some(Ok(rest.split_to(most)))
    }
}

fn fated(source: BoxStream<'static, io::Result<Bytes>>, fate: Fate) -> Body {
    let frames = unfold(
        (source, fate, Bytes::new()),
        async |(mut source, mut fate, mut rest)| {
            let next = fate.next(&mut rest, &mut source).await?;
            Some((next.map(Frame::data), (source, fate, rest)))
        },
    );
    StreamBody::new(frames).boxed_unsync()
}
