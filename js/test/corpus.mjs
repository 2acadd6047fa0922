// Reads a corpus of verdicts (crates/bench/src/case.rs) as a host's verifier is asked. Runs in Node and in
// workerd.

const bytes = (hex) =>
  hex === "-" ? new Uint8Array() : Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));

const concat = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));

/** Tag, length in its shortest form (X.690 §10.1), content. */
function element(tag, ...parts) {
  const content = concat(...parts);
  const { length } = content;
  const long = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return concat([tag, ...long], content);
}

const integer = (number) => element(2, number[0] & 0x80 ? [0] : [], number);
const RSA = [0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
const P384 = [0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22];

/** The key as `SubjectPublicKeyInfo`, and how long its signatures are. */
function keyOf(algorithm, [first, second]) {
  return algorithm === "ES384"
    ? [element(0x30, P384, element(3, [0, 4], first, second)), 96]
    : [element(0x30, RSA, element(3, [0], element(0x30, integer(first), integer(second)))), first.length];
}

/**
 * Asks for each verdict on a signature that the engine would hand over. Gives how many were asked for, by
 * algorithm, how many of those the host could not tell (by keys that every host takes, and by larger ones),
 * and what came out otherwise than it must.
 */
export async function judge(corpus, signatures) {
  const result = { asked: {}, silent: 0, tooLarge: 0, wrong: [] };
  const names = new Map();
  for (const line of corpus.trimEnd().split("\n")) {
    const [algorithm, key, message, signature, verdict] = line.split(" ");
    if (!/^(ES384|[PR]S(256|384|512))$/.test(algorithm)) continue;
    if (!names.has(key)) names.set(key, keyOf(algorithm, key.split(".").map(bytes)));
    const [der, length] = names.get(key);
    const check = { algorithm, keyName: key, key: () => der, message: bytes(message), signature: bytes(signature) };
    if (check.signature.length !== length) continue;
    result.asked[algorithm] = (result.asked[algorithm] ?? 0) + 1;
    const answer = await signatures.verify(check);
    // Some hosts do not take RSA keys of 8192 bits.
    if (answer === undefined) length > 512 ? result.tooLarge++ : result.silent++;
    else if (answer !== (verdict === "1")) result.wrong.push(line.slice(0, 2000));
  }
  return result;
}

/** That all of this was so. */
export function findings({ asked, silent, wrong }) {
  const found = wrong.map((line) => `another verdict: ${line}`);
  for (const algorithm of ["ES384", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"]) {
    if (!(asked[algorithm] >= 100)) found.push(`only ${asked[algorithm]} cases of ${algorithm}`);
  }
  if (silent > 0) found.push(`${silent} cases were left to the module`);
  return found;
}
