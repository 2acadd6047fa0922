// The demo: an MCP client that knows nothing of Countersign is stopped, logs in, works, asks for
// more, refreshes; then two tokens are tried that must not pass. Every step is checked.
import { claimsOf, forge, tokenFor } from './lib/intruder.mjs';
import { Memory } from './lib/memory.mjs';
import { Person } from './lib/person.mjs';
import { expect, ReasonLog, Report, wire } from './lib/report.mjs';
import { Session } from './lib/session.mjs';
import { settings } from './lib/settings.mjs';

const report = new Report();
const reasons = new ReasonLog(settings.envoyLog);
const person = new Person(settings.account, settings.password);
const memory = new Memory(person);
const session = await Session.of(settings.sdk, settings.mcp, settings.revision, memory);
const { recorder } = session;
const endpoint = new URL(settings.mcp).pathname;
/** What later steps need from earlier ones. */
const known = {};

const toMcp = (status) => (exchange) => exchange.path === endpoint && exchange.status === status;
const toToken = (grant) => (exchange) => exchange.form.get('grant_type') === grant;

/** Takes an exchange that must have happened. */
function taken(what, fits) {
  const exchange = recorder.take(fits);
  if (exchange) return exchange;
  const happened = recorder.exchanges.map((e) => `${e.method} ${e.path} → ${e.status}`).join(', ');
  throw new Error(`${what} did not happen; what did: ${happened || 'nothing'}`);
}

/** The parameters of a Bearer challenge. */
function challenged(exchange) {
  const found = (exchange.challenge ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g);
  return Object.fromEntries([...found].map(([, name, value]) => [name, value]));
}

