//! The tool calls of the scripted agent, and which of them wait for somebody.

use serde_json::{Value, json};

use super::directives::Directives;
use super::json::set;
use super::outputs::Output;
use super::plan::{Step, Use};
use super::script::Scene;
use super::tools;

/// Calls that need an answer because the message asks for one.
#[inline(never)]
pub(super) fn gates(asked: &Directives, scene: &Scene<'_>) -> Vec<Step> {
    let approvals = asked.count("approve", usize::from(asked.has("approve")), 100);
    let mut uses: Vec<Use> = (0..approvals).map(approval).collect();
    if asked.has("mcp") {
        uses.push(mcp(scene.agent));
    }
    if asked.has("custom") {
        let name = tools::first(scene.agent, "custom", "/name").unwrap_or("lookup_ticket");
        let input = json!({"ticket": "SIM-1"});
        let event = json!({"type": "agent.custom_tool_use", "name": name, "input": input});
        uses.push(Use {
            event,
            result: String::new(),
            gates: &["user.custom_tool_result"],
            outputs: Vec::new(),
        });
    }
    if asked.has("tool_result") {
        let event = built_in("bash", json!({"command": "uname -a"}), "always_allow");
        uses.push(Use {
            event,
            result: String::new(),
            gates: &["user.tool_result"],
            outputs: Vec::new(),
        });
    }
    let mut steps: Vec<Step> = uses.into_iter().map(Step::Use).collect();
    if !steps.is_empty() {
        steps.push(Step::Await);
    }
    steps
}

fn approval(place: usize) -> Use {
    let input = json!({"command": format!("rm -rf build/{place}")});
    Use {
        event: built_in("bash", input, "always_ask"),
        result: "removed".into(),
        gates: &["user.tool_confirmation"],
        outputs: Vec::new(),
    }
}

fn mcp(agent: &Value) -> Use {
    let server = tools::first(agent, "mcp_toolset", "/mcp_server_name").unwrap_or("github");
    let mut event = built_in(
        "create_issue",
        json!({"title": "Simulated issue"}),
        "always_ask",
    );
    set(&mut event, "type", "agent.mcp_tool_use");
    set(&mut event, "mcp_server_name", server);
    Use {
        event,
        result: "issue 1 created".into(),
        gates: &["user.tool_confirmation"],
        outputs: Vec::new(),
    }
}

/// A built-in tool under the policies of its agent and environment.
pub(super) fn call(name: &str, input: Value, result: &str, scene: &Scene<'_>) -> Vec<Step> {
    writing(name, input, result, Vec::new(), scene)
}

/// The same for a tool that leaves files in the session's outputs.
#[inline(never)]
pub(super) fn writing(
    name: &str,
    input: Value,
    result: &str,
    outputs: Vec<Output>,
    scene: &Scene<'_>,
) -> Vec<Step> {
    let policy = tools::policy(scene.agent, name);
    let event = built_in(name, input, policy);
    let gates: &[&str] = match (policy, scene.self_hosted) {
        ("always_ask", true) => &["user.tool_confirmation", "user.tool_result"],
        ("always_ask", false) => &["user.tool_confirmation"],
        (_, true) => &["user.tool_result"],
        _ => &[],
    };
    let result = result.to_owned();
    let mut steps = vec![Step::Use(Use {
        event,
        result,
        gates,
        outputs,
    })];
    if !gates.is_empty() {
        steps.push(Step::Await);
    }
    steps
}

/// A built-in tool under a policy, in a cloud environment.
#[inline(never)]
pub(super) fn once(name: &str, input: Value, result: &str, policy: &str) -> Use {
    let gates: &[&str] = match policy {
        "always_ask" => &["user.tool_confirmation"],
        _ => &[],
    };
    Use {
        event: built_in(name, input, policy),
        result: result.to_owned(),
        gates,
        outputs: Vec::new(),
    }
}

fn built_in(name: &str, input: Value, policy: &str) -> Value {
    let permission = if policy == "always_ask" {
        "ask"
    } else {
        "allow"
    };
    let mut evaluation = json!({"type": policy});
    if policy == "auto" {
        set(
            &mut evaluation,
            "evaluated_permission",
            json!({"type": "allow"}),
        );
    }
    json!({
        "type": "agent.tool_use", "name": name, "input": input,
        "evaluated_permission": permission, "evaluation": evaluation,
    })
}

/// One of many ordinary calls: name, input, result.
#[inline(never)]
pub(super) fn chore(place: usize) -> (&'static str, Value, String) {
    let file = format!("/workspace/repo/src/part{place}.rs");
    match place % 6 {
        0 => (
            "bash",
            json!({"command": "cargo test"}),
            "test result: ok. 12 passed; 0 failed".into(),
        ),
        1 => (
            "read",
            json!({"file_path": file}),
            format!("fn part{place}() {{}}\n"),
        ),
        2 => (
            "edit",
            json!({"file_path": file, "old_string": "{}", "new_string": "{ todo!() }"}),
            "1 replacement".into(),
        ),
        3 => (
            "grep",
            json!({"pattern": "todo!", "path": "/workspace/repo"}),
            format!("{file}:1: todo!()"),
        ),
        4 => ("glob", json!({"pattern": "**/*.rs"}), file),
        _ => (
            "write",
            json!({"file_path": file, "content": "// simulated\n"}),
            "written".into(),
        ),
    }
}
