//! A tool's arguments: read like rmcp's own wrapper reads them, with the name of the argument that is wrong.

use std::borrow::Cow;

use rmcp::ErrorData;
use rmcp::handler::server::common::FromContextPart;
use rmcp::handler::server::tool::ToolCallContext;
use rmcp::schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;

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
        let arguments = Value::Object(context.arguments.take().unwrap_or_default());
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
