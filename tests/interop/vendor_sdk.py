"""The vendor's SDK drives a running simulator, and its types judge every answer and every request.

    SIMULATOR_URL=http://127.0.0.1:PORT pytest tests/interop/vendor_sdk.py

The SDK builds its objects leniently, so each answer is validated again from its bytes: required fields present, literals
right, and no field the SDK does not know. Requests are validated against the SDK's TypedDicts with unknown keys forbidden.
"""

import importlib
import json
import os
import pkgutil
import sys
import time
import uuid
from collections import Counter

import anthropic
import anthropic.types
import anyio
import pytest
from anthropic import beta_async_tool
from anthropic.types.beta import (
    BetaDeletedFile,
    BetaEnvironment,
    BetaEnvironmentDeleteResponse,
    BetaFileMetadata,
    BetaManagedAgentsAgent,
    BetaManagedAgentsDeletedMemoryStore,
    BetaManagedAgentsDeletedSession,
    BetaManagedAgentsDeletedVault,
    BetaManagedAgentsDeployment,
    BetaManagedAgentsDeploymentRun,
    BetaManagedAgentsMemoryStore,
    BetaManagedAgentsSession,
    BetaManagedAgentsVault,
    agent_create_params,
    agent_update_params,
    deployment_create_params,
    deployment_update_params,
    environment_create_params,
    environment_update_params,
    memory_store_create_params,
    memory_store_update_params,
    session_create_params,
    session_update_params,
    vault_create_params,
    vault_update_params,
)
from anthropic.types.beta.memory_stores import (
    BetaManagedAgentsDeletedMemory,
    BetaManagedAgentsMemory,
    BetaManagedAgentsMemoryListItem,
    memory_create_params,
    memory_update_params,
)
from anthropic.types.beta.sessions import (
    BetaManagedAgentsDeleteSessionResource,
    BetaManagedAgentsEventParams,
    BetaManagedAgentsSendSessionEvents,
    BetaManagedAgentsSessionEvent,
    BetaManagedAgentsSessionResource,
    BetaManagedAgentsSessionThread,
    BetaManagedAgentsStreamSessionEvents,
    BetaManagedAgentsStreamSessionThreadEvents,
    event_send_params,
)
from anthropic.types.beta.vaults import (
    BetaManagedAgentsCredential,
    BetaManagedAgentsCredentialValidation,
    BetaManagedAgentsDeletedCredential,
    credential_create_params,
    credential_update_params,
)
from pydantic import BaseModel, ConfigDict, TypeAdapter
from typing_extensions import is_typeddict

# A tool's input schema may hold anything; pydantic says that it ignores the prohibition there.
pytestmark = pytest.mark.filterwarnings("ignore:TypedDict class")

COUNTS = Counter()
ADAPTERS = {}


def forbid_unknown_keys():
    """Without this, TypedDicts accept unknown keys and a wrong request would pass."""
    for module in pkgutil.walk_packages(anthropic.types.__path__, "anthropic.types."):
        importlib.import_module(module.name)
    for name, module in list(sys.modules.items()):
        if name.startswith("anthropic.types"):
            for value in vars(module).values():
                if is_typeddict(value):
                    value.__pydantic_config__ = ConfigDict(extra="forbid")


forbid_unknown_keys()


def adapter(kind):
    return ADAPTERS.setdefault(str(kind), TypeAdapter(kind))


def unknown_fields(value, path=""):
    """Paths of fields that came but that the SDK's type does not have."""
    if isinstance(value, BaseModel):
        extra = [f"{path}.{key}" for key in (value.model_extra or {})]
        if type(value).__name__.endswith("InputSchema"):
            extra = []
        return extra + [found for key in type(value).model_fields for found in unknown_fields(getattr(value, key), f"{path}.{key}")]
    if isinstance(value, list):
        return [found for place, item in enumerate(value) for found in unknown_fields(item, f"{path}[{place}]")]
    return []


def strict(kind, raw):
    """Validates JSON against a type of the SDK; returns it as plain data."""
    raw = raw if isinstance(raw, (str, bytes)) else json.dumps(raw)
    value = adapter(kind).validate_json(raw, strict=True)
    assert unknown_fields(value) == []
    COUNTS["event or resource" if kind.__name__ == "Annotated" else kind.__name__] += 1
    return json.loads(raw)


def sendable(kind, params):
    """Validates what is about to be sent; lists are checked eagerly, since Iterable fields are not."""
    adapter(kind).validate_python(params)
    for event in [*params.get("events", []), *params.get("initial_events", [])]:
        adapter(BetaManagedAgentsEventParams).validate_python(event)
        COUNTS["event sent"] += 1
    COUNTS["request"] += 1
    return params


@pytest.fixture(scope="module")
def client():
    with anthropic.Anthropic(api_key="sk-simulated", base_url=os.environ["SIMULATOR_URL"], max_retries=0) as client:
        yield client


@pytest.fixture(scope="module", autouse=True)
def counts():
    yield
    print(f"\nvalidated strictly: {sum(COUNTS.values())} objects", dict(COUNTS))


def raw(response):
    assert response.headers["request-id"].startswith("req_")
    return response.http_response.content


TOOLS = [
    {
        "type": "agent_toolset_20260401",
        "default_config": {"enabled": True, "permission_policy": {"type": "always_allow"}},
        "configs": [{"name": "web_fetch", "enabled": False}, {"name": "grep", "permission_policy": {"type": "auto"}}],
    },
    {"type": "mcp_toolset", "mcp_server_name": "github"},
    {
        "type": "custom",
        "name": "lookup_ticket",
        "description": "Looks a ticket up.",
        "input_schema": {"type": "object", "properties": {"ticket": {"type": "string"}}, "required": ["ticket"]},
    },
]


