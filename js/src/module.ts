// When the WebAssembly module is made ready: on first use, where hosts allow it then.

let load: (() => void) | undefined;

/** Says how the module is made ready. */
export function onFirstUse(loading: () => void): void {
  load = loading;
}

/** Makes the module ready. To be called before the first of its functions is; throws as the host does. */
export function ready(): void {
  load?.();
  load = undefined;
}
