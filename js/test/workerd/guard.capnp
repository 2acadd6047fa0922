# The package's workerd entry inside workerd. Run by `cargo xtask test js`, or by hand:
#   workerd test js/test/workerd/guard.capnp
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "internet", worker = .internet),
  ],
);

# Stands for everything that the guard could fetch from.
const internet :Workerd.Worker = (
  compatibilityDate = "2024-11-01",
  modules = [(name = "internet.mjs", esModule = embed "internet.mjs")],
);

const main :Workerd.Worker = (
  compatibilityDate = "2024-11-01",
  bindings = [(name = "SELF", service = "main")],
  modules = [
    (name = "test/workerd/guard.mjs", esModule = embed "guard.mjs"),
    (name = "test/support.mjs", esModule = embed "../support.mjs"),
    (name = "dist/workerd.js", esModule = embed "../../dist/workerd.js"),
    (name = "dist/index.js", esModule = embed "../../dist/index.js"),
    (name = "dist/core.js", esModule = embed "../../dist/core.js"),
    (name = "dist/core_bg.wasm", wasm = embed "../../dist/core_bg.wasm"),
    (name = "dist/frozen.js", esModule = embed "../../dist/frozen.js"),
    (name = "dist/explain.js", esModule = embed "../../dist/explain.js"),
    (name = "dist/metadata.js", esModule = embed "../../dist/metadata.js"),
    (name = "dist/module.js", esModule = embed "../../dist/module.js"),
    (name = "dist/inbox.js", esModule = embed "../../dist/inbox.js"),
    (name = "dist/engine.js", esModule = embed "../../dist/engine.js"),
    (name = "dist/errors.js", esModule = embed "../../dist/errors.js"),
    (name = "dist/filter.js", esModule = embed "../../dist/filter.js"),
    (name = "dist/guard.js", esModule = embed "../../dist/guard.js"),
    (name = "dist/headers.js", esModule = embed "../../dist/headers.js"),
    (name = "dist/key-cache.js", esModule = embed "../../dist/key-cache.js"),
    (name = "dist/key-source.js", esModule = embed "../../dist/key-source.js"),
    (name = "dist/keys.js", esModule = embed "../../dist/keys.js"),
    (name = "dist/options.js", esModule = embed "../../dist/options.js"),
    (name = "dist/pkce.js", esModule = embed "../../dist/pkce.js"),
    (name = "dist/scopes.js", esModule = embed "../../dist/scopes.js"),
    (name = "dist/request.js", esModule = embed "../../dist/request.js"),
    (name = "dist/stream.js", esModule = embed "../../dist/stream.js"),
    (name = "dist/signatures.js", esModule = embed "../../dist/signatures.js"),
    (name = "dist/session.js", esModule = embed "../../dist/session.js"),
    (name = "dist/verify.js", esModule = embed "../../dist/verify.js"),
    (name = "dist/wire.js", esModule = embed "../../dist/wire.js"),
  ],
);
