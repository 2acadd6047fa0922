// What the official MCP conformance suite runs as the client under test: `countersign`, as a user would
// type it. The suite adds the URL of its MCP server as the last argument, and says in its environment
// what is being tested and with which client.
//
//   node client.mjs COUNTERSIGN URL
//
// The suite's authorization server agrees to everything at once, so the browser is a fetch that follows
// redirects: this script again.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const self = fileURLToPath(import.meta.url);
const [program, url] = process.argv.slice(2);

if (program === 'browser') {
  await fetch(url, { signal: AbortSignal.timeout(10_000) }).then((page) => page.text());
  process.exit(0);
}

const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? '';
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');
const folder = mkdtempSync(join(tmpdir(), 'countersign-conformance-'));

/** Runs the command to its end. What it prints is seen in the suite's log. */
async function countersign(...args) {
  const child = spawn(program, args, {
    env: {
      ...process.env,
      BROWSER: `${process.execPath} ${self} browser`,
      COUNTERSIGN_CREDENTIALS: join(folder, 'credentials.json'),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    out += chunk;
    process.stdout.write(chunk);
  });
  const [code] = await once(child, 'close');
  return { code, out };
}

/** A file for what must not stand on a command line. */
function file(name, text) {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

/** The authorization server that a secret is for. Not every scenario says it: then it is the first one. */
async function issuer() {
  if (context.issuer) return context.issuer;
  const { origin, pathname } = new URL(url);
  const metadata = await fetch(`${origin}/.well-known/oauth-protected-resource${pathname}`);
  return (await metadata.json()).authorization_servers[0];
}

/** How the scenario has us become a client. */
async function client() {
  const args = [];
  if (context.client_secret || context.valid_jwt) args.push('--issuer', await issuer());
  if (context.client_id) args.push('--client-id', context.client_id);
  if (context.client_secret) args.push('--client-secret-file', file('secret', context.client_secret));
  if (context.private_key_pem) args.push('--client-key-file', file('key.pem', context.private_key_pem));
  if (scenario.includes('client-credentials')) args.push('--client-credentials');
  if (context.valid_jwt) args.push('--assertion-file', file('assertion', context.valid_jwt));
  if (context.idp_id_token) {
    args.push('--idp', context.idp_issuer, '--idp-client-id', context.idp_client_id);
    args.push('--id-token-file', file('id-token', context.idp_id_token));
  }
  if (scenario.includes('dpop')) args.push('--dpop');
  if (!context.client_id) {
    args.push('--client-metadata-url', 'https://conformance-test.local/client-metadata.json');
  }
  return args;
}

/** The calls that the suite names, else one of each tool. */
function calls(tools) {
  if (context.toolCalls) return context.toolCalls;
  // What was listed goes back as it came.
  const shown = tools.find(({ name }) => name === 'json_schema_2020_12_tool');
  if (shown) return [{ name: 'json_schema_echo', arguments: { schema: shown.inputSchema } }];
  // Its server has schemas to look at, and nothing behind them.
  if (scenario === 'json-schema-ref-no-deref') return [];
  const given = scenario === 'tools_call' ? { a: 5, b: 3 } : {};
  return tools.map(({ name }) => ({ name, arguments: given }));
}

try {
  if (scenario.startsWith('auth/')) {
    const login = await countersign('login', url, ...(await client()));
    if (login.code !== 0) process.exit(login.code);
  }
  const list = await countersign('call', url, '--login', '--json');
  if (list.code !== 0) process.exit(list.code);
  for (const { name, arguments: given } of calls(JSON.parse(list.out).tools)) {
    const givenFile = file('arguments', JSON.stringify(given));
    const call = await countersign('call', url, name, '--arguments-file', givenFile, '--login', '--json');
    if (call.code !== 0) process.exit(call.code);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
