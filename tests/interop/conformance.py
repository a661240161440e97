"""The conformance suite of the Model Context Protocol, in both eras and on three ways to the same handler.

The suite speaks HTTP only. `listener` is the handler of this server behind rmcp's HTTP transport (examples/http.rs); `bridge` is the
binary over stdio behind supergateway; `stand-ins` is the listener once more, where calls of this server's own tools, prompts and
resources stand in for those of the suite's own server, which so become tests of progress, dialogs, tasks and resources.

MCP_CONFORMANCE and SUPERGATEWAY are the commands, MCP_HTTP the built example, MANAGED_AGENTS_MCP_BIN the binary.
"""

import json
import os
import re
import shlex
import socket
import subprocess
import time
from pathlib import Path

import pytest
from rig import BINARY, PATIENCE, Simulator

SUITE = os.environ["MCP_CONFORMANCE"]
GATEWAY = os.environ["SUPERGATEWAY"]
LISTENER = os.environ["MCP_HTTP"]
BASELINE = Path(__file__).with_name("conformance-baseline.yml")
REVISIONS = ["2025-11-25", "2026-07-28"]

# What needs nothing that only the suite's own server has, so that it must be green.
PLAIN = {
    "2025-11-25": [
        "server-initialize", "server-session-lifecycle", "ping", "completion-complete", "tools-list", "resources-list", "prompts-list",
        "server-sse-multiple-streams", "dns-rebinding-protection",
    ],
    "2026-07-28": [
        "server-stateless", "completion-complete", "tools-list", "resources-list", "sep-2164-resource-not-found", "prompts-list", "caching",
        "server-sse-multiple-streams", "dns-rebinding-protection", "http-header-validation", "input-required-result-unsupported-methods",
        "input-required-result-validate-input",
    ],
}
# What is the bridge's, which is no part of this server.
BRIDGED = {
    "dns-rebinding-protection:localhost-host-rebinding-rejected": "supergateway does not look at Host and Origin",
    "server-stateless:sep-2575-http-server-method-not-found-404-ping": "supergateway does not turn an error code into an HTTP status",
}
# Why something is in the baseline: in each answer, the suite asked for what only its own server has.
LACKING = re.compile(
    r"tool not found|There is no prompt `test_|There is no resource `test://|logging/setLevel"
    r"|Not testable: server does not list the diagnostic tool 'test_"
    # These three begin with a tool of the suite as well; it does not say what it was answered.
    r"|^Expected InputRequiredResult with inputRequests and requestState$|^Prerequisite failed: could not get initial InputRequiredResult"
    r"|^Server returned JSON-RPC error instead of re-requesting via InputRequiredResult"
)

APPROVAL = {"name": "create_session", "arguments": {"message": "[approve] clean the build folder"}}
APPROVALS = {"name": "create_session", "arguments": {"message": "[approve 2] clean both folders"}}
DELEGATION = {"name": "create_session", "arguments": {"message": "[seconds {seconds}] [work 2] {label}"}}


def stand_ins(session_id):
    """What the suite asks for, and what this server is asked for instead."""
    transcript = {"uri": f"session://{session_id}/transcript"}
    return {
        "test_simple_text": {"name": "list_agents", "arguments": {}},
        "test_error_handling": {"name": "send_message", "arguments": {"session_id": "sesn_nowhere", "message": "hello?"}},
        "test_tool_with_progress": {"name": "create_session", "arguments": {"message": "[work 4] [seconds 2] look around"}},
        "test_elicitation": APPROVAL,
        "test_input_required_result_elicitation": APPROVAL,
        "test_input_required_result_request_state": APPROVAL,
        "test_input_required_result_tampered_state": APPROVAL,
        "test_input_required_result_multi_round": APPROVALS,
        "test_simple_prompt": {"name": "review_session", "arguments": {"session_id": session_id}},
        "test_prompt_with_arguments": {"name": "delegate", "arguments": {"task": "{arg1} and {arg2}"}},
        "test://static-text": transcript,
        "test://template/123/data": transcript,
        "test://watched-resource": transcript,
        "greet": {"name": "list_agents", "arguments": {}},
        "slow_compute": DELEGATION,
        "failing_job": {"name": "create_session", "arguments": {"message": "[error] [seconds 1] try"}},
        "confirm_delete": APPROVAL,
        "multi_input": APPROVALS,
    }


