// Signatures by the module, on a host that has nothing: WebCrypto is not there on pages without TLS.
import { pathTests } from "./paths.mjs";

delete process.getBuiltinModule;
// The tests go on signing with it.
const { verify } = SubtleCrypto.prototype;
SubtleCrypto.prototype.verify = undefined;
const { hostSignatures } = await import("../dist/shared.js");
hostSignatures();
SubtleCrypto.prototype.verify = verify;
await pathTests(undefined);
