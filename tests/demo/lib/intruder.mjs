// Tokens that must not pass: a real one for another resource, and a forged one.
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { REDIRECT_URI } from './memory.mjs';

const base64url = (value) => Buffer.from(value).toString('base64url');
const part = (token, index) => JSON.parse(Buffer.from(token.split('.')[index], 'base64url'));

/** The claims of an access token, unverified. */
export const claimsOf = (token) => part(token, 1);

/** Logs `person` in for another resource of the same issuer; returns that access token. */
export async function tokenFor(resource, scope, metadata, clientId, person) {
  const verifier = base64url(randomBytes(32));
  const state = base64url(randomBytes(16));
  const url = new URL(metadata.authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: REDIRECT_URI,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    state,
    resource,
    scope,
  });
  const callback = await person.authorize(url, REDIRECT_URI);
  const code = callback.searchParams.get('code');
  if (!code) throw new Error(`no code: ${callback.search}`);
  const response = await fetch(metadata.token_endpoint, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: clientId,
      redirect_uri: REDIRECT_URI,
      code_verifier: verifier,
      code,
      resource,
    }),
  });
  const answer = await response.json();
  if (!answer.access_token) throw new Error(`no token: ${JSON.stringify(answer)}`);
  return answer.access_token;
}

/** The same header and claims, `kid` included, under a key that the issuer never had. */
export function forge(token) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const header = { ...part(token, 0), alg: 'ES256' };
  const input = `${base64url(JSON.stringify(header))}.${token.split('.')[1]}`;
  const signature = sign('sha256', Buffer.from(input), {
    key: privateKey,
    dsaEncoding: 'ieee-p1363',
  });
  return `${input}.${base64url(signature)}`;
}
