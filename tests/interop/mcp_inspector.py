"""The MCP Inspector's command lines, in both protocol eras: `mcp-inspector --cli`, and `mcpdo`, which can answer a dialog.

MANAGED_AGENTS_MCP_BIN is the binary; MCP_INSPECTOR the path of `mcp-inspector`, beside which `mcpdo` lies. Without it all is skipped.
"""

import json
import os
import secrets
import subprocess
import tempfile
from pathlib import Path

import pytest
from rig import BINARY, PATIENCE

INSPECTOR = os.environ.get("MCP_INSPECTOR")

pytestmark = pytest.mark.skipif(not INSPECTOR, reason="MCP_INSPECTOR is not set")
both_eras = pytest.mark.parametrize("era", ["legacy", "modern"])


def run(command, home, **variables):
    """What a command prints, as JSON. It keeps nothing outside `home`."""
    environment = {**os.environ, "HOME": str(home), "MCP_INSPECTOR_SECRET_STORE": "file", **variables}
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def inspect(home, era, *options):
    """What the Inspector's command line prints for one method."""
    return run([INSPECTOR, "--cli", "--protocol-era", era, *options, "--format", "json", "--", BINARY, "--simulate"], home)


def delegate(home, era, **arguments):
    """The report of one call of create_session."""
    options = ["--method", "tools/call", "--tool-name", "create_session", "--tool-args-json", json.dumps(arguments)]
    printed = inspect(home, era, *options)
    assert not printed["result"].get("isError"), printed
    return printed["result"]["structuredContent"]


@both_eras
@pytest.mark.parametrize("toolsets", ["core", "all"])
def test_the_inspector_finds_nothing_to_mend_in_the_schemas(era, toolsets, tmp_path):
    printed = inspect(tmp_path, era, "--method", "tools/list", "--strict", "-e", f"MANAGED_AGENTS_TOOLSETS={toolsets}")
    names = {tool["name"] for tool in printed["result"]["tools"]}
    assert "create_session" in names
    assert ("create_schedule" in names) == (toolsets == "all")
    findings = [
        f"{tool['toolName']} {finding['schema']}.{finding['path']}: {finding['rule']} ({finding['severity']})"
        for tool in printed.get("schemaFindings", [])
        for finding in tool["findings"]
    ]
    assert not findings, f"{len(findings)} findings\n" + "\n".join(findings)


@both_eras
def test_the_inspector_delegates(era, tmp_path):
    report = delegate(tmp_path, era, message="Say hello")
    assert report["state"] == "done"
    assert report["reply"]


@both_eras
def test_the_inspector_follows_a_task_to_its_end_where_there_are_tasks(era, tmp_path):
    report = delegate(tmp_path, era, message="[seconds 5] [work 4] look around", wait_seconds=1)
    assert report["state"] == {"legacy": "working", "modern": "done"}[era]
    assert bool(report["reply"]) == (era == "modern")


@both_eras
def test_the_inspector_cannot_ask_its_user_and_is_told_how_to_go_on(era, tmp_path):
    report = delegate(tmp_path, era, message="[approve] clean the build folder")
    assert report["state"] == "needs_action"
    assert report["pending"][0]["input"] == {"command": "rm -rf build/0"}
    assert "resolve_action" in report["next"]


@both_eras
def test_the_inspector_lists_prompts_and_resource_templates(era, tmp_path):
    prompts = inspect(tmp_path, era, "--method", "prompts/list")["result"]["prompts"]
    assert {"delegate", "follow_up"} <= {prompt["name"] for prompt in prompts}
    templates = inspect(tmp_path, era, "--method", "resources/templates/list")["result"]["resourceTemplates"]
    assert "session://{session_id}/transcript" in {template["uriTemplate"] for template in templates}


class Connection:
    """A connection of `mcpdo` that lives in a daemon of its own, so that one command can ask and another one answer."""

    def __init__(self, home, era):
        self.home, self.era = home, era
        # Not in `home`, whose name may be too long for a socket.
        self.folder = tempfile.TemporaryDirectory()
        self.daemon = {"MCP_INSPECTOR_DAEMON_DIR": self.folder.name, "MCP_INSPECTOR_DAEMON_TOKEN": secrets.token_hex(32)}
        self.servers = home / "servers.json"
        self.servers.write_text(json.dumps({"mcpServers": {"ours": {"command": BINARY, "args": ["--simulate"]}}}))

    def do(self, *words):
        mcpdo = str(Path(INSPECTOR).with_name("mcpdo"))
        return run([mcpdo, "--format", "json", "--config", str(self.servers), *words], self.home, **self.daemon)

    def __enter__(self):
        try:
            assert self.do("connect", "--era", self.era, "ours")["protocolEra"] == self.era
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with self.folder:
            self.do("daemon", "stop")

    def create(self, **arguments):
        return self.do("@ours", "tools/call", "create_session", "--tool-args-json", json.dumps(arguments))


@both_eras
def test_an_approval_is_given_through_mcpdo_while_the_call_waits(era, tmp_path):
    with Connection(tmp_path, era) as connection:
        asked = connection.create(message="[approve] [seconds 2] clean the build folder", wait_seconds=40)["elicitationPending"]
        assert asked["origin"] == {"legacy": "server-request", "modern": "task-input-required"}[era]
        assert "wants to run bash" in asked["message"] and "rm -rf" in asked["message"]
        result = connection.do("@ours", "elicitation/respond", asked["elicitationId"], "decision:=allow")
    report = result["structuredContent"]
    assert report["state"] == "done"
    assert report["pending"] == [] and report["reply"]


@both_eras
def test_what_is_declined_through_mcpdo_stays_pending(era, tmp_path):
    with Connection(tmp_path, era) as connection:
        asked = connection.create(message="[approve] clean the build folder", wait_seconds=40)["elicitationPending"]
        result = connection.do("@ours", "elicitation/respond", asked["elicitationId"], "--decline")
    assert result["structuredContent"]["state"] == "needs_action"
    assert len(result["structuredContent"]["pending"]) == 1
