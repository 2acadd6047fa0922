// Puts texts into the module's memory, in a place that is kept.

import { inbox_bytes, inbox_start, module_memory } from "./core.js";

const encoder = new TextEncoder();

let place = new Uint8Array(0);

/** Writes a text there, and gives how many bytes it has; −1 when there is no room for it. */
export function write(text: string): number {
  if (place.byteLength === 0) {
    // The first time, and whenever the memory has grown: then its old buffer is detached. So the buffer is
    // taken last: making the place may let the memory grow.
    const [start, bytes] = [inbox_start(), inbox_bytes()];
    place = new Uint8Array(module_memory().buffer, start, bytes);
  }
  const { read, written } = encoder.encodeInto(text, place);
  return read === text.length ? written : -1;
}
