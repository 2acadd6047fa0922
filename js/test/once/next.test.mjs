// The Next.js example: built by `next build` with Turbopack, and asked in both runtimes.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { freePort, startIssuer } from "../issuer.mjs";
import { rpc } from "../support.mjs";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const root = at("../../../");
const environment = { ...process.env, NEXT_TELEMETRY_DISABLED: "1", NODE_OPTIONS: "" };

let issuer;
before(async () => (issuer = await startIssuer()));
after(() => issuer.stop());

describe("Next.js", () => {
  let dir, server, port, log = "";

  before(async () => {
    // Below the repository, since Turbopack follows no links out of its root.
    mkdirSync(join(root, "target/tmp"), { recursive: true });
    dir = mkdtempSync(join(root, "target/tmp/next-"));
    cpSync(at("../../examples/next"), dir, { recursive: true });
    const packages = join(dir, "node_modules");
    mkdirSync(packages);
    for (const name of ["next", "react", "react-dom"]) {
      symlinkSync(join(root, "target/tools/npm-js/node_modules", name), join(packages, name));
    }
    symlinkSync(at("../.."), join(packages, "countersign"));
    const config = `export default { turbopack: { root: ${JSON.stringify(root)} }, outputFileTracingRoot: ${JSON.stringify(root)} };\n`;
    writeFileSync(join(dir, "next.config.mjs"), config);
    port = await freePort();
    const env = { ...environment, ISSUER: issuer.issuer, ORIGIN: `http://127.0.0.1:${port}` };
    const next = join(packages, "next/dist/bin/next");
    await promisify(execFile)(process.execPath, [next, "build"], { cwd: dir, env, maxBuffer: 1 << 26 });
    server = spawn(process.execPath, [next, "start", "-H", "127.0.0.1", "-p", `${port}`], { cwd: dir, env });
    server.stdout.on("data", (data) => (log += data));
    server.stderr.on("data", (data) => (log += data));
    while (!log.includes("Ready")) {
      if (server.exitCode !== null) throw new Error(log);
      await Promise.race([once(server.stdout, "data"), once(server, "exit")]);
    }
  });

  after(() => {
    server?.kill();
    rmSync(dir, { recursive: true, force: true });
  });

  const ask = async (path, { token, body, more, method = body ? "POST" : "GET" } = {}) => {
    const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }), ...more };
    const request = httpRequest({ host: "127.0.0.1", port, path, method, headers });
    request.end(body);
    const [response] = await once(request, "response");
    const text = Buffer.concat(await response.toArray()).toString();
    return { status: response.statusCode, headers: response.headers, text };
  };

  for (const [path, runtime] of [["/mcp", "node"], ["/edge/mcp", "string"]]) {
    test(`${path}, in the runtime that it says`, async () => {
      const refused = await ask(path, { body: rpc("ping") });
      assert.equal(refused.status, 401, refused.text + log);
      const [, address] = /resource_metadata="([^"]+)"/.exec(refused.headers["www-authenticate"]);
      assert.equal(address, `http://127.0.0.1:${port}/.well-known/oauth-protected-resource${path}`);
      const metadata = await ask(new URL(address).pathname);
      assert.equal(JSON.parse(metadata.text).resource, `http://127.0.0.1:${port}${path}`);
      const token = await issuer.token(`http://127.0.0.1:${port}${path}`);
      const body = rpc("tools/call", { name: "read_file", arguments: { text: "ü€𝄞" } });
      const answer = await ask(path, { token, body });
      assert.equal(answer.status, 200, answer.text + log);
      assert.deepEqual(JSON.parse(answer.text), { subject: "alice", runtime, body });
      const write = await ask(path, { token, body: rpc("tools/call", { name: "write_file" }) });
      assert.equal(write.status, 403);
      // Pages ask before they read it.
      const preflight = { origin: "https://inspector.example", "access-control-request-method": "GET", "access-control-request-headers": "mcp-protocol-version" };
      const { status, headers } = await ask(new URL(address).pathname, { method: "OPTIONS", more: preflight });
      assert.deepEqual([status, headers["access-control-allow-origin"]], [204, "*"]);
    });

    test(`${path}: what a client writes into Host moves no path`, async () => {
      const other = path === "/mcp" ? "/edge/mcp" : "/mcp";
      const token = await issuer.token(`http://127.0.0.1:${port}${other}`);
      const body = rpc("tools/call", { name: "read_file" });
      assert.equal((await ask(other, { token, body })).status, 200);
      assert.equal((await ask(path, { token, body })).status, 401);
      for (const end of ["?", "#", "/?", "/#"]) {
        for (const at of [other, `/.well-known/oauth-protected-resource${other}`]) {
          const moved = { token, body, more: { host: `127.0.0.1:${port}${at}${end}` } };
          const { status, text } = await ask(path, moved);
          // Next.js itself does not take each of them.
          assert.ok(status >= 400 && !text.includes("alice") && !text.includes("read_file"), `${at}${end}: ${status} ${text}`);
        }
      }
    });
  }
});
