// The MCP server of the demo: the official TypeScript SDK, both protocol eras, and not one line
// about OAuth. It believes whoever Envoy lets through, and notes what reached it.
import { createServer } from 'node:http';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { toNodeHandler } from '@modelcontextprotocol/node';
import * as z from 'zod';

/** What has reached this server so far; the demo and the tests read it at /seen. */
const seen = { requests: 0, unauthenticated: 0, withAuthorization: 0, last: {}, ran: {} };
const files = new Map([['notes.txt', 'Bread, coffee, and a token of the right audience.']]);

/** A tool's answer; that it ran is noted. */
function ran(tool, text) {
  seen.ran[tool] = (seen.ran[tool] ?? 0) + 1;
  return { content: [{ type: 'text', text }] };
}

function makeServer() {
  const server = new McpServer({ name: 'countersign-demo-files', version: '1.0.0' });
  server.registerTool(
    'read_file',
    { description: 'Reads a file', inputSchema: z.object({ path: z.string() }) },
    async ({ path }) => ran('read_file', files.get(path) ?? `no file ${path}`),
  );
  server.registerTool(
    'write_file',
    {
      description: 'Writes a file',
      inputSchema: z.object({ path: z.string(), content: z.string() }),
    },
    async ({ path, content }) => {
      files.set(path, content);
      return ran('write_file', `wrote ${content.length} characters to ${path}`);
    },
  );
  return server;
}

/** Counts a request and logs who sent it, as the identity headers say. */
function note(request) {
  const identity = Object.fromEntries(
    Object.entries(request.headers).filter(([name]) => name.startsWith('x-mcp-')),
  );
  seen.requests += 1;
  seen.last = identity;
  if (!identity['x-mcp-subject']) seen.unauthenticated += 1;
  if (request.headers.authorization !== undefined) seen.withAuthorization += 1;
  const method = request.headers['mcp-method'] ?? request.method;
  console.log(JSON.stringify({ method, name: request.headers['mcp-name'], ...identity }));
}

const handle = toNodeHandler(createMcpHandler(makeServer, { keepAliveMs: 0 }));

const http = createServer((request, response) => {
  const path = new URL(request.url, 'http://localhost').pathname;
  if (path === '/seen') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(seen));
  } else if (path === '/mcp') {
    note(request);
    handle(request, response);
  } else {
    response.writeHead(404).end();
  }
});

http.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${http.address().port}/mcp`);
});
