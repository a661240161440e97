"""Delegations that nobody attends: the Python SDK of MCP follows them to their end on its own.

In every way to negotiate: the dialog about an approval is answered by the client's callback, tasks are followed by an extension
that is written as the specification says, and the server is killed in the middle of everything.
"""

from typing import Any, Literal

import anyio
import pytest
from mcp import MCPError
from mcp.client.extension import ClientExtension, ResultClaim
from mcp.client.session import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequest, ElicitResult, EmptyResult, InputRequiredResult, Request, RequestParams, Result
from rig import Server, Simulator, call, checked, serving, settled_events

pytestmark = pytest.mark.anyio
MODERN = ["auto", "2026-07-28"]
in_every_way = pytest.mark.parametrize("mode", ["legacy", *MODERN])
in_the_modern_ways = pytest.mark.parametrize("mode", MODERN)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def simulator():
    with Simulator() as running:
        yield running


@pytest.fixture
def server(simulator, tmp_path):
    return Server(simulator, tmp_path)


class User:
    """Answers every dialog in the same way, and remembers what it was asked."""

    def __init__(self, action, **content):
        self.answer = ElicitResult(action=action, content=content or None)
        self.asked = []

    async def __call__(self, context, params):
        self.asked.append(params)
        return self.answer


class Progress:
    """Hears the progress of a call, and tells when it first did."""

    def __init__(self):
        self.heard = []
        self.begun = anyio.Event()

    async def __call__(self, amount, total, message):
        self.heard.append((amount, message))
        self.begun.set()


# ------------------------------------------------------------------------------------------------------------------- approvals


@in_every_way
async def test_an_approval_is_given_in_the_clients_dialog_and_the_call_goes_on(mode):
    user, progress = User("accept", decision="allow"), Progress()
    async with serving(mode, elicitation_callback=user) as client:
        task = "[work 3] [approve] [seconds 2] clean the build folder"
        report, text = await call(client, "create_session", progress, message=task, wait_seconds=40)
        assert report["state"] == "done"
        assert report["pending"] == []
        assert report["reply"] and report["reply"].splitlines()[0] in text
        page, _ = await call(client, "get_events", session_id=report["session_id"], limit=100)
        decided = [event for event in page["events"] if event["type"] == "user.tool_confirmation"]
        assert len(decided) == 1, "the decision was sent more than once, or not at all"
    assert len(user.asked) == 1
    assert "bash" in user.asked[0].message and "rm -rf" in user.asked[0].message
    assert user.asked[0].requested_schema["properties"]["decision"]["enum"] == ["allow", "deny"]
    assert progress.heard and all(message for _, message in progress.heard)


@in_every_way
async def test_each_of_several_approvals_is_asked_about(mode):
    user = User("accept", decision="allow")
    async with serving(mode, elicitation_callback=user) as client:
        report, _ = await call(client, "create_session", message="[approve 3] clean everything", wait_seconds=40)
        assert report["state"] == "done"
    assert len({params.message for params in user.asked}) == 3 == len(user.asked)


@in_every_way
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_dialog_without_an_answer_decides_nothing(mode, action):
    user = User(action)
    async with serving(mode, elicitation_callback=user) as client:
        report, text = await call(client, "create_session", message="[approve] clean the build folder", wait_seconds=40)
        assert report["state"] == "needs_action"
        assert len(report["pending"]) == 1
        assert "neither allowed nor denied" in text
        page, _ = await call(client, "get_events", session_id=report["session_id"], limit=100)
        assert not [event for event in page["events"] if event["type"] == "user.tool_confirmation"]
    assert len(user.asked) == 1, "it asked again"


@in_every_way
async def test_a_later_call_asks_again_and_the_answer_counts(mode):
    user = User("decline")
    async with serving(mode, elicitation_callback=user) as client:
        report, _ = await call(client, "create_session", message="[approve] clean the build folder", wait_seconds=40)
        assert report["state"] == "needs_action"
        user.answer = ElicitResult(action="accept", content={"decision": "deny", "reason": "keep the folder"})
        status, _ = await call(client, "get_status", session_ids=[report["session_id"]], wait_seconds=40)
        assert status["sessions"][0]["state"] == "done"
        page, _ = await call(client, "get_events", session_id=report["session_id"], limit=100)
        assert "keep the folder" in str(page["events"])
    assert len(user.asked) == 2


