// The TypeScript SDKs, against the real binary over stdio: version 2 in each of its ways to negotiate, and version 1.
//
// MANAGED_AGENTS_MCP_BIN is the binary. The packages are looked for where Node looks for them; see .ci/run.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Client as Client2 } from "@modelcontextprotocol/client";
import { StdioClientTransport as Transport2 } from "@modelcontextprotocol/client/stdio";
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as Transport1 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { CallToolResultSchema, ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";

const BINARY = process.env.MANAGED_AGENTS_MCP_BIN ?? "managed-agents-mcp";
const LEGACY = "2025-11-25";
const MODERN = "2026-07-28";
const WHO = { name: "interop", version: "0" };
const FORMS = { elicitation: { form: {} } };

/** Version 2; `elicited` answers what the server asks the user. */
function second(versionNegotiation, protocol) {
  return {
    protocol,
    async connect(elicited) {
      const client = new Client2(WHO, { capabilities: elicited ? FORMS : {}, versionNegotiation });
      if (elicited) client.setRequestHandler("elicitation/create", elicited);
      await client.connect(new Transport2(server));
      return {
        protocol: client.getNegotiatedProtocolVersion(),
        call: (name, args, options) => client.callTool({ name, arguments: args }, options),
        client,
      };
    },
  };
}

/** Version 1, as most hosts still have it. */
const first = {
  protocol: LEGACY,
  async connect(elicited) {
    const client = new Client1(WHO, { capabilities: elicited ? FORMS : {} });
    if (elicited) client.setRequestHandler(ElicitRequestSchema, elicited);
    const transport = new Transport1(server);
    let protocol;
    transport.setProtocolVersion = (version) => (protocol = version);
    await client.connect(transport);
    return { protocol, call: (name, args, options) => client.callTool({ name, arguments: args }, CallToolResultSchema, options), client };
  },
};

const server = { command: BINARY, args: ["--simulate"], stderr: "ignore" };
const clients = {
  "@modelcontextprotocol/client": second(undefined, LEGACY),
  "@modelcontextprotocol/client, auto": second({ mode: "auto" }, MODERN),
  "@modelcontextprotocol/client, pinned": second({ mode: { pin: MODERN } }, MODERN),
  "@modelcontextprotocol/sdk": first,
};

/** A client that has introduced itself, for as long as `use` takes. */
async function serving(kind, use, elicited) {
  const connected = await kind.connect(elicited);
  try {
    return await use(connected);
  } finally {
    await connected.client.close();
  }
}

/** The structured half of a result that is no error. */
async function report(call, name, args, options) {
  const result = await call(name, args, options);
  assert.ok(!result.isError, JSON.stringify(result.content));
  return result.structuredContent;
}

/** How a session stands once it does not work any more. */
async function settled(call, session_id) {
  const status = await report(call, "get_status", { session_ids: [session_id], wait_seconds: 30 });
  return status.sessions[0];
}

describe("clients", { concurrency: true }, () => {
  for (const [name, kind] of Object.entries(clients)) {
    describe(name, { concurrency: true, timeout: 120_000 }, () => {
      it("is greeted, and lists the same tools twice", () =>
        serving(kind, async ({ client, protocol }) => {
          assert.equal(protocol, kind.protocol);
          assert.equal(client.getServerVersion().name, "managed-agents-mcp");
          assert.match(client.getInstructions(), /SIMULATED/);
          const { tools } = await client.listTools();
          for (const tool of ["create_session", "send_message", "get_status", "resolve_action"]) {
            assert.ok(tools.some((listed) => listed.name === tool && listed.outputSchema && listed.annotations), tool);
          }
          assert.deepEqual((await client.listTools()).tools, tools);
        }));

      it("reads the record of a session as a resource, and what a prompt says", () =>
        serving(kind, async ({ client, call }) => {
          const { session_id, reply } = await report(call, "create_session", { message: "Say hello", wait_seconds: 40 });
          const { resourceTemplates } = await client.listResourceTemplates();
          const { uriTemplate } = resourceTemplates.find((template) => template.uriTemplate.endsWith("/transcript"));
          const { contents } = await client.readResource({ uri: uriTemplate.replace("{session_id}", session_id) });
          assert.ok(contents[0].text.includes(reply));
          const { prompts } = await client.listPrompts();
          assert.ok(prompts.some(({ name }) => name === "review_session"));
          const { messages } = await client.getPrompt({ name: "review_session", arguments: { session_id } });
          assert.ok(messages[0].content.text.includes(session_id));
          const { completion } = await client.complete({
            ref: { type: "ref/prompt", name: "review_session" },
            argument: { name: "session_id", value: session_id.slice(0, 10) },
          });
          assert.deepEqual(completion.values, [session_id]);
        }));

      it("delegates, and its handler allows what the agent asks for", () => {
        const asked = [];
        const allow = async (request) => {
          asked.push(request.params);
          return { action: "accept", content: { decision: "allow" } };
        };
        const use = async ({ call }) => {
          const heard = [];
          const task = { message: "[work 2] [approve] [seconds 2] clean the build folder", wait_seconds: 40 };
          const done = await report(call, "create_session", task, { onprogress: (progress) => heard.push(progress) });
          assert.equal(done.state, "done");
          assert.deepEqual(done.pending, []);
          assert.ok(done.reply);
          assert.equal(asked.length, 1);
          assert.match(asked[0].message, new RegExp(`${done.session_id} wants to run bash.*rm -rf`, "s"));
          assert.deepEqual(asked[0].requestedSchema.properties.decision.enum, ["allow", "deny"]);
          assert.ok(heard.length > 0, "no progress");
          assert.ok(heard.every(({ message }) => message), "progress without words");
          return done;
        };
        return serving(kind, use, allow);
      });

      it("delegates, and its handler denies with a reason that the agent is told", () => {
        const deny = async () => ({ action: "accept", content: { decision: "deny", reason: "the folder is needed" } });
        const use = async ({ call }) => {
          const done = await report(call, "create_session", { message: "[approve] clean", wait_seconds: 40 });
          assert.equal(done.state, "done");
          const { events } = await report(call, "get_events", { session_id: done.session_id, limit: 100 });
          assert.ok(JSON.stringify(events).includes("the folder is needed"));
        };
        return serving(kind, use, deny);
      });

      for (const action of ["decline", "cancel"]) {
        it(`leaves what its user answers with ${action} neither allowed nor denied`, () => {
          const use = async ({ call }) => {
            const waits = await report(call, "create_session", { message: "[approve] clean", wait_seconds: 40 });
            assert.equal(waits.state, "needs_action");
            assert.equal(waits.pending.length, 1);
            const decisions = [{ event_id: waits.pending[0].event_id, decision: "allow" }];
            const done = await report(call, "resolve_action", { session_id: waits.session_id, decisions });
            assert.equal(done.state, "done");
          };
          return serving(kind, use, async () => ({ action }));
        });
      }

      it("is not asked when it cannot ask its user, and is told how to go on", () =>
        serving(kind, async ({ call }) => {
          const waits = await report(call, "create_session", { message: "[approve] clean" });
          assert.equal(waits.state, "needs_action");
          assert.match(waits.next, /resolve_action/);
        }));

      it("waits for longer than its time limit, which progress begins anew", () =>
        serving(kind, async ({ call }) => {
          let told = 0;
          const options = { timeout: 5_000, resetTimeoutOnProgress: true, maxTotalTimeout: 60_000, onprogress: () => told++ };
          const task = { message: "[seconds 9] [work 16] look around", wait_seconds: 40 };
          const began = Date.now();
          const done = await report(call, "create_session", task, options);
          assert.equal(done.state, "done");
          assert.ok(told >= 8, `told ${told} times`);
          assert.ok(Date.now() - began > options.timeout, "it was done within the time limit, which shows nothing");
        }));

      it("loses nothing when its time limit ends a call", () =>
        serving(kind, async ({ call }) => {
          const task = { message: "[seconds 5] [work 3] look around", wait_seconds: 40, request_key: "once" };
          await assert.rejects(report(call, "create_session", task, { timeout: 1_500 }), /timed out/i);
          const again = await report(call, "create_session", task);
          assert.equal(again.state, "done");
          const { sessions } = await report(call, "list_sessions", {});
          assert.deepEqual(sessions.map((session) => session.session_id), [again.session_id]);
        }));

      it("stops waiting when its signal says so, and the agent goes on", () =>
        serving(kind, async ({ call }) => {
          const started = await report(call, "create_session", { message: "[seconds 6] [work 8] look", wait_seconds: 0 });
          const { session_id } = started;
          const stop = new AbortController();
          const waiting = { session_ids: [session_id], wait_seconds: 40 };
          const options = { signal: stop.signal, onprogress: () => stop.abort(new Error("enough")) };
          await assert.rejects(report(call, "get_status", waiting, options), /enough|abort/i);
          const now = await report(call, "get_status", { session_ids: [session_id] });
          assert.equal(now.sessions[0].state, "working");
          const done = await settled(call, session_id);
          assert.equal(done.state, "done");
          assert.ok(done.reply);
        }));
    });
  }
});
