//! Which operations of the API the tools reach, and which are left out on purpose. The README's table is made of this;
//! `tests/interop/operations.py` compares it with the vendor's SDK and with the requests that the tools make.

/// Operations, and the tools that reach them or the reason why none does.
pub(crate) struct Row {
    pub(crate) operations: &'static [&'static str],
    pub(crate) by: By,
}

/// How an operation is reached.
pub(crate) enum By {
    /// By these tools.
    Tools(&'static str),
    /// Not at all, because of this.
    Nothing(&'static str),
}

const fn reached(operations: &'static [&'static str], tools: &'static str) -> Row {
    let by = By::Tools(tools);
    Row { operations, by }
}

const fn left_out(operations: &'static [&'static str], why: &'static str) -> Row {
    let by = By::Nothing(why);
    Row { operations, by }
}

/// Every operation of the vendor's SDK 2.12.0 about agents, environments, sessions, files, vaults, memory stores and
/// deployments, and the older one that deletes an agent.
pub(crate) const OPERATIONS: &[Row] = &[
    reached(
        &["POST /v1/agents"],
        "create_agent; create_session for the default agent",
    ),
    reached(
        &["GET /v1/agents"],
        "list_agents; every tool that takes an agent's name",
    ),
    reached(
        &["GET /v1/agents/{agent_id}"],
        "get_agent, also older versions; update_agent",
    ),
    reached(&["POST /v1/agents/{agent_id}"], "update_agent"),
    reached(&["POST /v1/agents/{agent_id}/archive"], "close_agent"),
    reached(
        &["DELETE /v1/agents/{agent_id}"],
        "close_agent with mode delete, by the older API that has it",
    ),
    left_out(
        &["GET /v1/agents/{agent_id}/versions"],
        "versions count up from 1; get_agent shows each, and update_agent says what changed",
    ),
    reached(
        &["POST /v1/environments"],
        "create_environment; create_session for the default environment",
    ),
    reached(
        &["GET /v1/environments"],
        "list_environments; every tool that takes an environment's name",
    ),
    reached(
        &["POST /v1/environments/{environment_id}/archive"],
        "close_environment",
    ),
    reached(
        &["DELETE /v1/environments/{environment_id}"],
        "close_environment with mode delete",
    ),
    left_out(
        &[
            "GET /v1/environments/{environment_id}",
            "POST /v1/environments/{environment_id}",
        ],
        "an environment that is to be different is a new one: sessions that run keep theirs (one is read only where it is in doubt \
         whether close_environment was done)",
    ),
    left_out(
        &[
            "GET /v1/environments/{environment_id}/work",
            "GET /v1/environments/{environment_id}/work/poll",
            "GET /v1/environments/{environment_id}/work/stats",
            "GET /v1/environments/{environment_id}/work/{work_id}",
            "POST /v1/environments/{environment_id}/work/{work_id}",
            "POST /v1/environments/{environment_id}/work/{work_id}/ack",
            "POST /v1/environments/{environment_id}/work/{work_id}/heartbeat",
            "POST /v1/environments/{environment_id}/work/{work_id}/stop",
        ],
        "for the worker of a self-hosted environment, which is another program",
    ),
    reached(&["POST /v1/sessions"], "create_session"),
    reached(
        &["GET /v1/sessions"],
        "list_sessions; create_session to find a request_key",
    ),
    reached(
        &["GET /v1/sessions/{session_id}"],
        "get_status, and every tool that reports on a session",
    ),
    reached(&["POST /v1/sessions/{session_id}"], "update_session"),
    reached(&["POST /v1/sessions/{session_id}/archive"], "close_session"),
    reached(
        &["DELETE /v1/sessions/{session_id}"],
        "close_session with mode delete",
    ),
    reached(
        &["GET /v1/sessions/{session_id}/events"],
        "get_events, and every tool that reports on a session",
    ),
    reached(
        &["POST /v1/sessions/{session_id}/events"],
        "send_message, resolve_action, interrupt_session",
    ),
    reached(
        &["GET /v1/sessions/{session_id}/events/stream"],
        "every tool that waits",
    ),
    reached(
        &["GET /v1/sessions/{session_id}/threads"],
        "get_status with threads",
    ),
    reached(
        &["GET /v1/sessions/{session_id}/threads/{thread_id}/events"],
        "get_events with thread_id",
    ),
    left_out(
        &[
            "GET /v1/sessions/{session_id}/threads/{thread_id}",
            "POST /v1/sessions/{session_id}/threads/{thread_id}/archive",
            "GET /v1/sessions/{session_id}/threads/{thread_id}/stream",
        ],
        "threads are the coordinator's to manage; the list shows how they stand, and the session's stream tells of them",
    ),
    left_out(
        &[
            "GET /v1/sessions/{session_id}/resources",
            "POST /v1/sessions/{session_id}/resources",
            "GET /v1/sessions/{session_id}/resources/{resource_id}",
            "POST /v1/sessions/{session_id}/resources/{resource_id}",
            "DELETE /v1/sessions/{session_id}/resources/{resource_id}",
        ],
        "what a session works on is given when it is created; a file for a running one goes with a message as an attachment",
    ),
    reached(&["POST /v1/files"], "upload_file"),
    reached(
        &["GET /v1/files"],
        "list_files; download_file of a whole session",
    ),
    reached(
        &["GET /v1/files/{file_id}"],
        "download_file; create_session and send_message with attachments",
    ),
    reached(&["GET /v1/files/{file_id}/content"], "download_file"),
    left_out(
        &["DELETE /v1/files/{file_id}"],
        "an upload may be mounted in sessions that the assistant does not know of",
    ),
    reached(&["GET /v1/vaults"], "list_vaults"),
    left_out(
        &[
            "POST /v1/vaults",
            "GET /v1/vaults/{vault_id}",
            "POST /v1/vaults/{vault_id}",
            "DELETE /v1/vaults/{vault_id}",
            "POST /v1/vaults/{vault_id}/archive",
            "GET /v1/vaults/{vault_id}/credentials",
            "POST /v1/vaults/{vault_id}/credentials",
            "GET /v1/vaults/{vault_id}/credentials/{credential_id}",
            "POST /v1/vaults/{vault_id}/credentials/{credential_id}",
            "DELETE /v1/vaults/{vault_id}/credentials/{credential_id}",
            "POST /v1/vaults/{vault_id}/credentials/{credential_id}/archive",
            "POST /v1/vaults/{vault_id}/credentials/{credential_id}/mcp_oauth_validate",
        ],
        "secrets never pass through a model: vaults are filled in the console or by the vendor's command line",
    ),
    reached(&["GET /v1/memory_stores"], "list_memory_stores"),
    left_out(
        &[
            "POST /v1/memory_stores",
            "GET /v1/memory_stores/{memory_store_id}",
            "POST /v1/memory_stores/{memory_store_id}",
            "DELETE /v1/memory_stores/{memory_store_id}",
            "POST /v1/memory_stores/{memory_store_id}/archive",
            "GET /v1/memory_stores/{memory_store_id}/memories",
            "POST /v1/memory_stores/{memory_store_id}/memories",
            "GET /v1/memory_stores/{memory_store_id}/memories/{memory_id}",
            "POST /v1/memory_stores/{memory_store_id}/memories/{memory_id}",
            "DELETE /v1/memory_stores/{memory_store_id}/memories/{memory_id}",
            "GET /v1/memory_stores/{memory_store_id}/memory_versions",
            "GET /v1/memory_stores/{memory_store_id}/memory_versions/{memory_version_id}",
            "POST /v1/memory_stores/{memory_store_id}/memory_versions/{memory_version_id}/redact",
        ],
        "agents write their memory themselves; looking after it is work for its owner, in the console",
    ),
    reached(&["POST /v1/deployments"], "create_schedule"),
    reached(&["GET /v1/deployments"], "list_schedules"),
    reached(
        &["GET /v1/deployments/{deployment_id}"],
        "control_schedule with action run",
    ),
    reached(
        &["POST /v1/deployments/{deployment_id}/run"],
        "control_schedule with action run",
    ),
    reached(
        &["POST /v1/deployments/{deployment_id}/pause"],
        "control_schedule with action pause",
    ),
    reached(
        &["POST /v1/deployments/{deployment_id}/unpause"],
        "control_schedule with action resume",
    ),
    reached(
        &["POST /v1/deployments/{deployment_id}/archive"],
        "control_schedule with action archive",
    ),
    reached(&["GET /v1/deployment_runs"], "list_schedules"),
    left_out(
        &[
            "POST /v1/deployments/{deployment_id}",
            "GET /v1/deployment_runs/{deployment_run_id}",
        ],
        "a schedule that is to be different is a new one; list_schedules shows the runs",
    ),
];

