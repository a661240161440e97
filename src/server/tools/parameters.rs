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
                let place = if path == "." {
                    String::new()
                } else {
                    format!("`{path}`: ")
                };
                let wrong = format!("{place}{}", error.inner());
                let wrong = in_words(&wrong);
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

/// What serde expects, in the words of the schema.
fn in_words(wrong: &str) -> String {
    let words = [
        ("u64", "a whole number, 0 or more"),
        ("u32", "a whole number, 0 or more"),
        ("usize", "a whole number, 0 or more"),
        ("f64", "a number"),
        ("a sequence", "a list"),
        ("a map", "an object"),
        ("string or map", "a string"),
    ];
    let text = words.iter().fold(wrong.to_owned(), |text, (kind, said)| {
        text.replace(&format!("expected {kind}"), &format!("expected {said}"))
    });
    // "expected struct Repository with 4 elements"
    match text.split_once("expected struct ") {
        Some((before, _)) => format!("{before}expected an object"),
        None => text,
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
}