# What is green where calls of this server stand in, but for the checks that are named with their reasons.
STANDING_IN = {
    "2025-11-25": {
        "tools-call-simple-text": {},
        "tools-call-error": {},
        "tools-call-with-progress": {},
        "tools-call-elicitation": {},
        "resources-read-text": {},
        "resources-templates-read": {},
        "resources-subscribe": {},
        "resources-unsubscribe": {},
        "prompts-get-simple": {},
        "prompts-get-with-args": {},
    },
    "2026-07-28": {
        "tools-call-simple-text": {},
        "tools-call-error": {},
        "tools-call-with-progress": {},
        "resources-read-text": {},
        "resources-templates-read": {},
        "prompts-get-simple": {},
        "prompts-get-with-args": {},
        "input-required-result-request-state": {},
        "input-required-result-multi-round": {},
        "input-required-result-tampered-state": {},
        "input-required-result-result-type": {},
        "input-required-result-missing-input-response": {},
        "input-required-result-validate-input": {},
        "tasks-capability-negotiation": {},
        "tasks-wire-fields": {},
        "tasks-request-state-removal": {},
        "tasks-mrtr-input": {},
        "tasks-dispatch-and-envelope": {},
        "tasks-request-headers": {
            "tasks-headers-tolerate-mcp-method-on-tools-call": "wants to be greeted by its name",
        },
        "tasks-lifecycle": {
            "sep-2663-tool-error-uses-completed-status": "that an agent failed is a report, not an error of the tool",
            "sep-2663-tasks-get-status-failed": "wants a server that breaks down in the middle of a task",
        },
    },
}


class Way:
    """An address to which the suite is sent, once for each revision."""

    def __init__(self, url, folder):
        self.url, self.folder, self.runs = url, folder, {}

    def run(self, revision, baseline=BASELINE):
        if revision not in self.runs:
            out = self.folder / revision
            command = [SUITE, "server", "--url", self.url, "--requirements", revision, "-o", str(out), "--expected-failures", str(baseline)]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)
            checks = {}
            for file in out.glob("*/checks.json"):
                scenario = re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT.*", file.parent.name)[1]
                checks[scenario] = json.loads(file.read_text())
            assert checks, done.stdout + done.stderr
            self.runs[revision] = (done, checks)
        return self.runs[revision]


def environment(simulator, **more):
    return {"PATH": os.environ["PATH"], "MANAGED_AGENTS_TOOLSETS": "all", **simulator.settings(), **more}


@pytest.fixture(scope="module")
def simulator():
    with Simulator() as running:
        yield running


