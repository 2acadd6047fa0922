// When the WebAssembly module is made ready: on first use, where hosts allow it then.

let load: (() => void) | undefined;
let isSaid = false;

/** Says how the module is made ready. */
export function onFirstUse(loading: () => void): void {
  load = loading;
  isSaid = true;
}

/** The same for an entry that has no module: it leaves alone what another one has said. */
export function onUseWithout(refusing: () => void): void {
  if (!isSaid) {
    load = refusing;
  }
}

/** Makes the module ready. To be called before the first of its functions is; throws as the host does. */
export function ready(): void {
  load?.();
  load = undefined;
}
