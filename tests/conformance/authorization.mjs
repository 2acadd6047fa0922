// Runs the official MCP conformance suite's `authorization` mode against an issuer. The suite
// prints a URL for a person to open; this person is tests/demo/lib/person.mjs.
//
//   node authorization.mjs ISSUER NODE22 CALLBACK_PORT [RESOURCE]  (account in DEMO_ACCOUNT/_PASSWORD)
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Person } from '../demo/lib/person.mjs';

const SUITE = fileURLToPath(
  new URL('../node_modules/@modelcontextprotocol/conformance/dist/index.js', import.meta.url),
);

const [issuer, node22, port, resource] = process.argv.slice(2);
const redirectUri = `http://127.0.0.1:${port}/callback`;

/** Registers the client that the suite is told to use. */
async function register() {
  const metadata = await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json();
  const response = await fetch(metadata.registration_endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_name: 'MCP conformance suite',
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    }),
  });
  const client = await response.json();
  if (!client.client_id) throw new Error(`not registered: ${JSON.stringify(client)}`);
  return client.client_id;
}

/** Opens what the suite asks to have opened, then leaves for the suite's callback. */
async function open(url) {
  const callback = await new Person(process.env.DEMO_ACCOUNT, process.env.DEMO_PASSWORD).authorize(url, redirectUri);
  const response = await reach(callback);
  if (!response.ok) throw new Error(`the suite answered its callback with ${response.status}`);
}

/** Fetches from a server that may be about to start. */
async function reach(url) {
  for (let tries = 0; tries < 300; tries += 1) {
    try {
      return await fetch(url);
    } catch (error) {
      if (error.cause?.code !== 'ECONNREFUSED') throw error;
      await sleep(100);
    }
  }
  throw new Error(`nobody listens at ${url.origin}`);
}

const args = [SUITE, 'authorization', '--url', issuer, '--client-id', await register()];
if (resource) args.push('--resource', resource);
const suite = spawn(node22, [...args, '-p', port], { stdio: ['ignore', 'pipe', 'inherit'] });

let pending = '';
suite.stdout.setEncoding('utf8');
suite.stdout.on('data', (chunk) => {
  process.stdout.write(chunk);
  pending += chunk;
  const lines = pending.split('\n');
  pending = lines.pop();
  for (const line of lines) {
    const [url] = /^https?:\/\/\S*[?&]response_type=code\S*/.exec(line.trim()) ?? [];
    if (!url) continue;
    open(url).catch((error) => {
      console.error(error);
      suite.kill();
    });
  }
});
const [code] = await once(suite, 'close');
process.exitCode = code ?? 1;