const steps = [
  [
    'An MCP client calls without a token and is told where to get one',
    async () => {
      reasons.mark();
      expect('connected', await session.connect(), false);
      const exchange = taken('a 401', toMcp(401));
      const challenge = challenged(exchange);
      expect('resource_metadata', challenge.resource_metadata, (url) => url?.startsWith('http'));
      expect('error (there was no token to be wrong)', challenge.error, undefined);
      known.metadataUrl = challenge.resource_metadata;
      const reason = await reasons.next();
      expect('reason', reason, 'token_missing');
      return wire(exchange, reason);
    },
  ],
  [
    'It reads the protected-resource metadata (RFC 9728)',
    async () => {
      const exchange = taken('the metadata request', (e) => e.url.href === known.metadataUrl);
      expect('status', exchange.status, 200);
      const metadata = await exchange.answer();
      expect('resource', metadata.resource, settings.mcp);
      expect('authorization_servers', metadata.authorization_servers?.[0], settings.issuer);
      const { resource, authorization_servers: [issuer], scopes_supported: scopes } = metadata;
      return [...wire(exchange), `resource ${resource}, issuer ${issuer}, scopes ${scopes}`];
    },
  ],
  [
    "It reads the issuer's metadata (RFC 8414)",
    async () => {
      const exchange = taken(
        'the metadata request',
        (e) => e.path.includes('/.well-known/') && e.url.origin === new URL(settings.issuer).origin,
      );
      expect('status', exchange.status, 200);
      known.metadata = await exchange.answer();
      expect('issuer', known.metadata.issuer, settings.issuer);
      expect('PKCE', known.metadata.code_challenge_methods_supported, (m) => m?.includes('S256'));
      return [...wire(exchange), `PKCE ${known.metadata.code_challenge_methods_supported}`];
    },
  ],
  [
    'It registers itself (RFC 7591)',
    async () => {
      const url = known.metadata?.registration_endpoint;
      const exchange = taken('the registration', (e) => e.url.href === url);
      expect('status', exchange.status, 201);
      known.clientId = (await exchange.answer()).client_id;
      return [...wire(exchange), `client_id ${known.clientId}`];
    },
  ],
  [
    `${settings.account} logs in and consents in the browser`,
    async () => {
      const callback = memory.callback?.searchParams;
      expect('error', callback?.get('error') ?? undefined, undefined);
      expect('code', callback?.get('code'), Boolean);
      expect('iss (RFC 9207)', callback.get('iss'), settings.issuer);
      return [person.trail.join(', '), 'back to the client with code, state and iss'];
    },
  ],
  [
    'It trades the code for a token that is good for this MCP server only',
    async () => {
      await session.finish();
      const exchange = taken('the token request', toToken('authorization_code'));
      expect('status', exchange.status, 200);
      expect('code_verifier', exchange.form.get('code_verifier'), Boolean);
      expect('resource', exchange.form.get('resource'), settings.mcp);
      const { access_token: token, scope, expires_in: life, refresh_token: again } =
        await exchange.answer();
      expect('refresh_token', again, Boolean);
      expect('aud', [claimsOf(token).aud].flat().join(' '), settings.mcp);
      return [...wire(exchange), `scope "${scope}", ${life} s, audience ${claimsOf(token).aud}`];
    },
  ],
  [
    'It lists the tools',
    async () => {
      expect('connected', await session.connect(), true);
      const { tools } = await session.client.listTools();
      const names = tools.map(({ name }) => name).sort();
      expect('tools', names.join(), 'read_file,write_file');
      const exchange = taken('tools/list', (e) => e.operation === 'tools/list');
      return [...wire(exchange), names.join(', ')];
    },
  ],
  [
    'It calls read_file, which its token allows',
    async () => {
      const result = await session.call('read_file', { path: 'notes.txt' });
      const exchange = taken('the call', (e) => e.operation === 'tools/call read_file');
      expect('status', exchange.status, 200);
      return [...wire(exchange), `"${result.content[0].text}"`];
    },
  ],
  [
    'It calls write_file, which its token does not allow',
    async () => {
      recorder.clear();
      reasons.mark();
      const before = (await seen()).ran.write_file;
      const result = await session.callSteppingUp('write_file', {
        path: 'new.txt',
        content: 'too early',
      });
      expect('result', result, undefined);
      const exchange = taken('a 403', toMcp(403));
      const challenge = challenged(exchange);
      expect('error', challenge.error, 'insufficient_scope');
      expect('scope', challenge.scope, (scope) => scope?.split(' ').includes('files:write'));
      const reason = await reasons.next();
      expect('reason', reason, 'scope_insufficient');
      expect('how often write_file ran', (await seen()).ran.write_file, before);
      return [...wire(exchange, reason), 'the MCP server ran nothing'];
    },
  ],
  [
    'It steps up: asks for the scope that the challenge named, and the user consents',
    async () => {
      await session.finish();
      const exchange = taken('the token request', toToken('authorization_code'));
      expect('status', exchange.status, 200);
      const { scope } = await exchange.answer();
      expect('scope', scope, (granted) => granted?.split(' ').includes('files:write'));
      return [person.trail.join(', '), ...wire(exchange), `scope "${scope}"`];
    },
  ],
  [
    'It calls write_file again',
    async () => {
      const result = await session.call('write_file', { path: 'new.txt', content: 'hello' });
      const exchange = taken('the call', (e) => e.operation === 'tools/call write_file');
      expect('status', exchange.status, 200);
      return [...wire(exchange), `"${result.content[0].text}"`];
    },
  ],
  [
    'Its token stops working; it refreshes by itself, nobody is asked',
    async () => {
      recorder.clear();
      reasons.mark();
      const tokens = memory.tokens();
      // As if it had run out: what the client holds is no longer accepted.
      memory.saveTokens({ ...tokens, access_token: forge(tokens.access_token) });
      const result = await session.call('read_file', { path: 'new.txt' });
      expect('result', result?.content?.[0]?.text, 'hello');
      const refused = taken('a 401', toMcp(401));
      expect('error', challenged(refused).error, 'invalid_token');
      const refresh = taken('the refresh', toToken('refresh_token'));
      expect('status', refresh.status, 200);
      const { refresh_token: next } = await refresh.answer();
      expect('refresh token was rotated', next !== tokens.refresh_token, true);
      return [...wire(refused, await reasons.next()), ...wire(refresh)];
    },
  ],
  [
    'A real token of the same issuer, but for another server, is refused',
    async () => {
      const token = await tokenFor(
        settings.otherResource,
        'reports:read',
        known.metadata,
        known.clientId,
        person,
      );
      return refused(token, 'audience_mismatch', `audience ${claimsOf(token).aud}`);
    },
  ],
  [
    'A forged token with the right key id and claims is refused',
    async () => {
      const token = forge(memory.tokens().access_token);
      return refused(token, 'signature_invalid', 'signed with a key of our own');
    },
  ],
  [
    'The MCP server saw only requests with an identity, and no token at all',
    async () => {
      known.seen = await seen();
      expect('requests', known.seen.requests, (count) => count > 0);
      expect('unauthenticated', known.seen.unauthenticated, 0);
      expect('with an Authorization header', known.seen.withAuthorization, 0);
      const identity = Object.entries(known.seen.last).map(([name, value]) => `${name}: ${value}`);
      return [`${known.seen.requests} requests; the last one's identity:`, ...identity];
    },
  ],
];

/** What the MCP server has noted. */
async function seen() {
  return (await fetch(settings.seen)).json();
}

/** Presents `token` to Envoy as any client could; it must be answered 401 invalid_token. */
async function refused(token, wanted, about) {
  recorder.clear();
  reasons.mark();
  await recorder.fetch(settings.mcp, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/list',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
  });
  const exchange = taken('the request', () => true);
  expect('status', exchange.status, 401);
  expect('error', challenged(exchange).error, 'invalid_token');
  const reason = await reasons.next();
  expect('reason', reason, wanted);
  return [about, ...wire(exchange, reason)];
}

console.log(`\nCountersign demo: MCP ${settings.revision}, official TypeScript SDK ${settings.sdk}\n`);
for (const [title, work] of steps) {
  if (!(await report.step(title, work))) break;
}
await session.close();
const { requests = 0, unauthenticated = 0 } = known.seen ?? {};
const missing = steps.length - report.passed - report.failed;
console.log(
  `\n${report.passed} steps passed, ${report.failed} failed${missing ? `, ${missing} not reached` : ''}; ` +
    `the MCP server saw ${requests} requests, ${unauthenticated} unauthenticated`,
);
process.exitCode = report.failed === 0 ? 0 : 1;
