// Reads a file of Kubernetes manifests, holds each against the schema of its kind, and prints them all, as JSON.
// node manifests.mjs NODE_MODULES SCHEMAS MANIFESTS.yaml
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, schemas, manifests] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { parseAllDocuments } = require("yaml");
const Ajv = require("ajv");

const documents = parseAllDocuments(readFileSync(manifests, "utf8")).map((document) => {
  if (document.errors.length > 0) throw document.errors[0];
  return document.toJS();
});
for (const document of documents) {
  const { apiVersion, kind, metadata } = document;
  if (!apiVersion || !kind || !metadata?.name || !metadata?.namespace) {
    throw new Error(`${kind ?? "a document"} lacks a kind or a name`);
  }
  const schema = JSON.parse(readFileSync(`${schemas}/${kind}.json`, "utf8"));
  const validate = new (Ajv.default ?? Ajv)({ allErrors: true }).compile(schema);
  if (!validate(document)) throw new Error(`${kind}: ${JSON.stringify(validate.errors, null, 1)}`);
}
console.log(JSON.stringify(documents));
