// Requests over HTTP/2 in the clear, all on one connection and at once.
// node h2.mjs PORT < JSON lines of { headers, body, abort, endAfter }; prints the statuses, one a line, 0 for none.
import { connect } from "node:http2";
import { readFileSync } from "node:fs";

const lines = readFileSync(0, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
const session = connect(`http://127.0.0.1:${process.argv[2]}`);
session.on("error", () => {});

const send = ({ headers, body, abort, endAfter }) =>
  new Promise((resolve) => {
    const stream = session.request(headers, { endStream: body === undefined && !abort });
    let status = 0;
    stream.on("response", (answer) => (status = answer[":status"]));
    stream.on("data", () => {});
    stream.on("error", () => {});
    stream.on("close", () => resolve(status));
    stream.setTimeout(20_000, () => stream.close());
    if (abort) {
      // A part of the body, then the client is gone.
      stream.write(body ?? "");
      setTimeout(() => stream.close(8), 100);
    } else if (endAfter) {
      // All of the body, and so many milliseconds later its end.
      stream.write(body);
      setTimeout(() => stream.end(), endAfter);
    } else if (body !== undefined) {
      stream.end(body);
    }
  });

const statuses = await Promise.all(lines.map(send));
console.log(statuses.join("\n"));
session.close();
