"""What the clients of the Model Context Protocol share: the real binary over stdio, and what every result promises.

MANAGED_AGENTS_MCP_BIN is the binary.
"""

import json
import os
import signal
import subprocess
import urllib.request
from contextlib import asynccontextmanager

import anyio
from jsonschema import Draft202012Validator
from mcp import Client, StdioServerParameters

BINARY = os.environ.get("MANAGED_AGENTS_MCP_BIN", "managed-agents-mcp")
# Every client here may take as long as a busy machine needs; a test that hangs is a failure.
PATIENCE = 90


class Simulator:
    """A simulator in a process of its own, which outlives the servers."""

    def __enter__(self):
        command = [BINARY, "simulator", "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.url = self.process.stdout.readline().strip()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def settings(self):
        """The environment of a server that uses it."""
        return {"ANTHROPIC_BASE_URL": self.url, "ANTHROPIC_API_KEY": "sk-ant-only-a-test"}

    def ask(self, method, path, body=None):
        headers = {
            "x-api-key": "k", "anthropic-version": "2023-06-01", "anthropic-beta": "managed-agents-2026-04-01",
            "content-type": "application/json", "user-agent": "own",
        }
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def requests(self):
        received = self.ask("GET", "/_simulator/requests")["data"]
        return [one for one in received if one["headers"].get("user-agent") != "own"]


class Server:
    """A server on a simulator, to be started as often as wanted and killed in between."""

    def __init__(self, simulator, folder):
        self.pid_file = folder / "pid"
        # The shell becomes the server, so that the number is the server's.
        script = 'echo $$ >"$0"; exec "$@"'
        self.parameters = StdioServerParameters(
            command="/bin/sh", args=["-c", script, str(self.pid_file), BINARY], env=simulator.settings()
        )

    def kill(self):
        os.kill(int(self.pid_file.read_text()), signal.SIGKILL)


@asynccontextmanager
async def serving(mode, server=None, **client_options):
    """The binary, on its own simulator unless a server is given, and a client that has introduced itself."""
    parameters = server.parameters if server else StdioServerParameters(command=BINARY, args=["--simulate"])
    try:
        with anyio.fail_after(PATIENCE):
            async with Client(parameters, mode=mode, read_timeout_seconds=60, **client_options) as client:
                yield client
    except BaseException as error:  # the client's task group wraps what a test raises, often more than once
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from None


def text_of(result):
    return "\n".join(block.text for block in result.content if block.type == "text")


async def call(client, tool, progress_callback=None, **arguments):
    """The structured half of a result, once both halves hold what every result promises."""
    return await checked(client, tool, await client.call_tool(tool, arguments, progress_callback=progress_callback))


async def checked(client, tool, result):
    """Both halves of a result that is no error, once they hold what every result promises."""
    assert not result.is_error, text_of(result)
    schema = next(t.output_schema for t in (await client.list_tools()).tools if t.name == tool)
    Draft202012Validator(schema).validate(result.structured_content)
    text = text_of(result)
    assert text.strip(), "the text half is empty"
    assert "structuredContent" not in text and "structured content" not in text.lower()
    return result.structured_content, text


async def refused(client, tool, **arguments):
    """The text of a call that must come back as an error the model can read."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, f"{tool} accepted {arguments}: {text_of(result)}"
    return text_of(result)


async def settled_events(client, session_id):
    """The ids of a finished turn's record, once its end is in it."""
    while True:
        page, _ = await call(client, "get_events", session_id=session_id, limit=100)
        if page["events"] and page["events"][-1]["type"] == "session.status_idle":
            return [event["id"] for event in page["events"]]
        await anyio.sleep(0.2)
