//! `doctor`: what it finds on this machine and at the API, how it says so, and that it never says a secret.

use std::path::{Path, PathBuf};

use managed_agents_mcp::simulator::{Acting, Kind};
use serde_json::{Value, json};

use crate::rig::{KEY, Rig, stable};

/// Must never come out, in part or whole.
const CANARIES: [(&str, &str); 4] = [
    ("ANTHROPIC_AUTH_TOKEN", "bearer-canary-1b"),
    ("GITHUB_TOKEN", "ghp_canary5d20b8"),
    (
        "HTTP_PROXY",
        "http://canary-user:canary-word@192.0.2.1:3128",
    ),
    ("NO_PROXY", "nothing.invalid"),
];

/// A folder that goes away with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Folder {
        let name = format!("managed-agents-doctor-{}", uuid::Uuid::new_v4());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        Folder(folder)
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What one run of `doctor --json` said.
#[derive(Debug)]
pub(crate) struct Examined {
    pub(crate) ok: bool,
    checks: Vec<Value>,
}

impl Examined {
    fn check(&self, name: &str) -> &Value {
        let found = self.checks.iter().find(|check| check["name"] == name);
        found.unwrap_or_else(|| panic!("no {name}: {self:?}"))
    }

    /// Checks how a check came out and a part of what was found; returns how to fix it.
    pub(crate) fn expect(&self, name: &str, status: &str, found: &str) -> &str {
        let check = self.check(name);
        assert_eq!(check["status"], status, "{check}");
        let said = check["found"].as_str().unwrap();
        assert!(said.contains(found), "`{found}` is not in: {check}");
        check["fix"].as_str().unwrap_or_default()
    }

    /// What failed, in order.
    pub(crate) fn failed(&self) -> Vec<&str> {
        let failed = self
            .checks
            .iter()
            .filter(|check| check["status"] == "failed");
        failed
            .map(|check| check["name"].as_str().unwrap())
            .collect()
    }
}

/// Runs `doctor` in a folder: exit code and output, in which no canary may be.
pub(crate) async fn run(rig: &Rig, folder: &Folder, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = rig.command();
    for (name, value) in CANARIES {
        if !command.as_std().get_envs().any(|(known, _)| known == name) {
            command.env(name, value);
        }
    }
    command
        .arg("doctor")
        .args(arguments)
        .current_dir(folder.path());
    let output = command.stdin(std::process::Stdio::null()).output();
    let output = tokio::time::timeout(std::time::Duration::from_secs(20), output);
    let output = output.await.expect("it never ended").unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    for core in ["canary", "7f3a91", "5d20b8"] {
        assert!(!stdout.contains(core), "{core}: {stdout}");
    }
    assert_eq!(stderr, "");
    (output.status.code(), stdout)
}

/// Runs it both ways and checks what holds for every run.
pub(crate) async fn examine(rig: &Rig, folder: &Folder) -> Examined {
    let (code, stdout) = run(rig, folder, &["--json"]).await;
    let report: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}"));
    let ok = report["ok"].as_bool().unwrap();
    assert_eq!(code, Some(i32::from(!ok)), "{report}");
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    let checks = report["checks"].as_array().unwrap().clone();
    for check in &checks {
        let (status, fix) = (check["status"].as_str().unwrap(), &check["fix"]);
        assert!(
            ["ok", "warning", "failed", "skipped"].contains(&status),
            "{check}"
        );
        assert_eq!(status == "ok", fix.is_null(), "{check}");
    }
    let names: Vec<&str> = checks
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    let expected = [
        "settings",
        "key",
        "proxy",
        "base-url",
        "beta",
        "clock",
        "agents",
        "environments",
        "file-roots",
        "github-token",
        "exposure",
    ];
    assert_eq!(names, expected);
    let examined = Examined { ok, checks };
    assert_eq!(examined.failed().is_empty(), ok);
    examined
}

/// The text for a person, with what differs from run to run replaced.
pub(crate) async fn page(title: &str, rig: &Rig, folder: &Folder) -> String {
    let (_, text) = run(rig, folder, &[]).await;
    let text = text.replace(&folder.path().display().to_string(), "/folder");
    let text = text.replacen(env!("CARGO_PKG_VERSION"), "VERSION", 1);
    format!("## {title}\n{}\n", stable(&text))
}

fn agent(name: &str) -> Value {
    json!({"name": name, "model": "claude-sonnet-5-5", "tools": []})
}

