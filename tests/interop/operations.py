"""Every operation that the README says the tools reach is reached by them, and what they send is what the vendor's SDK sends.

The Python SDK of MCP drives each tool of the binary with each of its parameters; the requests that the simulator received are
then validated: bodies and queries against the SDK's TypedDicts with unknown keys refused, paths against its routes.

MANAGED_AGENTS_MCP_BIN is the binary.
"""

import inspect
import json
import re
from pathlib import Path
from urllib.parse import parse_qsl

import anthropic.resources.beta as resources
import anyio
import pytest
from anthropic.types.beta import (
    agent_create_params,
    agent_list_params,
    agent_retrieve_params,
    agent_update_params,
    deployment_create_params,
    deployment_list_params,
    deployment_run_list_params,
    environment_create_params,
    environment_list_params,
    file_list_params,
    memory_store_list_params,
    session_create_params,
    session_list_params,
    session_update_params,
    vault_list_params,
)
from anthropic.types.beta.sessions import event_list_params, event_send_params, thread_list_params
from anthropic.types.beta.sessions.threads import event_list_params as thread_event_list_params
from mcp import Client, StdioServerParameters
from rig import BINARY, Simulator
from vendor_sdk import adapter, sendable

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:TypedDict class")]

README = (Path(__file__).parents[2] / "README.md").read_text()
# The SDK does not have this one any more; the API still does, under an older beta header.
OLDER = "DELETE /v1/agents/{agent_id}"

BODIES = {
    "POST /v1/agents": agent_create_params.AgentCreateParams,
    "POST /v1/agents/{agent_id}": agent_update_params.AgentUpdateParams,
    "POST /v1/environments": environment_create_params.EnvironmentCreateParams,
    "POST /v1/sessions": session_create_params.SessionCreateParams,
    "POST /v1/sessions/{session_id}": session_update_params.SessionUpdateParams,
    "POST /v1/sessions/{session_id}/events": event_send_params.EventSendParams,
    "POST /v1/deployments": deployment_create_params.DeploymentCreateParams,
}
QUERIES = {
    "GET /v1/agents": agent_list_params.AgentListParams,
    "GET /v1/agents/{agent_id}": agent_retrieve_params.AgentRetrieveParams,
    "GET /v1/environments": environment_list_params.EnvironmentListParams,
    "GET /v1/sessions": session_list_params.SessionListParams,
    "GET /v1/sessions/{session_id}/events": event_list_params.EventListParams,
    "GET /v1/sessions/{session_id}/threads": thread_list_params.ThreadListParams,
    "GET /v1/sessions/{session_id}/threads/{thread_id}/events": thread_event_list_params.EventListParams,
    "GET /v1/files": file_list_params.FileListParams,
    "GET /v1/vaults": vault_list_params.VaultListParams,
    "GET /v1/memory_stores": memory_store_list_params.MemoryStoreListParams,
    "GET /v1/deployments": deployment_list_params.DeploymentListParams,
    "GET /v1/deployment_runs": deployment_run_list_params.DeploymentRunListParams,
}


@pytest.fixture
def anyio_backend():
    return "asyncio"


def sdk_operations():
    """Every operation of the SDK about the resources that this product is for, read from its source."""
    found = set()
    folder = Path(inspect.getfile(resources)).parent
    names = ["agents", "environments", "sessions", "vaults", "memory_stores"]
    files = [file for name in names for file in (folder / name).rglob("*.py")]
    files += [folder / "files.py", folder / "deployments.py", folder / "deployment_runs.py"]
    call = re.compile(r'self\._(get|post|delete|patch|put|get_api_list)\(\s*(?:path_template\()?\s*"(/v1[^"]*)"')
    for file in files:
        for verb, path in call.findall(file.read_text()):
            found.add(f"{verb.replace('get_api_list', 'get').upper()} {path}")
    return found


def table():
    """The README's table: operation, and whether a tool reaches it."""
    rows = README.split("<!-- operations -->")[1].split("<!-- /operations -->")[0].splitlines()
    return {
        operation: "*left out*" not in row
        for row in rows
        for operation in re.findall(r"`([A-Z]+ /v1[^`]*)`", row)
    }


def template(method, path, operations):
    """The operation that a request is one of."""
    for operation in sorted(operations, key=lambda one: one.count("{")):
        pattern = re.sub(r"\{[^}]*\}", "[^/]+", operation)
        if re.fullmatch(pattern, f"{method} {path}"):
            return operation
    raise AssertionError(f"{method} {path} is no operation of the SDK")


def query_of(request):
    """The query as the SDK's parameters name it."""
    query = {}
    for name, value in parse_qsl(request["query"]):
        if name.endswith("[]"):
            query.setdefault(name[:-2], []).append(value)
        else:
            query[re.sub(r"\[(\w+)\]", r"_\1", name)] = value
    return query


