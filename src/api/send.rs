//! One request: built, sent, repeated where that is safe, and its answer read within bounds.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use super::body::{Answer, start};
use super::call::Call;
use super::error::NO_ENVELOPE;
use super::escapes::parse;
use super::pace::Group;
use super::probe::{Silence, explain};
use super::retry::{retry_after, retry_delay};
use super::{Client, Delivery, Error, Refusal, tally};

/// A read that is not answered by then is made again, with the rest of the time.
const FIRST_ATTEMPT: Duration = Duration::from_secs(10);
const LARGEST_ERROR_BODY: usize = 64 * 1024;
/// How much of an error body is shown.
const SHOWN_OF_ERROR: usize = 1024;

impl Client {
    /// Makes a call and decodes its answer.
    pub(super) async fn send<T: DeserializeOwned + Send + 'static>(
        &self,
        call: Call,
    ) -> Result<T, Error> {
        self.answer(call, |answer| async { answer.object()?.decoded().await })
            .await
    }

    /// Makes a call whose answer may say nothing beyond its status, and says something all the same where it can.
    pub(super) async fn send_for_word<T: DeserializeOwned + Default + Send + 'static>(
        &self,
        call: Call,
    ) -> Result<T, Error> {
        self.answer(call, |answer| async {
            match answer.body.trim_ascii() {
                [] => Ok(T::default()),
                _ => answer.unrefused()?.decoded().await,
            }
        })
        .await
    }

    /// Makes a call whose answer says nothing beyond its status. One that is no JSON comes from somebody in between, who may
    /// not have passed the request on.
    pub(super) async fn send_for_status(&self, call: Call) -> Result<(), Error> {
        self.answer(call, |answer| async {
            match answer.body.trim_ascii() {
                [] => Ok(()),
                _ => answer.unrefused()?.decoded().await.map(|_: IgnoredAny| ()),
            }
        })
        .await
    }

    /// Opens a stream: one attempt, since reopening belongs to whoever follows it.
    pub(super) async fn open(
        &self,
        call: Call,
        headers_within: Duration,
    ) -> Result<Response, Error> {
        let deadline = self.deadline().min(Instant::now() + headers_within);
        let http = &self.http()?.streams;
        self.attempt(http, &call, deadline, Some("text/event-stream"))
            .await
    }

    async fn answer<T, F: Future<Output = Result<T, Error>>>(
        &self,
        call: Call,
        decode: impl Fn(Answer) -> F,
    ) -> Result<T, Error> {
        let deadline = self.deadline();
        let http = &self.http()?.calls;
        let (call, decode) = (&call, &decode);
        let once = |attempt| async move {
            // A connection may have died without a word; another one costs a read nothing.
            let deadline = match attempt {
                0 if call.method == Method::GET => deadline.min(Instant::now() + FIRST_ATTEMPT),
                _ => deadline,
            };
            let answer = self.exchange(http, call, deadline).await?;
            let decoded = timeout_at(deadline, decode(answer)).await;
            decoded.unwrap_or_else(|_| Err(timed_out()))
        };
        self.repeat(call, deadline, once).await
    }

    /// Makes a call again and again, as long as it fails, that is safe, and there is time.
    pub(super) async fn repeat<T, F: Future<Output = Result<T, Error>>>(
        &self,
        call: &Call,
        deadline: Instant,
        once: impl Fn(u32) -> F,
    ) -> Result<T, Error> {
        let mut attempt = 0;
        loop {
            let error = match once(attempt).await {
                Ok(answer) => {
                    self.shared.pace.succeeded();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let Some(delay) = retry_delay(call, &error, attempt) else {
                return Err(error);
            };
            if Instant::now() + delay >= deadline || !self.shared.pace.may_retry() {
                return Err(error);
            }
            attempt += 1;
            tally::retried();
            tracing::info!(call = call.name(), attempt, ?delay, %error, "retrying");
            sleep(delay).await;
        }
    }

    async fn exchange(
        &self,
        http: &reqwest::Client,
        call: &Call,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let response = self.attempt(http, call, deadline, None).await?;
        self.shared.bodies.whole(response, deadline).await
    }

    /// Sends once, or again where only the key was refused and there is another; returns an answer with a 2xx status.
    pub(super) async fn attempt(
        &self,
        http: &reqwest::Client,
        call: &Call,
        deadline: Instant,
        accept: Option<&'static str>,
    ) -> Result<Response, Error> {
        let began = Instant::now();
        match self.attempt_once(http, call, deadline, accept).await {
            Err(error)
                if timeout_at(deadline, self.has_other_key(&error, began))
                    .await
                    .unwrap_or(false) =>
            {
                self.attempt_once(http, call, deadline, accept).await
            }
            answer => answer,
        }
    }

    async fn attempt_once(
        &self,
        http: &reqwest::Client,
        call: &Call,
        deadline: Instant,
        accept: Option<&'static str>,
    ) -> Result<Response, Error> {
        let mut request = self.request(http, call, deadline).await?;
        let places = match (accept, call.group) {
            (Some(_), _) => None,
            (None, Group::Environment) => Some(&self.shared.environments),
            (None, Group::Read | Group::Write) => Some(&self.shared.lines.calls),
        };
        let _place = match places {
            Some(places) => {
                let place = timeout_at(deadline, places.acquire()).await;
                Some(place.map_err(|_| no_time())?)
            }
            None => None,
        };
        if let Some(accept) = accept {
            request = request.header(reqwest::header::ACCEPT, accept);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        self.respond(call, request, deadline).await
    }

    /// A request with everything but its body, once its turn has come.
    pub(super) async fn request(
        &self,
        http: &reqwest::Client,
        call: &Call,
        deadline: Instant,
    ) -> Result<RequestBuilder, Error> {
        let ready = async {
            let url = call.url(self.origin().await?);
            let headers = self.headers().await?;
            self.take_turn(call.group, deadline).await?;
            Ok((url, headers))
        };
        let (url, headers) = timeout_at(deadline, ready)
            .await
            .unwrap_or_else(|_| Err(no_time()))?;
        let beta = call.beta.value(&self.shared.config.beta);
        Ok(http
            .request(call.method.clone(), url)
            .headers(headers)
            .header("anthropic-beta", beta.as_ref()))
    }

    /// The response to a request, if its status is 2xx.
    pub(super) async fn respond(
        &self,
        call: &Call,
        request: RequestBuilder,
        deadline: Instant,
    ) -> Result<Response, Error> {
        tally::sent();
        let response = match timeout_at(deadline, request.send()).await {
            Err(_) => return Err(timed_out()),
            Ok(Err(error)) => return Err(unreachable(error)),
            Ok(Ok(response)) => response,
        };
        self.shared.clock.learn(response.headers());
        let request_id = header(response.headers(), "request-id").map(|id| word(&id));
        tracing::debug!(
            call = call.name(),
            status = response.status().as_u16(),
            request_id,
            "answered"
        );
        tally::answered(request_id);
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.refusal(response, deadline).await)
        }
    }

    /// An error status, with as much of the vendor's envelope as there is.
    async fn refusal(&self, response: Response, deadline: Instant) -> Error {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = match timeout_at(deadline, start(response, LARGEST_ERROR_BODY)).await {
            Ok(Ok(body)) => body,
            _ => Vec::new(),
        };
        let envelope: Value = parse(&body).unwrap_or_default();
        let text = |pointer: &str| {
            envelope
                .pointer(pointer)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let fallback = || match header(&headers, "location") {
            Some(_) if (300..400).contains(&status) => {
                "the server redirects elsewhere, which is never followed".to_owned()
            }
            _ if body.is_empty() => "no explanation was given".to_owned(),
            _ => excerpt(&body),
        };
        let message = text("/error/message")
            .map(|text| shorten(&text))
            .unwrap_or_else(fallback);
        let request_id = header(&headers, "request-id").or_else(|| text("/request_id"));
        let request_id = request_id.map(|id| word(&id));
        // Other services have an `error` with a `type` as well.
        let is_envelope = text("/type").as_deref() == Some("error") || request_id.is_some();
        let kind = text("/error/type").filter(|_| is_envelope);
        Error::Refused(Box::new(Refusal {
            status,
            kind: kind.map_or_else(|| NO_ENVELOPE.to_owned(), |kind| word(&kind)),
            message,
            request_id,
            retry_after: retry_after(&headers),
            should_retry: header(&headers, "x-should-retry").and_then(|value| value.parse().ok()),
        }))
    }

    async fn take_turn(&self, group: Group, deadline: Instant) -> Result<(), Error> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(no_time());
        }
        let wait = self
            .shared
            .pace
            .reserve(group, left)
            .map_err(Error::HeldBack)?;
        if !wait.is_zero() {
            sleep(wait).await;
        }
        Ok(())
    }
}

