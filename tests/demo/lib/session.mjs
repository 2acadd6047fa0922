// One MCP client application: the SDK's client and transport over a recording fetch.
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { Recorder } from './recorder.mjs';

/** How the SDK is told which protocol revision to speak. */
const MODES = { '2026-07-28': { pin: '2026-07-28' }, '2025-11-25': 'legacy' };

export class Session {
  recorder = new Recorder();

  constructor(url, revision, memory) {
    const mode = MODES[revision];
    if (!mode) throw new Error(`no such revision: ${revision}`);
    Object.assign(this, { url: new URL(url), mode, memory });
  }

  /** Connects; `true` when the server let us in, `false` when it sent the user to log in first. */
  async connect() {
    this.transport = new StreamableHTTPClientTransport(this.url, {
      authProvider: this.memory,
      fetch: this.recorder.fetch,
    });
    this.client = new Client(
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

  /** Trades the code of the last callback for tokens. */
  async finish() {
    await this.transport.finishAuth(this.memory.takeCallback());
  }

  async close() {
    await this.client?.close();
  }

  async #unlessRedirected(work) {
    try {
      await work();
      return true;
    } catch (error) {
      if (wasRedirected(error) && this.memory.callback) return false;
      throw error;
    }
  }
}

/** Did the SDK stop because the user has to log in? It may wrap its own error. */
function wasRedirected(error) {
  for (let cause = error; cause; cause = cause.cause) {
    if (cause instanceof UnauthorizedError) return true;
  }
  return false;
}
