// Cloudflare Workers and workerd: the host compiles the module when the worker is deployed.

import { initSync } from "./core.js";
import module from "./core_bg.wasm";

export * from "./index.js";

initSync({ module });