def test_the_readme_has_every_operation_of_the_sdk():
    assert sdk_operations() | {OLDER} == table().keys()


async def drive(simulator, folder):
    """Each tool, with each of its parameters."""
    vault = simulator.ask("POST", "/v1/vaults", {"display_name": "Secrets"})["id"]
    store = simulator.ask("POST", "/v1/memory_stores", {"name": "Lessons"})["id"]
    environment = {
        "ANTHROPIC_BASE_URL": simulator.url, "ANTHROPIC_API_KEY": "k", "MANAGED_AGENTS_TOOLSETS": "all",
        "MANAGED_AGENTS_FILE_ROOTS": str(folder), "GITHUB_TOKEN": "ghp_only_a_test",
    }
    server = StdioServerParameters(command=BINARY, env=environment)
    called = set()
    async with Client(server, mode="legacy", read_timeout_seconds=60) as client:

        async def call(tool, **arguments):
            called.add(tool)
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, (tool, arguments, result.content)
            return result.structured_content

        lookup = {"name": "lookup", "description": "Looks up.", "input_schema": {"type": "object", "properties": {"id": {"type": "string"}}}}
        server_ = {"name": "github", "url": "https://mcp.example/github"}
        agent = (
            await call(
                "create_agent", name="Reviewer", model="claude-sonnet-5-5", system="Review.", description="Reviews.", tools="read_only",
                mcp_servers=[server_], skills=[{"type": "anthropic", "skill_id": "xlsx"}], custom_tools=[lookup], metadata={"a": "b"},
            )
        )["agent"]
        await call("create_agent", name="Careful", tools="ask")
        toolset = {"type": "agent_toolset_20260401", "configs": [{"name": "bash", "enabled": False}]}
        other = (await call("create_agent", name="Other", tool_list=[toolset]))["agent"]["id"]
        await call("list_agents", name_contains="rev", include_archived=True, limit=2)
        await call("get_agent", agent="Reviewer", version=1)
        changed = await call(
            "update_agent", agent=agent["id"], version=1, name="Reviewer 2", model="claude-opus-5-5", system="", description="", tools="all",
            mcp_servers=[server_], skills=[], custom_tools=[lookup], metadata={"a": None, "c": "d"},
        )
        assert changed["agent"]["version"] == 2
        await call("update_agent", agent=agent["id"], version=2, tools="ask")
        await call("update_agent", agent=agent["id"], version=3, tool_list=[toolset], mcp_servers=[])
        place = await call(
            "create_environment", name="builds", description="d", networking="limited", allowed_hosts=["example.com"], allow_package_managers=True,
            allow_mcp_servers=True, packages={name: ["x"] for name in ["pip", "npm", "apt", "cargo", "gem", "go"]},
        )
        await call("create_environment", name="open", networking="unrestricted")
        await call("list_environments", name_contains="b", limit=3)
        await call("list_vaults", name_contains="s", limit=2)
        await call("list_memory_stores", name_contains="l", limit=2)

        (folder / "notes.txt").write_text("notes")
        (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        notes = (await call("upload_file", path="notes.txt", name="n.txt"))["file_id"]
        picture = (await call("upload_file", path=str(folder / "picture.png")))["file_id"]
        await call("create_session", message="default pair", wait_seconds=20)
        repositories = [
            {"url": "https://github.com/a/b", "branch": "main", "mount_path": "/work/b"},
            {"url": "https://github.com/a/c", "commit": "0123456789abcdef0123456789abcdef01234567"},
            {"url": "https://gitlab.example/a/d"},
        ]
        session = (
            await call(
                "create_session", message="[deliver 2] [approve] look", attachments=[notes, picture], agent=agent["id"], agent_version=1,
                environment="builds", title="Everything", repositories=repositories, files=[{"file_id": notes, "mount_path": "/work/n"}],
                vault_ids=[vault], memory_stores=[{"memory_store_id": store, "access": "read_only", "instructions": "i"}], budget_usd=2.5,
                metadata={"k": "v"}, overrides={"model": "claude-opus-5-5", "system": "Other."}, request_key="key-1", wait_seconds=20,
            )
        )
        again = await call("create_session", message="again", request_key="key-1", wait_seconds=0)
        assert again["session_id"] == session["session_id"]
        one = session["session_id"]
        allow = [{"event_id": session["pending"][0]["event_id"], "decision": "allow"}]
        report = await call("resolve_action", session_id=one, decisions=allow, wait_seconds=20)
        assert report["state"] == "done"
        asks = await call("send_message", session_id=one, message="[approve] [custom]", attachments=[picture], wait_seconds=20)
        decisions = [
            {"event_id": pending["event_id"], "decision": "deny", "reason": "no"}
            if pending["kind"] == "tool_confirmation"
            else {"event_id": pending["event_id"], "result": "r", "is_error": True}
            for pending in asks["pending"]
        ]
        await call("resolve_action", session_id=one, decisions=decisions, wait_seconds=20)
        own = {"description": "A report", "rubric": "It is short.", "max_iterations": 2}
        graded = await call("send_message", session_id=one, outcome=own, wait_seconds=20)
        assert graded["outcome"]["result"] == "satisfied"
        await call("create_session", outcome={"description": "d", "rubric_file_id": notes}, agent=agent["id"], agent_version=1, wait_seconds=20)
        await call("send_message", session_id=one, message="[seconds 30]", wait_seconds=0)
        await call("send_message", session_id=one, message="instead", interrupt=True, wait_seconds=20)
        await call("send_message", session_id=one, message="[seconds 30]", wait_seconds=1)
        await call("interrupt_session", session_id=one, wait_seconds=20)
        await call("get_status", session_ids=[one], wait_seconds=1, until="all", threads=True)
        await call("get_events", session_id=one, types=["agent.message"], detail="full", limit=3, order="desc")
        page = await call("get_events", session_id=one, limit=2)
        await call("get_events", session_id=one, after=page["cursor"], wait_seconds=1)
        await call("get_events", session_id=one, event_id=page["events"][-1]["id"], offset=1)
        threads = simulator.ask("GET", f"/v1/sessions/{one}/threads")["data"]
        await call("get_events", session_id=one, thread_id=threads[0]["id"])
        # One thread is stopped while the session works.
        await call("send_message", session_id=one, message="[seconds 20]", wait_seconds=1)
        await call("interrupt_session", session_id=one, thread_id=threads[0]["id"], wait_seconds=0)
        await call("interrupt_session", session_id=one, wait_seconds=20)
        await call("list_files", session_id=one)
        saved = await call("download_file", session_id=one, directory="out", overwrite=True)
        assert saved["saved"] and not saved["failed"], saved
        await call("download_file", file_id=saved["saved"][0]["file_id"], offset=1)
        await call("update_session", session_id=one, title="New", metadata={"k": None, "l": "w"}, budget_usd=5)
        await call("update_session", session_id=one, remove_budget=True)
        await call(
            "list_sessions", agent=agent["id"], agent_version=1, status=["idle", "running", "rescheduling", "terminated"], deployment_id="depl_1",
            memory_store_id=store, created_after="2000-01-01T00:00:00Z", created_before="2200-01-01T00:00:00Z", include_archived=True,
            mine=True, order="asc", limit=2,
        )
        await call("close_session", session_id=one)
        await call("close_session", session_id=one, mode="delete")

        cron = {"cron": "0 9 * * 1-5", "timezone": "Europe/Berlin", "budget_usd": 1}
        schedule = await call("create_schedule", name="Nightly", agent=agent["id"], environment="open", message="Report.", **cron)
        schedule = schedule["schedule_id"]
        for action in ["run", "pause", "resume", "archive"]:
            await call("control_schedule", schedule_id=schedule, action=action)
        await call("create_schedule", name="By hand", agent=agent["id"], environment="open", message="Report.")
        await call("list_schedules", name_contains="hand", limit=2)
        await call("close_agent", agent=agent["id"])
        await call("close_agent", agent=other, mode="delete")
        await call("close_environment", environment=place["id"])
        await call("close_environment", environment="open", mode="delete")
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert called == tools.keys()


async def test_every_tool_sends_what_the_sdk_would_send(tmp_path):
    with Simulator() as simulator:
        with anyio.fail_after(100):
            await drive(simulator, tmp_path)
        requests = simulator.requests()
    operations = table()
    reached = set()
    for request in requests:
        operation = template(request["method"], request["path"], operations)
        reached.add(operation)
        assert operations[operation], f"{operation} is reached, but the README says that it is not"
        body = request["body"]
        if operation in BODIES:
            sendable(BODIES[operation], body)
        elif body not in (None, {}, ""):
            assert list(body) == ["multipart"], (operation, body)
        query = query_of(request)
        if operation.endswith("/threads/{thread_id}/events"):
            # The SDK takes the outer id of such a path as a parameter.
            query["session_id"] = request["path"].split("/")[3]
        if operation in QUERIES:
            adapter(QUERIES[operation]).validate_python(query)
        else:
            assert not query, (operation, query)
    assert reached == {operation for operation, by_a_tool in operations.items() if by_a_tool}
    print(f"\nvalidated {len(requests)} requests of {len(reached)} operations")
