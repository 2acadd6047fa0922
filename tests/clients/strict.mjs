// Strict clients against the issuer: oauth4webapi checks every answer by its clause, and openid-client
// is what many applications have on top of it. Started by tests/e2e/tests/strict_clients.rs.
import assert from 'node:assert/strict';
import { exchangeJwtAuthGrant } from '@modelcontextprotocol/client';
import * as oauth from 'oauth4webapi';
import * as client from 'openid-client';
import { Person } from '../demo/lib/person.mjs';

const { STRICT_ISSUER, STRICT_RESOURCE, STRICT_ACCOUNT, STRICT_PASSWORD } = process.env;
const [serviceId, serviceSecret] = process.env.STRICT_SERVICE.split(':');
const [serverId, serverSecret] = process.env.STRICT_SERVER.split(':');
const REDIRECT = 'http://127.0.0.1:1/callback';
const SCOPE = 'openid profile files:read offline_access';
// The issuer under test is on this machine, without TLS.
const local = { [oauth.allowInsecureRequests]: true };
const person = new Person(STRICT_ACCOUNT, STRICT_PASSWORD);
let steps = 0;
const step = (name) => {
  steps += 1;
  console.log(`✓ ${name}`);
};

// === Discovery, in both forms; the answer must be for exactly this issuer (RFC 8414 §3.3).
const issuer = new URL(STRICT_ISSUER);
const discover = async (algorithm) =>
  oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { algorithm, ...local }),
  );
const as = await discover('oauth2');
assert.deepEqual(await discover('oidc'), as);
step('discovery');

/** Registers (RFC 7591), and says with what the client authenticates. */
async function register(method, extra = {}) {
  const response = await oauth.dynamicClientRegistrationRequest(
    as,
    {
      client_name: `Strict ${method}`,
      redirect_uris: [REDIRECT],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: method,
      ...extra,
    },
    local,
  );
  const registered = await oauth.processDynamicClientRegistrationResponse(response);
  assert.equal(registered.token_endpoint_auth_method, method);
  return registered;
}

/** Code with PKCE, pushed or not; every answer is checked by the library. */
async function authorize(registered, authentication, pushed) {
  const verifier = oauth.generateRandomCodeVerifier();
  const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
  const parameters = new URLSearchParams({
    client_id: registered.client_id,
    redirect_uri: REDIRECT,
    response_type: 'code',
    scope: SCOPE,
    resource: STRICT_RESOURCE,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  });
  let query = parameters;
  if (pushed) {
    const response = await oauth.pushedAuthorizationRequest(
      as,
      registered,
      authentication,
      parameters,
      local,
    );
    const { request_uri } = await oauth.processPushedAuthorizationResponse(as, registered, response);
    query = new URLSearchParams({ client_id: registered.client_id, request_uri });
  }
  const url = new URL(as.authorization_endpoint);
  url.search = query.toString();
  const callback = await person.authorize(url, REDIRECT);
  // State, and iss (RFC 9207), which the metadata promises.
  const answer = oauth.validateAuthResponse(as, registered, callback, state);
  const response = await oauth.authorizationCodeGrantRequest(
    as,
    registered,
    authentication,
    answer,
    REDIRECT,
    verifier,
    local,
  );
  const tokens = await oauth.processAuthorizationCodeResponse(as, registered, response, {
    expectedNonce: nonce,
    requireIdToken: true,
  });
  await oauth.validateApplicationLevelSignature(as, response, local);
  return tokens;
}

// === Every authentication method, with and without pushed requests.
const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
  'sign',
  'verify',
]);
const jwk = { ...(await crypto.subtle.exportKey('jwk', pair.publicKey)), kid: 'strict', alg: 'ES256' };
delete jwk.key_ops;
const methods = {
  none: () => oauth.None(),
  client_secret_basic: ({ client_secret }) => oauth.ClientSecretBasic(client_secret),
  client_secret_post: ({ client_secret }) => oauth.ClientSecretPost(client_secret),
  private_key_jwt: () => oauth.PrivateKeyJwt({ key: pair.privateKey, kid: 'strict' }),
};
for (const [method, authenticate] of Object.entries(methods)) {
  const extra = method === 'private_key_jwt' ? { jwks: { keys: [jwk] } } : {};
  const registered = await register(method, extra);
  for (const pushed of [false, true]) {
    const tokens = await authorize(registered, authenticate(registered), pushed);
    const claims = oauth.getValidatedIdTokenClaims(tokens);

    // A resource server's view of the access token (RFC 9068).
    const request = new Request(STRICT_RESOURCE, {
      headers: { authorization: `Bearer ${tokens.access_token}` },
    });
    const access = await oauth.validateJwtAccessToken(as, request, STRICT_RESOURCE, local);
    assert.equal(access.sub, claims.sub);
    assert.equal(access.client_id, registered.client_id);
    assert.equal(access.scope, 'files:read');

    const info = await oauth.processUserInfoResponse(
      as,
      registered,
      claims.sub,
      await oauth.userInfoRequest(as, registered, tokens.access_token, local),
    );
    assert.equal(info.preferred_username, STRICT_ACCOUNT);

    const refreshed = await oauth.processRefreshTokenResponse(
      as,
      registered,
      await oauth.refreshTokenGrantRequest(
        as,
        registered,
        authenticate(registered),
        tokens.refresh_token,
        local,
      ),
    );
    assert.notEqual(refreshed.refresh_token, tokens.refresh_token);
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(
        as,
        registered,
        authenticate(registered),
        refreshed.refresh_token,
        local,
      ),
    );
    const late = await oauth.refreshTokenGrantRequest(
      as,
      registered,
      authenticate(registered),
      refreshed.refresh_token,
      local,
    );
    await assert.rejects(oauth.processRefreshTokenResponse(as, registered, late), {
      error: 'invalid_grant',
    });
    step(`${method}${pushed ? ', pushed' : ''}: code, userinfo, refresh, revocation`);
  }
}

