// An MCP server with sessions (up to revision 2025-11-25), by the first version of the official
// TypeScript SDK, and streams that can be taken up again.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import * as z from 'zod';

const sessions = new Map();
const text = (value) => ({ content: [{ type: 'text', text: value }] });

/** What was sent on each stream, in the order of its events. */
class Memory {
  #events = [];

  async storeEvent(stream, message) {
    return String(this.#events.push({ stream, message }));
  }

  async replayEventsAfter(last, { send }) {
    const { stream } = this.#events[last - 1];
    for (const [index, event] of this.#events.entries()) {
      if (index >= last && event.stream === stream) await send(String(index + 1), event.message);
    }
    return stream;
  }
}

function makeServer() {
  const server = new McpServer({ name: 'countersign-sessions', version: '1.0.0' });
  const tool = (name, work, inputSchema = {}) =>
    server.registerTool(name, { description: name, inputSchema }, work);
  tool('echo', async ({ value }) => text(value), { value: z.string() });
  tool('ask', async (_, { sendRequest }) => {
    await sendRequest({ method: 'ping' }, z.any());
    // The client says that it has nothing of the kind.
    const roots = sendRequest({ method: 'roots/list' }, z.any());
    return text(`refused with ${await roots.catch((error) => error.code)}`);
  });
  tool('progress', async (_, { sendNotification, _meta }) => {
    const params = { progressToken: _meta.progressToken, progress: 1 };
    await sendNotification({ method: 'notifications/progress', params });
    return text('done');
  });
  tool('break', async (_, { closeSSEStream }) => {
    closeSSEStream();
    await sleep(200);
    return text('after a break');
  });
  return server;
}

async function begin() {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    eventStore: new Memory(),
    retryInterval: 300,
    onsessioninitialized: (id) => sessions.set(id, transport),
    onsessionclosed: (id) => sessions.delete(id),
  });
  await makeServer().connect(transport);
  return transport;
}

const http = createServer(async (request, response) => {
  // For the test: all sessions are gone, or how many there are.
  if (request.url === '/forget') sessions.clear();
  if (request.url !== '/mcp') return response.end(String(sessions.size));
  const id = request.headers['mcp-session-id'];
  const transport = id === undefined ? await begin() : sessions.get(id);
  if (transport) await transport.handleRequest(request, response);
  else response.writeHead(404).end();
});
http.listen(Number(process.env.PORT), '127.0.0.1');