/// The table of the README.
pub(crate) fn table() -> String {
    let row = |row: &Row| {
        let operations: Vec<String> = row
            .operations
            .iter()
            .map(|operation| format!("`{operation}`"))
            .collect();
        let by = match &row.by {
            By::Tools(tools) => (*tools).to_owned(),
            By::Nothing(why) => format!("*left out*: {why}"),
        };
        format!("| {} | {by} |", operations.join("<br>"))
    };
    let rows: Vec<String> = OPERATIONS.iter().map(row).collect();
    format!(
        "| operation | reached by |\n| --- | --- |\n{}",
        rows.join("\n")
    )
}

#[test]
fn no_operation_stands_twice() {
    let mut all: Vec<&str> = OPERATIONS
        .iter()
        .flat_map(|row| row.operations.iter().copied())
        .collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[tokio::test]
async fn every_tool_that_the_table_names_exists_and_every_tool_is_named() {
    let rig = crate::rig::Rig::start()
        .await
        .set("MANAGED_AGENTS_TOOLSETS", "all");
    let client = rig.client().await;
    let named: Vec<String> = OPERATIONS
        .iter()
        .filter_map(|row| match row.by {
            By::Tools(tools) => Some(crate::tools::named_tools(tools)),
            By::Nothing(_) => None,
        })
        .flatten()
        .collect();
    let offered: Vec<String> = client
        .tools
        .iter()
        .map(|tool| tool.name.to_string())
        .collect();
    for name in &named {
        assert!(offered.contains(name), "{name} does not exist");
    }
    for name in &offered {
        assert!(named.contains(name), "{name} reaches nothing");
    }
}