@pytest.fixture(scope="module")
def agent(client):
    params = {
        "name": "Code Reviewer",
        "model": {"id": "claude-sonnet-5-5", "effort": "high"},
        "system": "Review.",
        "tools": TOOLS,
        "mcp_servers": [{"type": "url", "name": "github", "url": "https://mcp.example/github"}],
        "skills": [{"type": "anthropic", "skill_id": "xlsx"}],
        "metadata": {"team": "a"},
    }
    response = client.beta.agents.with_raw_response.create(**sendable(agent_create_params.AgentCreateParams, params))
    return strict(BetaManagedAgentsAgent, raw(response))


@pytest.fixture(scope="module")
def environment(client):
    params = {
        "name": f"interop {uuid.uuid4()}",
        "config": {
            "type": "cloud",
            "networking": {"type": "limited", "allowed_hosts": ["example.com"], "allow_package_managers": True},
            "packages": {"pip": ["ruff"]},
        },
    }
    checked = sendable(environment_create_params.EnvironmentCreateParams, params)
    return strict(BetaEnvironment, raw(client.beta.environments.with_raw_response.create(**checked)))


def start(client, agent, environment, **more):
    params = {"agent": agent["id"], "environment_id": environment["id"], **more}
    checked = sendable(session_create_params.SessionCreateParams, params)
    return strict(BetaManagedAgentsSession, raw(client.beta.sessions.with_raw_response.create(**checked)))


def message(text):
    return {"type": "user.message", "content": [{"type": "text", "text": text}]}


def send(client, session, *events):
    params = sendable(event_send_params.EventSendParams, {"events": list(events)})
    response = client.beta.sessions.events.with_raw_response.send(session["id"], **params)
    return strict(BetaManagedAgentsSendSessionEvents, raw(response))["data"]


class Follower:
    """A stream opened through the SDK; every frame is validated as it comes."""

    def __init__(self, client, session, **params):
        self.stream = client.beta.sessions.events.stream(session["id"], timeout=20, **params)
        self.frames = self.stream._iter_events()

    def until(self, *stops):
        events, deadline = [], time.monotonic() + 20
        for frame in self.frames:
            assert time.monotonic() < deadline, f"none of {stops} came"
            if frame.event == "ping":
                continue
            event = strict(BetaManagedAgentsStreamSessionEvents, frame.data)
            assert frame.event == event["type"]
            events.append(event)
            if event["type"] == "session.status_idle" and event["stop_reason"]["type"] in stops:
                return events
            if event["type"] in stops:
                return events

    def close(self):
        self.stream.close()


def history(client, session, **params):
    """Every page of the list, validated."""
    events, page = [], None
    while True:
        more = {"page": page} if page else {}
        response = client.beta.sessions.events.with_raw_response.list(session["id"], limit=4, **params, **more)
        body = json.loads(raw(response))
        events += [strict(BetaManagedAgentsSessionEvent, event) for event in body["data"]]
        page = body["next_page"]
        if not page:
            return events


def turn(client, agent, environment, text, *stops, **more):
    """A new session, told this, up to one of these stops; the log must agree with the stream."""
    session = start(client, agent, environment, **more)
    follower = Follower(client, session)
    send(client, session, message(text))
    streamed = follower.until(*(stops or ("end_turn",)))
    processed = [event for event in streamed if event.get("processed_at")]
    assert processed == history(client, session)
    return session, follower, streamed


def test_agents(client, agent):
    assert agent["model"] == {"id": "claude-sonnet-5-5", "effort": {"type": "high"}, "speed": "standard"}
    params = sendable(agent_update_params.AgentUpdateParams, {"version": agent["version"], "description": "Reviews code."})
    updated = strict(BetaManagedAgentsAgent, raw(client.beta.agents.with_raw_response.update(agent["id"], **params)))
    assert updated["version"] == 2
    with pytest.raises(anthropic.ConflictError):
        client.beta.agents.update(agent["id"], version=1, name="Stale")
    read = strict(BetaManagedAgentsAgent, raw(client.beta.agents.with_raw_response.retrieve(agent["id"], version=1)))
    assert read == agent
    for page in (client.beta.agents.with_raw_response.list(limit=2), client.beta.agents.versions.with_raw_response.list(agent["id"])):
        for item in json.loads(raw(page))["data"]:
            strict(BetaManagedAgentsAgent, item)
    assert agent["id"] in [one.id for one in client.beta.agents.list(limit=1)]


def test_environments(client, environment):
    params = sendable(environment_update_params.EnvironmentUpdateParams, {"description": "for tests", "metadata": {"a": "b"}})
    response = client.beta.environments.with_raw_response.update(environment["id"], **params)
    assert strict(BetaEnvironment, raw(response))["metadata"] == {"a": "b"}
    strict(BetaEnvironment, raw(client.beta.environments.with_raw_response.retrieve(environment["id"])))
    for item in json.loads(raw(client.beta.environments.with_raw_response.list()))["data"]:
        strict(BetaEnvironment, item)
    with pytest.raises(anthropic.ConflictError):
        client.beta.environments.create(name=environment["name"])
    other = client.beta.environments.create(name=f"own {uuid.uuid4()}", config={"type": "self_hosted"})
    strict(BetaEnvironment, raw(client.beta.environments.with_raw_response.archive(other.id)))
    strict(BetaEnvironmentDeleteResponse, raw(client.beta.environments.with_raw_response.delete(other.id)))


