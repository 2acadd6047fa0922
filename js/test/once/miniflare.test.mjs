// The example Worker as `wrangler dev` runs it, in miniflare, whose Cache API and KV are Cloudflare's own code:
// what they keep of an issuer outlives the Worker.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Log, LogLevel, Miniflare } from "miniflare";

import { bundle } from "../bundle.mjs";
import { freePort, startIssuer } from "../issuer.mjs";
import { mcpHeaders, rpc } from "../support.mjs";

let issuer, upstream, dir, built;
const seen = [];
before(async () => {
  issuer = await startIssuer();
  upstream = createServer((request, response) => {
    seen.push(request.headers);
    response.setHeader("content-type", "application/json").end(JSON.stringify({ jsonrpc: "2.0", id: 1, result: {} }));
  });
  await new Promise((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  dir = mkdtempSync(join(tmpdir(), "countersign-miniflare-"));
  built = await bundle("worker.mjs");
});
after(() => {
  issuer.stop();
  upstream.closeAllConnections();
  upstream.close();
  rmSync(dir, { recursive: true });
});

/** The Worker on a port of its own; what it caches stays in a folder of that name. */
async function start(folder, script = built.script) {
  const port = await freePort();
  const resource = `http://127.0.0.1:${port}/mcp`;
  const bindings = { ISSUER: issuer.issuer, RESOURCE: resource, UPSTREAM: `http://127.0.0.1:${upstream.address().port}` };
  const worker = new Miniflare({
    port,
    host: "127.0.0.1",
    compatibilityDate: "2026-07-01",
    modules: [
      { type: "ESModule", path: "worker.js", contents: script },
      { type: "CompiledWasm", path: "core_bg.wasm", contents: readFileSync(built.wasm) },
    ],
    bindings,
    kvNamespaces: ["KEYS"],
    cachePersist: join(dir, folder, "cache"),
    kvPersist: join(dir, folder, "kv"),
    cf: false,
    log: new Log(LogLevel.NONE),
    handleRuntimeStdio: (stdout, stderr) => (stdout.resume(), stderr.resume()),
  });
  await worker.ready;
  const post = (token, name = "read_file") =>
    fetch(resource, {
      method: "POST",
      headers: mcpHeaders(token),
      body: rpc("tools/call", { name, arguments: {} }),
    });
  return { resource, post, worker, token: (claims) => issuer.token(resource, { scope: "mcp:use files:read", ...claims }) };
}

/** Asks until it is so. What is cached is stored after the answer. */
async function until(what, holds) {
  for (let turn = 0; turn < 600; turn++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${what} did not happen`);
}

/** While nothing can be fetched from the issuer. */
async function withoutIssuer(work) {
  const { jwks } = issuer.ways;
  issuer.ways.jwks = (response) => response.writeHead(500).end();
  try {
    await work();
  } finally {
    issuer.ways.jwks = jwks;
  }
}

test("from the challenge to the tool, over HTTP", async () => {
  const { post, resource, token, worker } = await start("plain");
  try {
    const asked = await post();
    assert.equal(asked.status, 401);
    const metadata = resource.replace("/mcp", "/.well-known/oauth-protected-resource/mcp");
    assert.match(asked.headers.get("www-authenticate"), new RegExp(`resource_metadata="${metadata}"`));
    assert.equal((await (await fetch(metadata)).json()).resource, resource);
    assert.equal(seen.length, 0);
    const good = await token();
    assert.equal((await post(good)).status, 200);
    assert.equal(seen.at(-1)["x-mcp-subject"], "alice");
    assert.equal(seen.at(-1).authorization, undefined);
    const refused = await post(good, "write_file");
    assert.equal(refused.status, 403);
    assert.match(refused.headers.get("www-authenticate"), /scope="mcp:use files:write"/);
    assert.equal((await post(`${good.slice(0, -8)}AAAAAAAA`)).status, 401);
    assert.equal((await post(await issuer.token("https://other.example.com/mcp"))).status, 401);
    assert.equal(seen.length, 1);
  } finally {
    await worker.dispose();
  }
});

test("keys in the Cache API outlive the Worker", async () => {
  const first = await start("cache");
  try {
    assert.equal((await first.post(await first.token())).status, 200);
    const { default: cache } = await first.worker.getCaches();
    const address = `https://countersign.invalid/${encodeURIComponent(`${issuer.issuer}/jwks`)}`;
    await until("the set is cached", async () => (await cache.match(address)) !== undefined);
  } finally {
    await first.worker.dispose();
  }
  await withoutIssuer(async () => {
    const [with_it, without] = [await start("cache"), await start("empty")];
    try {
      assert.equal((await with_it.post(await with_it.token())).status, 200);
      const down = await without.post(await without.token());
      assert.equal(down.status, 503, "whose cache is empty needs the issuer");
      assert.match(down.headers.get("retry-after"), /^\d+$/);
    } finally {
      await Promise.all([with_it.worker.dispose(), without.worker.dispose()]);
    }
  });
});

test("keys in KV outlive the Worker", async () => {
  const script = built.script.replace("keyCaches.cacheApi()", "keyCaches.kv(env.KEYS)");
  assert.notEqual(script, built.script);
  const first = await start("kv", script);
  try {
    assert.equal((await first.post(await first.token())).status, 200);
    const keys = await first.worker.getKVNamespace("KEYS");
    await until("the set is stored", async () => (await keys.get(`countersign:${issuer.issuer}/jwks`)) !== null);
  } finally {
    await first.worker.dispose();
  }
  await withoutIssuer(async () => {
    const again = await start("kv", script);
    try {
      assert.equal((await again.post(await again.token())).status, 200);
    } finally {
      await again.worker.dispose();
    }
  });
});
