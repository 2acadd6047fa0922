// Cloudflare's OAuthResourceServer with tokens of another issuer, verified by Countersign. In workerd, bundled
// like worker.mjs.
import { OAuthResourceServer } from "@cloudflare/workers-oauth-provider";
import { authInfo } from "countersign/mcp";
import { validateToken } from "countersign/workers-oauth-provider";

import { handler } from "./tools-v2.mjs";

const make = ({ ISSUER, RESOURCE }) =>
  new OAuthResourceServer({
    resourceMetadata: { resource: RESOURCE, authorization_servers: [ISSUER] },
    requiredScopes: ["mcp:use"],
    validateToken: validateToken((env) => ({ issuer: env.ISSUER, jwks: `${env.ISSUER}/jwks` })),
    handler: {
      fetch: (request, _env, { props }) => handler.fetch(request, { authInfo: authInfo(props) }),
    },
  });

let server;

export default {
  fetch(request, env, ctx) {
    server ??= make(env);
    return server.fetch(request, env, ctx);
  },
};
