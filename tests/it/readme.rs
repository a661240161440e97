//! The tables of the README say what the binary says. `UPDATE_README=1 cargo test readme` writes them.

use managed_agents_mcp::settings::{SETTINGS, Setting};
use rmcp::model::Tool;

use crate::operations;
use crate::rig::Rig;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

/// The tools of each toolset, in the order of the README.
async fn tools() -> String {
    let mut rows = Vec::new();
    for toolset in ["core", "admin", "schedules"] {
        let rig = Rig::start().await.set("MANAGED_AGENTS_TOOLSETS", toolset);
        let client = rig.client().await;
        rows.extend(client.tools.iter().map(|tool| row(toolset, tool)));
    }
    format!(
        "| tool | toolset | what the model reads | parameters |\n| --- | --- | --- | --- |\n{}",
        rows.join("\n")
    )
}

fn row(toolset: &str, tool: &Tool) -> String {
    let description = tool.description.as_deref().unwrap_or_default();
    let parameters = tool.input_schema["properties"].as_object().unwrap();
    let parameters: Vec<String> = parameters.keys().map(|name| format!("`{name}`")).collect();
    format!(
        "| `{}` | {toolset} | {} | {} |",
        tool.name,
        description.replace('\n', " "),
        parameters.join(", ")
    )
}

fn settings() -> String {
    let row = |setting: &Setting| {
        let default = if setting.default.is_empty() {
            "–".to_owned()
        } else {
            format!("`{}`", setting.default)
        };
        format!("| `{}` | {default} | {} |", setting.names, setting.meaning)
    };
    let rows: Vec<String> = SETTINGS.iter().map(row).collect();
    format!(
        "| setting | default | meaning |\n| --- | --- | --- |\n{}",
        rows.join("\n")
    )
}

/// The text with what stands between the markers replaced.
fn with_table(readme: &str, marker: &str, table: &str) -> String {
    let (open, close) = (
        format!("<!-- {marker} -->\n"),
        format!("<!-- /{marker} -->"),
    );
    let (before, rest) = readme.split_once(&open).unwrap();
    let (_, after) = rest.split_once(&close).unwrap();
    format!("{before}{open}{table}\n{close}{after}")
}

#[tokio::test]
async fn the_tables_of_the_readme_are_those_of_the_binary() {
    let readme = std::fs::read_to_string(README).unwrap();
    let expected = with_table(&readme, "tools", &tools().await);
    let expected = with_table(&expected, "settings", &settings());
    let expected = with_table(&expected, "operations", &operations::table());
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(README, &expected).unwrap();
        return;
    }
    assert!(
        readme == expected,
        "the README is out of date: run UPDATE_README=1 cargo test readme"
    );
}

#[test]
fn every_setting_that_the_readme_names_is_read() {
    let source = [
        include_str!("../../src/config.rs"),
        include_str!("../../src/config/lookup.rs"),
        include_str!("../../src/main.rs"),
    ]
    .concat();
    let theirs = ["HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"];
    let names = SETTINGS.iter().flat_map(|setting| {
        setting
            .names
            .split(|c: char| !c.is_ascii_uppercase() && c != '_')
    });
    for name in names.filter(|name| name.len() > 4 && !theirs.contains(name)) {
        assert!(source.matches(&format!("\"{name}\"")).count() > 0, "{name}");
    }
}

#[tokio::test]
async fn the_help_names_every_setting() {
    let rig = Rig::start().await;
    let output = rig.command().arg("--help").output().await.unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for name in SETTINGS.iter().flat_map(Setting::each_name) {
        assert!(help.contains(name), "{name}");
    }
    assert!(
        help.contains("MANAGED_AGENTS_BUDGET_USD [default: 10]"),
        "{help}"
    );
}
