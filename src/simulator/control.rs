//! `/_simulator/…`: help, received requests and faults, for tests in other processes.

use std::io;

use bytes::Bytes;
use hyper::Response;
use serde_json::{Value, json};

use super::answer::Refusal;
use super::faults::Fault;
use super::http::respond;
use super::state::World;
use super::struck::Struck;
use super::wire::{Body, whole};
use super::{checks, fault_json};

/// Answers one of these calls; none needs a key.
pub(super) fn answer(
    world: &World,
    method: &str,
    path: &str,
    body: &Bytes,
) -> io::Result<Response<Body>> {
    let mut state = world.state();
    match (method, path) {
        ("GET", "help") => send(200, "text/plain; charset=utf-8", super::help().to_owned()),
        ("GET", "requests") => {
            let requests = state.requests.all();
            let shown: Vec<Value> = requests.iter().map(super::Request::show).collect();
            send_json(200, &json!({"data": shown}))
        }
        ("POST", "faults") => match read(body) {
            Ok(faults) => {
                let count = faults.len();
                faults
                    .into_iter()
                    .for_each(|fault| state.faults.inject(fault));
                send_json(200, &json!({"injected": count}))
            }
            Err(refusal) => send_json(refusal.status, &refusal.envelope("")),
        },
        ("DELETE", "faults") => {
            state.faults.clear();
            send_json(200, &json!({}))
        }
        _ => send_json(404, &Refusal::of_status(404, "Not found").envelope("")),
    }
}

fn send_json(status: u16, value: &Value) -> io::Result<Response<Body>> {
    send(status, "application/json", value.to_string())
}

fn send(status: u16, kind: &str, body: String) -> io::Result<Response<Body>> {
    respond(
        status,
        kind,
        &[],
        whole(Bytes::from(body), &Struck::default()),
    )
}

fn read(body: &Bytes) -> Result<Vec<Fault>, Refusal> {
    match checks::json(body)? {
        Value::Array(faults) => faults.iter().map(fault_json::read).collect(),
        fault => fault_json::read(&fault).map(|fault| vec![fault]),
    }
}