@pytest.fixture(scope="module")
def listener(simulator, tmp_path_factory):
    """The base address of the handler over HTTP."""
    agent = simulator.ask("POST", "/v1/agents", {"name": "Stand-in", "model": "claude-sonnet-5-5"})["id"]
    sandbox = simulator.ask("POST", "/v1/environments", {"name": "Stand-in"})["id"]
    session = simulator.ask("POST", "/v1/sessions", {"agent": agent, "environment_id": sandbox})["id"]
    said = {"type": "user.message", "content": [{"type": "text", "text": "Is 123 a prime?"}]}
    simulator.ask("POST", f"/v1/sessions/{session}/events", {"events": [said]})
    table = tmp_path_factory.mktemp("listener") / "stand-ins.json"
    table.write_text(json.dumps(stand_ins(session)))
    process = subprocess.Popen([LISTENER], env=environment(simulator, STAND_INS=str(table)), stdout=subprocess.PIPE, text=True)
    yield process.stdout.readline().strip()
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def bridge(simulator):
    """The address of the gateway to the binary; it starts a process for each session."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [GATEWAY, "--stdio", shlex.quote(BINARY), "--outputTransport", "streamableHttp", "--stateful", "--port", str(port), "--logLevel", "none"]
    process = subprocess.Popen(command, env=environment(simulator), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, "the gateway does not listen"
            time.sleep(0.1)
    yield f"http://127.0.0.1:{port}/mcp"
    process.terminate()
    process.wait()


@pytest.fixture(scope="module", params=["listener", "bridge"])
def way(request, tmp_path_factory):
    """The handler as it is."""
    address = request.getfixturevalue(request.param)
    found = Way(f"{address}/mcp" if request.param == "listener" else address, tmp_path_factory.mktemp(request.param))
    found.is_bridge = request.param == "bridge"
    return found


@pytest.fixture(scope="module")
def dressed(listener, tmp_path_factory):
    """The handler where calls of its own stand in for those of the suite."""
    return Way(f"{listener}/stand-ins", tmp_path_factory.mktemp("stand-ins"))


def entries():
    """The baseline: scenario and check."""
    return [tuple(entry.split(":")) for entry in re.findall(r"^  - (\S+)", BASELINE.read_text(), re.MULTILINE)]


def wrong(scenario, checks, excused=()):
    """What is neither green nor only information nor excused, in words."""
    assert any(check["status"] == "SUCCESS" for check in checks), f"{scenario}: nothing was looked at"
    return [
        f"{scenario}:{check['id']} {check['status']} {check.get('errorMessage')}"
        for check in checks
        if check["status"] in ("FAILURE", "WARNING") and (scenario, check["id"]) not in excused
    ]


def expected(way, folder):
    """The baseline of a way: on the bridge, also what is the bridge's."""
    if not way.is_bridge:
        return BASELINE
    more = folder / "baseline.yml"
    more.write_text(BASELINE.read_text() + "".join(f"  - {entry}\n" for entry in BRIDGED))
    return more


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_suite_finds_nothing_but_what_the_baseline_names(way, revision, tmp_path):
    done, _ = way.run(revision, expected(way, tmp_path))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr


@pytest.mark.parametrize("revision", REVISIONS)
def test_what_the_baseline_names_fails_for_lack_of_the_suites_own_server_only(way, revision, tmp_path):
    _, checks = way.run(revision, expected(way, tmp_path))
    named = set(entries())
    for scenario, found in checks.items():
        for check in found:
            if (scenario, check["id"]) in named and check["status"] != "SKIPPED":
                assert LACKING.search(check.get("errorMessage", "")), (scenario, check["id"], check["status"], check.get("errorMessage"))


@pytest.mark.parametrize("revision, scenario", [(revision, scenario) for revision in REVISIONS for scenario in PLAIN[revision]])
def test_a_scenario_is_green_on_the_handler_as_it_is(way, revision, scenario, tmp_path):
    _, checks = way.run(revision, expected(way, tmp_path))
    excused = set(entries()) | ({tuple(entry.split(":")) for entry in BRIDGED} if way.is_bridge else set())
    assert not wrong(scenario, checks[scenario], excused)


@pytest.mark.parametrize("revision, scenario", [(revision, scenario) for revision in REVISIONS for scenario in STANDING_IN[revision]])
def test_a_scenario_is_green_where_calls_of_this_server_stand_in(dressed, revision, scenario):
    _, checks = dressed.run(revision)
    excused = {(scenario, check) for check in STANDING_IN[revision][scenario]}
    assert not wrong(scenario, checks[scenario], excused)


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_message_of_this_server_is_valid_by_the_schema_of_its_revision(dressed, revision):
    _, checks = dressed.run(revision)
    valid = [check for found in checks.values() for check in found if check["id"] == "wire-schema-valid"]
    assert len(valid) > 20
    assert not [check for check in valid if check["status"] != "SUCCESS"]
