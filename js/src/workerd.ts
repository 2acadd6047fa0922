// Cloudflare Workers and workerd: the host compiles the module when the worker is deployed.

import { initSync } from "./core.js";
import module from "./core_bg.wasm";
import { onFirstUse, ready } from "./module.js";

export * from "./index.js";

onFirstUse(() => initSync({ module }));
ready();
