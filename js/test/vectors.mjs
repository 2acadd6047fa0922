// Runs tests/vectors/guard.json through the package. Used in Node and in workerd.
//
// A case whose request survives being a `Request` unchanged goes through `guard.check`. The others
// (repeated headers, dot segments, bytes that `Headers` refuses…) are given to the guard's engine as
// they are, below the Fetch standard.

/** Runs every case; gives how many ran which way, and what was not as expected. */
export async function runAll(vectors, { createGuard, Engine, headers }) {
  const result = { requests: 0, heads: 0, failures: [] };
  const refused = [];
  const onDecision = (decision) => decision.verdict === "deny" && refused.push(decision);
  const options = { now: () => vectors.now, fetch: answering(vectors.fetches), onDecision };
  const source = { fetch: options.fetch, isFetched: () => true };
  for (const one of vectors.cases) {
    const policy = vectors.policies[one.policy];
    const request = asRequest(one.request, headers);
    let actual;
    if (request) {
      result.requests++;
      const guard = createGuard(policy, options);
      actual = await throughGuard(guard, request, one.request, headers, one.response);
    } else {
      result.heads++;
      actual = await throughEngine(new Engine(JSON.stringify(policy), source), one, options);
    }
    const told = refused.splice(0).map((decision) => decision.reason);
    const found = [...differences(actual, one.expect)];
    if (one.response && !actual.answer) found.push("its response was not looked at");
    if (actual.answer) {
      found.push(...answerDifferences(actual.answer, one.response));
      found.push(...unequal("reason in the log", told[0], one.response.expect.reason ?? undefined));
    }
    for (const difference of found) {
      result.failures.push(`${one.name} (${one.clause}): ${difference}`);
    }
  }
  return result;
}

function answering(fetches) {
  return async (url, { body }) => {
    const answer = fetches[body ? `${url}?${body}` : url];
    if (!answer) throw new Error("no answer");
    return new Response(answer.body, { status: answer.status });
  };
}

/** The same bytes, as they come from a slow client. */
function streamed(body) {
  if (body === null) return null;
  const next = inParts(body);
  return new ReadableStream({
    async pull(controller) {
      const part = await next();
      part ? controller.enqueue(part) : controller.close();
    },
  });
}

/** The request as a `Request`; undefined when that cannot say the same. */
function asRequest({ method, authority, path, headers, body }, { fromHost, toHost }) {
  const url = `https://${authority}${path}`;
  try {
    const sent = body === null ? null : bytes(body);
    const request = new Request(url, { method, headers: toHost(headers), body: streamed(sent), duplex: "half" });
    const got = new Map(fromHost(request.headers));
    const named = headers.map(([name, value]) => [name.toLowerCase(), value]);
    const same =
      request.url === url &&
      request.method === method &&
      (request.body === null) === (body === null) &&
      new Set(named.map(([name]) => name)).size === named.length &&
      got.size === named.length &&
      named.every(([name, value]) => got.get(name) === value);
    return same ? request : undefined;
  } catch {
    return undefined;
  }
}

async function throughGuard(guard, request, { headers, body }, { fromHost }, served) {
  const outcome = await guard.check(request);
  const { allowed, request: forwarded, response, responseHeaders, reason, decision } = outcome;
  const actual = { verdict: decision.verdict, reason, status: null, challenge: null };
  if (!allowed) {
    actual.status = response.status;
    actual.challenge = response.headers.get("www-authenticate");
    actual.headers = Object.fromEntries(response.headers);
    actual.body = await response.text();
    return actual;
  }
  const sent = new Map(headers.map(([name, value]) => [name.toLowerCase(), value]));
  const got = new Map(fromHost(forwarded.headers));
  actual.headers = Object.fromEntries(responseHeaders);
  actual.removed = [...sent.keys()].filter((name) => got.get(name) !== sent.get(name));
  actual.unsent = (name) => !sent.has(name);
  actual.set = Object.fromEntries([...got].filter(([name, value]) => sent.get(name) !== value));
  // A header that is set to what the client had sent already is seen by nobody.
  actual.kept = Object.fromEntries([...got].filter(([name, value]) => sent.get(name) === value));
  const text = binary(new Uint8Array(await forwarded.arrayBuffer()));
  actual.lostBody = text !== (body ?? "");
  if (served) actual.answer = await answer(outcome.filterResponse, served);
  return actual;
}

