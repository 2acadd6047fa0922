// What several requests may be given: unchangeable, all through.

/** Freezes what `JSON.parse` made, whose nesting the engine has bounded, and gives it back. */
export function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const name in value) {
      frozen(value[name]);
    }
    Object.freeze(value);
  }
  return value;
}
