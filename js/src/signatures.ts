// Verifying signatures by what the host has: `node:crypto`, else WebCrypto. It is asked for RSA and ES384,
// which it does faster than the module; ES256 and Ed25519 are faster in the module (docs/performance.md).
//
// The engine has bound algorithm, key, curve and lengths to each other before it asks. Here each name of
// an algorithm has its parameters in one table, and nothing of a token chooses among them. Before a host is
// relied on for an algorithm it must give the known answers; where it does not, or throws, the module
// verifies.

import { type HostVerifier, type SignatureParts, known_answers } from "./core.js";
import { ready } from "./module.js";

/** What hosts are asked for. */
export type HostAlgorithm = keyof typeof ALGORITHMS;

/** A signature to verify. */
export interface SignatureCheck {
  algorithm: HostAlgorithm;
  /** A name that no other key has: its SHA-256 thumbprint (RFC 7638). */
  keyName: string;
  /** Gives the key as `SubjectPublicKeyInfo` in DER. Called before `verify` first waits, or not at all. */
  key: () => Bytes;
  message: Bytes;
  /** In the encoding of JWS (RFC 7518 §3). */
  signature: Bytes;
}

type Bytes = Uint8Array<ArrayBuffer>;

/** `undefined`: cannot tell. */
type Verdict = boolean | undefined;

/** A host's way to verify. */
interface Means {
  readonly name: "node:crypto" | "WebCrypto";
  /** It never gives a promise. */
  readonly isAtOnce: boolean;
  verify(check: SignatureCheck): boolean | Promise<boolean>;
}

const rs = (bits: 256 | 384 | 512) => ({ hash: bits, padding: "pkcs1" }) as const;
const ps = (bits: 256 | 384 | 512) => ({ hash: bits, padding: "pss" }) as const;

/** Hash in bits, and how the signature is made of it. PSS has a salt as long as the hash (RFC 7518 §3.5). */
const ALGORITHMS = {
  ES384: { hash: 384, padding: null },
  PS256: ps(256),
  PS384: ps(384),
  PS512: ps(512),
  RS256: rs(256),
  RS384: rs(384),
  RS512: rs(512),
} as const;

/** Most keys that are kept ready. */
const MAX_KEYS = 64;

/** The host's verifier, and for which algorithms it has proven itself. */
export class HostSignatures {
  readonly #means: Means;
  readonly #proven = new Map<HostAlgorithm, boolean>();
  /** How many signatures were verified by the host. */
  verified = 0;

  constructor(means: Means) {
    this.#means = means;
  }

  /** For the module to ask by itself, where the host verifies without waiting. */
  get atOnce(): HostVerifier | undefined {
    return this.#means.isAtOnce ? new AtOnce(this) : undefined;
  }

  /** Who verifies. */
  get name(): Means["name"] {
    return this.#means.name;
  }

  /** Whether it has given the known answers for an algorithm; it is asked for them where nobody has yet. */
  prove(algorithm: HostAlgorithm): boolean | Promise<boolean> {
    return this.#proven.get(algorithm) ?? this.#prove(algorithm);
  }

  /** Whether it is known that it gives them. */
  isProven(algorithm: HostAlgorithm): boolean {
    return this.#proven.get(algorithm) ?? false;
  }