async fn furnished() -> Rig {
    let rig = Rig::start().await;
    let _ = rig
        .furnish(agent("Code Reviewer"), json!({"name": "rust builds"}))
        .await;
    rig
}

#[tokio::test]
async fn where_everything_is_right_everything_is_ok() {
    let folder = Folder::new();
    let rig = furnished()
        .await
        .set("MANAGED_AGENTS_AGENT", "code reviewer")
        .set("MANAGED_AGENTS_ALLOW_ENVIRONMENTS", "rust builds")
        .set(
            "MANAGED_AGENTS_FILE_ROOTS",
            folder.path().display().to_string(),
        );
    let examined = examine(&rig, &folder).await;
    assert!(examined.ok, "{examined:?}");
    examined.expect(
        "key",
        "ok",
        "from ANTHROPIC_API_KEY, which goes before ANTHROPIC_AUTH_TOKEN; the API accepts it",
    );
    examined.expect("base-url", "ok", "answers as the API");
    examined.expect(
        "beta",
        "ok",
        "managed-agents-2026-04-01, version 2023-06-01",
    );
    examined.expect("clock", "ok", "agrees");
    examined.expect(
        "agents",
        "ok",
        "1 visible; MANAGED_AGENTS_AGENT is code reviewer",
    );
    examined.expect("environments", "ok", "1 visible");
    examined.expect("file-roots", "ok", "1 folder");
    examined.expect("github-token", "ok", "from GITHUB_TOKEN");
    assert!(
        rig.requests().iter().all(|request| request.method == "GET"),
        "it changed something"
    );
    insta::assert_snapshot!(page("everything is right", &rig, &folder).await);
}

#[tokio::test]
async fn the_simulator_needs_no_key_and_is_reached_in_the_process() {
    let (rig, folder) = (Rig::start().await.unset("ANTHROPIC_API_KEY"), Folder::new());
    for arguments in [&["--simulate", "--json"][..], &["--json", "--simulate"]] {
        let (code, stdout) = run(&rig, &folder, arguments).await;
        assert_eq!(code, Some(0), "{stdout}");
        assert!(stdout.contains("the built-in simulator"), "{stdout}");
    }
    assert!(rig.requests().is_empty());
}

#[tokio::test]
async fn no_agent_yet_is_no_fault() {
    let (rig, folder) = (Rig::start().await, Folder::new());
    let examined = examine(&rig, &folder).await;
    assert!(examined.ok);
    examined.expect(
        "agents",
        "ok",
        "no agent yet; the first create_session makes one",
    );
    examined.expect("environments", "ok", "no environment yet");
}

#[tokio::test]
async fn a_missing_and_a_wrong_key_are_told_apart() {
    let folder = Folder::new();
    let rig = Rig::start()
        .await
        .unset("ANTHROPIC_API_KEY")
        .set("ANTHROPIC_AUTH_TOKEN", "");
    let examined = examine(&rig, &folder).await;
    assert_eq!(examined.failed(), ["key"]);
    let fix = examined.expect("key", "failed", "none is set");
    assert!(fix.contains("ANTHROPIC_API_KEY"), "{fix}");
    // Even without a key it is seen that this is the API.
    examined.expect("base-url", "ok", "answers as the API");
    let missing = page("no key", &rig, &folder).await;

    let rig = Rig::start()
        .await
        .set("ANTHROPIC_API_KEY", "sk-ant-canary-wrong");
    let examined = examine(&rig, &folder).await;
    assert_eq!(examined.failed(), ["key"]);
    examined.expect("key", "failed", "the API refuses it (401)");
    examined.expect("beta", "skipped", "");
    let wrong = page("wrong key", &rig, &folder).await;
    insta::assert_snapshot!(format!("{missing}{wrong}"));
}

