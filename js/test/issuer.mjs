// An issuer for the tests over HTTP: metadata, keys, and tokens by the real clock.
import { createServer } from "node:http";

import { signer } from "./support.mjs";

/** A port that was free a moment ago. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts an issuer; `ways.jwks` may be replaced, to be out of order. */
export async function startIssuer(alg = "ES256") {
  const key = await signer(alg);
  const ways = {
    jwks: (response) => response.setHeader("content-type", "application/json").end(JSON.stringify(key.jwks)),
  };
  const server = createServer((request, response) => {
    if (request.url === "/jwks") return void ways.jwks(response);
    if (request.url === "/.well-known/oauth-authorization-server") {
      return void response.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/jwks` }));
    }
    response.writeHead(404).end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const token = (aud, claims = {}) => {
    const now = Math.floor(Date.now() / 1000);
    return key.token({ iss: issuer, aud, iat: now - 10, exp: now + 600, ...claims });
  };
  const stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return { issuer, token, ways, stop };
}