def test_errors_are_the_vendors(client):
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.beta.sessions.retrieve("sesn_nobody")
    assert caught.value.body["error"]["type"] == "not_found_error" and "sesn_nobody" in str(caught.value)
    assert caught.value.request_id.startswith("req_")
    with pytest.raises(anthropic.BadRequestError):
        client.beta.agents.create(name="", model="claude-sonnet-5-5")


@pytest.mark.parametrize(
    "text, stop",
    [
        ("hello", "end_turn"),
        ("[work 13] [thinking] [two]", "end_turn"),
        ("[big 2 3] [huge 4]", "end_turn"),
        ("[hostile]", "end_turn"),
        ("[silent]", "end_turn"),
        ("[retrying]", "end_turn"),
        ("[outcome]", "end_turn"),
        ("[outcome_fails]", "end_turn"),
        ("[outcome_max]", "end_turn"),
        ("[deliver 2 3]", "end_turn"),
        ("[delegate 2]", "end_turn"),
        ("[refuse]", "refusal"),
        ("[retries]", "retries_exhausted"),
        ("[error]", "retries_exhausted"),
        ("[terminate]", "session.status_terminated"),
        ("[approve 2]", "requires_action"),
        ("[mcp]", "requires_action"),
        ("[custom]", "requires_action"),
        ("[tool_result]", "requires_action"),
    ],
)
def test_every_event_of_every_script(client, agent, environment, text, stop):
    session, follower, streamed = turn(client, agent, environment, text, stop)
    follower.close()
    strict(BetaManagedAgentsSession, raw(client.beta.sessions.with_raw_response.retrieve(session["id"])))
    assert {"user.message", "session.status_running"} <= {event["type"] for event in streamed}


def test_unknown_events_and_stops_are_beyond_the_sdk_but_do_not_break_it(client, agent, environment):
    session = start(client, agent, environment, initial_events=[message("[unknown] [unknown_stop]")])
    for event in client.beta.sessions.events.stream(session["id"], timeout=20):
        if event.type == "session.status_idle":
            break
    kinds = [event.type for event in client.beta.sessions.events.list(session["id"])]
    assert {"agent.daydream", "session.weather_changed", "span.reflection_end"} <= set(kinds)


def test_confirmations_results_and_the_final_answer(client, agent, environment):
    session, follower, streamed = turn(client, agent, environment, "[approve] [mcp] [custom]", "requires_action")
    uses = {event["type"]: event["id"] for event in streamed if event["type"].endswith("tool_use")}
    assert sorted(uses.values()) == sorted(streamed[-1]["stop_reason"]["event_ids"])
    send(
        client,
        session,
        {"type": "user.tool_confirmation", "tool_use_id": uses["agent.tool_use"], "result": "deny", "deny_message": "no"},
        {"type": "user.tool_confirmation", "tool_use_id": uses["agent.mcp_tool_use"], "result": "allow"},
    )
    left = follower.until("requires_action")[-1]["stop_reason"]["event_ids"]
    assert left == [uses["agent.custom_tool_use"]]
    with pytest.raises(anthropic.BadRequestError):
        client.beta.sessions.events.send(
            session["id"], events=[{"type": "user.tool_confirmation", "tool_use_id": left[0], "result": "allow"}]
        )
    result = {"type": "text", "text": "forty-two"}
    send(client, session, {"type": "user.custom_tool_result", "custom_tool_use_id": left[0], "content": [result]})
    said = [event for event in follower.until("end_turn") if event["type"] == "agent.message"]
    assert "denied: no" in said[0]["content"][0]["text"] and "forty-two" in said[0]["content"][0]["text"]
    follower.close()
    history(client, session)


def test_outcome(client, agent, environment):
    session = start(client, agent, environment)
    follower = Follower(client, session)
    outcome = {
        "type": "user.define_outcome",
        "description": "A report",
        "rubric": {"type": "text", "content": "It is short."},
        "max_iterations": 2,
    }
    send(client, session, outcome)
    verdicts = [event["result"] for event in follower.until("end_turn") if event["type"] == "span.outcome_evaluation_end"]
    assert verdicts == ["needs_revision", "satisfied"]
    read = strict(BetaManagedAgentsSession, raw(client.beta.sessions.with_raw_response.retrieve(session["id"])))
    assert read["outcome_evaluations"][0]["result"] == "satisfied"
    follower.close()
    history(client, session, order="desc")


def test_a_rest_before_grading(client, agent, environment):
    session, follower, _ = turn(client, agent, environment, "[outcome_gap 2]")
    graded = follower.until("span.outcome_evaluation_end")
    assert [event["type"] for event in graded][:2] == ["session.status_running", "session.thread_status_running"]
    send(client, session, {"type": "user.interrupt"})
    follower.until("end_turn")
    follower.close()
    history(client, session)


def test_an_interrupt_of_the_grading(client, agent, environment):
    session = start(client, agent, environment)
    follower = Follower(client, session)
    send(client, session, message("[outcome] [seconds 9]"))
    follower.until("span.outcome_evaluation_start")
    send(client, session, {"type": "user.interrupt"})
    ends = [event for event in follower.until("end_turn") if event["type"] == "span.outcome_evaluation_end"]
    assert [end["result"] for end in ends] == ["interrupted"]
    follower.close()
    read = strict(BetaManagedAgentsSession, raw(client.beta.sessions.with_raw_response.retrieve(session["id"])))
    assert read["outcome_evaluations"][0]["result"] == "interrupted"


