// What an MCP client application has to add to the SDK's own OAuth implementation: storage, and
// somebody who looks at the authorization pages.
import { randomUUID } from 'node:crypto';

export const REDIRECT_URI = 'http://127.0.0.1:33418/callback';

/** The SDK's OAuthClientProvider, in memory. */
export class Memory {
  #client;
  #tokens;
  #verifier;
  #discovery;
  #state;
  /** The callback URL that the last visit to the authorization pages ended with. */
  callback;

  /** Whether `tokens` leaves the refresh token out. */
  withholdsRefresh = false;

  constructor(person) {
    this.person = person;
  }

  get redirectUrl() {
    return REDIRECT_URI;
  }
  get clientMetadata() {
    return {
      client_name: 'Countersign demo',
      redirect_uris: [REDIRECT_URI],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    };
  }
  state() {
    this.#state = randomUUID();
    return this.#state;
  }
  clientInformation() {
    return this.#client;
  }
  saveClientInformation(client) {
    this.#client = client;
  }
  tokens() {
    if (!this.withholdsRefresh || !this.#tokens) return this.#tokens;
    const { refresh_token: _, ...rest } = this.#tokens;
    return rest;
  }
  saveTokens(tokens) {
    this.#tokens = tokens;
  }
  saveCodeVerifier(verifier) {
    this.#verifier = verifier;
  }
  codeVerifier() {
    return this.#verifier;
  }
  saveDiscoveryState(state) {
    this.#discovery = state;
  }
  discoveryState() {
    return this.#discovery;
  }
  invalidateCredentials(what) {
    if (what === 'all' || what === 'client') this.#client = undefined;
    if (what === 'all' || what === 'tokens') this.#tokens = undefined;
    if (what === 'all' || what === 'verifier') this.#verifier = undefined;
    if (what === 'all' || what === 'discovery') this.#discovery = undefined;
  }

  /** Where an application would open a browser. */
  async redirectToAuthorization(url) {
    this.callback = await this.person.authorize(url, REDIRECT_URI);
  }

  /** The callback's parameters, once `state` proved that they answer our own request. */
  takeCallback() {
    const params = this.callback?.searchParams;
    this.callback = undefined;
    if (params?.get('state') !== this.#state) throw new Error('state differs from what was sent');
    return params;
  }
}
