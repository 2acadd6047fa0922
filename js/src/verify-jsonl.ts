// A script for Node: puts a corpus of access tokens to the engine, as `countersign verify --jsonl` does.
// Lines from standard input, answers to standard output, in order.

import { WasmCorpus } from "./core.js";
import "./inline.js";
import { ready } from "./module.js";

// The only file that needs Node; the package has no dependencies, so not its types either.
declare const process: {
  stdin: AsyncIterable<Uint8Array>;
  stdout: {
    write(text: string): boolean;
    once(event: "drain", listener: () => void): void;
    on(event: "error", listener: (error: { code?: string }) => void): void;
  };
  stderr: { write(text: string): boolean };
  exit(code: number): never;
};

const NEWLINE = 0x0a;
const RETURN = 0x0d;

ready();
const corpus = new WasmCorpus();
let number = 0;

/** The answer to a line, with its end; nothing where none is due. */
function answer(line: Uint8Array): string {
  number++;
  const text = line.at(-1) === RETURN ? line.subarray(0, -1) : line;
  if (text.length === 0) {
    return "";
  }
  const started = performance.now();
  corpus.line(text, Math.floor(Date.now() / 1000));
  const verdict = corpus.verdict(performance.now() - started);
  if (corpus.mistake !== undefined) {
    process.stderr.write(`countersign: line ${number}: ${corpus.mistake}\n`);
  }
  return verdict === undefined ? "" : `${verdict}\n`;
}

async function print(text: string): Promise<void> {
  if (text !== "" && !process.stdout.write(text)) {
    await new Promise<void>((resolve) => process.stdout.once("drain", resolve));
  }
}

function concat(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

// Whoever reads may have seen enough.
process.stdout.on("error", (error) => process.exit(error.code === "EPIPE" ? 0 : 1));

/** The line that the last chunk ended within. */
let begun: Uint8Array[] = [];
for await (const chunk of process.stdin) {
  let answers = "";
  let start = 0;
  for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
    answers += answer(concat([...begun, chunk.subarray(start, end)]));
    begun = [];
    start = end + 1;
  }
  begun.push(chunk.subarray(start));
  await print(answers);
}
await print(answer(concat(begun)));
