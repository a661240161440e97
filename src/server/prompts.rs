//! Prompts, which hosts show as slash commands: to delegate well, to follow up, to review. Their words are in
//! `prompt_texts.rs`.

use rmcp::ErrorData;
use rmcp::model::{
    GetPromptRequestParams, GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage,
    Role,
};
use serde_json::{Map, Value, json};

use super::prompt_texts;
use crate::api::Id;
use crate::config::{Config, Toolset};
use crate::session::clean::{clean, clean_line};
use crate::session::report::cut;

/// Longest argument on one line, in characters.
const LINE_CHARS: usize = 300;

/// A prompt that can be offered.
struct Offer {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    /// Only the tools that read are named.
    reads: bool,
    arguments: &'static [Argument],
    text: fn(&Given, &Config) -> Result<String, ErrorData>,
}

struct Argument {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    required: bool,
}

/// The arguments of one request: those that say something, by name.
struct Given(Map<String, Value>);

const SESSION: Argument = Argument {
    name: "session_id",
    title: "Session",
    description: "Its id, such as sesn_…; completed by the start of the id or part of the title.",
    required: true,
};

const OFFERS: [Offer; 3] = [
    Offer {
        name: "delegate",
        title: "Delegate a task",
        description: "Hand a task to a Claude agent in the cloud, wait for it, and bring back the answer.",
        reads: false,
        arguments: &[
            Argument {
                name: "task",
                title: "Task",
                description: "What is to be done, with constraints and what to return. Quote it where the host splits at spaces.",
                required: true,
            },
            Argument {
                name: "agent",
                title: "Agent",
                description: "Id or name; left out, a general agent.",
                required: false,
            },
            Argument {
                name: "environment",
                title: "Environment",
                description: "Id or name of the container to work in; left out, a general one.",
                required: false,
            },
            Argument {
                name: "repository",
                title: "Repository",
                description: "Address to mount, such as https://github.com/owner/name.",
                required: false,
            },
        ],
        text: delegate,
    },
    Offer {
        name: "follow_up",
        title: "Follow up on a session",
        description: "Send the next message to a session, wait for it, and bring back the answer.",
        reads: false,
        arguments: &[
            SESSION,
            Argument {
                name: "message",
                title: "Message",
                description: "What to say next. Quote it where the host splits at spaces.",
                required: true,
            },
        ],
        text: follow_up,
    },
    Offer {
        name: "review_session",
        title: "Review a session",
        description: "What a session did, judged by its record; nothing is changed.",
        reads: true,
        arguments: &[SESSION],
        text: review,
    },
];

/// The prompts that the settings allow: they name no tool that is not offered.
fn offered(config: &Config) -> impl Iterator<Item = &'static Offer> {
    let (core, read_only) = (config.toolsets.contains(&Toolset::Core), config.read_only);
    OFFERS
        .iter()
        .filter(move |offer| core && (offer.reads || !read_only))
}

/// The list for the client.
pub(super) fn list(config: &Config) -> Vec<Prompt> {
    let argument = |argument: &Argument| {
        PromptArgument::new(argument.name)
            .with_title(argument.title)
            .with_description(argument.description)
            .with_required(argument.required)
    };
    offered(config)
        .map(|offer| {
            let arguments = offer.arguments.iter().map(argument).collect();
            Prompt::new(offer.name, Some(offer.description), Some(arguments))
                .with_title(offer.title)
        })
        .collect()
}

/// Whether a prompt has such an argument. A prompt that the settings leave out is refused; one that is unknown altogether has
/// none, since the conformance suite completes for a prompt of its own and takes an error for a server that cannot.
pub(super) fn takes(prompt: &str, argument: &str, config: &Config) -> Result<bool, ErrorData> {
    if !OFFERS.iter().any(|known| known.name == prompt) {
        return Ok(false);
    }
    let mut arguments = offer(prompt, config)?.arguments.iter();
    Ok(arguments.any(|known| known.name == argument))
}