#[tokio::test]
async fn a_value_that_can_be_no_key_is_explained() {
    let folder = Folder::new();
    for (value, fix) in [
        (format!("\"{KEY}\""), "quotation marks"),
        ("sk-ant-canary…".to_owned(), "placeholder"),
        (format!("ANTHROPIC_API_KEY={KEY}"), "without the name"),
        (format!("{KEY} {KEY}"), "copy it again"),
        ("sk-ant-oat01-canary".to_owned(), "ANTHROPIC_AUTH_TOKEN"),
        ("sk-ant-admin01-canary".to_owned(), "Admin key"),
    ] {
        let rig = Rig::start().await.set("ANTHROPIC_API_KEY", value.clone());
        let examined = examine(&rig, &folder).await;
        let said = examined.expect("key", "failed", "from ANTHROPIC_API_KEY");
        assert!(said.contains(fix), "{value}: {said}");
    }
    for placeholder in ["${ANTHROPIC_API_KEY}", "%ANTHROPIC_API_KEY%"] {
        let rig = Rig::start().await.set("ANTHROPIC_API_KEY", placeholder);
        let rig = rig.set("GITHUB_TOKEN", "$GITHUB_TOKEN");
        let examined = examine(&rig, &folder).await;
        examined.expect("key", "failed", "from ANTHROPIC_AUTH_TOKEN");
        let examined = examine(&rig.set("ANTHROPIC_AUTH_TOKEN", ""), &folder).await;
        assert_eq!(examined.failed(), ["key"]);
        let found = "from ANTHROPIC_API_KEY, which holds a placeholder that was not replaced";
        examined.expect("key", "failed", found);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_file_and_a_key_command_are_named_but_not_what_they_hold() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let file = folder.file("key", KEY);
    let rig = Rig::start()
        .await
        .set("ANTHROPIC_API_KEY", "sk-ant-canary-other");
    let rig = rig.set("MANAGED_AGENTS_KEY_FILE", file.display().to_string());
    let mode =
        |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();

    mode(0o644);
    let examined = examine(&rig, &folder).await;
    assert_eq!(examined.failed(), ["key"]);
    let fix = examined.expect(
        "key",
        "failed",
        "(mode 0644), which goes before ANTHROPIC_API_KEY",
    );
    assert!(fix.contains("chmod 600"), "{fix}");
    examined.expect("exposure", "warning", "others can read the key file");

    mode(0o600);
    let examined = examine(&rig, &folder).await;
    assert!(examined.ok, "{examined:?}");
    examined.expect("key", "ok", "(mode 0600)");

    let rig = rig.unset("MANAGED_AGENTS_KEY_FILE");
    let cat = format!("/bin/cat {}", file.display());
    let examined = examine(&rig.set("MANAGED_AGENTS_KEY_COMMAND", cat), &folder).await;
    assert!(examined.ok, "{examined:?}");
    examined.expect(
        "key",
        "ok",
        "from MANAGED_AGENTS_KEY_COMMAND `/bin/cat`, which",
    );
    assert!(!format!("{examined:?}").contains(&file.display().to_string()));
}

#[tokio::test]
async fn a_key_put_where_a_path_or_a_command_belongs_is_not_repeated() {
    let folder = Folder::new();
    for name in [
        "MANAGED_AGENTS_KEY_FILE",
        "MANAGED_AGENTS_KEY_COMMAND",
        "MANAGED_AGENTS_CA_FILE",
    ] {
        let examined = examine(&Rig::start().await.set(name, KEY), &folder).await;
        assert!(!examined.ok, "{name}");
    }
    // That it is a key nobody can see; `examine` looks for the canary.
    let other = "gw-canary5d20b8";
    for name in ["MANAGED_AGENTS_KEY_FILE", "MANAGED_AGENTS_KEY_COMMAND"] {
        let examined = examine(&Rig::start().await.set(name, other), &folder).await;
        examined.expect("key", "failed", &format!("from {name}, which"));
    }
    let rig = Rig::start().await.set("MANAGED_AGENTS_KEY_COMMAND", other);
    let said = rig
        .client()
        .await
        .call("list_agents", json!({}))
        .await
        .err();
    assert!(
        said.contains("MANAGED_AGENTS_KEY_COMMAND: what it names"),
        "{said}"
    );
}

#[tokio::test]
async fn every_setting_without_sense_is_named_and_the_other_checks_go_on() {
    let folder = Folder::new();
    let rig = furnished()
        .await
        .set("MANAGED_AGENTS_BUDGET_USD", "a lot")
        .set("MANAGED_AGENTS_READ_ONLY", "perhaps")
        .set("MANAGED_AGENTS_LOG", "a=b=c")
        .set("MANAGED_AGENTS_READONLY", "1");
    let examined = examine(&rig, &folder).await;
    assert_eq!(examined.failed(), ["settings"]);
    for name in [
        "BUDGET_USD must",
        "READ_ONLY must",
        "LOG is not a filter",
        "READONLY is not a setting",
    ] {
        examined.expect("settings", "failed", name);
    }
    examined.expect("agents", "ok", "1 visible");
    insta::assert_snapshot!(page("settings without sense", &rig, &folder).await);

    let examined = examine(
        &Rig::start()
            .await
            .set("ANTHROPIC_BASE_URL", "http://example.com"),
        &folder,
    )
    .await;
    assert_eq!(examined.failed(), ["settings", "base-url"]);
}

#[tokio::test]
async fn a_misspelled_setting_is_warned_of() {
    let folder = Folder::new();
    let rig = Rig::start().await.set("MANAGED_AGENTS_READONLY", "1");
    let examined = examine(&rig, &folder).await;
    assert!(examined.ok);
    let fix = examined.expect(
        "settings",
        "warning",
        "MANAGED_AGENTS_READONLY is not a setting and is ignored",
    );
    assert!(fix.contains("MANAGED_AGENTS_READ_ONLY for"), "{fix}");
}

#[tokio::test]
async fn no_access_to_the_beta_is_told_apart_from_a_wrong_address_and_a_wrong_version() {
    let folder = Folder::new();
    let refused = |message: &str| Kind::Status {
        code: 404,
        retry_after: None,
        acting: Acting::Before,
        body: Some(
            json!({"type": "error", "error": {"type": "not_found_error", "message": message}}),
        ),
    };
    let rig = Rig::start().await;
    rig.always("GET *", refused("not found"));
    let examined = examine(&rig, &folder).await;
    assert_eq!(examined.failed(), ["beta"]);
    examined.expect("key", "ok", "the API accepts it");
    let fix = examined.expect("beta", "failed", "is not open to it (404)");
    assert!(fix.contains("access to Managed Agents"), "{fix}");
    let no_beta = page("no access to the beta", &rig, &folder).await;

    let rig = Rig::start().await;
    rig.always("GET *", refused("Not found"));
    let examined = examine(&rig, &folder).await;
    assert_eq!(examined.failed(), ["base-url"]);
    examined.expect("base-url", "failed", "has no /v1/agents");
    examined.expect("key", "skipped", "could not be asked");

    let rig = Rig::start()
        .await
        .set("MANAGED_AGENTS_BETA", "other-2026-01-01");
    let fix = examine(&rig, &folder)
        .await
        .expect("beta", "failed", "other-2026-01-01")
        .to_owned();
    assert!(fix.contains("Unset MANAGED_AGENTS_BETA"), "{fix}");

    let rig = Rig::start().await.set("ANTHROPIC_VERSION", "1999-01-01");
    let fix = examine(&rig, &folder)
        .await
        .expect("beta", "failed", "1999-01-01")
        .to_owned();
    assert_eq!(fix, "Correct ANTHROPIC_VERSION, or unset it.");
    insta::assert_snapshot!(no_beta);
}

#[tokio::test]
async fn a_refused_header_names_the_setting_that_it_comes_from() {
    let folder = Folder::new();
    for (setting, message) in [
        (
            "MANAGED_AGENTS_BETA",
            "Unexpected value(s) `x` for the `anthropic-beta` header.",
        ),
        (
            "ANTHROPIC_WORKSPACE_ID",
            "anthropic-workspace-id: no such workspace",
        ),
    ] {
        let body = json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}});
        let refusal = Kind::Status {
            code: 400,
            retry_after: None,
            acting: Acting::Before,
            body: Some(body),
        };
        let rig = Rig::start().await;
        rig.always("GET *", refusal);
        let fix = examine(&rig, &folder).await;
        let fix = fix.expect("beta", "failed", message);
        assert!(fix.contains("newer managed-agents-mcp"), "{fix}");
        let examined = examine(&rig.set(setting, "x"), &folder).await;
        assert_eq!(examined.failed(), ["beta"]);
        let fix = examined.expect("beta", "failed", message);
        assert_eq!(fix, format!("Correct {setting}, or unset it."));
        let fix = examined.expect("key", "skipped", "could not be asked");
        assert_eq!(fix, "Fix beta first.");
    }
}

