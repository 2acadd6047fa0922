// Without the module: for hosts that load it their own way (a CDN, a `.wasm` import of a bundler, a file).
// It is `countersign/core_bg.wasm`, of the same version.

import { initSync as start } from "./core.js";
import { onUseWithout } from "./module.js";

export * from "./index.js";

/** The module, compiled or as its bytes. */
export type ModuleSource = WebAssembly.Module | ArrayBuffer | ArrayBufferView<ArrayBuffer>;

let isReady = false;

onUseWithout(() => {
  if (!isReady) {
    throw new Error("countersign/slim: give it the module first, by initSync or init");
  }
});

/** Makes the package ready, by a module or by bytes that are compiled now. Once is enough. */
export function initSync(module: ModuleSource): void {
  // One of another realm is one too, but not by `instanceof`, which the glue asks.
  const isModule = Object.prototype.toString.call(module) === "[object WebAssembly.Module]";
  if (isModule && !(module instanceof WebAssembly.Module)) {
    Object.setPrototypeOf(module, WebAssembly.Module.prototype);
  }
  start({ module });
  isReady = true;
}

/**
 * The same, by whatever it takes to get the module: a `Response`, a promise of one, of a module or of bytes.
 * Rejects when there is none; then it may be tried again.
 */
export async function init(
  source: ModuleSource | Response | Promise<ModuleSource | Response>,
): Promise<void> {
  const found = await source;
  if (!(typeof Response === "function" && found instanceof Response)) {
    return initSync(found as ModuleSource);
  }
  if (!found.ok) {
    throw new Error(`countersign/slim: the module's server answers ${found.status}`);
  }
  const module = await WebAssembly.compile(await found.arrayBuffer());
  initSync(module);
}