// === Signed requests (RFC 9101) and tokens bound to a key (DPoP, RFC 9449), which the client is
// registered for: by the browser, and pushed.
const bound = await register('none', {
  jwks: { keys: [jwk] },
  dpop_bound_access_tokens: true,
  require_signed_request_object: true,
});
assert.equal(bound.dpop_bound_access_tokens, true);
assert.equal(bound.require_signed_request_object, true);
const DPoP = oauth.DPoP(bound, await oauth.generateKeyPair('ES256'));
for (const pushed of [false, true]) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const parameters = new URLSearchParams({
    redirect_uri: REDIRECT,
    response_type: 'code',
    scope: SCOPE,
    resource: STRICT_RESOURCE,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    dpop_jkt: await DPoP.calculateThumbprint(),
  });
  const key = { key: pair.privateKey, kid: 'strict' };
  const request = await oauth.issueRequestObject(as, bound, parameters, key);
  let query = new URLSearchParams({ client_id: bound.client_id, request });
  if (pushed) {
    const options = { DPoP, ...local };
    const response = await oauth.pushedAuthorizationRequest(as, bound, oauth.None(), query, options);
    const { request_uri } = await oauth.processPushedAuthorizationResponse(as, bound, response);
    query = new URLSearchParams({ client_id: bound.client_id, request_uri });
  }
  const url = new URL(as.authorization_endpoint);
  url.search = query.toString();
  const answer = oauth.validateAuthResponse(as, bound, await person.authorize(url, REDIRECT), state);
  const tokens = await oauth.processAuthorizationCodeResponse(
    as,
    bound,
    await oauth.authorizationCodeGrantRequest(as, bound, oauth.None(), answer, REDIRECT, verifier, {
      DPoP,
      ...local,
    }),
  );
  assert.equal(tokens.token_type, 'dpop');
  const { sub } = oauth.getValidatedIdTokenClaims(tokens);
  const info = await oauth.userInfoRequest(as, bound, tokens.access_token, { DPoP, ...local });
  assert.equal((await oauth.processUserInfoResponse(as, bound, sub, info)).sub, sub);
  const refresh = (options) =>
    oauth
      .refreshTokenGrantRequest(as, bound, oauth.None(), tokens.refresh_token, options)
      .then((response) => oauth.processRefreshTokenResponse(as, bound, response));
  await assert.rejects(refresh(local), { error: 'invalid_dpop_proof' });
  const other = oauth.DPoP(bound, await oauth.generateKeyPair('ES256'));
  await assert.rejects(refresh({ DPoP: other, ...local }), { error: 'invalid_dpop_proof' });
  assert.equal((await refresh({ DPoP, ...local })).token_type, 'dpop');
  step(`signed request${pushed ? ', pushed' : ''}: bound code, userinfo, bound refresh`);
}

// === A service, and the server of the resource that asks what its token is worth.
const service = { client_id: serviceId };
const server = { client_id: serverId, introspection_signed_response_alg: 'ES256' };
const credentials = oauth.ClientSecretBasic(serviceSecret);
const own = await oauth.processClientCredentialsResponse(
  as,
  service,
  await oauth.clientCredentialsGrantRequest(as, service, credentials, {}, local),
);
for (const requestJwtResponse of [false, true]) {
  const response = await oauth.introspectionRequest(
    as,
    server,
    oauth.ClientSecretBasic(serverSecret),
    own.access_token,
    { requestJwtResponse, ...local },
  );
  const answer = await oauth.processIntrospectionResponse(as, server, response);
  assert.equal(answer.active, true);
  assert.equal(answer.client_id, serviceId);
  if (requestJwtResponse) await oauth.validateApplicationLevelSignature(as, response, local);
}
step('client_credentials, introspection, signed introspection');

