// Reads a file of Kubernetes manifests, holds the first against its schema, and prints the configuration
// that it has for the filter, as JSON.
// node manifests.mjs NODE_MODULES SCHEMA.json MANIFESTS.yaml PATH.TO.CONFIGURATION
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, schema, manifests, path] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { parseAllDocuments } = require("yaml");
const Ajv = require("ajv");

const documents = parseAllDocuments(readFileSync(manifests, "utf8")).map((document) => {
  if (document.errors.length > 0) throw document.errors[0];
  return document.toJS();
});
for (const { apiVersion, kind, metadata } of documents) {
  if (!apiVersion || !kind || !metadata?.name || !metadata?.namespace) {
    throw new Error(`${kind ?? "a document"} lacks a kind or a name`);
  }
}
const validate = new (Ajv.default ?? Ajv)({ allErrors: true }).compile(JSON.parse(readFileSync(schema, "utf8")));
if (!validate(documents[0])) throw new Error(JSON.stringify(validate.errors, null, 1));
const found = path.split(".").reduce((value, name) => value[name], documents[0]);
console.log(JSON.stringify(found));
