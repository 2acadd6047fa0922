// One MCP client application: an SDK's client and transport over a recording fetch.
import { Recorder } from './recorder.mjs';

/** The official SDKs, under the names that this file uses. */
const SDKS = {
  2: () => import('@modelcontextprotocol/client'),
  1: async () => ({
    ...(await import('@modelcontextprotocol/sdk/client/index.js')),
    ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')),
    ...(await import('@modelcontextprotocol/sdk/client/auth.js')),
  }),
};

/** How SDK 2 is told which protocol revision to speak; SDK 1 knows only the older one. */
const MODES = { '2026-07-28': { pin: '2026-07-28' }, '2025-11-25': 'legacy' };

export class Session {
  recorder = new Recorder();

  /** A session of the SDK with major version `major`. */
  static async of(major, url, revision, memory) {
    const mode = MODES[revision];
    if (!mode || !SDKS[major]) throw new Error(`no revision ${revision} in SDK ${major}`);
    const session = new Session();
    const sdk = await SDKS[major]();
    return Object.assign(session, { url: new URL(url), major, mode, memory, sdk });
  }

  /** Connects; `true` when the server let us in, `false` when it sent the user to log in first. */
  async connect() {
    this.transport = new this.sdk.StreamableHTTPClientTransport(this.url, {
      authProvider: this.memory,
      fetch: this.recorder.fetch,
    });
    this.client = new this.sdk.Client(
      { name: 'countersign-demo', version: '1.0.0' },
      { versionNegotiation: { mode: this.mode } },
    );
    return this.#unlessRedirected(() => this.client.connect(this.transport));
  }

  /** Calls a tool; `undefined` when the user had to be asked first. */
  async call(name, args) {
    let result;
    const done = await this.#unlessRedirected(async () => {
      result = await this.client.callTool({ name, arguments: args });
    });
    return done ? result : undefined;
  }

  /** Calls a tool that may need more than was granted, as an application does that knows its SDK. */
  async callSteppingUp(name, args) {
    // SDK 1 answers "insufficient scope" with a refresh, which cannot widen anything; without a
    // refresh token it asks the user.
    this.memory.withholdsRefresh = this.major === 1;
    try {
      return await this.call(name, args);
    } finally {
      this.memory.withholdsRefresh = false;
    }
  }

  /** Trades the code of the last callback for tokens. */
  async finish() {
    const callback = this.memory.takeCallback();
    // SDK 2 checks `iss` itself; SDK 1 takes the bare code.
    await this.transport.finishAuth(this.major === 2 ? callback : callback.get('code'));
  }

  async close() {
    await this.client?.close();
  }

  async #unlessRedirected(work) {
    try {
      await work();
      return true;
    } catch (error) {
      if (this.#wasRedirected(error) && this.memory.callback) return false;
      throw error;
    }
  }

  /** Did the SDK stop because the user has to log in? It may wrap its own error. */
  #wasRedirected(error) {
    for (let cause = error; cause; cause = cause.cause) {
      if (cause instanceof this.sdk.UnauthorizedError) return true;
    }
    return false;
  }
}