def test_attachments(client, agent, environment):
    one = upload(client, name="one.png", kind="image/png")["id"]
    two = upload(client, name="two.pdf", kind="application/pdf")["id"]
    blocks = [
        {"type": "image", "source": {"type": "file", "file_id": one}},
        {"type": "document", "source": {"type": "file", "file_id": two}, "title": "Two", "context": "The second."},
        {"type": "text", "text": "Compare them."},
    ]
    rubric = {"type": "file", "file_id": two}
    session = start(client, agent, environment, initial_events=[{"type": "user.message", "content": blocks}])
    follower = Follower(client, session)
    send(client, session, {"type": "user.define_outcome", "description": "A report", "rubric": rubric})
    follower.until("span.outcome_evaluation_end")
    send(client, session, {"type": "user.interrupt"})
    follower.until("end_turn")
    follower.close()
    said = [event for event in history(client, session) if event["type"] == "agent.message"]
    assert "1 image and 1 document" in said[0]["content"][0]["text"]
    unknown = {"type": "image", "source": {"type": "file", "file_id": "file_unknown"}}
    with pytest.raises(anthropic.NotFoundError):
        client.beta.sessions.events.send(session["id"], events=[{"type": "user.message", "content": [unknown]}])


@pytest.fixture(scope="module")
def team(client, agent):
    ask = {"type": "agent_toolset_20260401", "default_config": {"permission_policy": {"type": "always_ask"}}}
    careful = client.beta.agents.create(name="Careful", model="claude-sonnet-5-5", tools=[ask]).id
    multiagent = {"type": "coordinator", "agents": [careful, {"type": "agent", "id": agent["id"], "version": 1}, {"type": "self"}]}
    params = sendable(agent_create_params.AgentCreateParams, {"name": "Lead", "model": "claude-opus-5-5", "multiagent": multiagent})
    made = strict(BetaManagedAgentsAgent, raw(client.beta.agents.with_raw_response.create(**params)))
    assert made["multiagent"]["agents"][2] == {"type": "agent", "id": made["id"], "version": 1}
    return made


def threads_of(client, session, **params):
    return items(BetaManagedAgentsSessionThread, client.beta.sessions.threads.with_raw_response.list(session["id"], **params))


def test_threads(client, team, environment):
    session, follower, streamed = turn(client, team, environment, "[delegate 3]", "requires_action")
    primary, careful, *others = threads_of(client, session)
    assert [one["agent"]["name"] for one in [primary, careful, *others]] == ["Lead", "Careful", "Code Reviewer", "Lead"]
    asked = [event for event in streamed if event["type"] == "agent.tool_use"]
    assert [event["session_thread_id"] for event in asked] == [careful["id"]]
    allow = {"type": "user.tool_confirmation", "tool_use_id": asked[0]["id"], "result": "allow"}
    assert send(client, session, allow)[0]["session_thread_id"] == careful["id"]
    finished = follower.until("end_turn")
    follower.close()
    assert [event["type"] for event in finished].count("agent.thread_message_received") == 3
    history(client, session)
    threads = client.beta.sessions.threads
    where = {"session_id": session["id"]}
    for thread in threads_of(client, session, statuses=["idle"], limit=10):
        one = strict(BetaManagedAgentsSessionThread, raw(threads.with_raw_response.retrieve(thread["id"], **where)))
        assert (one["agent"], one["usage"]) == (thread["agent"], thread["usage"])
        body = threads.events.with_raw_response.list(thread["id"], **where)
        kinds = [event["type"] for event in items(BetaManagedAgentsSessionEvent, body)]
        assert "agent.message" in kinds and "session.thread_status_idle" in kinds
        assert len(list(threads.events.list(thread["id"], limit=2, **where))) == len(kinds)
    archived = threads.with_raw_response.archive(careful["id"], **where)
    assert strict(BetaManagedAgentsSessionThread, raw(archived))["archived_at"]
    with pytest.raises(anthropic.BadRequestError):
        threads.archive(primary["id"], **where)


def test_the_stream_and_the_interrupt_of_a_thread(client, agent, environment):
    session = start(client, agent, environment)
    follower = Follower(client, session)
    send(client, session, message("[delegate 2 10]"))
    created = follower.until("agent.thread_message_sent")
    child = next(event for event in created if event["type"] == "session.thread_created")["session_thread_id"]
    stream = client.beta.sessions.threads.events.stream(child, session_id=session["id"], timeout=20)
    follower.until("agent.thread_message_sent")
    send(client, session, {"type": "user.interrupt", "session_thread_id": child})
    for frame in stream._iter_events():
        if frame.event == "ping":
            continue
        event = strict(BetaManagedAgentsStreamSessionThreadEvents, frame.data)
        if event["type"] == "session.thread_status_idle":
            break
    stream.close()
    running = threads_of(client, session, statuses=["running"])
    assert len(running) == 1 + 1 and child not in [one["id"] for one in running]
    send(client, session, {"type": "user.interrupt"})
    follower.until("end_turn")
    follower.close()


def test_budget(client, agent, environment):
    budget = {"type": "limit", "max_list_cost": {"amount": "50", "currency": "USD"}}
    session, follower, _ = turn(client, agent, environment, "[budget]", "budget_reached", budget=budget)
    raised = {"type": "limit", "max_list_cost": {"amount": "90", "currency": "USD"}}
    params = sendable(session_update_params.SessionUpdateParams, {"budget": raised})
    updated = strict(BetaManagedAgentsSession, raw(client.beta.sessions.with_raw_response.update(session["id"], **params)))
    assert (updated["budget"], updated["usage"]["list_cost"]["amount"]) == (raised, "50")
    assert follower.until("end_turn")[0]["type"] == "session.updated"
    follower.close()


