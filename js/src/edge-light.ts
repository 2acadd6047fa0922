// Vercel's edge runtime and Next.js: the bundler compiles the module, in another realm.

import { initSync } from "./core.js";
import module from "./core_bg.wasm?module";
import { onFirstUse, ready } from "./module.js";

export * from "./index.js";

// The glue asks `instanceof`, which a module of another realm denies although it is one.
const isModule = Object.prototype.toString.call(module) === "[object WebAssembly.Module]";
if (isModule && !(module instanceof WebAssembly.Module)) {
  Object.setPrototypeOf(module, WebAssembly.Module.prototype);
}

onFirstUse(() => initSync({ module }));
ready();
