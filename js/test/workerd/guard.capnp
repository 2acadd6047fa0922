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
    (name = "dist/shared.js", esModule = embed "../../dist/shared.js"),
  ],
);