def test_interrupt_and_system_message(client, agent, environment):
    session = start(client, agent, environment)
    follower = Follower(client, session)
    send(client, session, {"type": "system.message", "content": [{"type": "text", "text": "Be brief."}]}, message("[quiet 30]"))
    follower.until("agent.thinking")
    send(client, session, {"type": "user.interrupt"})
    assert follower.until("end_turn")[-1]["stop_reason"] == {"type": "end_turn"}
    follower.close()
    kinds = [event["type"] for event in history(client, session)]
    assert kinds.count("user.interrupt") == 1 and kinds.count("system.message") == 1


def test_previews(client, agent, environment):
    session = start(client, agent, environment)
    follower = Follower(client, session, event_deltas=["agent.message", "agent.thinking"])
    send(client, session, message("hello"))
    kinds = Counter(event["type"] for event in follower.until("end_turn"))
    assert kinds["event_start"] == 2 and kinds["event_delta"] > 1
    follower.close()


# The SDK sends no beta header for files by itself; the API wants one, and both for the files of a session.
FILES = ["files-api-2025-04-14"]
SESSION_FILES = [*FILES, "managed-agents-2026-04-01"]


def upload(client, name="notes.txt", content=b"notes", kind="text/plain", **more):
    response = client.beta.files.with_raw_response.upload(file=(name, content, kind), betas=FILES, **more)
    return strict(BetaFileMetadata, raw(response))


def files_of(client, session, count):
    """The files of a session, as soon as there are so many; they come a little after idle."""
    deadline = time.monotonic() + 20
    while True:
        response = client.beta.files.with_raw_response.list(scope_id=session["id"], limit=1000, betas=SESSION_FILES)
        found = [strict(BetaFileMetadata, file) for file in json.loads(raw(response))["data"]]
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, f"{len(found)} files instead of {count}"
        time.sleep(0.05)


def test_files(client):
    file = upload(client, name="folder/a report.pdf", kind="application/pdf", expires_in_seconds=7200)
    assert (file["filename"], file["size_bytes"], file["downloadable"]) == ("a report.pdf", 5, False)
    response = client.beta.files.with_raw_response.retrieve_metadata(file["id"], betas=FILES)
    assert strict(BetaFileMetadata, raw(response)) == file
    others = [upload(client, name=f"{place}.txt")["id"] for place in range(3)]
    pages = client.beta.files.list(limit=1, betas=FILES)
    assert [one.id for _, one in zip(range(4), pages)] == [*others[::-1], file["id"]]
    picked = client.beta.files.with_raw_response.list(ids=[others[0], "file_unknown"], betas=FILES)
    assert [strict(BetaFileMetadata, one)["id"] for one in json.loads(raw(picked))["data"]] == others[:1]
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.beta.files.download(file["id"], betas=FILES)
    assert caught.value.body["error"]["details"] == {"error_code": "file_not_downloadable"}
    with pytest.raises(anthropic.NotFoundError):
        client.beta.files.list(scope_id="sesn_1", betas=FILES)
    for one in [file["id"], *others]:
        strict(BetaDeletedFile, raw(client.beta.files.with_raw_response.delete(one, betas=FILES)))
    with pytest.raises(anthropic.NotFoundError):
        client.beta.files.retrieve_metadata(file["id"], betas=FILES)


def test_deliverables(client, agent, environment):
    session, follower, _ = turn(client, agent, environment, "[deliver 2] [deliver_hostile]")
    follower.close()
    found = {file["filename"]: file for file in files_of(client, session, 24)}
    assert found["../../etc/passwd"]["scope"] == {"type": "session", "id": session["id"]}
    with client.beta.files.with_streaming_response.download(found["result-1.txt"]["id"], betas=FILES) as response:
        assert response.headers["content-type"] == "text/plain"
        content = b"".join(response.iter_bytes())
    assert content.startswith(b"Simulated") and len(content) == found["result-1.txt"]["size_bytes"]


def items(kind, response):
    """The items of a list, validated."""
    return [strict(kind, item) for item in json.loads(raw(response))["data"]]


@pytest.fixture(scope="module")
def vault(client):
    params = sendable(vault_create_params.VaultCreateParams, {"display_name": "Team", "metadata": {"a": "b"}})
    return strict(BetaManagedAgentsVault, raw(client.beta.vaults.with_raw_response.create(**params)))


@pytest.fixture(scope="module")
def store(client):
    params = sendable(memory_store_create_params.MemoryStoreCreateParams, {"name": "Team notes", "description": "What we know"})
    return strict(BetaManagedAgentsMemoryStore, raw(client.beta.memory_stores.with_raw_response.create(**params)))


def test_vaults(client, vault):
    vaults = client.beta.vaults.with_raw_response
    params = sendable(vault_update_params.VaultUpdateParams, {"display_name": "Team A", "metadata": {"a": None}})
    updated = strict(BetaManagedAgentsVault, raw(vaults.update(vault["id"], **params)))
    assert (updated["display_name"], updated["metadata"]) == ("Team A", {})
    assert strict(BetaManagedAgentsVault, raw(vaults.retrieve(vault["id"]))) == updated
    assert updated in items(BetaManagedAgentsVault, vaults.list())
    other = client.beta.vaults.create(display_name="Short-lived").id
    assert strict(BetaManagedAgentsVault, raw(vaults.archive(other)))["archived_at"]
    assert other not in [one.id for one in client.beta.vaults.list(limit=1)]
    assert other in [one.id for one in client.beta.vaults.list(limit=1, include_archived=True)]
    strict(BetaManagedAgentsDeletedVault, raw(vaults.delete(other)))


