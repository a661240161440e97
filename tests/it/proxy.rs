//! A line that goes wrong: passes connections on to a server and does to them, at a chosen byte or moment, what a seed
//! draws. What goes wrong with whole frames, and with what a list says, belongs to the server behind it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// It is closed in an orderly way.
    Finish,
    /// It is reset.
    Reset,
    /// It stays open, and nothing passes any more.
    Silence,
    /// It passes one byte at a time from then on.
    Trickle,
    /// It pauses for so long.
    Pause(Duration),
    /// A byte comes that no UTF-8 holds.
    Garbage,
    /// A byte order mark comes.
    Mark,
    /// Bytes come that nobody sent, without end.
    Flood,
    /// An error status comes instead of what the server says.
    Status(u16),
}

/// When it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// After so many bytes.
    Byte(usize),
    /// So long after the connection was opened.
    After(Duration),
}

/// Which half of a connection is harmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// What the client says.
    Requests,
    /// What the server says.
    Answers,
}

/// What is going to happen to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) half: Half,
    pub(crate) when: When,
    pub(crate) harm: Harm,
}

/// Passes connections on until it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    serving: JoinHandle<()>,
    struck: Arc<AtomicUsize>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Proxy {
    /// Leads to `target`, an address or a URL of this machine; `draw` decides on each connection in turn.
    pub(crate) async fn start(
        target: &str,
        seed: u64,
        draw: fn(&mut Rng) -> Option<Fate>,
    ) -> std::io::Result<Proxy> {
        let target = target.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let struck = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&struck);
        let mut rng = Rng::with_seed(seed);
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let fate = draw(&mut rng);
                let (target, count) = (target.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(&target).await {
                        // Small pieces are to arrive as such.
                        let _ = client.set_nodelay(true);
                        converse(client, server, fate, &count).await;
                    }
                });
            }
        });
        Ok(Proxy {
            address,
            serving,
            struck,
        })
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections were harmed so far.
    pub(crate) fn struck(&self) -> usize {
        self.struck.load(Ordering::Relaxed)
    }
}

async fn converse(client: TcpStream, server: TcpStream, fate: Option<Fate>, count: &AtomicUsize) {
    let strike = |half: Half| {
        let fate = fate.filter(|fate| fate.half == half);
        fate.map(|fate| (At::new(fate.when), fate.harm, count))
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::select! {
        () = pass(&mut from_client, &mut to_server, strike(Half::Requests)) => {}
        () = pass(&mut from_server, &mut to_client, strike(Half::Answers)) => {}
    }
    let resets = fate.is_some_and(|fate| fate.harm == Harm::Reset);
    let halves = (
        from_client.reunite(to_client),
        from_server.reunite(to_server),
    );
    if let ((Ok(client), Ok(server)), true) = (halves, resets) {
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
}

/// What is left until the harm is done.
struct At {
    bytes: usize,
    moment: Option<Instant>,
}

impl At {
    fn new(when: When) -> At {
        match when {
            When::Byte(bytes) => At {
                bytes,
                moment: None,
            },
            When::After(time) => At {
                bytes: usize::MAX,
                moment: Some(Instant::now() + time),
            },
        }
    }

    async fn moment(&self) {
        match self.moment {
            Some(moment) => sleep_until(moment).await,
            None => std::future::pending().await,
        }
    }
}

/// Passes bytes on until either end is closed, and does the harm once it is due.
async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut strike: Option<(At, Harm, &AtomicUsize)>,
) {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let count = match &strike {
            None => from.read(&mut piece).await,
            Some((at, ..)) if at.bytes == 0 => Ok(0),
            Some((at, ..)) => tokio::select! {
                count = from.read(&mut piece) => count,
                () = at.moment() => Ok(0),
            },
        };
        let Ok(count) = count else { return };
        if count == 0 {
            // Without a harm that is due it is the end of what is read.
            let due = |at: &At| at.bytes == 0 || at.moment.is_some_and(|at| at <= Instant::now());
            let Some((_, harm, struck)) = strike.take_if(|(at, ..)| due(at)) else {
                return;
            };
            struck.fetch_add(1, Ordering::Relaxed);
            if afflict(harm, from, to).await.is_err() {
                return;
            }
            continue;
        }
        let now = strike
            .as_ref()
            .map_or(count, |(at, ..)| count.min(at.bytes));
        let (head, tail) = piece[..count].split_at(now);
        if to.write_all(head).await.is_err() {
            return;
        }
        let Some((at, harm, struck)) = &mut strike else {
            continue;
        };
        at.bytes -= now;
        if at.bytes == 0 {
            struck.fetch_add(1, Ordering::Relaxed);
            let done = afflict(*harm, from, to).await;
            strike = None;
            if done.is_err() || to.write_all(tail).await.is_err() {
                return;
            }
        }
    }
}

/// The connection is over.
struct Closed;

async fn afflict(
    harm: Harm,
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> Result<(), Closed> {
    let closed = |_| Closed;
    match harm {
        Harm::Finish | Harm::Reset => Err(Closed),
        Harm::Pause(time) => {
            sleep(time).await;
            Ok(())
        }
        Harm::Garbage => to.write_all(b"\xff").await.map_err(closed),
        Harm::Mark => to.write_all(b"\xef\xbb\xbf").await.map_err(closed),
        Harm::Silence => {
            // Like a router that forgot the connection: what the sender says is taken in and goes nowhere.
            let mut piece = vec![0; 4096];
            while matches!(from.read(&mut piece).await, Ok(1..)) {}
            std::future::pending().await
        }
        Harm::Trickle => {
            let mut byte = [0];
            while let Ok(1) = from.read(&mut byte).await {
                to.write_all(&byte).await.map_err(closed)?;
                tokio::task::yield_now().await;
            }
            Err(Closed)
        }
        Harm::Flood => loop {
            to.write_all(&[b'x'; 4096]).await.map_err(closed)?;
        },
        Harm::Status(code) => {
            let head = format!(
                "HTTP/1.1 {code} Trouble\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            to.write_all(head.as_bytes()).await.map_err(closed)?;
            Err(Closed)
        }
    }
}