/// A short word of the server's.
pub(super) fn word(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_ascii_graphic())
        .take(100)
        .collect()
}

pub(super) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn no_time() -> Error {
    Error::Unreachable {
        reason: "no time was left to ask".to_owned(),
        delivery: Delivery::NotSent,
    }
}

pub(super) fn timed_out() -> Error {
    Error::Unreachable {
        reason: "no answer within the time allowed".to_owned(),
        delivery: Delivery::Late,
    }
}

pub(super) fn unreachable(error: reqwest::Error) -> Error {
    let is_unsent = error.is_connect() || error.is_builder();
    let Silence { trouble, reason } = explain(error);
    match is_unsent {
        true if !trouble.words().is_empty() => Error::Blocked(trouble),
        true => Error::Unreachable {
            reason,
            delivery: Delivery::NotSent,
        },
        false => Error::Unreachable {
            reason,
            delivery: Delivery::Unknown,
        },
    }
}

/// The chain of causes on one line, each said once.
pub(super) fn reasons(error: &reqwest::Error) -> String {
    let mut reasons = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        // That it was the client that could not connect goes without saying.
        let is_news = !reasons.iter().any(|said| said.contains(&reason));
        if is_news && !reason.starts_with("client error") {
            reasons.push(reason);
        }
        cause = error.source();
    }
    reasons.join(": ")
}

/// The start of a body that is not what was expected, as one line.
pub(super) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(
        body.get(..body.len().min(4 * SHOWN_OF_ERROR))
            .unwrap_or_default(),
    );
    shorten(&text)
}

/// The start of a text as one line, whatever it has for line ends.
pub(super) fn shorten(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    line.chars()
        .filter(|c| !c.is_control())
        .take(SHOWN_OF_ERROR)
        .collect()
}
