//! What the faults of one request do to its response.

use std::time::Duration;

use serde_json::{Value, json};

use super::faults::{Acting, Kind};

/// The faults of one request.
#[derive(Default)]
pub(super) struct Struck(Vec<Kind>);

/// What a request gets instead of its answer.
pub(super) enum Instead {
    /// Nothing: the connection closes.
    Drop,
    /// An error status.
    Status {
        code: u16,
        retry_after: Option<String>,
        body: Option<Value>,
    },
}

impl Struck {
    /// These faults.
    pub(super) fn by(kinds: Vec<Kind>) -> Self {
        Self(kinds)
    }

    /// Whether a fault without fields is among them.
    pub(super) fn has(&self, kind: &Kind) -> bool {
        self.0.contains(kind)
    }

    /// The first fault that has what `pick` looks for.
    pub(super) fn find<'a, T>(&'a self, pick: impl Fn(&'a Kind) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(pick)
    }

    /// How long the headers take.
    pub(super) fn delay(&self) -> Option<Duration> {
        self.find(|kind| match kind {
            Kind::SlowHeaders { ms } => Some(Duration::from_millis(*ms)),
            _ => None,
        })
    }

    /// How much later than recorded events are listed.
    pub(super) fn list_lag(&self) -> Duration {
        let lag = self.find(|kind| match kind {
            Kind::ListLag { ms } => Some(Duration::from_millis(*ms)),
            _ => None,
        });
        lag.unwrap_or_default()
    }

    /// What comes instead of the answer, before or after the call was carried out.
    pub(super) fn instead(&self, now: Acting) -> Option<Instead> {
        self.find(|kind| match kind {
            Kind::Drop { acting } if *acting == now => Some(Instead::Drop),
            Kind::Status {
                code,
                retry_after,
                acting,
                body,
            } if *acting == now => Some(Instead::Status {
                code: *code,
                retry_after: retry_after.clone(),
                body: body.clone(),
            }),
            _ => None,
        })
    }

    /// Changes an accepted answer; returns its status.
    pub(super) fn reshape(&self, method: &str, body: &mut Value) -> u16 {
        if self.has(&Kind::NoData) {
            *body = json!({});
        }
        if self.has(&Kind::EndlessPage)
            && let Some(list) = body.as_object_mut()
        {
            let token = list
                .get("next_page")
                .filter(|token| !token.is_null())
                .cloned();
            list.insert(
                "next_page".into(),
                token.unwrap_or_else(|| json!(super::page::AGAIN)),
            );
        }
        if self.has(&Kind::Zoneless) {
            strip_zones(body);
        }
        let status = self.find(|kind| match kind {
            Kind::ExtraStatus { code } => Some(*code),
            _ => None,
        });
        status.filter(|_| method == "POST").unwrap_or(200)
    }
}

/// Takes the zone off every time in a value.
pub(super) fn strip_zones(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match value {
                    Value::String(time) if key.ends_with("_at") => {
                        *time = time.trim_end_matches('Z').to_owned()
                    }
                    _ => strip_zones(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(strip_zones),
        _ => {}
    }
}
