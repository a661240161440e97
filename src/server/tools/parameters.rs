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

/// Bytes of the longest name that may be a misspelled one, and characters that are shown of a name or word.
const LONGEST_NAME: usize = 64;

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
        let arguments = Value::Object(context.arguments.take().unwrap_or_default());
        fitted(arguments).map(Parameters).map_err(|wrong| {
            let next = "correct this argument and make the call again; nothing was sent.";
            ErrorData::invalid_params(
                format!("{MISFIT} {}\nNext: {next}", cut(&clean_line(&wrong), 2000)),
                None,
            )
        })
    }
}

/// The arguments as their type, or what is wrong with them.
fn fitted<P: DeserializeOwned>(mut arguments: Value) -> Result<P, String> {
    make_whole(&mut arguments);
    serde_path_to_error::deserialize(arguments)
        .map_err(|error| in_words(&error.path().to_string(), &error.inner().to_string()))
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
        let word = cut(word, LONGEST_NAME);
        format!("`{path}` must be {known}, not `{word}`")
    } else if let Some(field) = wrong.strip_prefix("missing field ") {
        format!("`{}` is required", inside(field.trim_matches('`')))
    } else if let Some((given, wanted)) = misfit(wrong) {
        // What is wrong is not what stands in the object, but that it is one.
        let (path, given) = match (wanted, path.rsplit_once('.')) {
            ("unit", Some((word, _))) => (word, "map"),
            _ => (path, given),
        };
        format!("`{path}` must be {}, not {}", expected(wanted), said(given))
    } else if path == "." {
        wrong.to_owned()
    } else {
        format!("`{path}`: {wrong}")
    };
    format!("{sentence}.")
}

/// What stands in backquotes after a beginning, and what follows it. It may hold backquotes of its own.
fn quoted<'a>(text: &'a str, beginning: &str) -> Option<(&'a str, &'a str)> {
    let rest = text.strip_prefix(beginning)?.strip_prefix('`')?;
    let ends = ["`, expected ", "`, there are no "];
    let end = ends.iter().filter_map(|end| rest.rfind(end)).max()?;
    let (word, known) = rest.split_at_checked(end)?;
    Some((word, known.strip_prefix('`')?))
}

/// What was given, and what is wanted.
fn misfit(wrong: &str) -> Option<(&str, &str)> {
    // Only a list has a length that can be wrong: one that was given for an object.
    let (given, rest) = match wrong.strip_prefix("invalid length ") {
        Some(rest) => (Some("sequence"), rest),
        None => {
            let rest = wrong.strip_prefix("invalid type: ");
            (
                None,
                rest.or_else(|| wrong.strip_prefix("invalid value: "))?,
            )
        }
    };
    // A text that was given may hold the same words.
    let (found, wanted) = rest.rsplit_once(", expected ")?;
    Some((given.unwrap_or(found), wanted))
}

/// An argument that there is not, with those that there are.
fn unknown(path: &str, field: &str, known: &str) -> String {
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    // The time it takes grows with both names.
    let names = known.iter().filter(|_| field.len() <= LONGEST_NAME);
    let near = names
        .map(|known| (edits(field, known), known))
        .filter(|(edits, _)| *edits <= (field.len() / 3).max(1))
        .min();
    let meant = near.map(|(_, known)| format!("; did you mean `{known}`?"));
    let known = match known.as_slice() {
        [] => "None is taken".to_owned(),
        known => format!("There are `{}`", known.join("`, `")),
    };
    let parent = path.strip_suffix(field);
    let parent = parent.and_then(|parent| parent.strip_suffix('.'));
    let place = parent.filter(|parent| !parent.is_empty());
    let place = place.map(|parent| format!(" in `{parent}`"));
    let field = cut(field, LONGEST_NAME);
    let (place, meant) = (place.unwrap_or_default(), meant.unwrap_or(".".to_owned()));
    format!("Unknown argument `{field}`{place}{meant} {known}")
}

/// What is wanted, in the words of the schema.
fn expected(wanted: &str) -> &str {
    match wanted {
        "u64" | "u32" | "usize" => "a whole number, 0 or more",
        "f64" => "a number",
        "a sequence" => "a list",
        "a string" => "a text",
        "string or map" | "map with a single key" | "unit" => "one of the words it takes",
        "a boolean" => "true or false",
        "a map" | "fewer elements in array" => "an object",
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

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Direction {
        Asc,
        Desc,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read by serde")]
    struct Outcome {
        description: String,
        rubric: Option<String>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read by serde")]
    struct Call {
        order: Option<Direction>,
        outcome: Option<Outcome>,
    }

    #[test]
    fn any_name_and_any_shape_is_told_in_plain_words() {
        for (arguments, said) in [
            (
                json!({"or`der": 1}),
                "Unknown argument `or`der`; did you mean `order`? There are `order`, `outcome`.",
            ),
            (
                json!({"a`, expected `b": 1}),
                "Unknown argument `a`, expected `b`. There are `order`, `outcome`.",
            ),
            (
                json!({"a.b": 1}),
                "Unknown argument `a.b`. There are `order`, `outcome`.",
            ),
            (
                json!({"outcome": {"a.b": 1}}),
                "Unknown argument `a.b` in `outcome`. There are `description`, `rubric`.",
            ),
            (
                json!({"order": "a`b"}),
                "`order` must be `asc` or `desc`, not `a`b`.",
            ),
            (
                json!({"order": {"asc": 1}}),
                "`order` must be one of the words it takes, not an object.",
            ),
            (
                json!({"order": {"asc": null, "desc": null}}),
                "`order` must be one of the words it takes, not an object.",
            ),
            (
                json!({"order": 5}),
                "`order` must be one of the words it takes, not 5.",
            ),
            (
                json!({"outcome": ["d"]}),
                "`outcome` must be an object, not a list.",
            ),
            (
                json!({"outcome": ["d", null, 1]}),
                "`outcome` must be an object, not a list.",
            ),
        ] {
            assert_eq!(fitted::<Call>(arguments).unwrap_err(), said);
        }
    }

    #[test]
    fn a_name_of_any_length_is_refused_at_once_and_shortened() {
        let name = "order".repeat(600_000);
        let began = std::time::Instant::now();
        let said = fitted::<Call>(json!({ name.as_str(): 1 })).unwrap_err();
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
        assert!(said.len() < 200, "{}", said.len());
        assert!(said.ends_with("There are `order`, `outcome`."), "{said}");
    }
}
