"""The Python SDK of MCP, which nobody here wrote, against the real binary over stdio in both protocol eras."""

import json

import anyio
import pytest
from jsonschema import Draft202012Validator
from mcp import MCPError
from mcp_types import PromptReference, ResourceTemplateReference, ResourceUpdatedNotification
from rig import call, refused, serving, settled_events

TOOLS = {
    "create_session", "send_message", "get_status", "get_events", "resolve_action", "interrupt_session", "list_sessions",
    "close_session", "list_agents", "get_agent", "create_agent", "list_environments", "create_environment",
}
NOT_BY_DEFAULT = {
    "update_agent", "close_agent", "close_environment", "list_vaults", "list_memory_stores",
    "list_schedules", "create_schedule", "control_schedule",
}
STARTS_WORK = {"create_session", "send_message"}

pytestmark = pytest.mark.anyio
both_eras = pytest.mark.parametrize("mode", ["legacy", "auto"])


@pytest.fixture
def anyio_backend():
    return "asyncio"


def schemas_in(value, path="$"):
    """Every object within a schema that is itself a schema, with where it stands."""
    if isinstance(value, dict):
        if any(key in value for key in ("type", "$ref", "anyOf", "oneOf", "enum", "const", "properties", "items")):
            yield path, value
        for key, child in value.items():
            yield from schemas_in(child, f"{path}.{key}")
    elif isinstance(value, list):
        for at, child in enumerate(value):
            yield from schemas_in(child, f"{path}[{at}]")


@both_eras
async def test_the_server_introduces_itself(mode):
    async with serving(mode) as client:
        assert client.protocol_version == {"legacy": "2025-11-25", "auto": "2026-07-28"}[mode]
        assert client.server_info.name == "managed-agents-mcp"
        assert client.server_info.version
        assert "simulat" in client.instructions.lower(), "the instructions do not say that this is the simulator"
        assert len(client.instructions.encode()) <= 2048
        assert client.server_capabilities.tools is not None


async def test_results_without_a_probe_say_who_answered():
    # `client.server_info` is what the probe brought, so that it stays empty here.
    async with serving("2026-07-28") as client:
        for result in (await client.list_prompts(), await client.call_tool("list_agents", {})):
            server = result.meta["io.modelcontextprotocol/serverInfo"]
            assert server["name"] == "managed-agents-mcp"
            assert server["title"] and server["version"]


