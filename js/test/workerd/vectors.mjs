// The shared vectors in workerd, and Project Wycheproof's for what its WebCrypto verifies.
import corpus from "../../target/corpus/wycheproof.txt";
import { createGuard } from "../../dist/workerd.js";
import * as inside from "../../dist/shared.js";
import { Engine, hostSignatures } from "../../dist/shared.js";
import vectors from "../../tests/vectors/guard.json";
import { findings, judge } from "../corpus.mjs";
import { runAll } from "../vectors.mjs";

export const shared = {
  async test() {
    const { requests, heads, failures } = await runAll(vectors, { createGuard, Engine, headers: inside });
    const { name, verified } = hostSignatures();
    console.log(`${requests} cases as Request, ${heads} below it; ${verified} signatures by ${name}`);
    if (failures.length > 0) throw new Error(failures.join("\n"));
    if (requests + heads !== vectors.cases.length) throw new Error("not all cases ran");
    if (name !== "WebCrypto" || verified < 7) throw new Error("WebCrypto was not asked");
  },
};

export const wycheproof = {
  async test() {
    const result = await judge(corpus, hostSignatures());
    console.log(JSON.stringify({ ...result, wrong: result.wrong.length }));
    const found = findings(result);
    if (found.length > 0) throw new Error(found.join("\n"));
  },
};
