// An MCP server by the official SDK v1; not one line about tokens.
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import * as z from "zod";

const text = (text) => ({ content: [{ type: "text", text }] });

function makeServer() {
  const server = new McpServer({ name: "example", version: "1.0.0" });
  server.registerTool("whoami", { inputSchema: {} }, async (_, { authInfo }) =>
    text(authInfo ? `${authInfo.extra.subject} by ${authInfo.clientId}` : "nobody"),
  );
  server.registerTool("read_file", { inputSchema: { path: z.string() } }, async ({ path }) => text(`what is in ${path}`));
  server.registerTool("write_file", { inputSchema: { path: z.string() } }, async ({ path }) => text(`wrote ${path}`));
  return server;
}

/** Answers one request of Node's HTTP; `request.auth` goes to the tools. */
export async function handle(request, response, body) {
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  response.on("close", () => transport.close());
  await makeServer().connect(transport);
  await transport.handleRequest(request, response, body);
}
