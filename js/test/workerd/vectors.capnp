# The shared vectors (tests/vectors/guard.json) and Project Wycheproof's inside workerd. Run by `cargo xtask test js`, or by
# hand: workerd test js/test/workerd/vectors.capnp
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", worker = .main)],
);

const main :Workerd.Worker = (
  compatibilityDate = "2024-11-01",
  modules = [
    (name = "test/workerd/vectors.mjs", esModule = embed "vectors.mjs"),
    (name = "test/vectors.mjs", esModule = embed "../vectors.mjs"),
    (name = "test/corpus.mjs", esModule = embed "../corpus.mjs"),
    # Written by `cargo xtask test js`.
    (name = "target/corpus/wycheproof.txt", text = embed "../../../target/corpus/wycheproof.txt"),
    (name = "tests/vectors/guard.json", json = embed "../../../tests/vectors/guard.json"),
    (name = "dist/workerd.js", esModule = embed "../../dist/workerd.js"),
    (name = "dist/index.js", esModule = embed "../../dist/index.js"),
    (name = "dist/core.js", esModule = embed "../../dist/core.js"),
    (name = "dist/core_bg.wasm", wasm = embed "../../dist/core_bg.wasm"),
    (name = "dist/shared.js", esModule = embed "../../dist/shared.js"),
  ],
);
