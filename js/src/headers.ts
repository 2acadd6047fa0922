// Header values: the engine has byte strings (one code unit for each byte), the host something like it.

import type { HeaderPair } from "./wire.js";

/**
 * Whether the host's `Headers` decode and encode UTF-8. By the Fetch standard they hold byte strings;
 * workerd's hold text.
 */
const HOLDS_TEXT = (() => {
  try {
    return new Headers({ x: "\u0100" }).get("x") === "\u0100";
  } catch {
    return false;
  }
})();

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
  return HOLDS_TEXT ? all.map(([name, value]) => [name, byteString(value)]) : all;
}

/** Header values as the host has them. */
export function toHost(pairs: HeaderPair[]): HeaderPair[] {
  return HOLDS_TEXT ? pairs.map(([name, value]) => [name, decoded(value)]) : pairs;
}

function decoded(bytes: string): string {
  if (!BEYOND_ASCII.test(bytes)) {
    return bytes;
  }
  return new TextDecoder().decode(Uint8Array.from(bytes, (unit) => unit.charCodeAt(0)));
}
