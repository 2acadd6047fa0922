// Wraps fetch and keeps what went over the wire, so that the demo can show true status codes and
// headers instead of what a library made of them.

/** One request and its answer. */
class Exchange {
  constructor(method, url, headers, body, response) {
    Object.assign(this, { method, url, headers, body, response });
  }
  get status() {
    return this.response.status;
  }
  get challenge() {
    return this.response.headers.get('www-authenticate');
  }
  get path() {
    return this.url.pathname;
  }
  /** The JSON-RPC method and, for a tool, its name: `tools/call read_file`. */
  get operation() {
    const message = this.json();
    if (!message?.method) return undefined;
    return [message.method, message.params?.name].filter(Boolean).join(' ');
  }
  /** The parameters of a form-encoded body. */
  get form() {
    return new URLSearchParams(this.body ?? '');
  }
  json() {
    try {
      return JSON.parse(this.body);
    } catch {
      return undefined;
    }
  }
  /** The answer's body as JSON, whoever else reads it. */
  answer() {
    return this.response.clone().json();
  }
}

/** Records everything that its `fetch` carries. */
export class Recorder {
  exchanges = [];

  fetch = async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const response = await fetch(input, init);
    // A copy of its own: the caller consumes the original. Event streams may never end.
    const type = response.headers.get('content-type') ?? '';
    const endless = response.status === 204 || type.startsWith('text/event-stream');
    const copy = new Response(endless ? null : await response.clone().text(), {
      status: response.status,
      headers: response.headers,
    });
    const body = init.body === undefined || init.body === null ? undefined : String(init.body);
    this.exchanges.push(
      new Exchange(init.method ?? 'GET', url, new Headers(init.headers), body, copy),
    );
    return response;
  };

  /** Takes the first exchange that fits out of the recording. */
  take(fits) {
    const index = this.exchanges.findIndex(fits);
    return index < 0 ? undefined : this.exchanges.splice(index, 1)[0];
  }

  /** Forgets what was recorded. */
  clear() {
    this.exchanges.length = 0;
  }
}
