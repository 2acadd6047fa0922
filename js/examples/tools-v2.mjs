// An MCP server by the official SDK v2, for requests of the Fetch standard.
import { McpServer, createMcpHandler } from "@modelcontextprotocol/server";
import * as z from "zod";

const text = (text) => ({ content: [{ type: "text", text }] });
const path = z.object({ path: z.string() });

/** `handler.fetch(request, { authInfo })` answers one request. */
export const handler = createMcpHandler(
  ({ authInfo }) => {
    const server = new McpServer({ name: "example", version: "1.0.0" });
    server.registerTool("whoami", { inputSchema: z.object({}) }, async () =>
      text(authInfo ? `${authInfo.extra.subject} by ${authInfo.clientId}` : "nobody"),
    );
    server.registerTool("read_file", { inputSchema: path }, async ({ path }) => text(`what is in ${path}`));
    server.registerTool("write_file", { inputSchema: path }, async ({ path }) => text(`wrote ${path}`));
    return server;
  },
  { keepAliveMs: 0 },
);
