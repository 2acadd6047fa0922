// Signatures by node:crypto.
import { pathTests } from "./paths.mjs";

await pathTests("node:crypto");
