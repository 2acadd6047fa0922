// Runs the official conformance suite's `server` mode twice, against fixture.mjs itself and through
// Envoy with a token, and compares: the guard may not change one outcome.
//
//   node server.mjs DIRECT_URL ENVOY_URL ISSUER NODE22 REVISION    (account in DEMO_ACCOUNT/_PASSWORD)
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request as send } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tokenFor } from '../demo/lib/intruder.mjs';
import { REDIRECT_URI } from '../demo/lib/memory.mjs';
import { Person } from '../demo/lib/person.mjs';

const SUITE = fileURLToPath(
  new URL('../node_modules/@modelcontextprotocol/conformance/dist/index.js', import.meta.url),
);
/**
 * Differences that are meant. The suite calls `resources/subscribe` and `resources/unsubscribe`, which
 * 2026-07-28 removed, without a URI; the guard refuses what does not say what it acts on (400)
 * before the server can say that there is no such method (404).
 */
const MEANT = new Map([['server-stateless', '22 passed, 6 failed']]);
/** Fewer would mean that the fixture or the suite is broken, not that we agree. */
const LEAST = 20;

const [direct, guarded, issuer, node22, revision] = process.argv.slice(2);
const scratch = mkdtempSync(join(tmpdir(), 'conformance-'));

/** A token for the guarded resource. */
async function login() {
  const metadata = await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json();
  const registered = await fetch(metadata.registration_endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_name: 'MCP conformance suite',
      redirect_uris: [REDIRECT_URI],
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    }),
  });
  const { client_id: id } = await registered.json();
  const person = new Person(process.env.DEMO_ACCOUNT, process.env.DEMO_PASSWORD);
  return tokenFor(guarded, 'files:read', metadata, id, person);
}

/** The suite cannot log in: this adds the token to what it sends, and changes nothing else. */
async function withToken(token) {
  const target = new URL(guarded);
  const proxy = createServer((request, response) => {
    const own = `127.0.0.1:${proxy.address().port}`;
    const toTarget = (value) => value?.replace(own, target.host);
    const { host, origin } = request.headers;
    const headers = {
      ...request.headers,
      host: toTarget(host),
      ...(origin && { origin: toTarget(origin) }),
      authorization: `Bearer ${token}`,
    };
    const { hostname, port } = target;
    const { method, url: path } = request;
    const onward = send({ hostname, port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return proxy;
}

/** Scenario → `2 passed, 0 failed`. */
async function outcomes(url) {
  const args = [SUITE, 'server', '--url', url, '--requirements', revision, '-o', scratch];
  const suite = spawn(node22, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  suite.stdout.on('data', (chunk) => (output += chunk));
  suite.stderr.resume();
  await once(suite, 'close');
  const found = output.matchAll(/^[✓✗] (\S+): (\d+ passed, \d+ failed)/gm);
  return new Map([...found].map(([, scenario, outcome]) => [scenario, outcome]));
}

const proxy = await withToken(await login());
const throughUs = `http://127.0.0.1:${proxy.address().port}${new URL(guarded).pathname}`;
const plain = await outcomes(direct);
const ours = await outcomes(throughUs);
proxy.close();
rmSync(scratch, { recursive: true });

const good = [...ours.values()].filter((outcome) => outcome.endsWith(' 0 failed')).length;
const different = [...plain].filter(
  ([scenario, outcome]) => ![outcome, MEANT.get(scenario)].includes(ours.get(scenario)),
);
for (const [scenario, outcome] of different) {
  console.log(`✗ ${scenario}: ${outcome} directly, ${ours.get(scenario)} through Envoy`);
}
console.log(
  `${revision}: ${plain.size} scenarios, ${good} pass through Envoy, ${different.length} differ`,
);
process.exitCode = different.length === 0 && good >= LEAST ? 0 : 1;