#[tokio::test]
async fn an_api_that_is_overloaded_vouches_for_nothing_and_one_that_forbids_repeats_no_key() {
    let folder = Folder::new();
    let answer = |code: u16, message: &str| Kind::Status {
        code,
        retry_after: None,
        acting: Acting::Before,
        body: Some(json!({"type": "error", "error": {"type": "an_error", "message": message}})),
    };
    let rig = Rig::start().await;
    rig.always("GET *", answer(529, "Overloaded"));
    let examined = examine(&rig, &folder).await;
    assert!(!examined.ok);
    examined.expect("base-url", "failed", "Overloaded (529)");

    let rig = Rig::start().await;
    rig.always(
        "GET *",
        answer(403, &format!("{KEY} may not\u{1b}[31m do this")),
    );
    let examined = examine(&rig, &folder).await;
    assert_eq!(examined.failed(), ["key"]);
    examined.expect("key", "failed", "(403): [secret] may not do this");
}

#[tokio::test]
async fn settings_that_name_no_agent_or_environment_are_found() {
    let folder = Folder::new();
    let rig = furnished().await;
    let _ = rig.api("POST", "/v1/agents", agent("twin")).await;
    let _ = rig.api("POST", "/v1/agents", agent("twin")).await;
    let rig = rig
        .set("MANAGED_AGENTS_AGENT", "nobody")
        .set("MANAGED_AGENTS_ALLOW_ENVIRONMENTS", "nowhere");
    let examined = examine(&rig, &folder).await;
    assert_eq!(examined.failed(), ["agents", "environments"]);
    examined.expect("agents", "failed", "MANAGED_AGENTS_AGENT names `nobody`");
    examined.expect(
        "environments",
        "failed",
        "names no environment that this key sees: `nowhere`",
    );

    let rig = rig
        .set("MANAGED_AGENTS_AGENT", "twin")
        .set("MANAGED_AGENTS_ALLOW_ENVIRONMENTS", "rust builds, nowhere");
    let examined = examine(&rig, &folder).await;
    examined.expect("agents", "failed", "which 2 agents are called");
    examined.expect("environments", "warning", "`nowhere`");

    let rig = rig
        .set("MANAGED_AGENTS_AGENT", "Code Reviewer")
        .set("MANAGED_AGENTS_ALLOW_AGENTS", "twin");
    examine(&rig, &folder).await.expect(
        "agents",
        "failed",
        "which MANAGED_AGENTS_ALLOW_AGENTS leaves out",
    );
}

