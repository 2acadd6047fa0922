// A policy given as an object, as the JSON text that the engine reads: nothing of it is lost on the way.

import { PolicyError } from "./errors.js";
import type { Policy } from "./policy.js";

/**
 * The policy document as text. `JSON.stringify` leaves out what is no JSON, and what is left out of a policy may
 * be what it forbids: a `Map` of rules, or a `session_secret` of a variable that is not set. All of that is a
 * `PolicyError` with its path.
 */
export function policyText(policy: Policy | string): string {
  if (typeof policy === "string" || policy === undefined) {
    return policy ?? "";
  }
  return JSON.stringify(plain(policy, "$", []));
}

/** A copy, of which each member was looked at once. `above`: the objects that it is in. */
function plain(value: unknown, path: string, above: readonly object[]): unknown {
  switch (typeof value) {
    case "boolean":
    case "string":
      return value;
    case "number":
      if (!Number.isFinite(value)) {
        throw new PolicyError(path, `${value} is not JSON`);
      }
      return value;
    case "undefined":
      throw new PolicyError(path, "undefined: give it a value, or leave the member out");
    case "object":
      return value === null ? null : copied(value, path, above);
    default:
      throw new PolicyError(path, `a ${typeof value} is not JSON`);
  }
}

function copied(value: object, path: string, above: readonly object[]): unknown {
  if (above.includes(value)) {
    throw new PolicyError(path, "an object inside of itself is not JSON");
  }
  const inside = [...above, value];
  if (Array.isArray(value)) {
    return Array.from(value, (element, at) => plain(element, `${path}[${at}]`, inside));
  }
  if (!isPlain(value)) {
    const name = (value.constructor as { name?: unknown } | undefined)?.name;
    const found = typeof name === "string" && name !== "" ? name : "an object with a prototype";
    throw new PolicyError(path, `${found}: expected a plain object or an array`);
  }
  const members = Object.entries(value).map(([name, member]) => {
    const step = /^[A-Za-z_]\w*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
    return [name, plain(member, path + step, inside)] as const;
  });
  return Object.fromEntries(members);
}

/** `{}`, of this realm or another one, or an object without prototype. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
