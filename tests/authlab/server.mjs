// An MCP server with sessions (revision 2025-06-18), by the official TypeScript SDK, for mcp-authlab: so
// that it can try to use a session without a token.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

const sessions = new Map();

async function begin() {
  const server = new McpServer({ name: 'countersign-authlab', version: '1.0.0' });
  for (const name of ['read_file', 'write_file']) {
    const annotations = { readOnlyHint: name === 'read_file' };
    server.registerTool(name, { description: name, annotations }, async () => ({
      content: [{ type: 'text', text: name }],
    }));
  }
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => sessions.set(id, transport),
    onsessionclosed: (id) => sessions.delete(id),
  });
  await server.connect(transport);
  return transport;
}

const http = createServer(async (request, response) => {
  const id = request.headers['mcp-session-id'];
  const transport = id === undefined ? await begin() : sessions.get(id);
  if (transport) await transport.handleRequest(request, response);
  else response.writeHead(404).end();
});
http.listen(Number(process.env.PORT), '127.0.0.1');
