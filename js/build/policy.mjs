// Makes the types of the policy document, src/policy.ts, of its JSON schema, policy.schema.json. js/test/policy.test.mjs
// holds the schema to the engine, and the types to the schema. Run by hand: node js/build/policy.mjs
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const at = (path) => new URL(`../${path}`, import.meta.url);

export const schema = () => JSON.parse(readFileSync(at("policy.schema.json"), "utf8"));

function typeOf(node) {
  if (node.$ref) return node.$ref.split("/").at(-1);
  if (node.enum) return node.enum.map((word) => JSON.stringify(word)).join(" | ");
  if (Array.isArray(node.type)) return node.type.join(" | ");
  switch (node.type) {
    case "array": {
      const item = typeOf(node.items);
      return `readonly ${item.includes("|") ? `(${item})` : item}[]`;
    }
    case "integer":
      return "number";
    case "object":
      return node.additionalProperties ? `{ readonly [name: string]: ${typeOf(node.additionalProperties)} }` : "object";
    default:
      return node.type;
  }
}

function comment(node) {
  const bounds = node.minimum === undefined ? "" : ` From ${node.minimum} to ${node.maximum}.`;
  const preset = node.default === undefined ? "" : ` Default: \`${JSON.stringify(node.default)}\`.`;
  return `/** ${node.description}${bounds}${preset} */`;
}

function declaration(name, node) {
  const members = Object.entries(node.properties).map(([member, of]) => {
    const optional = node.required?.includes(member) ? "" : "?";
    return `  ${comment(of)}\n  readonly ${member}${optional}: ${typeOf(of)};\n`;
  });
  return `${comment(node)}\nexport interface ${name} {\n${members.join("")}}\n`;
}

/** The text of src/policy.ts. */
export function types() {
  const { $defs, title, ...root } = schema();
  const all = [[title, root], ...Object.entries($defs)];
  const head = "// The policy document's types. Made by js/build/policy.mjs of policy.schema.json: do not edit.\n";
  return [head, ...all.map(([name, node]) => declaration(name, node))].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(at("src/policy.ts"), types());
}
