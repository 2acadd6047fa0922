// Header values: the engine has byte strings (one code unit for each byte), the host something like it.

import { frozen } from "./frozen.js";
import type { HeaderPair } from "./wire.js";

let text: boolean | undefined;

/**
 * Whether the host's `Headers` decode and encode UTF-8. By the Fetch standard they hold byte strings;
 * workerd's hold text. Asked when it matters: Node loads its `fetch` when `Headers` is first looked at, which
 * takes longer than all else on import.
 */
function holdsText(): boolean {
  if (text === undefined) {
    try {
      text = new Headers({ x: "\u0100" }).get("x") === "\u0100";
    } catch {
      text = false;
    }
  }
  return text;
}

const BEYOND_ASCII = /[^\0-\x7f]/;

/** A text's UTF-8 form as byte string. */
export function byteString(text: string): string {
  if (!BEYOND_ASCII.test(text)) {
    return text;
  }
  const bytes = new TextEncoder().encode(text);
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

/** Header values as the engine has them. */
export function fromHost(pairs: Iterable<HeaderPair>): HeaderPair[] {
  const all = [...pairs];
  return holdsText() ? all.map(([name, value]) => [name, byteString(value)]) : all;
}

/** Header values as the host has them; unchangeable, as what they are made of. */
export function toHost(pairs: readonly HeaderPair[]): readonly HeaderPair[] {
  return holdsText() ? frozen(pairs.map(([name, value]): HeaderPair => [name, decoded(value)])) : pairs;
}

/** The same for a new `Response`: the types of the Fetch standard know only what can be changed. */
export function asInit(pairs: readonly HeaderPair[]): HeadersInit {
  return toHost(pairs) as unknown as [name: string, value: string][];
}

function decoded(bytes: string): string {
  if (!BEYOND_ASCII.test(bytes)) {
    return bytes;
  }
  return new TextDecoder().decode(Uint8Array.from(bytes, (unit) => unit.charCodeAt(0)));
}
