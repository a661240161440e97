//! Serving: every request is kept, checked in the API's order, carried out, and answered as the faults allow.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Response;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use super::answer::{Answer, Refusal};
use super::carried::Carried;
use super::content::Content;
use super::faults::{Acting, Kind};
use super::page::{Query, decode};
use super::requests::Request;
use super::route::{self, Route};
use super::state::{Call, World};
use super::stream::Feed;
use super::struck::{Instead, Struck};
use super::wire::{self, Body};
use super::{checks, control, files, player, stamp, stream};

/// Accepts connections until the simulator is dropped.
pub(super) async fn listen(listener: TcpListener, world: Arc<World>) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let at = Arc::clone(&world);
                world.spawn(converse(socket, at));
            }
            // Out of descriptors, most likely; others may end soon.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn converse(socket: TcpStream, world: Arc<World>) {
    socket.set_nodelay(true).ok();
    let service = service_fn(move |request| serve(Arc::clone(&world), request));
    if let Err(error) = http1::Builder::new()
        .serve_connection(TokioIo::new(socket), service)
        .await
    {
        tracing::trace!(%error, "a connection of the simulator ended");
    }
}

/// What a request comes to.
enum Outcome {
    Answer(Answer),
    Stream(Feed),
    /// A file, and of which kind it is.
    File(Content, String),
}

/// One request from its first byte to its response; an error closes the connection without one.
async fn serve(world: Arc<World>, request: hyper::Request<Incoming>) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = Carried::read(&parts, body).await?;
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    if let Some(path) = path.strip_prefix("/_simulator/") {
        return control::answer(&world, method, path, &body.bytes());
    }
    let struck = {
        let mut state = world.state();
        let (shown, bytes) = body.shown();
        state.requests.keep(received(&parts, shown), bytes);
        state.faults.strike(method, path)
    };
    if let Some(instead) = struck.instead(Acting::Before) {
        return failed(instead);
    }
    let outcome = act(&world, &parts, body, &struck);
    if let Some(delay) = struck.delay() {
        tokio::time::sleep(delay).await;
    }
    if let Some(instead) = struck.instead(Acting::After) {
        return failed(instead);
    }
    match outcome {
        Outcome::Stream(feed) => respond(
            200,
            "text/event-stream; charset=utf-8",
            &[],
            wire::endless(feed, &struck),
        ),
        Outcome::File(content, kind) if !struck.has(&Kind::Garbage) => {
            let size = content.size().to_string();
            let body = wire::pieces(content.stream(), &struck);
            respond(200, &kind, &[("content-length", &size)], body)
        }
        Outcome::File(..) => garbage(&struck),
        Outcome::Answer(answer) => answered(answer, method, &struck),
    }
}

fn received(parts: &Parts, body: Value) -> Request {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    Request {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
            .collect(),
        body,
    }
}

/// Checks a request and carries it out.
fn act(world: &Arc<World>, parts: &Parts, body: Carried, struck: &Struck) -> Outcome {
    match try_act(world, parts, body, struck) {
        Ok(outcome) => outcome,
        Err(refusal) => Outcome::Answer(Err(refusal)),
    }
}

#[inline(never)]
fn try_act(
    world: &Arc<World>,
    parts: &Parts,
    body: Carried,
    struck: &Struck,
) -> Result<Outcome, Refusal> {
    let segments: Vec<&str> = parts.uri.path().split('/').skip(1).collect();
    let found = route::find(parts.method.as_str(), &segments)
        .ok_or_else(|| Refusal::of_status(404, "Not found"))?;
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let key = world.options.key.as_deref();
    checks::headers(&parts.headers, found.beta, &query, key)?;
    let (body, upload) = body.for_call()?;
    let call = Call {
        ids: found
            .ids
            .into_iter()
            .map(|id| decode(&id.replace('+', "%2B")))
            .collect(),
        query,
        body,
        upload,
        list_lag: struck.list_lag(),
    };
    let mut state = world.state();
    let outcome = match found.route {
        Route::Call(act) => Outcome::Answer(act(&mut state, &call)),
        Route::Content => {
            let (content, kind) = files::content(&state, &call)?;
            Outcome::File(content, kind)
        }
        Route::Stream => Outcome::Stream(stream::open(
            &mut state,
            &call,
            struck,
            world.options.heartbeat,
        )?),
    };
    let woken = std::mem::take(&mut state.woken);
    drop(state);
    for session in woken {
        player::start(world, session);
    }
    Ok(outcome)
}

fn answered(answer: Answer, method: &str, struck: &Struck) -> io::Result<Response<Body>> {
    if struck.has(&Kind::Garbage) {
        return garbage(struck);
    }
    match answer {
        Ok(mut body) => {
            let status = struck.reshape(method, &mut body);
            respond(
                status,
                "application/json",
                &[],
                wire::whole(Bytes::from(body.to_string()), struck),
            )
        }
        Err(refusal) => refused(&refusal, &[], struck),
    }
}

fn garbage(struck: &Struck) -> io::Result<Response<Body>> {
    let page = Bytes::from_static(b"<!doctype html><html><body><h1>It works!</h1></body></html>");
    respond(200, "text/html", &[], wire::whole(page, struck))
}

fn refused(
    refusal: &Refusal,
    headers: &[(&str, &str)],
    struck: &Struck,
) -> io::Result<Response<Body>> {
    let request_id = stamp::request_id();
    let body = Bytes::from(refusal.envelope(&request_id).to_string());
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .copied()
        .chain([("request-id", request_id.as_str())])
        .collect();
    respond(
        refusal.status,
        "application/json",
        &headers,
        wire::whole(body, struck),
    )
}

/// The answer of a fault.
fn failed(instead: Instead) -> io::Result<Response<Body>> {
    let Instead::Status {
        code,
        retry_after,
        body,
    } = instead
    else {
        return Err(io::ErrorKind::ConnectionAborted.into());
    };
    let retry_after = retry_after.unwrap_or_default();
    let headers: &[(&str, &str)] = if retry_after.is_empty() {
        &[]
    } else {
        &[("retry-after", &retry_after)]
    };
    match body {
        Some(body) => {
            let body = body
                .as_str()
                .map_or_else(|| body.to_string(), str::to_owned);
            respond(
                code,
                "application/json",
                headers,
                wire::whole(Bytes::from(body), &Struck::default()),
            )
        }
        None => refused(
            &Refusal::of_status(code, "Simulated failure."),
            headers,
            &Struck::default(),
        ),
    }
}

/// A response; every one carries a request id.
pub(super) fn respond(
    code: u16,
    kind: &str,
    headers: &[(&str, &str)],
    body: Body,
) -> io::Result<Response<Body>> {
    let mut response = Response::builder()
        .status(code)
        .header("content-type", kind);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    if !headers.iter().any(|(name, _)| *name == "request-id") {
        response = response.header("request-id", stamp::request_id());
    }
    response.body(body).map_err(io::Error::other)
}
