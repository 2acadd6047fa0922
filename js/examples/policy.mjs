// What all examples have in common: where they listen, whose tokens they take, and who may do what.

const { PORT = "3000", ISSUER = "http://127.0.0.1:8090" } = process.env; // where `countersign serve` is

export const port = Number(PORT);

export const policy = {
  issuers: [{ issuer: ISSUER }],
  resources: [
    {
      resource: `http://127.0.0.1:${PORT}/mcp`,
      scopes: {
        baseline: ["mcp:use"],
        tools: { whoami: [], read_file: ["files:read"], write_file: ["files:write"] },
        unlisted: "deny",
        methods: { initialize: [], "notifications/initialized": [], "tools/list": [], ping: [] },
        // A client sees only the tools that its token may call.
        filter_lists: true,
      },
    },
  ],
};

/** A line for the log: who asked for what, and how it came out. */
export const onDecision = (decision) => console.log(decision.line);
