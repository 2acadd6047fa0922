// The real issuer for tests over HTTP: `countersign serve`, with one resource and services that may use it.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { freePort } from "./issuer.mjs";

// Built by `cargo xtask test js`.
const binary = fileURLToPath(new URL("../../target/debug/countersign", import.meta.url));

/** Starts it. `scopes`: those of the resource, with what they mean. */
export async function startCountersign(resource, scopes) {
  const dir = mkdtempSync(join(tmpdir(), "countersign-issuer-"));
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  const database = ["--database", join(dir, "issuer.db")];
  const run = (...args) => execFileSync(binary, [...args, ...database], { cwd: dir, encoding: "utf8" });
  const serve = ["serve", "--listen", `127.0.0.1:${port}`, "--issuer", issuer, "--key-file", join(dir, "issuer.keys")];
  const child = spawn(binary, [...serve, ...database], { cwd: dir, stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr.on("data", (data) => (log += data));
  const stop = async () => {
    child.kill();
    if (child.exitCode === null) await once(child, "exit");
    rmSync(dir, { recursive: true });
  };
  const isReady = () => fetch(`${issuer}/healthz`).then(({ ok }) => ok, () => false);
  for (const end = Date.now() + 60_000; !(await isReady()); ) {
    if (Date.now() > end || child.exitCode !== null) throw new Error(`no issuer: ${log}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const named = Object.entries(scopes).flatMap(([scope, meaning]) => ["--scope", `${scope}=${meaning}`]);
  run("resource", "add", resource, "--name", "Files", ...named);
  /** A token for a service that is made for it. */
  const token = async (scope) => {
    const add = ["client", "add", "--json", "--name", "Job", "--service", `${resource}=${scope}`];
    const client = JSON.parse(run(...add, "--auth-method", "client_secret_post"));
    const form = { grant_type: "client_credentials", client_id: client.client_id, client_secret: client.client_secret };
    const answer = await fetch(`${issuer}/token`, { method: "POST", body: new URLSearchParams(form) });
    return { client: client.client_id, ...(await answer.json()) };
  };
  return { issuer, token, run, stop };
}
