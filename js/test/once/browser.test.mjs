// Headless Chromium: the bundle for browsers on a page.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import * as esbuild from "esbuild";

import { findings } from "../corpus.mjs";

/** Debian's, or another that is named. */
const chromium = process.env.COUNTERSIGN_CHROMIUM ?? "chromium";
const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const corpus = process.env.COUNTERSIGN_CORPUS;

const installed = await promisify(execFile)(chromium, ["--version"]).then(() => true, () => false);
const skip = !installed && `there is no ${chromium}; COUNTERSIGN_CHROMIUM names one`;

/** Opens a page whose script posts its result to /result. */
async function open(script) {
  const { outputFiles } = await esbuild.build({
    stdin: { contents: script, resolveDir: at(".."), sourcefile: "page.mjs" },
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    logLevel: "silent",
  });
  let tell;
  const result = new Promise((resolve) => (tell = resolve));
  const server = createServer(async (request, response) => {
    if (request.url === "/result") {
      tell(Buffer.concat(await request.toArray()).toString());
      return response.end();
    }
    if (request.url === "/corpus") return response.end(readFileSync(corpus));
    if (request.url === "/bundle.mjs") {
      return response.setHeader("content-type", "text/javascript").end(outputFiles[0].text);
    }
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><meta charset=utf-8><script type=module src=bundle.mjs></script>");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const profile = mkdtempSync(join(tmpdir(), "countersign-chromium-"));
  const args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", `--user-data-dir=${profile}`];
  const child = execFile(chromium, [...args, "--remote-debugging-port=0", `http://127.0.0.1:${server.address().port}/`]);
  let log = "";
  child.stderr.on("data", (data) => (log += data));
  const ended = new Promise((_, reject) => child.on("exit", () => reject(new Error(log))));
  try {
    return JSON.parse(await Promise.race([result, ended]));
  } finally {
    ended.catch(() => {});
    child.kill();
    server.closeAllConnections();
    server.close();
    await new Promise((resolve) => child.on("close", resolve));
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

const tell = `(result) => fetch("/result", { method: "POST", body: typeof result === "string" ? result : JSON.stringify(result) })`;

test("the whole interface", { skip }, async () => {
  const result = await open(`
    const tell = ${tell};
    console.log = tell;
    addEventListener("unhandledrejection", ({ reason }) => tell({ found: [String(reason)] }));
    addEventListener("error", ({ message }) => tell({ found: [message] }));
    await import("./runtime.mjs");
  `);
  assert.deepEqual(result, { found: [] });
});

test("Project Wycheproof's signatures by its WebCrypto", { skip: skip || (!corpus && "needs COUNTERSIGN_CORPUS") }, async (t) => {
  const { name, ...judged } = await open(`
    import "countersign";
    import { hostSignatures } from "../dist/shared.js";
    import { judge } from "./corpus.mjs";
    const tell = ${tell};
    addEventListener("unhandledrejection", ({ reason }) => tell({ name: String(reason) }));
    const text = await (await fetch("/corpus")).text();
    await tell({ name: hostSignatures().name, ...(await judge(text, hostSignatures())) });
  `);
  t.diagnostic(JSON.stringify({ ...judged, wrong: judged.wrong?.length }));
  assert.equal(name, "WebCrypto");
  assert.deepEqual(findings(judged), []);
});
