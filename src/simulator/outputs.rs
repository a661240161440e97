//! What the scripted agent leaves in `/mnt/session/outputs`.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::calls::writing;
use super::content::Content;
use super::directives::Directives;
use super::plan::Step;
use super::script::Scene;

/// A file the agent writes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) mime_type: &'static str,
    /// How it begins; filler follows.
    head: String,
    size: u64,
}

impl Output {
    fn of(name: &str, mime_type: &'static str, head: String) -> Self {
        Self {
            name: name.to_owned(),
            mime_type,
            size: head.len() as u64,
            head,
        }
    }

    /// What is in it, made up while it is read.
    pub(super) fn content(&self) -> Content {
        Content::Made(Bytes::from(self.head.clone()), self.size)
    }
}

/// The result of graded work.
#[inline(never)]
pub(super) fn result(scene: &Scene<'_>) -> Vec<Step> {
    let words = format!("Simulated result (turn {}).\n", scene.turn);
    write(Output::of("result.md", "text/markdown", words), scene)
}

/// The files a message asks for.
#[inline(never)]
pub(super) fn deliveries(asked: &Directives, scene: &Scene<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let count = asked.count("deliver", usize::from(asked.has("deliver")), 10_000);
    for place in 1..=count {
        let words = format!("Simulated result {place} (turn {}).\n", scene.turn);
        let name = format!("result-{place}.txt");
        let mut output = Output::of(&name, "text/plain", words);
        if let Some(kilobytes) = asked.number("deliver", 1) {
            output.size = Duration::from_secs_f64(kilobytes).as_secs() * 1000;
        }
        steps.extend(write(output, scene));
    }
    if asked.has("deliver_hostile") {
        let input = json!({"command": "sh hostile-names.sh /mnt/session/outputs"});
        steps.extend(writing("bash", input, "written", hostile(), scene));
    }
    steps
}

fn write(output: Output, scene: &Scene<'_>) -> Vec<Step> {
    let path = format!("/mnt/session/outputs/{}", output.name);
    if output.size != output.head.len() as u64 {
        let input = json!({"command": format!("head -c {} filler > {path}", output.size)});
        return writing("bash", input, "", vec![output], scene);
    }
    let input = json!({"file_path": path, "content": output.head});
    writing("write", input, "written", vec![output], scene)
}

/// Names that must not become paths as they are.
fn hostile() -> Vec<Output> {
    let long = format!("{}.txt", "long".repeat(300));
    let names = [
        "../../etc/passwd",
        "/tmp/absolute",
        "C:\\Windows\\system.ini",
        "..\\..\\up",
        "con",
        "NUL.txt",
        ".ssh",
        ".",
        "..",
        "-rf",
        "nul\0byte",
        "esc\u{1b}[31mape",
        "two\nlines",
        "\u{202e}txt.exe",
        "zero\u{200b}width",
        "",
        " ",
        "trailing. ",
        &long,
        "same.txt",
        "same.txt",
        "SAME.txt",
    ];
    let output = |(place, name): (usize, &&str)| {
        Output::of(name, "text/plain", format!("Simulated: name {place}.\n"))
    };
    names.iter().enumerate().map(output).collect()
}