@pytest.mark.parametrize(
    "auth, change",
    [
        ({"type": "static_bearer", "token": "canary", "mcp_server_url": "https://mcp.example/one"}, {"token": "canary"}),
        (
            {
                "type": "mcp_oauth",
                "access_token": "canary",
                "mcp_server_url": "https://mcp.example/two",
                "expires_at": "2099-01-01T00:00:00Z",
                "refresh": {
                    "client_id": "c",
                    "refresh_token": "canary",
                    "token_endpoint": "https://id.example/token",
                    "token_endpoint_auth": {"type": "client_secret_basic", "client_secret": "canary"},
                    "scope": "all",
                },
            },
            {"refresh": {"scope": "", "token_endpoint_auth": {"type": "client_secret_basic", "client_secret": "canary"}}},
        ),
        (
            {
                "type": "environment_variable",
                "secret_name": "API_KEY",
                "secret_value": "canary",
                "networking": {"type": "limited", "allowed_hosts": ["api.example.com"]},
            },
            {"networking": {"type": "unrestricted"}, "injection_location": {"body": True}},
        ),
    ],
)
def test_credentials(client, vault, auth, change):
    credentials, where = client.beta.vaults.credentials.with_raw_response, {"vault_id": vault["id"]}
    params = sendable(credential_create_params.CredentialCreateParams, {"auth": auth, "display_name": "One"})
    made = strict(BetaManagedAgentsCredential, raw(credentials.create(vault["id"], **params)))
    with pytest.raises(anthropic.ConflictError):
        client.beta.vaults.credentials.create(vault["id"], auth=auth)
    params = sendable(credential_update_params.CredentialUpdateParams, {"auth": {"type": auth["type"], **change}, **where})
    updated = strict(BetaManagedAgentsCredential, raw(credentials.update(made["id"], **params)))
    assert strict(BetaManagedAgentsCredential, raw(credentials.retrieve(made["id"], **where))) == updated
    assert "canary" not in json.dumps([made, updated])
    assert updated in items(BetaManagedAgentsCredential, credentials.list(vault["id"]))
    if auth["type"] == "mcp_oauth":
        probe = credentials.mcp_oauth_validate(made["id"], **where)
        assert strict(BetaManagedAgentsCredentialValidation, raw(probe))["has_refresh_token"]
    assert strict(BetaManagedAgentsCredential, raw(credentials.archive(made["id"], **where)))["archived_at"]
    strict(BetaManagedAgentsDeletedCredential, raw(credentials.delete(made["id"], **where)))


def test_memory_stores(client, store):
    stores = client.beta.memory_stores.with_raw_response
    params = sendable(memory_store_update_params.MemoryStoreUpdateParams, {"description": "", "metadata": {"k": "v"}})
    updated = strict(BetaManagedAgentsMemoryStore, raw(stores.update(store["id"], **params)))
    assert (updated["description"], updated["name"]) == ("", "Team notes")
    assert strict(BetaManagedAgentsMemoryStore, raw(stores.retrieve(store["id"]))) == updated
    listed = stores.list(created_at_gte=store["created_at"], betas=["managed-agents-2026-04-01"])
    assert updated in items(BetaManagedAgentsMemoryStore, listed)
    other = client.beta.memory_stores.create(name="Short-lived").id
    assert strict(BetaManagedAgentsMemoryStore, raw(stores.archive(other)))["archived_at"]
    strict(BetaManagedAgentsDeletedMemoryStore, raw(stores.delete(other)))


def test_memories(client, store):
    memories, where = client.beta.memory_stores.memories.with_raw_response, {"memory_store_id": store["id"]}
    params = sendable(memory_create_params.MemoryCreateParams, {"path": "/team/style.md", "content": "Be brief."})
    made = strict(BetaManagedAgentsMemory, raw(memories.create(store["id"], **params)))
    read = strict(BetaManagedAgentsMemory, raw(memories.retrieve(made["id"], **where)))
    assert (made["content"], read["content"], read["content_size_bytes"]) == (None, "Be brief.", 9)
    precondition = {"type": "content_sha256", "content_sha256": made["content_sha256"]}
    change = {"content": "Be briefer.", "precondition": precondition, "view": "full", **where}
    params = sendable(memory_update_params.MemoryUpdateParams, change)
    assert strict(BetaManagedAgentsMemory, raw(memories.update(made["id"], **params)))["content"] == "Be briefer."
    with pytest.raises(anthropic.ConflictError):
        client.beta.memory_stores.memories.update(made["id"], content="x", precondition=precondition, **where)
    client.beta.memory_stores.memories.create(store["id"], path="/zoo.md", content="")
    listed = items(BetaManagedAgentsMemoryListItem, memories.list(store["id"], depth=1))
    assert [(item["type"], item["path"]) for item in listed] == [("memory_prefix", "/team/"), ("memory", "/zoo.md")]
    paths = [one.path for one in client.beta.memory_stores.memories.list(store["id"], limit=1, path_prefix="/")]
    assert paths == ["/team/style.md", "/zoo.md"]
    with pytest.raises(anthropic.ConflictError):
        client.beta.memory_stores.memories.delete(made["id"], expected_content_sha256=made["content_sha256"], **where)
    strict(BetaManagedAgentsDeletedMemory, raw(memories.delete(made["id"], **where)))