@in_every_way
async def test_the_result_of_a_custom_tool_is_given_in_the_clients_dialog(mode):
    user = User("accept", result="42 degrees")
    async with serving(mode, elicitation_callback=user) as client:
        report, _ = await call(client, "create_session", message="[custom] how warm is it?", wait_seconds=40)
        assert report["state"] == "done"
        page, _ = await call(client, "get_events", session_id=report["session_id"], limit=100)
        assert "42 degrees" in str(page["events"])
    assert len(user.asked) == 1


# ----------------------------------------------------------------------------------------------------------------------- tasks


class Created(Result):
    result_type: Literal["task"] = "task"
    task_id: str
    status: str
    poll_interval_ms: int | None = None


class TaskState(Result):
    task_id: str
    status: str
    status_message: str | None = None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    input_requests: dict[str, dict[str, Any]] | None = None


class TaskParams(RequestParams):
    task_id: str


class UpdateParams(TaskParams):
    input_responses: dict[str, dict[str, Any]]


class GetTask(Request[TaskParams, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    name_param = "taskId"


class UpdateTask(Request[UpdateParams, Literal["tasks/update"]]):
    method: Literal["tasks/update"] = "tasks/update"
    name_param = "taskId"


class CancelTask(Request[TaskParams, Literal["tasks/cancel"]]):
    method: Literal["tasks/cancel"] = "tasks/cancel"
    name_param = "taskId"


class Tasks(ClientExtension):
    """Follows a task to its end; what it asks for goes to the client's callback, each question once."""

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self):
        self.created = []
        self.seen = []

    def claims(self):
        return [ResultClaim(result_type="task", model=Created, resolve=self.resolve)]

    async def resolve(self, created, context):
        self.created.append(created)
        return await self.follow(context.session, created.task_id, (created.poll_interval_ms or 1000) / 1000)

    async def follow(self, session, task_id, interval):
        answered = set()
        while True:
            state = await get_task(session, task_id)
            self.seen.append(state.status)
            if state.status == "completed":
                return CallToolResult.model_validate(state.result)
            if state.status in ("failed", "cancelled"):
                raise RuntimeError(f"{state.status}: {state.error}")
            questions = {key: value for key, value in (state.input_requests or {}).items() if key not in answered}
            if questions:
                answered.update(questions)
                await update_task(session, task_id, {key: await ask(session, question) for key, question in questions.items()})
            else:
                await anyio.sleep(interval)

    def path(self):
        """The states in their order, each once."""
        return [status for at, status in enumerate(self.seen) if self.seen[at - 1 : at] != [status]]


async def ask(session, question):
    context = ClientRequestContext(session=session, request_id=0)
    answer = await session.dispatch_input_request(context, ElicitRequest.model_validate(question))
    return answer.model_dump(by_alias=True, exclude_none=True)


async def get_task(session, task_id):
    return await session.send_request(GetTask(params=TaskParams(task_id=task_id)), TaskState)


async def update_task(session, task_id, answers):
    await session.send_request(UpdateTask(params=UpdateParams(task_id=task_id, input_responses=answers)), EmptyResult)


async def until(session, task_id, status):
    """The task once it is so; the deadline is the client's."""
    while (state := await get_task(session, task_id)).status != status:
        assert state.status in ("working", "input_required"), f"{state.status} instead of {status}"
        await anyio.sleep(0.2)
    return state


async def begun(client, **arguments):
    """A task that was begun and is not followed."""
    created = await client.session.call_tool("create_session", arguments, allow_claimed=True)
    assert isinstance(created, Created), created
    return created.task_id


@in_the_modern_ways
async def test_a_delegation_is_followed_as_a_task_through_its_approval_to_its_end(mode):
    user, tasks = User("accept", decision="allow"), Tasks()
    async with serving(mode, elicitation_callback=user, extensions=[tasks]) as client:
        result = await client.call_tool("create_session", {"message": "[work 2] [approve] [seconds 3] clean the build folder"})
        report, _ = await checked(client, "create_session", result)
        assert report["state"] == "done"
        assert report["reply"]
        assert tasks.path()[0] == "working" and tasks.path()[-1] == "completed" and "input_required" in tasks.path()
        assert len(user.asked) == 1 and "rm -rf" in user.asked[0].message

        result = await client.call_tool("send_message", {"session_id": report["session_id"], "message": "[seconds 2] and now greet Grace"})
        second, _ = await checked(client, "send_message", result)
        assert second["state"] == "done" and "Grace" in second["reply"]
        assert len({created.task_id for created in tasks.created}) == 2, "two turns are two tasks"

        # The first task is still what it was.
        assert (await get_task(client.session, tasks.created[0].task_id)).result["structuredContent"]["reply"] == report["reply"]


@in_the_modern_ways
async def test_a_task_whose_user_does_not_answer_ends_as_needs_action(mode):
    user, tasks = User("decline"), Tasks()
    async with serving(mode, elicitation_callback=user, extensions=[tasks]) as client:
        result = await client.call_tool("create_session", {"message": "[approve] clean the build folder"})
        report, _ = await checked(client, "create_session", result)
        assert report["state"] == "needs_action"
        assert len(report["pending"]) == 1 == len(user.asked)


@in_the_modern_ways
async def test_a_cancelled_task_stops_the_agent(mode):
    async with serving(mode, extensions=[Tasks()]) as client:
        task = await begun(client, message="[seconds 60] think")
        await client.session.send_request(CancelTask(params=TaskParams(task_id=task)), EmptyResult)
        await until(client.session, task, "cancelled")
        sessions, _ = await call(client, "list_sessions")
        assert [session["state"] for session in sessions["sessions"]] != ["working"]


async def test_a_client_with_a_handshake_is_given_no_task():
    async with serving("legacy", extensions=[Tasks()]) as client:
        assert not client.server_capabilities.extensions
        report, _ = await call(client, "create_session", message="[seconds 1] say hello", wait_seconds=30)
        assert report["state"] == "done"


@in_the_modern_ways
async def test_a_client_that_declares_no_tasks_is_given_none(mode):
    async with serving(mode) as client:
        report, _ = await call(client, "create_session", message="[seconds 1] say hello", wait_seconds=30)
        assert report["state"] == "done"


# -------------------------------------------------------------------------------------------------------------------- restarts


def killed():
    """What is tried here ends with the server."""
    return pytest.raises(MCPError)


async def kill_when(event, server):
    await event.wait()
    server.kill()


async def nothing_is_lost(client, simulator, session_id):
    """The record as the tools show it is the record that the simulator keeps, and nothing was begun twice."""
    shown = await settled_events(client, session_id)
    kept = simulator.ask("GET", f"/v1/sessions/{session_id}/events?limit=1000&order=asc")["data"]
    assert [event["id"] for event in kept if event["id"] in set(shown)] == shown
    assert len([event for event in kept if event["type"] == "user.message"]) == 1, "a message was sent twice"
    assert len(simulator.ask("GET", "/v1/sessions?limit=100")["data"]) == 1, "a session was begun twice"


@in_every_way
async def test_a_start_that_a_restart_cut_off_is_found_again_by_its_key(mode, simulator, server):
    task = {"message": "[seconds 4] [work 4] look around", "request_key": "look-around-1", "wait_seconds": 40}
    progress = Progress()
    async with serving(mode, server) as client, anyio.create_task_group() as group:
        group.start_soon(kill_when, progress.begun, server)
        with killed():
            await client.call_tool("create_session", task, progress_callback=progress)
    async with serving(mode, server) as client:
        report, _ = await call(client, "create_session", **task)
        assert report["state"] == "done"
        assert report["reply"]
        await nothing_is_lost(client, simulator, report["session_id"])


@in_every_way
async def test_a_wait_that_a_restart_cut_off_goes_on_with_the_session_id(mode, simulator, server):
    progress = Progress()
    async with serving(mode, server) as client:
        session, _ = await call(client, "create_session", message="[seconds 5] [work 5] look around", wait_seconds=0)
        waiting = {"session_ids": [session["session_id"]], "wait_seconds": 40}
        async with anyio.create_task_group() as group:
            group.start_soon(kill_when, progress.begun, server)
            with killed():
                await client.call_tool("get_status", waiting, progress_callback=progress)
    async with serving(mode, server) as client:
        status, _ = await call(client, "get_status", **waiting)
        assert status["sessions"][0]["state"] == "done"
        assert status["sessions"][0]["reply"]
        await nothing_is_lost(client, simulator, session["session_id"])


async def test_a_dialog_that_a_restart_cut_off_is_shown_again_by_the_next_wait(simulator, server):
    async def killing(context, params):
        server.kill()
        return ElicitResult(action="accept", content={"decision": "allow"})

    async with serving("legacy", server) as client:
        session, _ = await call(client, "create_session", message="[approve] clean the build folder", wait_seconds=0)
    waiting = {"session_ids": [session["session_id"]], "wait_seconds": 40}
    async with serving("legacy", server, elicitation_callback=killing) as client:
        with killed():
            await client.call_tool("get_status", waiting)
    user = User("accept", decision="allow")
    async with serving("legacy", server, elicitation_callback=user) as client:
        status, _ = await call(client, "get_status", **waiting)
        assert status["sessions"][0]["state"] == "done"
        assert len(user.asked) == 1
        await nothing_is_lost(client, simulator, session["session_id"])


@in_the_modern_ways
async def test_an_answer_that_comes_to_another_server_process_counts_once(mode, simulator, server):
    async def unused(context, params):
        raise AssertionError("the rounds are driven by hand")

    arguments = {"message": "[approve] clean the build folder", "wait_seconds": 40}
    async with serving(mode, server, elicitation_callback=unused) as client:
        first = await client.session.call_tool("create_session", arguments, allow_input_required=True)
        assert isinstance(first, InputRequiredResult)
        server.kill()
    allow = ElicitResult(action="accept", content={"decision": "allow"})
    again = {"input_responses": {key: allow for key in first.input_requests}, "request_state": first.request_state}
    async with serving(mode, server, elicitation_callback=unused) as client:
        result = await client.session.call_tool("create_session", arguments, allow_input_required=True, **again)
        report, _ = await checked(client, "create_session", result)
        assert report["state"] == "done"
        server.kill()
    # A client that is not sure whether its answer arrived gives it once more.
    async with serving(mode, server, elicitation_callback=unused) as client:
        result = await client.session.call_tool("create_session", arguments, allow_input_required=True, **again)
        repeated, _ = await checked(client, "create_session", result)
        assert (repeated["session_id"], repeated["state"]) == (report["session_id"], "done")
        page, _ = await call(client, "get_events", session_id=report["session_id"], limit=100)
        assert len([event for event in page["events"] if event["type"] == "user.tool_confirmation"]) == 1
        await nothing_is_lost(client, simulator, report["session_id"])


@in_the_modern_ways
async def test_a_task_is_followed_through_one_server_process_after_the_other(mode, simulator, server):
    async def connected(use):
        user, tasks = User("accept", decision="allow"), Tasks()
        async with serving(mode, server, elicitation_callback=user, extensions=[tasks]) as client:
            result = await use(client, tasks)
            server.kill()
            return result

    async def begin(client, _):
        return await begun(client, message="[approve] [work 2] [seconds 3] clean the build folder")

    task = await connected(begin)
    question = await connected(lambda client, _: until(client.session, task, "input_required"))
    assert list(question.input_requests), "nothing is asked"

    async def answer(client, _):
        await update_task(client.session, task, {key: await ask(client.session, value) for key, value in question.input_requests.items()})

    await connected(answer)

    async def finish(client, tasks):
        report, _ = await checked(client, "create_session", await tasks.follow(client.session, task, 0.2))
        assert report["state"] == "done" and report["reply"]
        await nothing_is_lost(client, simulator, report["session_id"])

    await connected(finish)
