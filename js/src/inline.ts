// Node, Deno, Bun, browsers and bundlers: the module comes along as base64 and is compiled when it is first used.

import { initSync } from "./core.js";
import base64 from "./core_b64.js";
import { onFirstUse, ready } from "./module.js";

export * from "./index.js";

// Not everywhere, and not known to TypeScript yet; the fastest first.
type Decoders = {
  Buffer?: { from(text: string, encoding: "base64"): Uint8Array<ArrayBuffer> };
  Uint8Array: { fromBase64?(text: string): Uint8Array<ArrayBuffer> };
};

function decode(text: string): Uint8Array<ArrayBuffer> {
  const host = globalThis as unknown as Decoders;
  if (host.Uint8Array.fromBase64) {
    return host.Uint8Array.fromBase64(text);
  }
  if (host.Buffer) {
    return host.Buffer.from(text, "base64");
  }
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) {
    bytes[at] = binary.charCodeAt(at);
  }
  return bytes;
}

onFirstUse(() => initSync({ module: decode(base64) }));

// Workers may compile while they start, and never later.
if ((globalThis as { navigator?: { userAgent?: string } }).navigator?.userAgent === "Cloudflare-Workers") {
  ready();
}
