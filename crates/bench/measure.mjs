// What the scripts of `cargo xtask bench` share: a clock, and questions by line.
import { createInterface } from "node:readline";

// Nanoseconds for one time, over at least 40 ms: the same rule as the native side's.
export async function measure(run) {
  for (let count = 1; ; ) {
    const start = process.hrtime.bigint();
    await run(count);
    const ns = Number(process.hrtime.bigint() - start);
    if (ns > 4e7) return ns / count;
    count = Math.min(Math.max(Math.floor((count * 6e7) / Math.max(ns, 1)), count + 1), count * 10);
  }
}

// The first line of standard input goes to `prepare`, which gives a function for each who may be asked, and
// `about`, which is the answer; each further line names who and what, and is answered with the time.
export async function serve(prepare) {
  let ready;
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    if (ready === undefined) {
      ready = await prepare(request);
      console.log(JSON.stringify(ready.about ?? {}));
    } else {
      console.log(JSON.stringify({ ns: await measure(ready[request.who](request.name)) }));
    }
  }
}