#[tokio::test]
async fn folders_that_file_tools_could_not_use_are_found() {
    let folder = Folder::new();
    let file = folder.file("a-file", "");
    let missing = folder.path().join("missing");
    let paths = [folder.path(), &missing, &file];
    let paths = std::env::join_paths(paths).unwrap().into_string().unwrap();
    let rig = Rig::start().await.set("MANAGED_AGENTS_FILE_ROOTS", paths);
    let examined = examine(&rig, &folder).await;
    assert_eq!(examined.failed(), ["file-roots"]);
    for found in ["missing does not exist", "a-file is not a folder"] {
        examined.expect("file-roots", "failed", found);
    }
    let rig = rig.set("MANAGED_AGENTS_FILE_ROOTS", "relative");
    let examined = examine(&rig, &folder).await;
    assert_eq!(examined.failed(), ["settings", "file-roots"]);
    let rig = rig
        .unset("MANAGED_AGENTS_FILE_ROOTS")
        .set("GITHUB_TOKEN", "");
    let examined = examine(&rig, &folder).await;
    let fix = examined.expect("file-roots", "skipped", "none is set");
    assert!(fix.contains("MANAGED_AGENTS_FILE_ROOTS"), "{fix}");
    examined.expect("github-token", "skipped", "public repositories only");
}

#[tokio::test]
async fn a_key_in_a_shared_file_is_warned_of_and_a_reference_is_not() {
    let folder = Folder::new();
    let rig = Rig::start().await;
    folder.file(
        ".mcp.json",
        r#"{"env": {"ANTHROPIC_API_KEY": "${ANTHROPIC_API_KEY}", "A": "sk-ant-…"}}"#,
    );
    examine(&rig, &folder)
        .await
        .expect("exposure", "ok", "no key");
    folder.file(
        ".mcp.json",
        r#"{"env": {"ANTHROPIC_API_KEY": "sk-ant-api03-canary"}}"#,
    );
    folder.file(
        ".cursor/mcp.json",
        r#"{"env": {"GITHUB_TOKEN": "ghp_canary5d20b8"}}"#,
    );
    let examined = examine(&rig, &folder).await;
    assert!(examined.ok);
    examined.expect(
        "exposure",
        "warning",
        "stands in .mcp.json, .cursor/mcp.json",
    );
}
