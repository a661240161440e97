//! The checks that come before a call, in the API's order: key, beta header, version, then the body.

use bytes::Bytes;
use hyper::HeaderMap;
use serde_json::json;

use super::answer::{Answer, Refusal};
use super::page::Query;
use super::route::Beta;

/// What deleting an agent wants, and wants alone.
const OLDER_BETA: &str = "agent-api-2026-03-01";

/// Key, beta header and version, in this order.
pub(super) fn headers(
    headers: &HeaderMap,
    beta: Beta,
    query: &Query,
    key: Option<&str>,
) -> Result<(), Refusal> {
    check_key(headers, key)?;
    check_beta(headers, beta, query)?;
    match header(headers, "anthropic-version") {
        "2023-06-01" | "2026-10-21" => Ok(()),
        "" => Err(Refusal::invalid("anthropic-version: header is required")),
        odd => {
            let why = format!("anthropic-version: \"{odd}\" is not a valid version");
            Err(Refusal::invalid(why))
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

fn check_key(headers: &HeaderMap, key: Option<&str>) -> Result<(), Refusal> {
    let bearer = header(headers, "authorization").strip_prefix("Bearer ");
    let sent = match header(headers, "x-api-key") {
        "" => bearer.unwrap_or_default(),
        key => key,
    };
    if sent.is_empty() || key.is_some_and(|key| key != sent) {
        return Err(Refusal::of_status(401, "invalid x-api-key"));
    }
    Ok(())
}

fn check_beta(headers: &HeaderMap, beta: Beta, query: &Query) -> Result<(), Refusal> {
    let lines = headers
        .get_all("anthropic-beta")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let betas: Vec<&str> = lines
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .collect();
    let has = |prefix: &str| betas.iter().any(|beta| beta.starts_with(prefix));
    let agents = has("managed-agents-");
    let enough = match beta {
        Beta::Agents => agents,
        Beta::Older => has(OLDER_BETA),
        Beta::Memory => agents || has("agent-memory-"),
        // Only a session's files belong to both APIs.
        Beta::Files => has("files-api-") && (agents || query.one("scope_id").is_none()),
    };
    if !enough {
        return Err(Refusal::of_status(404, "not found"));
    }
    if matches!(beta, Beta::Older) && betas.len() > 1 {
        let why = format!("anthropic-beta: {OLDER_BETA} cannot be combined with other values");
        return Err(Refusal::invalid(why));
    }
    Ok(())
}

/// The body as JSON; a missing one counts as an empty object.
pub(super) fn json(body: &Bytes) -> Answer {
    if body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(body)
        .map_err(|error| Refusal::invalid(format!("The request body is not valid JSON: {error}")))
}