/** What the client gets of the server's response, which comes in small parts. */
async function answer(filterResponse, { status, headers, body }) {
  const sent = new Response(streamed(new TextEncoder().encode(body)), { status, headers });
  const got = filterResponse?.(sent) ?? sent;
  return { status: got.status, headers: Object.fromEntries(got.headers), body: await got.text() };
}

function* answerDifferences(actual, { expect }) {
  yield* unequal("answer's status", actual.status, expect.status);
  // A byte order mark is no part of what text() gives.
  if (expect.body !== null) yield* unequal("answer", actual.body, expect.body);
  if (expect.json !== undefined && !contains(JSON.parse(actual.body), expect.json)) {
    yield `answer ${actual.body}, expected ${JSON.stringify(expect.json)}`;
  }
  for (const name of expect.removed ?? []) yield* unequal(name, actual.headers[name], undefined);
}

async function throughEngine(engine, { request }, { now }) {
  const { method, authority, path, headers, body } = request;
  const head = { method, authority, path, headers, hasBody: body !== null };
  const answer = await engine.decide(head, {
    now,
    readBody: inParts(bytes(body ?? "")),
    keep: () => {},
  });
  const { verdict, reason } = answer.decision;
  if (answer.kind === "forward") {
    const { remove: removed, set, responseHeaders } = answer;
    const actual = { verdict, reason, status: null, challenge: null, removed, kept: {} };
    const unsent = () => false;
    return { ...actual, unsent, set: Object.fromEntries(set), headers: Object.fromEntries(responseHeaders) };
  }
  const found = Object.fromEntries(answer.headers);
  const challenge = found["www-authenticate"] ?? null;
  return { verdict, reason, status: answer.status, challenge, headers: found, body: answer.body };
}

function* differences(actual, expect) {
  for (const name of ["verdict", "status", "reason", "challenge"]) {
    yield* unequal(name, actual[name], expect[name] ?? null);
  }
  for (const [name, value] of Object.entries(expect.headers ?? {})) {
    yield* unequal(`response header ${name}`, actual.headers[name], value);
  }
  if (expect.json !== undefined && !contains(JSON.parse(actual.body), expect.json)) {
    yield `body ${actual.body}, expected ${JSON.stringify(expect.json)}`;
  }
  if (actual.status !== null) return;
  const wanted = expect.set ?? {};
  for (const name of Object.keys({ ...wanted, ...actual.set })) {
    yield* unequal(`header ${name}`, actual.set[name] ?? (wanted[name] && actual.kept[name]), wanted[name]);
  }
  for (const name of expect.removed ?? []) {
    if (!actual.removed.includes(name) && !actual.unsent(name)) {
      yield `header ${name} reaches the server`;
    }
  }
  if (actual.lostBody) yield "the body was changed";
}

function* unequal(what, actual, expected) {
  if (actual !== expected) {
    yield `${what} is ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`;
  }
}

/** Whether `actual` has all that `expected` has. */
function contains(actual, expected) {
  if (typeof expected !== "object" || expected === null) return actual === expected;
  if (Array.isArray(expected) && actual?.length !== expected.length) return false;
  return Object.entries(expected).every(([name, value]) => contains(actual?.[name], value));
}

/** Gives a body in parts of three bytes, so that they end within whatever can be cut. */
function inParts(body) {
  let at = 0;
  return async () => (at < body.length ? body.subarray(at, (at += 3)) : undefined);
}

/** The bytes of a byte string. */
function bytes(text) {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function binary(array) {
  return Array.from(array, (byte) => String.fromCharCode(byte)).join("");
}
