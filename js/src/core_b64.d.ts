// The WebAssembly module as base64; the build writes it (build/embed.mjs).
declare const base64: string;
export default base64;