@both_eras
async def test_the_default_tools_are_listed_and_described(mode):
    async with serving(mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert TOOLS <= tools.keys(), f"missing: {sorted(TOOLS - tools.keys())}"
        assert not NOT_BY_DEFAULT & tools.keys()
        assert list(tools) == [tool.name for tool in (await client.list_tools()).tools], "the order changes"
        for name, tool in tools.items():
            assert tool.description and len(tool.description.encode()) <= 2048, name
            assert tool.input_schema["additionalProperties"] is False, f"{name} takes any parameter"
            for parameter, schema in tool.input_schema.get("properties", {}).items():
                assert schema.get("description"), f"{name}: {parameter} is not described"
            assert tool.output_schema and tool.output_schema["type"] == "object", name
            Draft202012Validator.check_schema(tool.input_schema)
            Draft202012Validator.check_schema(tool.output_schema)


@both_eras
async def test_input_schemas_stay_within_what_every_host_reads(mode):
    async with serving(mode) as client:
        for tool in (await client.list_tools()).tools:
            for path, schema in schemas_in(tool.input_schema):
                where = f"{tool.name} {path}"
                assert "$ref" not in schema, where
                assert not isinstance(schema.get("format"), str), where
                assert not isinstance(schema.get("type"), list), where


@both_eras
async def test_annotations_say_what_a_tool_may_do(mode):
    async with serving(mode) as client:
        for tool in (await client.list_tools()).tools:
            hints = tool.annotations
            assert hints is not None, tool.name
            assert hints.read_only_hint is tool.name.startswith(("get_", "list_")), tool.name
            if not hints.read_only_hint:
                assert hints.destructive_hint is tool.name.startswith("close_"), tool.name
            if tool.name in STARTS_WORK:
                assert hints.open_world_hint is True, tool.name


@both_eras
async def test_a_delegation_is_answered_and_followed_up(mode):
    async with serving(mode) as client:
        first, text = await call(client, "create_session", message="Say hello to Ada")
        assert first["state"] == "done"
        assert first["reply"]
        assert first["untrusted"] is True
        for fact in (first["session_id"], "done", first["reply"].strip().splitlines()[0]):
            assert fact in text, f"the text does not stand alone: {fact!r} is missing in {text!r}"

        second, text = await call(client, "send_message", session_id=first["session_id"], message="Now greet Grace")
        assert second["session_id"] == first["session_id"]
        assert second["state"] == "done"
        assert second["reply"] and second["reply"] != first["reply"]
        assert "Ada" not in second["reply"], "an older turn's answer came back"
        assert second["cursor"] != first["cursor"]
        assert second["reply"].strip().splitlines()[0] in text


@both_eras
async def test_a_report_says_that_it_is_simulated(mode):
    async with serving(mode) as client:
        report, _ = await call(client, "create_session", message="Say hello")
        assert report["simulated"] is True


@both_eras
async def test_an_approval_waits_for_the_decision(mode):
    async with serving(mode) as client:
        report, text = await call(client, "create_session", message="[approve] clean the build folder")
        assert report["state"] == "needs_action"
        pending = report["pending"][0]
        assert pending["kind"] == "tool_confirmation"
        assert pending["tool"] and pending["tool"] in text
        assert pending["input"] and all(str(value) in text for value in pending["input"].values())
        assert pending["event_id"] in text and "resolve_action" in text

        decisions = [{"event_id": pending["event_id"], "decision": "allow"}]
        report, _ = await call(client, "resolve_action", session_id=report["session_id"], decisions=decisions)
        assert report["state"] == "done"
        assert report["pending"] == []
        assert report["reply"]


@both_eras
async def test_a_decision_for_another_event_is_refused(mode):
    async with serving(mode) as client:
        report, _ = await call(client, "create_session", message="[approve] clean the build folder")
        decisions = [{"event_id": "sevt_nobody_asked", "decision": "allow"}]
        await refused(client, "resolve_action", session_id=report["session_id"], decisions=decisions)
        status, _ = await call(client, "get_status", session_ids=[report["session_id"]])
        assert status["sessions"][0]["state"] == "needs_action"


@both_eras
async def test_events_page_by_cursor_without_loss_or_repeat(mode):
    async with serving(mode) as client:
        session, _ = await call(client, "create_session", message="[work 6] look around")
        whole = await settled_events(client, session["session_id"])
        seen, after, pages = [], {}, 0
        while True:
            page, text = await call(client, "get_events", session_id=session["session_id"], limit=3, **after)
            assert len(page["events"]) <= 3
            assert all(event["id"] in text for event in page["events"]), "the text half leaves events out"
            seen += [event["id"] for event in page["events"]]
            after, pages = {"after": page["cursor"]}, pages + 1
            if not page["more"]:
                break
            assert pages < 100, "paging does not end"
        assert pages > 1, "too few events to page"
        assert seen == whole, "paging and reading at once differ"
        rest, _ = await call(client, "get_events", session_id=session["session_id"], **after)
        assert rest["events"] == [] and rest["more"] is False


@both_eras
async def test_events_are_followed_while_they_happen_without_loss_or_repeat(mode):
    async with serving(mode) as client:
        session, _ = await call(client, "create_session", message="[seconds 2] [work 6] look around", wait_seconds=0)
        seen, after = [], {}
        while True:
            page, _ = await call(client, "get_events", session_id=session["session_id"], limit=3, wait_seconds=10, **after)
            seen += [event["id"] for event in page["events"]]
            after = {"after": page["cursor"]} if page["cursor"] else {}
            if page["state"] != "working" and not page["more"]:
                break
        whole = await settled_events(client, session["session_id"])
        assert len(seen) == len(set(seen)), "an event was shown twice"
        lost = [event for event in whole if event not in seen]
        assert not lost, f"lost {lost} of {len(whole)} events"


@both_eras
async def test_a_wait_reports_its_progress(mode):
    heard = []

    async def progress(amount, total, message):
        heard.append((amount, total, message))

    async with serving(mode) as client:
        report, _ = await call(client, "create_session", progress_callback=progress, message="[seconds 3] think", wait_seconds=20)
        assert report["state"] == "done"
    assert heard, "no progress in three seconds of work"
    amounts = [amount for amount, _, _ in heard]
    assert all(earlier < later for earlier, later in zip(amounts, amounts[1:])), f"not increasing: {amounts}"
    assert all(total is None for _, total, _ in heard), "nobody knows the total"
    assert all(message and len(message) <= 180 for _, _, message in heard), heard


@both_eras
async def test_a_wait_is_bounded_and_says_how_to_go_on(mode):
    async with serving(mode) as client:
        with anyio.fail_after(4):
            report, text = await call(client, "create_session", message="[seconds 6] think", wait_seconds=1)
        assert report["state"] == "working"
        assert "get_status" in report["next"] or "get_events" in report["next"]
        assert report["next"] in text
        status, _ = await call(client, "get_status", session_ids=[report["session_id"]], wait_seconds=20)
        assert status["sessions"][0]["state"] == "done"
        assert status["sessions"][0]["reply"]


@both_eras
async def test_wrong_parameters_come_back_with_the_right_ones(mode):
    async with serving(mode) as client:
        text = await refused(client, "create_session", mesage="Say hello")
        assert "mesage" in text
        properties = next(t for t in (await client.list_tools()).tools if t.name == "create_session").input_schema["properties"]
        assert all(name in text for name in properties), f"not all of {sorted(properties)} in {text!r}"
        assert "session_id" in await refused(client, "send_message", message="to whom?")
        await refused(client, "get_status", session_ids=["../vaults"])


@both_eras
async def test_a_session_is_interrupted_and_closed(mode):
    async with serving(mode) as client:
        started, _ = await call(client, "create_session", message="[seconds 30] think", wait_seconds=0)
        stopped, _ = await call(client, "interrupt_session", session_id=started["session_id"])
        assert stopped["state"] == "done"
        await call(client, "close_session", session_id=started["session_id"])
        status, _ = await call(client, "get_status", session_ids=[started["session_id"]])
        assert status["sessions"][0]["state"] == "terminated"
        assert "archived" in await refused(client, "send_message", session_id=started["session_id"], message="still there?")


@both_eras
async def test_agents_environments_and_sessions_are_made_and_found(mode):
    async with serving(mode) as client:
        agent, _ = await call(client, "create_agent", name="Reviewer")
        environment, _ = await call(client, "create_environment", name="Sandbox")
        agents, text = await call(client, "list_agents", name_contains="view")
        assert "Reviewer" in text and agents
        environments, text = await call(client, "list_environments")
        assert "Sandbox" in text and environments
        _, text = await call(client, "get_agent", agent="Reviewer")
        assert "Reviewer" in text
        session, _ = await call(client, "create_session", agent="Reviewer", environment="Sandbox", message="Say hello")
        assert session["state"] == "done"
        _, text = await call(client, "list_sessions")
        assert session["session_id"] in text


async def read(client, uri):
    """The text of a resource, and its media type."""
    contents = (await client.read_resource(uri)).contents
    assert [part.uri for part in contents] == [uri]
    return contents[0].text, contents[0].mime_type


@both_eras
async def test_the_record_is_read_as_resources(mode):
    async with serving(mode) as client:
        templates = {template.uri_template: template for template in (await client.list_resource_templates()).resource_templates}
        assert set(templates) == {"session://{session_id}/transcript", "session://{session_id}/events"}
        assert all(template.title and template.description and template.mime_type for template in templates.values())
        assert (await client.list_resources()).resources == []

        session, _ = await call(client, "create_session", message="[work 3] look around")
        whole = await settled_events(client, session["session_id"])
        for template in templates.values():
            text, media_type = await read(client, template.uri_template.replace("{session_id}", session["session_id"]))
            assert media_type == template.mime_type
            assert all(event in text for event in whole), "an event is missing"
            if media_type == "application/json":
                record = json.loads(text)
                assert record["events"][-1]["id"] == whole[-1] and record["untrusted"] is True

        with pytest.raises(MCPError) as failed:
            await client.read_resource("session://sesn_nowhere/transcript")
        assert failed.value.code == {"legacy": -32002, "auto": -32602}[mode]
        assert "sesn_nowhere" in failed.value.message


@both_eras
async def test_prompts_lead_to_tools_that_are_there(mode):
    async with serving(mode) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        prompts = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
        assert set(prompts) == {"delegate", "follow_up", "review_session"}
        for prompt in prompts.values():
            assert prompt.title and prompt.description
            given = {argument.name: f"some_{argument.name}" for argument in prompt.arguments if argument.required}
            message = (await client.get_prompt(prompt.name, given)).messages[0]
            assert message.role == "user"
            assert all(value in message.content.text for value in given.values())
            assert any(tool in message.content.text for tool in tools)
            with pytest.raises(MCPError) as failed:
                await client.get_prompt(prompt.name, {})
            assert failed.value.code == -32602


@both_eras
async def test_arguments_are_completed(mode):
    async with serving(mode) as client:
        await call(client, "create_agent", name="Code Reviewer")
        session, _ = await call(client, "create_session", message="Say hello", title="Flaky tests", agent="Code Reviewer")
        by_title = {"name": "session_id", "value": "FLAKY"}
        for reference in [
            PromptReference(type="ref/prompt", name="follow_up"),
            ResourceTemplateReference(type="ref/resource", uri="session://{session_id}/events"),
        ]:
            completion = (await client.complete(reference, by_title)).completion
            assert completion.values == [session["session_id"]]
            assert completion.total == 1 and completion.has_more is False
        delegate = PromptReference(type="ref/prompt", name="delegate")
        assert (await client.complete(delegate, {"name": "agent", "value": "review"})).completion.values == ["Code Reviewer"]
        assert (await client.complete(delegate, {"name": "task", "value": "x"})).completion.values == []


async def test_a_listener_hears_of_changes_until_the_session_ends():
    async with serving("auto") as client:
        session, _ = await call(client, "create_session", message="[seconds 2] [work 4] look around", wait_seconds=0)
        uri = f"session://{session['session_id']}/transcript"
        async with client.listen(resource_subscriptions=[uri, "session://../events"]) as changes:
            assert changes.honored.resource_subscriptions == [uri]
            async for change in changes:
                assert change.uri == uri
                text, _ = await read(client, uri)
                if text.startswith("done"):
                    break
            await call(client, "send_message", session_id=session["session_id"], message="[terminate]")
            async for change in changes:
                assert change.uri == uri
            assert (await read(client, uri))[0].startswith("terminated")


@pytest.mark.filterwarnings("ignore:resources/:mcp.MCPDeprecationWarning")
async def test_a_subscriber_hears_of_changes_until_it_unsubscribes():
    updates, hear = anyio.create_memory_object_stream(100)

    async def heard(message):
        if isinstance(message, ResourceUpdatedNotification):
            updates.send_nowait(message.params.uri)

    async with serving("legacy", message_handler=heard) as client:
        session, _ = await call(client, "create_session", message="Say hello")
        uri = f"session://{session['session_id']}/events"
        await client.subscribe_resource(uri)
        await call(client, "send_message", session_id=session["session_id"], message="[work 2] go on")
        assert await hear.receive() == uri
        await client.unsubscribe_resource(uri)
        await client.unsubscribe_resource(uri)