@pytest.fixture(scope="module")
def deployment(client, agent, environment, vault, store):
    params = {
        "name": "Nightly review",
        "agent": {"type": "agent", "id": agent["id"], "version": 1},
        "environment_id": environment["id"],
        "description": "Reviews what was merged.",
        "initial_events": [
            {"type": "system.message", "content": [{"type": "text", "text": "Be brief."}]},
            {"type": "user.define_outcome", "description": "A review", "rubric": {"type": "text", "content": "Short."}},
            message("[work 1]"),
        ],
        "budget": {"type": "limit", "max_list_cost": {"amount": "90", "currency": "USD"}},
        "resources": [
            {"type": "github_repository", "url": "https://github.com/owner/name", "authorization_token": "ghp_secret"},
            {"type": "file", "file_id": upload(client)["id"], "mount_path": "/mnt/notes.txt"},
            {"type": "memory_store", "memory_store_id": store["id"], "access": "read_only"},
        ],
        "schedule": {"type": "cron", "expression": "*/30 9-17 * * mon-fri", "timezone": "America/Los_Angeles"},
        "vault_ids": [vault["id"]],
        "metadata": {"a": "b"},
    }
    checked = sendable(deployment_create_params.DeploymentCreateParams, params)
    made = strict(BetaManagedAgentsDeployment, raw(client.beta.deployments.with_raw_response.create(**checked)))
    assert "ghp_secret" not in json.dumps(made) and len(made["schedule"]["upcoming_runs_at"]) == 5
    return made


def test_deployments(client, agent, deployment):
    deployments, one = client.beta.deployments.with_raw_response, deployment["id"]
    change = {"schedule": {"type": "cron", "expression": "0 9 * * *", "timezone": "UTC"}, "metadata": {"a": None}}
    params = sendable(deployment_update_params.DeploymentUpdateParams, change)
    updated = strict(BetaManagedAgentsDeployment, raw(deployments.update(one, **params)))
    assert all(time.endswith("T09:00:00Z") for time in updated["schedule"]["upcoming_runs_at"])
    assert strict(BetaManagedAgentsDeployment, raw(deployments.retrieve(one))) == updated
    paused = strict(BetaManagedAgentsDeployment, raw(deployments.pause(one)))
    assert (paused["status"], paused["paused_reason"]) == ("paused", {"type": "manual"})
    listed = deployments.list(agent_id=agent["id"], status="paused", created_at_gte=deployment["created_at"])
    assert [item["id"] for item in items(BetaManagedAgentsDeployment, listed)] == [one]
    assert strict(BetaManagedAgentsDeployment, raw(deployments.unpause(one)))["status"] == "active"
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.beta.deployments.update(one, schedule={"type": "cron", "expression": "0 9 * * *", "timezone": "Mars/Base"})
    assert "Mars/Base" in str(caught.value)


def test_deployment_runs(client, environment, deployment):
    run = strict(BetaManagedAgentsDeploymentRun, raw(client.beta.deployments.with_raw_response.run(deployment["id"])))
    session = strict(BetaManagedAgentsSession, raw(client.beta.sessions.with_raw_response.retrieve(run["session_id"])))
    assert (session["deployment_id"], session["budget"]) == (deployment["id"], deployment["budget"])
    kinds = [event["type"] for event in history(client, session)]
    assert "session.status_running" in kinds
    runs = client.beta.deployment_runs.with_raw_response
    assert strict(BetaManagedAgentsDeploymentRun, raw(runs.retrieve(run["id"]))) == run
    assert [one.id for one in client.beta.sessions.list(deployment_id=deployment["id"])] == [session["id"]]
    # A deployment whose environment is archived afterwards.
    other = client.beta.environments.create(name=f"gone {uuid.uuid4()}").id
    doomed = client.beta.deployments.create(
        name="Doomed", agent=session["agent"]["id"], environment_id=other, initial_events=[message("hello")]
    ).id
    client.beta.environments.archive(other)
    failed = strict(BetaManagedAgentsDeploymentRun, raw(client.beta.deployments.with_raw_response.run(doomed)))
    assert (failed["session_id"], failed["error"]["type"]) == (None, "environment_archived_error")
    for filters, wanted in [
        ({"deployment_id": doomed}, [failed]),
        ({"has_error": False, "deployment_id": deployment["id"], "trigger_type": "manual"}, [run]),
        ({"has_error": True, "created_at_gt": failed["created_at"]}, []),
    ]:
        assert items(BetaManagedAgentsDeploymentRun, runs.list(**filters)) == wanted
    archived = strict(BetaManagedAgentsDeployment, raw(client.beta.deployments.with_raw_response.archive(doomed)))
    assert archived["archived_at"]
    with pytest.raises(anthropic.ConflictError):
        client.beta.deployments.run(doomed)


