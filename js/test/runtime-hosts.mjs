// Run by Deno and Bun: what their own servers make of a client's Host, and that nothing passes by it.
import { once } from "node:events";
import { connect } from "node:net";

import { createGuard } from "countersign";

import { ISSUER, RESOURCE, now, signer } from "./support.mjs";

const key = await signer();
const token = await key.token();
const admin = "https://mcp.example.com/admin";
const resources = [{ resource: RESOURCE, public_paths: ["/healthz"] }, { resource: admin, scopes: { baseline: ["admin"] } }];
const guard = createGuard({ issuers: [{ issuer: ISSUER, jwks: key.jwks }], resources }, { now });
const fetch = guard.protect(async () => new Response("passed"));

const server = globalThis.Deno
  ? Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => fetch(request))
  : // Its routes go by the path that was sent, whatever the request's URL says.
    Bun.serve({ port: 0, hostname: "127.0.0.1", routes: { "/admin": (request) => fetch(request) }, fetch: (request) => fetch(request) });
const port = server.addr?.port ?? server.port;

async function ask(host, path, sent) {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  const authorization = sent ? `Authorization: Bearer ${sent}\r\n` : "";
  socket.write(`POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${authorization}Connection: close\r\nContent-Length: 0\r\n\r\n`);
  let answer = "";
  socket.on("data", (data) => (answer += data));
  await once(socket, "close");
  return Number(answer.split(" ")[1]);
}

const found = [];
const expect = async (statuses, ...asked) => {
  const got = await ask(...asked);
  if (!statuses.includes(got)) found.push(`${asked.slice(0, 2)}: ${got}, expected ${statuses}`);
};
await expect([200], "mcp.example.com", "/mcp", token);
await expect([200], "mcp.example.com", "/healthz");
await expect([401], "mcp.example.com", "/mcp");
await expect([401], "mcp.example.com", "/admin", token);
for (const host of ["mcp.example.com/healthz?", "mcp.example.com/healthz#", "mcp.example.com/healthz/", "mcp.example.com?", "mcp.example.com\\", "a@mcp.example.com"]) {
  for (const path of ["/mcp", "/admin", "/admin?://mcp.example.com/healthz", "/admin?http://mcp.example.com/healthz"]) await expect([400, 404], host, path);
  for (const path of ["/admin", "/admin?://mcp.example.com/mcp", "/admin?http://mcp.example.com/mcp"]) await expect([400, 404], host, path, token);
}

console.log(JSON.stringify({ found }));
// Servers go on else.
(globalThis.Deno ?? process).exit(0);