// === A program without a browser (RFC 8628).
const [deviceId, deviceSecret] = process.env.STRICT_DEVICE.split(':');
const device = { client_id: deviceId };
const deviceKey = oauth.ClientSecretBasic(deviceSecret);
const waiting = await oauth.processDeviceAuthorizationResponse(
  as,
  device,
  await oauth.deviceAuthorizationRequest(
    as,
    device,
    deviceKey,
    { scope: 'openid files:read', resource: STRICT_RESOURCE },
    local,
  ),
);
const poll = () =>
  oauth.deviceCodeGrantRequest(as, device, deviceKey, waiting.device_code, local);
await assert.rejects(oauth.processDeviceCodeResponse(as, device, await poll()), {
  error: 'authorization_pending',
});
assert.match(await person.connect(waiting.verification_uri_complete), /The device is connected/);
const connected = await oauth.processDeviceCodeResponse(as, device, await poll());
assert.equal(connected.scope, 'openid files:read');
step('device code: pending, connected');

// === The server of the resource gets a token of its own for its user (RFC 8693).
const TYPE = 'urn:ietf:params:oauth:token-type:access_token';
const [gatewayId, gatewaySecret] = process.env.STRICT_EXCHANGE.split(':');
const gateway = { client_id: gatewayId };
const exchanged = await oauth.processGenericTokenEndpointResponse(
  as,
  gateway,
  await oauth.genericTokenEndpointRequest(
    as,
    gateway,
    oauth.ClientSecretBasic(gatewaySecret),
    'urn:ietf:params:oauth:grant-type:token-exchange',
    { subject_token: connected.access_token, subject_token_type: TYPE, resource: STRICT_RESOURCE },
    local,
  ),
);
assert.equal(exchanged.issued_token_type, TYPE);
const acting = await oauth.validateJwtAccessToken(
  as,
  new Request(STRICT_RESOURCE, { headers: { authorization: `Bearer ${exchanged.access_token}` } }),
  STRICT_RESOURCE,
  local,
);
assert.equal(acting.sub, oauth.getValidatedIdTokenClaims(connected).sub);
assert.deepEqual([acting.client_id, acting.act], [gatewayId, { sub: gatewayId }]);
step('token exchange');

// === With an identity provider's word (ID-JAG).
const [agentId, agentSecret] = process.env.STRICT_AGENT.split(':');
const agent = { client_id: agentId };
const assertions = process.env.STRICT_ASSERTIONS.split(' ');
assert.ok(
  as.authorization_grant_profiles_supported.includes('urn:ietf:params:oauth:grant-profile:id-jag'),
);
const asserted = await oauth.processGenericTokenEndpointResponse(
  as,
  agent,
  await oauth.genericTokenEndpointRequest(
    as,
    agent,
    oauth.ClientSecretBasic(agentSecret),
    'urn:ietf:params:oauth:grant-type:jwt-bearer',
    { assertion: assertions[0] },
    local,
  ),
);
assert.equal(asserted.scope, 'files:read');
assert.equal(asserted.refresh_token, undefined);
// And as an MCP client does it (enterprise-managed authorization).
const managed = await exchangeJwtAuthGrant({
  tokenEndpoint: as.token_endpoint,
  jwtAuthGrant: assertions[1],
  clientId: agentId,
  clientSecret: agentSecret,
});
assert.equal(managed.token_type, 'Bearer');
step('identity assertion, also by the MCP SDK');

// === openid-client, as an application uses it.
const config = await client.discovery(
  issuer,
  (await register('none')).client_id,
  undefined,
  client.None(),
  { execute: [client.allowInsecureRequests] },
);
const verifier = client.randomPKCECodeVerifier();
const [state, nonce] = [client.randomState(), client.randomNonce()];
const url = await client.buildAuthorizationUrlWithPAR(config, {
  redirect_uri: REDIRECT,
  scope: SCOPE,
  resource: STRICT_RESOURCE,
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
  state,
  nonce,
});
const tokens = await client.authorizationCodeGrant(config, await person.authorize(url, REDIRECT), {
  pkceCodeVerifier: verifier,
  expectedState: state,
  expectedNonce: nonce,
  idTokenExpected: true,
});
const info = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
assert.equal(info.preferred_username, STRICT_ACCOUNT);
const again = await client.refreshTokenGrant(config, tokens.refresh_token);
await client.tokenRevocation(config, again.refresh_token);
await assert.rejects(client.refreshTokenGrant(config, again.refresh_token), {
  error: 'invalid_grant',
});
step('openid-client: discovery, pushed request, code, userinfo, refresh, revocation');
console.log(`${steps} steps passed`);
