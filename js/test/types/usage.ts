// Not run: compiled by types.test.mjs. What the package's types let one write, and what they do not.
import {
  AuthError,
  type AccessTokenClaims,
  type Decision,
  type Identity,
  type KeyCache,
  type Explanation,
  type Outcome,
  type Policy,
  PolicyError,
  authorizationServerMetadata,
  challenges,
  createGuard,
  explain,
  keyCaches,
  minimalScopes,
  pkce,
  protectedResourceMetadata,
  verifyAccessToken,
} from "countersign";

const policy = {
  issuers: [{ issuer: "https://auth.example.com" }],
  resources: [{ resource: "https://mcp.example.com/mcp" }],
};

interface Env {
  KEYS: { get(key: string): Promise<string | null>; put(key: string, value: string, options: { expirationTtl: number }): Promise<void> };
}
interface Context {
  waitUntil(work: Promise<unknown>): void;
}

export function worker(env: Env) {
  const guard = createGuard(policy, {
    fetch: (url, init) => fetch(url, init),
    now: () => 1_800_000_000,
    keyCache: keyCaches.kv(env.KEYS),
    keys: { "https://auth.example.com": async () => ({ keys: [{ kty: "EC" }] }) },
    onDecision: (decision: Decision) => console.log(decision.line, decision.reason?.toUpperCase()),
    clientAddress: (request) => request.headers.get("cf-connecting-ip"),
  });
  const handler = guard.protect<Env, Context>(async (request, env, ctx, identity) => {
    ctx.waitUntil(env.KEYS.get("x"));
    const subject: string | null | undefined = identity?.subject;
    return new Response(`${subject} ${request.url}`);
  });
  const answer: Promise<Response> = handler(new Request("https://mcp.example.com/mcp"), env);
  return answer;
}

export async function outcome(guard: ReturnType<typeof createGuard>, request: Request) {
  const outcome: Outcome = await guard.check(request);
  if (outcome.allowed) {
    const forwarded: Request = outcome.request;
    // @ts-expect-error there is none yet
    outcome.response.status;
    return outcome.filterResponse?.(await fetch(forwarded));
  }
  // @ts-expect-error there is none
  outcome.request.url;
  return outcome.response;
}

export async function verify(jwt: string) {
  const cache: KeyCache = keyCaches.memory();
  try {
    const claims: AccessTokenClaims = await verifyAccessToken(jwt, {
      issuer: "https://auth.example.com",
      audience: ["https://mcp.example.com/mcp", "mcp://files"],
      jwks: new URL("https://auth.example.com/jwks"),
      algorithms: ["ES256"],
      keyCache: cache,
    });
    const expires: number = claims.exp;
    const own: unknown = claims["https://example.com/own"];
    return [expires, own];
  } catch (error) {
    if (error instanceof AuthError) {
      const { reason, status, challenge } = error;
      const text: string = reason + status + (challenge ?? "");
      return text;
    }
    if (error instanceof PolicyError) return error.path;
    throw error;
  }
}

export async function why(token: string): Promise<string> {
  const strict: Policy = { ...policy, resources: [{ resource: "https://mcp.example.com/mcp", mode: "shadow", scopes: { tools: { "write_*": ["w"] } } }] };
  const found: Explanation = await explain(strict, { url: "https://mcp.example.com/mcp", token, tool: "write_file" }, {
    answers: { "https://auth.example.com/jwks": { keys: [] } },
    now: () => 1_800_000_000,
  });
  const failed = found.trace.find(({ outcome }) => outcome === "failed")?.check;
  return `${found.text}${failed ?? ""}${"status" in found.answer ? found.answer.status : found.answer.set.length}`;
}

export function documents(header: string, text: string): string[] {
  const [first] = challenges.parse(header);
  const url = first?.parameters["resource_metadata"];
  const { authorizationServers } = protectedResourceMetadata.parse(text, "https://mcp.example.com/mcp");
  const { token_endpoint } = authorizationServerMetadata.parse(text, authorizationServers[0] ?? "");
  const value = challenges.build({ resourceMetadata: url ?? "", error: "invalid_token", errorDescription: "no", scope: ["a"] });
  return [value, token_endpoint ?? "", ...authorizationServerMetadata.urls("https://a.example"), protectedResourceMetadata.build({ resource: "https://h", authorizationServers })];
}

// @ts-expect-error a member that no policy has
createGuard({ ...policy, resource: [] });
// @ts-expect-error a word that is none
createGuard({ ...policy, resources: [{ resource: "https://h", mode: "off" }] });
// @ts-expect-error a scope instead of scopes
createGuard({ ...policy, resources: [{ resource: "https://h", scopes: { baseline: "a" } }] });
// @ts-expect-error a secret that may not be set
createGuard({ ...policy, resources: [{ resource: "https://h", session_secret: undefined }] });
// @ts-expect-error there is no such error
challenges.build({ resourceMetadata: "", error: "unauthorized" });
// @ts-expect-error claims do not change
verifyAccessToken("", { issuer: "", audience: "", jwks: "" }).then((claims) => { claims.sub = "mallory"; });
// What the engine says does not change.
export function unchanged(outcome: Outcome, decision: Decision, identity: Identity) {
  if (outcome.allowed) {
    // @ts-expect-error
    outcome.responseHeaders.push(["vary", "origin"]);
    // @ts-expect-error
    outcome.responseAppend.sort();
    // @ts-expect-error
    for (const pair of outcome.responseHeaders) pair[1] = "";
    // @ts-expect-error
    outcome.identity = null;
  }
  // @ts-expect-error
  identity.scope.sort();
  // @ts-expect-error
  identity.subject = "mallory";
  // @ts-expect-error
  identity.claims["sub"] = "mallory";
  // @ts-expect-error
  decision.reason = null;
  // @ts-expect-error
  outcome.decision.trace?.pop();
  return [...identity.scope].sort();
}
// @ts-expect-error the audience is never left out
verifyAccessToken("", { issuer: "https://auth.example.com", jwks: { keys: [] } });
// @ts-expect-error a mistyped option
createGuard(policy, { onDecisions: () => {} });
// @ts-expect-error milliseconds as a date
createGuard(policy, { now: () => new Date() });
// @ts-expect-error a cache that cannot be written
createGuard(policy, { keyCache: { get: () => null } });

export const pair: { verifier: string; challenge: string } = pkce.generate();
export const good: boolean = pkce.verify(pair.verifier, pair.challenge);
export const scopes: string[] = minimalScopes(policy, [{ method: "tools/list" }, { method: "tools/call", name: "x" }]);
export type Names = keyof Identity;
