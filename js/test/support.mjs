// Keys, tokens and policies for the tests. Runs in Node and in workerd.

export const ISSUER = "https://auth.example.com";
export const RESOURCE = "https://mcp.example.com/mcp";
export const JWKS_URI = "https://auth.example.com/jwks";
/** Where the tests' clock stands. */
export const NOW = 1_800_000_000;
export const now = () => NOW;

const rsa = (name, bits, sign = {}) => {
  const publicExponent = new Uint8Array([1, 0, 1]);
  const key = { name, modulusLength: 2048, publicExponent, hash: `SHA-${bits}` };
  return [key, { name, ...sign }];
};
const rs = (bits) => rsa("RSASSA-PKCS1-v1_5", bits);
const ps = (bits) => rsa("RSA-PSS", bits, { saltLength: bits / 8 });

const ALGORITHMS = {
  ES256: [{ name: "ECDSA", namedCurve: "P-256" }, { name: "ECDSA", hash: "SHA-256" }],
  ES384: [{ name: "ECDSA", namedCurve: "P-384" }, { name: "ECDSA", hash: "SHA-384" }],
  RS256: rs(256),
  RS384: rs(384),
  RS512: rs(512),
  PS256: ps(256),
  PS384: ps(384),
  PS512: ps(512),
  EdDSA: [{ name: "Ed25519" }, { name: "Ed25519" }],
};

/** What a client of MCP sends with a POST. */
export const mcpHeaders = (token) => ({
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
  "mcp-protocol-version": "2025-06-18",
  ...(token && { authorization: `Bearer ${token}` }),
});

export function base64url(bytes) {
  let binary = "";
  for (const byte of typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes) {
    binary += String.fromCharCode(byte);
  }
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** RSA keys take long to make: there are two of them, in turn for each algorithm. */
const rsaKeys = [];
const turns = {};

async function keyPair(alg, params) {
  if (!params.modulusLength) return crypto.subtle.generateKey(params, true, ["sign", "verify"]);
  const turn = (turns[alg] = ((turns[alg] ?? 1) + 1) % 2);
  rsaKeys[turn] ??= crypto.subtle
    .generateKey(params, true, ["sign", "verify"])
    .then(async (pair) => crypto.subtle.exportKey("jwk", pair.privateKey));
  const { kty, n, e, ...secret } = await rsaKeys[turn];
  const { d, p, q, dp, dq, qi } = secret;
  const read = (jwk, use) => crypto.subtle.importKey("jwk", { kty, n, e, ...jwk }, params, true, [use]);
  return {
    publicKey: await read({}, "verify"),
    privateKey: await read({ d, p, q, dp, dq, qi }, "sign"),
  };
}

/** A key pair that signs tokens: of one algorithm, no more than two different ones of RSA. */
export async function signer(alg = "ES256", kid = "k1") {
  const [generate, sign] = ALGORITHMS[alg];
  const pair = await keyPair(alg, generate);
  const jwk = { ...(await crypto.subtle.exportKey("jwk", pair.publicKey)), kid, alg, use: "sig" };
  delete jwk.key_ops;
  delete jwk.ext;
  const token = async (claims = {}, header = {}) => {
    const head = base64url(JSON.stringify({ typ: "at+jwt", alg, kid, ...header }));
    const input = `${head}.${base64url(JSON.stringify({ ...CLAIMS, ...claims }))}`;
    const data = new TextEncoder().encode(input);
    const signature = await crypto.subtle.sign(sign, pair.privateKey, data);
    return `${input}.${base64url(new Uint8Array(signature))}`;
  };
  return { jwk, jwks: { keys: [jwk] }, token };
}

export const CLAIMS = {
  iss: ISSUER,
  sub: "alice",
  aud: RESOURCE,
  client_id: "client-1",
  jti: "token-1",
  iat: NOW - 10,
  exp: NOW + 600,
  scope: "mcp:use files:read",
};

/** Without what is `undefined`, which a policy may not have. */
const given = (members) => Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));

/** A policy with one issuer and one resource; `undefined` takes out what is there by default. */
export function policy({ issuer = {}, resource = {}, ...rest } = {}) {
  return {
    issuers: [given({ issuer: ISSUER, jwks_uri: JWKS_URI, ...issuer })],
    resources: [given({ resource: RESOURCE, ...resource })],
    ...given(rest),
  };
}

/** A policy whose decisions depend on the tool. */
export const TOOL_RULES = {
  scopes: { baseline: ["mcp:use"], tools: { read_file: ["files:read"], "write_*": ["files:write"] } },
};

/** An MCP request with a token. */
export function post(token, body = rpc("tools/list"), init = {}) {
  const headers = new Headers({ "content-type": "application/json", ...init.headers });
  if (token !== undefined) {
    headers.set("authorization", `Bearer ${token}`);
  }
  return new Request(RESOURCE, { method: "POST", duplex: "half", ...init, headers, body });
}

export function rpc(method, params = {}, id = 1) {
  return JSON.stringify({ jsonrpc: "2.0", id, method, params });
}

/** A fetch that answers with a key set, and counts. */
export function serving(jwks) {
  const fetch = async (url) => {
    fetch.urls.push(url);
    return Response.json(fetch.jwks);
  };
  fetch.urls = [];
  fetch.jwks = jwks;
  return fetch;
}

/** Runs a guard's handler and tells what it got. */
export function echo(guard) {
  return guard.protect(async (request, env, ctx, identity) =>
    Response.json({
      headers: [...request.headers],
      body: await request.text(),
      url: request.url,
      identity,
    }),
  );
}
