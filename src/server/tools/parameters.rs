//! A tool's arguments: read like rmcp's own wrapper reads them, with the name of the argument that is wrong.

use std::borrow::Cow;

use rmcp::ErrorData;
use rmcp::handler::server::common::FromContextPart;
use rmcp::handler::server::tool::ToolCallContext;
use rmcp::schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Number, Value};

use crate::session::clean::clean_line;
use crate::session::report::cut;
use crate::settings::edits;

/// What begins so rmcp shows to the model, instead of failing the request.
pub(in crate::server) const MISFIT: &str = "failed to deserialize parameters:";

/// The arguments of one call. `#[tool]` knows the type by its name and takes the input schema from it.
pub(super) struct Parameters<P>(pub(super) P);

impl<P: JsonSchema> JsonSchema for Parameters<P> {
    fn schema_name() -> Cow<'static, str> {
        P::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        P::json_schema(generator)
    }
}

impl<S, P: DeserializeOwned> FromContextPart<ToolCallContext<'_, S>> for Parameters<P> {
    fn from_context_part(context: &mut ToolCallContext<S>) -> Result<Self, ErrorData> {
        let mut arguments = Value::Object(context.arguments.take().unwrap_or_default());
        make_whole(&mut arguments);
        serde_path_to_error::deserialize(arguments)
            .map(Parameters)
            .map_err(|error| {
                let path = error.path().to_string();
                let wrong = in_words(&path, &error.inner().to_string());
                let next = "correct this argument and make the call again; nothing was sent.";
                ErrorData::invalid_params(
                    format!("{MISFIT} {}\nNext: {next}", cut(&clean_line(&wrong), 2000)),
                    None,
                )
            })
    }
}

/// Writes numbers like 5.0 as integers, which they are for JSON Schema and not for serde.
fn make_whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(integer) = integer(number) {
                *number = integer.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_whole),
        Value::Object(fields) => fields.values_mut().for_each(make_whole),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The integer that a number in float form stands for, where it can only be one.
fn integer(number: &Number) -> Option<i64> {
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    let float = number.as_f64().filter(|_| number.is_f64())?;
    (float.fract() == 0.0 && float.abs() < LARGEST).then_some(float as i64)
}

/// What serde says is wrong with the argument at a path, in the words of the schema.
fn in_words(path: &str, wrong: &str) -> String {
    let inside = |field: &str| match path {
        "." => field.to_owned(),
        path => format!("{path}.{field}"),
    };
    let sentence = if let Some((field, known)) = quoted(wrong, "unknown field ") {
        unknown(path, field, known)
    } else if let Some((word, known)) = quoted(wrong, "unknown variant ") {
        let known = known.trim_start_matches(", expected ");
        format!("`{path}` must be {known}, not `{word}`")
    } else if let Some((field, _)) = quoted(wrong, "missing field ") {
        format!("`{}` is required", inside(field))
    } else if let Some((given, wanted)) = misfit(wrong) {
        format!("`{path}` must be {}, not {}", expected(wanted), said(given))
    } else if path == "." {
        wrong.to_owned()
    } else {
        format!("`{path}`: {wrong}")
    };
    format!("{sentence}.")
}

/// What stands in backquotes after a beginning, and what follows it.
fn quoted<'a>(text: &'a str, beginning: &str) -> Option<(&'a str, &'a str)> {
    let rest = text.strip_prefix(beginning)?.strip_prefix('`')?;
    rest.split_once('`')
}

fn misfit(wrong: &str) -> Option<(&str, &str)> {
    let rest = wrong
        .strip_prefix("invalid type: ")
        .or_else(|| wrong.strip_prefix("invalid value: "))?;
    // A text that was given may hold the same words.
    rest.rsplit_once(", expected ")
}

/// An argument that there is not, with those that there are.
fn unknown(path: &str, field: &str, known: &str) -> String {
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    let near = known.iter().map(|known| (edits(field, known), known));
    let near = near
        .filter(|(edits, _)| *edits <= (field.len() / 3).max(1))
        .min();
    let meant = near.map(|(_, known)| format!("; did you mean `{known}`?"));
    let known = match known.as_slice() {
        [] => "None is taken".to_owned(),
        known => format!("There are `{}`", known.join("`, `")),
    };
    let parent = path.rsplit_once('.').map(|(parent, _)| parent);
    let place = parent.filter(|parent| !parent.is_empty());
    let place = place.map(|parent| format!(" in `{parent}`"));
    let (place, meant) = (place.unwrap_or_default(), meant.unwrap_or(".".to_owned()));
    format!("Unknown argument `{field}`{place}{meant} {known}")
}

/// What is wanted, in the words of the schema.
fn expected(wanted: &str) -> &str {
    match wanted {
        "u64" | "u32" | "usize" => "a whole number, 0 or more",
        "f64" => "a number",
        "a sequence" => "a list",
        "a string" | "string or map" => "a text",
        "a boolean" => "true or false",
        "a map" => "an object",
        // "struct Repository with 4 elements"
        wanted if wanted.starts_with("struct ") => "an object",
        wanted => wanted,
    }
}

/// What was given, in the same words.
fn said(given: &str) -> String {
    let (kind, value) = given.split_once(' ').unwrap_or((given, ""));
    match kind {
        "string" => format!("the text {value}"),
        "integer" | "boolean" => value.trim_matches('`').to_owned(),
        "floating" => given
            .trim_start_matches("floating point ")
            .trim_matches('`')
            .to_owned(),
        "sequence" => "a list".to_owned(),
        "map" => "an object".to_owned(),
        _ => given.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_whole_becomes_an_integer() {
        let mut value = json!({"a": 5.0, "b": [-1e3, {"c": 0.5}], "d": 1e300, "e": 7, "f": "5.0", "g": 9_007_199_254_740_992.0});
        make_whole(&mut value);
        assert_eq!(
            value.to_string(),
            r#"{"a":5,"b":[-1000,{"c":0.5}],"d":1e+300,"e":7,"f":"5.0","g":9007199254740992.0}"#
        );
    }

    #[test]
    fn what_does_not_fit_is_told_in_plain_words() {
        for (path, wrong, said) in [
            (
                "mesage",
                "unknown field `mesage`, expected one of `message`, `title`",
                "Unknown argument `mesage`; did you mean `message`? There are `message`, `title`.",
            ),
            (
                "a[0].ref",
                "unknown field `ref`, expected `url` or `branch`",
                "Unknown argument `ref` in `a[0]`. There are `url`, `branch`.",
            ),
            (
                "decisions[0].decision",
                "unknown variant `maybe`, expected `allow` or `deny`",
                "`decisions[0].decision` must be `allow` or `deny`, not `maybe`.",
            ),
            (
                ".",
                "missing field `session_id`",
                "`session_id` is required.",
            ),
            ("a[1]", "missing field `url`", "`a[1].url` is required."),
            (
                "limit",
                "invalid type: string \"5\", expected u32",
                "`limit` must be a whole number, 0 or more, not the text \"5\".",
            ),
            (
                "limit",
                "invalid value: integer `-1`, expected u32",
                "`limit` must be a whole number, 0 or more, not -1.",
            ),
            (
                "files[0]",
                "invalid type: floating point `1.5`, expected struct File with 2 elements",
                "`files[0]` must be an object, not 1.5.",
            ),
        ] {
            assert_eq!(in_words(path, wrong), said);
        }
    }
}
