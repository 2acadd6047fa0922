// Signatures by WebCrypto, as in browsers and on workers without Node's modules.
import { pathTests } from "./paths.mjs";

delete process.getBuiltinModule;
await pathTests("WebCrypto");