def test_a_session_with_everything_and_its_end(client, agent, environment, vault, store):
    file = upload(client)
    resources = [
        {
            "type": "github_repository",
            "url": "https://github.com/owner/name",
            "authorization_token": "ghp_secret",
            "checkout": {"type": "branch", "name": "main"},
        },
        {"type": "file", "file_id": file["id"]},
        {"type": "memory_store", "memory_store_id": store["id"], "access": "read_only"},
    ]
    overrides = {"type": "agent_with_overrides", "id": agent["id"], "version": 1, "system": "Other."}
    session = start(
        client, agent, environment, title="Everything", metadata={"k": "v"}, vault_ids=[vault["id"]], resources=resources
    )
    assert "ghp_secret" not in json.dumps(session)
    other = start(client, {"id": overrides}, environment)
    assert other["agent"]["system"] == "Other."
    for item in json.loads(raw(client.beta.sessions.resources.with_raw_response.list(session["id"])))["data"]:
        strict(BetaManagedAgentsSessionResource, item)
    for item in json.loads(raw(client.beta.sessions.threads.with_raw_response.list(session["id"])))["data"]:
        strict(BetaManagedAgentsSessionThread, item)
        assert list(client.beta.sessions.threads.events.list(item["id"], session_id=session["id"])) == []
    renewed = client.beta.sessions.resources.with_raw_response.update(
        session["resources"][0]["id"], session_id=session["id"], authorization_token="ghp_secret"
    )
    assert "ghp_secret" not in json.dumps(strict(BetaManagedAgentsSessionResource, raw(renewed)))
    added = client.beta.sessions.resources.with_raw_response.add(session["id"], type="file", file_id=file["id"])
    added = strict(BetaManagedAgentsSessionResource, raw(added))
    where = {"session_id": session["id"]}
    one = client.beta.sessions.resources.with_raw_response.retrieve(added["id"], **where)
    assert strict(BetaManagedAgentsSessionResource, raw(one)) == added
    gone = client.beta.sessions.resources.with_raw_response.delete(added["id"], **where)
    strict(BetaManagedAgentsDeleteSessionResource, raw(gone))
    params = sendable(session_update_params.SessionUpdateParams, {"title": "New", "metadata": {"k": None, "l": "w"}})
    updated = strict(BetaManagedAgentsSession, raw(client.beta.sessions.with_raw_response.update(session["id"], **params)))
    assert (updated["title"], updated["metadata"]) == ("New", {"l": "w"})
    archived = strict(BetaManagedAgentsSession, raw(client.beta.sessions.with_raw_response.archive(session["id"])))
    assert archived["archived_at"]
    strict(BetaManagedAgentsDeletedSession, raw(client.beta.sessions.with_raw_response.delete(session["id"])))
    with pytest.raises(anthropic.NotFoundError):
        client.beta.sessions.retrieve(session["id"])


def test_session_list(client, agent, environment):
    made = [start(client, agent, environment)["id"] for _ in range(3)]
    body = json.loads(raw(client.beta.sessions.with_raw_response.list(agent_id=agent["id"], limit=2, statuses=["idle"])))
    for item in body["data"]:
        strict(BetaManagedAgentsSession, item)
    assert [item["id"] for item in body["data"]] == made[:0:-1] and body["next_page"] and not body["prev_page"]
    created = body["data"][-1]["created_at"]
    assert [one.id for one in client.beta.sessions.list(created_at_gte=created)] == made[:0:-1]
    assert made[0] in [one.id for one in client.beta.sessions.list(limit=1, order="asc")]


def test_the_vendors_own_tool_runner(client, agent):
    """It opens, lists, follows and answers by itself, here in a self-hosted environment whose tools it runs."""
    environment = client.beta.environments.create(name=f"own {uuid.uuid4()}", config={"type": "self_hosted"}).to_dict()
    session = start(client, agent, environment, initial_events=[message("[work 1] [custom]")])

    @beta_async_tool
    async def bash(command: str) -> str:
        """Runs a command."""
        return f"ran {command}"

    @beta_async_tool
    async def lookup_ticket(ticket: str) -> str:
        """Looks a ticket up."""
        return f"{ticket} is open"

    async def run():
        async with anthropic.AsyncAnthropic(api_key="sk-simulated", base_url=os.environ["SIMULATOR_URL"]) as client:
            runner = client.beta.sessions.events.tool_runner(session["id"], tools=[bash, lookup_ticket], max_idle=0.2)
            with anyio.fail_after(20):
                return [call.name async for call in runner if call.posted]

    assert anyio.run(run) == ["bash", "lookup_ticket"]
    said = [event for event in history(client, session) if event["type"] == "agent.message"]
    assert "ran cargo test" in said[0]["content"][0]["text"] and "SIM-1 is open" in said[0]["content"][0]["text"]


def test_the_end_of_an_agent(client, environment):
    agent = client.beta.agents.create(name="Short-lived", model="claude-sonnet-5-5")
    archived = strict(BetaManagedAgentsAgent, raw(client.beta.agents.with_raw_response.archive(agent.id)))
    assert archived["archived_at"]
    with pytest.raises(anthropic.BadRequestError):
        client.beta.sessions.create(agent=agent.id, environment_id=environment["id"])


def test_strictness_itself():
    """The judge must be able to say no."""
    with pytest.raises(Exception):
        strict(BetaManagedAgentsSessionEvent, {"type": "agent.thinking", "id": "sevt_1"})
    with pytest.raises(Exception):
        strict(BetaManagedAgentsSessionEvent, {"type": "agent.daydream", "id": "sevt_1", "processed_at": "2026-01-01T00:00:00Z"})
    with pytest.raises(AssertionError):
        strict(BetaManagedAgentsDeletedSession, {"id": "sesn_1", "type": "session_deleted", "colour": "red"})
    with pytest.raises(Exception):
        sendable(agent_create_params.AgentCreateParams, {"name": "n", "model": "m", "colour": "red"})
    with pytest.raises(Exception):
        sendable(session_create_params.SessionCreateParams, {"agent": "a", "environment_id": "e", "initial_events": [{"type": "x"}]})
