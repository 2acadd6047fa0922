// What the demo needs to know about the stack that `cargo xtask demo` started.

const need = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; start this with: cargo xtask demo`);
  return value;
};

export const settings = {
  /** The MCP endpoint, through Envoy. */
  mcp: need('DEMO_MCP'),
  issuer: need('DEMO_ISSUER'),
  account: need('DEMO_ACCOUNT'),
  password: need('DEMO_PASSWORD'),
  /** A second resource of the same issuer. */
  otherResource: need('DEMO_OTHER_RESOURCE'),
  /** What reached the MCP server, asked past Envoy. */
  seen: need('DEMO_SEEN'),
  envoyLog: need('DEMO_ENVOY_LOG'),
  /** The major version of the official SDK that the client is made with. */
  sdk: Number(process.env.DEMO_SDK ?? 2),
  revision: process.env.DEMO_REVISION ?? '2026-07-28',
};
