//! The server over HTTP, for the conformance suite, which speaks nothing else: the very handler that stdio serves, on a free port
//! of 127.0.0.1. Takes the same settings from the environment and prints its address. No authentication: for tests only.
//!
//! The suite calls tools, prompts and resources of a server of its own. Below `/stand-ins` instead of `/mcp`, what it asks for by
//! such a name is replaced as the JSON file says that is named in `STAND_INS`; see tests/interop/conformance.py.
//!
//! `cargo run --features http-test --example http`

use std::convert::Infallible;
use std::env;
use std::io::{self, Write};
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use managed_agents_mcp::config::Config;
use managed_agents_mcp::server::Server;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Map, Value};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

type Service = StreamableHttpService<Server, LocalSessionManager>;

/// By the name or address that is asked for: the parameters to ask with instead.
type StandIns = Arc<Map<String, Value>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let config = Config::read(&|name| env::var(name).ok())?;
    let stand_ins: StandIns = match env::var("STAND_INS") {
        Ok(path) => serde_json::from_slice(&std::fs::read(path)?).context("STAND_INS")?,
        Err(_) => StandIns::default(),
    };
    let server = Server::new(Arc::new(config), CancellationToken::new());
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(io::stdout(), "http://{}", listener.local_addr()?)?;
    loop {
        let (socket, _) = listener.accept().await?;
        tokio::spawn(converse(socket, service.clone(), Arc::clone(&stand_ins)));
    }
}

async fn converse(socket: TcpStream, service: Service, stand_ins: StandIns) {
    let answer = service_fn(|request| answer(&service, &stand_ins, request));
    // A client that hangs up is no failure.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(socket), answer)
        .await;
}

async fn answer(
    service: &Service,
    stand_ins: &StandIns,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, hyper::Error> {
    if request.uri().path() != "/stand-ins" {
        return Ok(service.handle(request).await);
    }
    let (mut head, body) = request.into_parts();
    let mut body = body.collect().await?.to_bytes();
    if let Some((asked, instead, message)) = replaced(stand_ins, &body) {
        body = message.into();
        head.headers.insert(CONTENT_LENGTH, body.len().into());
        let name = head.headers.get_mut("mcp-name");
        if let (Some(name), Ok(instead)) = (name, HeaderValue::from_str(&instead)) {
            // One that was wrong stays wrong.
            if name.as_bytes() == asked.as_bytes() {
                *name = instead;
            }
        }
    }
    let request = Request::from_parts(head, Full::new(body));
    Ok(service.handle(request).await)
}

/// What was asked for, what is asked for instead, and the message that does so.
fn replaced(stand_ins: &StandIns, body: &[u8]) -> Option<(String, String, String)> {
    let mut message: Value = serde_json::from_slice(body).ok()?;
    let params = message.get_mut("params")?.as_object_mut()?;
    let named = |params: &Map<String, Value>| {
        let name = params.get("name").or_else(|| params.get("uri"))?;
        name.as_str().map(str::to_owned)
    };
    let asked = named(params)?;
    let mut instead = stand_ins.get(&asked)?.to_string();
    // An argument of the suite may have a place in what stands in.
    let arguments = params.get("arguments").and_then(Value::as_object);
    for (name, value) in arguments.into_iter().flatten() {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        instead = instead.replace(&format!("{{{name}}}"), &text);
    }
    params.append(&mut serde_json::from_str(&instead).ok()?);
    Some((asked, named(params)?, message.to_string()))
}