  /** Whether a signature is good; `undefined`: ask the module. Never throws or rejects. */
  verify(check: SignatureCheck): Verdict | Promise<Verdict> {
    const proven = this.prove(check.algorithm);
    if (typeof proven !== "boolean") {
      // Each waits for its own proof: a promise that another request made may never settle.
      return proven.then((proven) => (proven ? this.#count(this.#ask(check)) : undefined));
    }
    return proven ? this.#count(this.#ask(check)) : undefined;
  }

  #ask(check: SignatureCheck): Verdict | Promise<Verdict> {
    try {
      const answer = this.#means.verify(check);
      return answer instanceof Promise ? answer.then(asVerdict, () => undefined) : asVerdict(answer);
    } catch {
      return undefined;
    }
  }

  #count(verdict: Verdict | Promise<Verdict>): Verdict | Promise<Verdict> {
    if (verdict instanceof Promise) {
      return verdict.then((verdict) => this.#count(verdict));
    }
    this.verified += verdict === undefined ? 0 : 1;
    return verdict;
  }

  #prove(algorithm: HostAlgorithm): boolean | Promise<boolean> {
    if (!Object.hasOwn(ALGORITHMS, algorithm)) {
      return false;
    }
    ready();
    const [key, ...answers] = known_answers(algorithm);
    if (key === undefined) {
      return false;
    }
    const asked: { verdict: Verdict | Promise<Verdict>; expected: unknown; own: boolean }[] = [];
    for (let at = 0; at < answers.length; at += 2) {
      const check = checkOf(answers[at] as SignatureParts, () => key);
      const own = check.algorithm === algorithm;
      asked.push({ verdict: this.#ask(check), expected: answers[at + 1], own });
    }
    const note = (verdicts: Verdict[]) => {
      const right = asked.every(({ expected, own }, at) => {
        const verdict = verdicts[at];
        return verdict === undefined ? !own : verdict === expected;
      });
      // A host that does not have the algorithm is none that is wrong.
      if (!right && verdicts.some((verdict) => verdict !== undefined)) {
        warn(this.name, algorithm);
      }
      this.#proven.set(algorithm, right);
      return right;
    };
    const verdicts = asked.map(({ verdict }) => verdict);
    const isSettled = (all: typeof verdicts): all is Verdict[] =>
      !all.some((verdict) => verdict instanceof Promise);
    return isSettled(verdicts) ? note(verdicts) : Promise.all(verdicts).then(note);
  }
}

/** What the module calls: numbers for keys, so that no name and no key is copied for each signature. */
class AtOnce implements HostVerifier {
  readonly #signatures: HostSignatures;
  readonly #known = new ReadyKeys<Omit<SignatureCheck, "message" | "signature">>();

  constructor(signatures: HostSignatures) {
    this.#signatures = signatures;
  }

  learn(key: number, algorithm: string, keyName: string, info: Bytes): void {
    const copy = info.slice();
    const known = { algorithm: algorithm as HostAlgorithm, keyName, key: () => copy };
    this.#known.add(key, known);
    try {
      this.#signatures.prove(known.algorithm);
    } catch {
      // Nothing may go through the module, which is in the middle of its work: not even what a `console` throws.
    }
  }

  verify(key: number, message: Bytes, signature: Bytes): 0 | 1 | 2 | 3 {
    const known = this.#known.get(key);
    if (known === undefined) {
      return 3;
    }
    // What is to be verified stands in the module's memory. To prove the host now could let that grow: then there
    // would be nothing there any more, and no message is that short.
    if (!this.#signatures.isProven(known.algorithm) || message.byteLength === 0) {
      return 2;
    }
    let verdict: unknown;
    try {
      verdict = this.#signatures.verify({ ...known, message, signature });
    } catch {
      // As above.
    }
    return typeof verdict === "boolean" ? (verdict ? 1 : 0) : 2;
  }
}

/** What is neither `true` nor `false` is no answer. */
function asVerdict(answer: unknown): Verdict {
  return typeof answer === "boolean" ? answer : undefined;
}

/** What the module asks for, as it gives it. */
export function checkOf(parts: SignatureParts, key: () => Bytes): SignatureCheck {
  const [algorithm, keyName, message, signature] = parts;
  return { algorithm: algorithm as HostAlgorithm, keyName, key, message, signature };
}

function warn(name: string, algorithm: string): void {
  console.warn(
    `countersign: signatures: ${name} gave wrong known answers for ${algorithm}; the module verifies it`,
  );
}

/** Keys that are ready, by name or number; the one that was used last is the last. */
class ReadyKeys<Key> {
  readonly #keys = new Map<string | number, Key>();

  get(name: string | number): Key | undefined {
    const key = this.#keys.get(name);
    if (key !== undefined) {
      this.#keys.delete(name);
      this.#keys.set(name, key);
    }
    return key;
  }

  add(name: string | number, key: Key): Key {
    this.#keys.set(name, key);
    for (const oldest of this.#keys.size > MAX_KEYS ? this.#keys.keys() : []) {
      this.#keys.delete(oldest);
      break;
    }
    return key;
  }
}

// --- node:crypto

/** What is used of `node:crypto`; the package has no dependencies, so not its types either. */
interface NodeCrypto {
  createPublicKey(key: { key: Uint8Array; format: "der"; type: "spki" }): object;
  verify(hash: string, message: Uint8Array, key: object, signature: Uint8Array): boolean;
  constants: { RSA_PKCS1_PADDING: number; RSA_PKCS1_PSS_PADDING: number };
}

/**
 * Synchronous, and a third of the module's time for RSA. Looked up when it is used: no import that a bundler
 * would have to resolve.
 */
function nodeCrypto(): Means | undefined {
  const crypto = builtIn();
  if (typeof crypto?.verify !== "function" || typeof crypto.createPublicKey !== "function") {
    return undefined;
  }
  const { RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING } = crypto.constants;
  const keys = new ReadyKeys<object>();
  const ready = ({ keyName, key }: SignatureCheck) =>
    keys.get(keyName) ??
    keys.add(keyName, crypto.createPublicKey({ key: key(), format: "der", type: "spki" }));
  return {
    name: "node:crypto",
    isAtOnce: true,
    verify(check) {
      const { hash, padding } = ALGORITHMS[check.algorithm];
      const key = ready(check);
      const how =
        padding === null
          ? { key, dsaEncoding: "ieee-p1363" }
          : padding === "pkcs1"
            ? { key, padding: RSA_PKCS1_PADDING }
            : { key, padding: RSA_PKCS1_PSS_PADDING, saltLength: hash / 8 };
      return crypto.verify(`sha${hash}`, check.message, how, check.signature);
    },
  };
}

function builtIn(): NodeCrypto | undefined {
  const { process, Deno, EdgeRuntime } = globalThis as {
    process?: { getBuiltinModule?: (name: string) => NodeCrypto | undefined };
    Deno?: unknown;
    EdgeRuntime?: unknown;
  };
  // Deno's is its own, takes twice as long as its WebCrypto, and cannot do the largest keys. Next.js's edge
  // runtime has a `process` that throws when it is asked.
  if (Deno !== undefined || EdgeRuntime !== undefined) {
    return undefined;
  }
  try {
    return process?.getBuiltinModule?.("node:crypto");
  } catch {
    return undefined;
  }
}

// --- WebCrypto

function webCrypto(): Means | undefined {
  const { crypto } = globalThis as { crypto?: { subtle?: SubtleCrypto } };
  const subtle = crypto?.subtle;
  if (typeof subtle?.verify !== "function" || typeof subtle.importKey !== "function") {
    return undefined;
  }
  const keys = new ReadyKeys<CryptoKey>();
  /** A key of WebCrypto is bound to one algorithm. */
  const ready = async ({ algorithm, keyName, key }: SignatureCheck): Promise<CryptoKey> => {
    const name = `${algorithm} ${keyName}`;
    return (
      keys.get(name) ??
      keys.add(name, await subtle.importKey("spki", key(), importing(algorithm), false, ["verify"]))
    );
  };
  return {
    name: "WebCrypto",
    isAtOnce: false,
    async verify(check) {
      const { algorithm, signature, message } = check;
      return subtle.verify(verifying(algorithm), await ready(check), signature, message);
    },
  };
}

function importing(algorithm: HostAlgorithm): RsaHashedImportParams | EcKeyImportParams {
  const { hash, padding } = ALGORITHMS[algorithm];
  return padding === null
    ? { name: "ECDSA", namedCurve: "P-384" }
    : { name: padding === "pss" ? "RSA-PSS" : "RSASSA-PKCS1-v1_5", hash: `SHA-${hash}` };
}

function verifying(algorithm: HostAlgorithm): AlgorithmIdentifier | RsaPssParams | EcdsaParams {
  const { hash, padding } = ALGORITHMS[algorithm];
  switch (padding) {
    case null:
      return { name: "ECDSA", hash: `SHA-${hash}` };
    case "pkcs1":
      return { name: "RSASSA-PKCS1-v1_5" };
    case "pss":
      return { name: "RSA-PSS", saltLength: hash / 8 };
  }
}

let host: HostSignatures | null | undefined;

/** What this host verifies with; nothing where it has neither. */
export function hostSignatures(): HostSignatures | undefined {
  if (host === undefined) {
    const means = nodeCrypto() ?? webCrypto();
    host = means ? new HostSignatures(means) : null;
  }
  return host ?? undefined;
}
