export default function Page() {
  return <p>An MCP server is at /mcp.</p>;
}
