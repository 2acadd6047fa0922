// A Cloudflare Worker in front of a remote MCP server, which need not know of tokens.
//   esbuild worker.mjs --bundle --format=esm --conditions=workerd --external:*.wasm, or wrangler deploy
import { createGuard, keyCaches } from "countersign";

/** The Worker's variables: ISSUER, RESOURCE (this Worker's own URL of the server), UPSTREAM (the server). */
const policy = ({ ISSUER, RESOURCE }) => ({
  issuers: [{ issuer: ISSUER }],
  resources: [
    {
      resource: RESOURCE,
      scopes: {
        baseline: ["mcp:use"],
        tools: { whoami: [], read_file: ["files:read"], write_file: ["files:write"] },
        unlisted: "deny",
        methods: { initialize: [], "notifications/initialized": [], "tools/list": [], ping: [] },
        filter_lists: true,
      },
    },
  ],
});

/** The request goes on as it is, to the server's own address. The token is gone, x-mcp-subject says who calls. */
function forward(request, { UPSTREAM }) {
  const { pathname, search } = new URL(request.url);
  return fetch(new Request(UPSTREAM + pathname + search, request));
}

let handler;

export default {
  fetch(request, env, ctx) {
    // Made once for each isolate; what it fetches is shared by those of a data centre.
    handler ??= createGuard(policy(env), {
      keyCache: keyCaches.cacheApi(),
      clientAddress: (request) => request.headers.get("cf-connecting-ip"),
      onDecision: (decision) => console.log(decision.line),
    }).protect(forward);
    return handler(request, env, ctx);
  },
};