/// The prompt of this name.
fn offer(name: &str, config: &Config) -> Result<&'static Offer, ErrorData> {
    offered(config)
        .find(|offer| offer.name == name)
        .ok_or_else(|| {
            let names: Vec<&str> = offered(config).map(|offer| offer.name).collect();
            let names = match names.is_empty() {
                true => "none".to_owned(),
                false => names.join(", "),
            };
            wrong(format!(
                "There is no prompt `{}`; this server has: {names}.",
                shown(name)
            ))
        })
}

/// A prompt with its arguments put in.
pub(super) fn get(
    request: GetPromptRequestParams,
    config: &Config,
) -> Result<GetPromptResult, ErrorData> {
    let offer = offer(&request.name, config)?;
    let given = Given::read(request.arguments.unwrap_or_default(), offer)?;
    let text = (offer.text)(&given, config)?;
    let message = PromptMessage::new_text(Role::User, text);
    Ok(GetPromptResult::new(vec![message]).with_description(offer.description))
}

impl Given {
    fn read(arguments: JsonObject, offer: &Offer) -> Result<Given, ErrorData> {
        let valid = || {
            let names: Vec<&str> = offer.arguments.iter().map(|known| known.name).collect();
            names.join(", ")
        };
        let mut given = Map::new();
        for (name, value) in arguments {
            if !offer.arguments.iter().any(|known| known.name == name) {
                return Err(wrong(format!(
                    "{} has no argument `{}`; it takes: {}.",
                    offer.name,
                    shown(&name),
                    valid()
                )));
            }
            match value {
                // Hosts send what was left blank.
                Value::Null => {}
                Value::String(text) if text.trim().is_empty() => {}
                Value::String(text) => {
                    given.insert(name, clean(text.trim()).text.into());
                }
                _ => return Err(wrong(format!("`{name}` must be text."))),
            }
        }
        let missing = |known: &&Argument| known.required && !given.contains_key(known.name);
        match offer.arguments.iter().find(missing) {
            Some(known) => Err(wrong(format!(
                "{} needs `{}`: {}",
                offer.name, known.name, known.description
            ))),
            None => Ok(Given(given)),
        }
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn session(&self) -> Result<Id, ErrorData> {
        Id::parse(self.text(SESSION.name)).map_err(|why| {
            wrong(format!(
                "`session_id`: {why}. list_sessions shows the ids of the user's sessions."
            ))
        })
    }

    /// An argument that is a name or an address, on one line.
    fn line(&self, name: &str) -> Result<Option<String>, ErrorData> {
        let line = clean_line(self.text(name));
        if line.chars().count() > LINE_CHARS {
            return Err(wrong(format!(
                "`{name}` is longer than {LINE_CHARS} characters."
            )));
        }
        Ok((!line.is_empty()).then_some(line))
    }
}

fn shown(text: &str) -> String {
    cut(&clean_line(text), 100)
}

fn wrong(words: String) -> ErrorData {
    ErrorData::invalid_params(words, None)
}

fn delegate(given: &Given, config: &Config) -> Result<String, ErrorData> {
    let mut chosen = Map::new();
    for name in ["agent", "environment"] {
        chosen.extend(given.line(name)?.map(|line| (name.to_owned(), line.into())));
    }
    if let Some(url) = given.line("repository")? {
        if !url.starts_with("https://") || url.contains([' ', '@']) {
            return Err(wrong(
                "`repository` must be an https address without credentials, such as https://github.com/owner/name. If the \
                 host split the task at its spaces, put the task into quotes."
                    .to_owned(),
            ));
        }
        chosen.insert("repositories".to_owned(), json!([{"url": url}]));
    }
    Ok(prompt_texts::delegate(given.text("task"), chosen, config))
}

fn follow_up(given: &Given, config: &Config) -> Result<String, ErrorData> {
    let message = given.text("message");
    Ok(prompt_texts::follow_up(&given.session()?, message, config))
}

fn review(given: &Given, _: &Config) -> Result<String, ErrorData> {
    Ok(prompt_texts::review(&given.session()?))
}
