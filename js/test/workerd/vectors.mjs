// The shared vectors in workerd.
import { createGuard } from "../../dist/workerd.js";
import { Engine } from "../../dist/engine.js";
import * as headers from "../../dist/headers.js";
import vectors from "../../tests/vectors/guard.json";
import { runAll } from "../vectors.mjs";

export default {
  async test() {
    const { requests, heads, failures } = await runAll(vectors, { createGuard, Engine, headers });
    console.log(`${requests} cases as Request, ${heads} below it`);
    if (failures.length > 0) throw new Error(failures.join("\n"));
    if (requests + heads !== vectors.cases.length) throw new Error("not all cases ran");
  },
};
