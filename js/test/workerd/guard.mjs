// protect(), check() and verifyAccessToken in workerd, with its own Request, streams and fetch.
import { AuthError, createGuard, pkce, verifyAccessToken } from "../../dist/workerd.js";
import {
  CLAIMS, ISSUER, JWKS_URI, NOW, RESOURCE, TOOL_RULES,
  base64url, echo, now, policy, post, rpc, serving, signer,
} from "../support.mjs";

function equal(actual, expected, what) {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${what ?? "not equal"}: ${left}, expected ${right}`);
}

const key = await signer();
/** A URL at which internet.mjs serves these keys in such a way. */
function at(way, jwks) {
  return `https://auth.example.com/${way}/${base64url(JSON.stringify(jwks))}`;
}
const call = (name) => rpc("tools/call", { name, arguments: {} });

export const challenge = {
  async test() {
    const outcome = await createGuard(policy(), { now }).check(post(undefined));
    equal([outcome.reason, outcome.response.status], ["token_missing", 401]);
  },
};

export const handler = {
  async test(_controller, env, ctx) {
    const fetch = serving(key.jwks);
    const guard = createGuard(policy({ resource: TOOL_RULES }), { now, fetch });
    const answer = await echo(guard)(post(await key.token(), call("read_file")), env, ctx);
    const { headers, body, url, identity } = await answer.json();
    equal(body, call("read_file"));
    equal(url, RESOURCE);
    equal(identity.claims, Object.fromEntries(Object.entries(CLAIMS).sort()));
    const { authorization, ...rest } = Object.fromEntries(headers);
    equal([authorization, rest["x-mcp-subject"]], [undefined, "alice"]);
    const refused = await echo(guard)(post(await key.token(), call("write_file")), env, ctx);
    equal(refused.status, 403);
    equal(fetch.urls, [JWKS_URI]);
  },
};

/** By the Fetch standard header values are byte strings; here they are text. */
export const headers = {
  async test() {
    const guard = createGuard(policy(), { now, fetch: serving(key.jwks) });
    const token = await key.token({ sub: "Zoë €" });
    const outcome = await guard.check(post(token, "{}", { headers: { "x-note": "10 €" } }));
    equal(outcome.request.headers.get("x-mcp-subject"), "Zoë €");
    equal(outcome.request.headers.get("x-note"), "10 €");
    const origin = "https://app.example.com";
    const open = createGuard(policy({ resource: { origins: [origin] } }), { now, fetch: serving(key.jwks) });
    const { responseHeaders } = await open.check(post(token, "{}", { headers: { origin } }));
    const unchangeable = [responseHeaders, ...responseHeaders].map(Object.isFrozen);
    equal([responseHeaders.length > 0, unchangeable.includes(false)], [true, false], "frozen");
    const broken = post(undefined, "{}", { headers: { authorization: "Bearer \ufffd" } });
    equal((await guard.check(broken)).reason, "credentials_malformed");
  },
};

export const streaming = {
  async test() {
    const guard = createGuard(policy(), { now, fetch: serving(key.jwks) });
    const { readable, writable } = new TransformStream();
    const { request } = await guard.check(post(await key.token(), readable));
    const writer = writable.getWriter();
    const written = writer.write(new TextEncoder().encode("streamed")).then(() => writer.close());
    equal(await request.text(), "streamed");
    await written;
  },
};

export const shadow = {
  async test() {
    const resource = { ...TOOL_RULES, mode: "shadow" };
    const guard = createGuard(policy({ resource, limits: { body_bytes: 1024 } }), {
      now,
      fetch: serving(key.jwks),
    });
    const body = "x".repeat(5000);
    const outcome = await guard.check(post(await key.token(), body));
    equal([outcome.allowed, outcome.reason], [true, "body_too_large"]);
    equal(await outcome.request.text(), body);
  },
};

export const concurrency = {
  async test() {
    const fetch = serving(key.jwks);
    const guard = createGuard(policy(), { now, fetch });
    const token = await key.token();
    const outcomes = await Promise.all([1, 2, 3].map(() => guard.check(post(token))));
    equal(outcomes.map((outcome) => outcome.allowed), [true, true, true]);
    equal(fetch.urls.length, 1);
  },
};

/** One guard for all requests, as in a worker; its keys come over workerd's own fetch. */
const shared = createGuard(policy({ issuer: { jwks_uri: at("slow", key.jwks) } }), { now });

export default {
  fetch: echo(shared),
};

export const requests = {
  async test(_controller, env) {
    const token = await key.token();
    // The first request begins the fetch, and its client goes away before the keys are there.
    const gone = new AbortController();
    const first = env.SELF.fetch(post(token, "{}", { signal: gone.signal })).catch(() => "gone");
    const others = [1, 2, 3].map(() => env.SELF.fetch(post(token)));
    setTimeout(() => gone.abort(), 20);
    const answers = await Promise.all(others);
    equal(answers.map((answer) => answer.status), [200, 200, 200]);
    equal(await first, "gone");
    equal((await (await env.SELF.fetch(post(token))).json()).identity.subject, "alice");
  },
};

export const outages = {
  async test(_controller, _env, ctx) {
    for (const way of ["redirect", "html", "large", "broken", "error"]) {
      const guard = createGuard(policy({ issuer: { jwks_uri: at(way, key.jwks) } }), { now });
      const outcome = await guard.check(post(await key.token()), ctx);
      equal([outcome.reason, outcome.response.status], ["keys_unavailable", 503], way);
      equal(outcome.response.headers.get("retry-after"), "1", way);
    }
  },
};

export const verification = {
  async test() {
    const options = { issuer: ISSUER, audience: RESOURCE, jwks: key.jwks, now };
    equal((await verifyAccessToken(await key.token(), options)).sub, "alice");
    const expired = await verifyAccessToken(await key.token({ exp: NOW - 60 }), options).catch(
      (error) => error,
    );
    equal([expired instanceof AuthError, expired.reason, expired.status], [true, "token_expired", 401]);
    const { verifier, challenge: derived } = pkce.generate();
    equal(pkce.verify(verifier, derived), true);
  },
};
