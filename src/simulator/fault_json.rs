//! Faults as they are sent to `/_simulator/faults`, read strictly.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::answer::Refusal;
use super::body::Fields;
use super::faults::{Acting, Fault, Kind};
use super::json::{at, text};

/// Reads a fault: `{"on", "kind", "skip"?, "times"?: N or "always", …fields of the kind}`.
pub(super) fn read(value: &Value) -> Result<Fault, Refusal> {
    let fields = Fields::of(value, "", &allowed(value, &["on", "kind", "skip", "times"]))?;
    let on = fields.need_text("on", 1..=4096)?;
    if on.split_once(' ').is_none() {
        let why = "a method and a path pattern are required, such as \"POST /v1/sessions\"";
        return Err(fields.wrong("on", why));
    }
    let fault = Fault::new(on, kind(&fields)?).skip(count(&fields, "skip")?.unwrap_or(0));
    Ok(match at(value, "/times") {
        Value::Null => fault,
        Value::String(word) if word == "always" => fault.always(),
        _ => fault.times(need_count(&fields, "times")?),
    })
}

/// A kind alone, as tests write it.
impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(json)?;
        let read = || kind(&Fields::of(&value, "", &allowed(&value, &["kind"]))?);
        read().map_err(|refusal: Refusal| D::Error::custom(refusal.message))
    }
}

/// The fields of a fault beside those of its kind.
fn allowed<'a>(value: &Value, general: &[&'a str]) -> Vec<&'a str> {
    let own: &[&str] = match text(value, "/kind") {
        "cut_after_bytes" => &["bytes"],
        "silence" => &["after_bytes"],
        "slow_headers" | "list_lag" => &["ms"],
        "status" => &["code", "retry_after", "acting", "body"],
        "drop" => &["acting"],
        "extra_status" => &["code"],
        "error_frame" => &["error", "after_frames"],
        _ => &[],
    };
    [general, own].concat()
}

fn kind(fields: &Fields<'_>) -> Result<Kind, Refusal> {
    Ok(match fields.need_text("kind", 1..=64)? {
        "cut_after_bytes" => Kind::CutAfterBytes {
            bytes: need_count(fields, "bytes")?,
        },
        "silence" => Kind::Silence {
            after_bytes: count(fields, "after_bytes")?.unwrap_or(0),
        },
        "slow_headers" => Kind::SlowHeaders {
            ms: milliseconds(fields)?,
        },
        "list_lag" => Kind::ListLag {
            ms: milliseconds(fields)?,
        },
        "status" => Kind::Status {
            code: code(fields)?,
            retry_after: fields.text("retry_after", 1..=64)?.map(str::to_owned),
            acting: acting(fields)?,
            body: fields.get("body").cloned(),
        },
        "drop" => Kind::Drop {
            acting: acting(fields)?,
        },
        "extra_status" => Kind::ExtraStatus {
            code: code(fields)?,
        },
        "error_frame" => Kind::ErrorFrame {
            error: fields.need_text("error", 1..=64)?.to_owned(),
            after_frames: count(fields, "after_frames")?.unwrap_or(0),
        },
        "duplicate_frames" => Kind::DuplicateFrames,
        "reorder_frames" => Kind::ReorderFrames,
        "garbage" => Kind::Garbage,
        "replay" => Kind::Replay,
        "message_frames" => Kind::MessageFrames,
        "bare_frames" => Kind::BareFrames,
        "crlf" => Kind::Crlf,
        "trickle" => Kind::Trickle,
        "endless_page" => Kind::EndlessPage,
        "no_data" => Kind::NoData,
        "zoneless" => Kind::Zoneless,
        odd => return Err(fields.wrong("kind", &format!("unknown kind `{odd}`"))),
    })
}

fn count(fields: &Fields<'_>, key: &str) -> Result<Option<usize>, Refusal> {
    let number = fields.whole(key, 0..=u64::from(u32::MAX))?;
    Ok(number.and_then(|number| usize::try_from(number).ok()))
}

fn need_count(fields: &Fields<'_>, key: &str) -> Result<usize, Refusal> {
    let missing = || fields.wrong(key, "Field required");
    count(fields, key)?.ok_or_else(missing)
}

fn milliseconds(fields: &Fields<'_>) -> Result<u64, Refusal> {
    Ok(need_count(fields, "ms")? as u64)
}

fn code(fields: &Fields<'_>) -> Result<u16, Refusal> {
    fields.need("code")?;
    let code = fields.whole("code", 100..=999)?.unwrap_or_default();
    u16::try_from(code).map_err(|_| fields.wrong("code", "Input should be a status"))
}

fn acting(fields: &Fields<'_>) -> Result<Acting, Refusal> {
    Ok(match fields.choice("acting", &["before", "after"])? {
        Some("after") => Acting::After,
        _ => Acting::Before,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_says_the_same_and_nothing_unknown() {
        let fault = json!({"on": "POST /v1/sessions", "kind": "status", "code": 529, "acting": "after", "times": "always"});
        let kind = Kind::Status {
            code: 529,
            retry_after: None,
            acting: Acting::After,
            body: None,
        };
        let same = Fault::new("POST /v1/sessions", kind).always();
        assert_eq!(read(&fault).unwrap(), same);
        for odd in [
            json!({"on": "GET *", "kind": "garbage", "bites": 3}),
            json!({"on": "GET *", "kind": "status"}),
            json!({"on": "GET *", "kind": "moonrise"}),
            json!({"on": "GET", "kind": "garbage"}),
        ] {
            assert!(read(&odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn every_kind_in_the_help_can_be_read() {
        let listed = super::super::help::TEXT
            .split("with its fields:")
            .nth(1)
            .unwrap();
        let words = listed.split([' ', ',', '\n']).filter(|word| {
            word.contains('_')
                || [
                    "drop", "trickle", "garbage", "zoneless", "replay", "crlf", "status", "silence",
                ]
                .contains(word)
        });
        let fields = ["after_bytes", "retry_after", "after_frames"];
        let mut count = 0;
        for kind in words.filter(|word| !fields.contains(word)) {
            let fault = json!({"on": "* *", "kind": kind});
            let full = [
                json!({}),
                json!({"bytes": 1}),
                json!({"ms": 1}),
                json!({"code": 500}),
                json!({"error": "api_error"}),
            ];
            let fits = full.iter().any(|more| {
                let mut fault = fault.clone();
                fault
                    .as_object_mut()
                    .unwrap()
                    .extend(more.as_object().unwrap().clone());
                read(&fault).is_ok()
            });
            assert!(fits, "{kind}");
            count += 1;
        }
        assert!(count >= 19, "{count}");
    }
}
