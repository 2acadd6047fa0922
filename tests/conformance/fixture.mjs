// An MCP server with what the official conformance suite's `server` mode looks for. The suite runs
// against it directly and through Envoy: Countersign must not change one outcome.
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { localhostHostValidation, localhostOriginValidation, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, inputRequired, McpServer, ResourceTemplate } from '@modelcontextprotocol/server';
import * as z from 'zod';

const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=';
const text = (value) => ({ type: 'text', text: value });
const image = { type: 'image', data: PNG, mimeType: 'image/png' };
const audio = { type: 'audio', data: WAV, mimeType: 'audio/wav' };
const embedded = (uri, mimeType, value) => ({
  type: 'resource',
  resource: { uri, mimeType, text: value },
});

/** Tools that answer at once. */
const PLAIN = {
  test_simple_text: [text('This is a simple text response for testing.')],
  test_image_content: [image],
  test_audio_content: [audio],
  test_embedded_resource: [
    embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.'),
  ],
  test_multiple_content_types: [
    text('Multiple content types test:'),
    image,
    embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
  ],
};

function addTools(server) {
  const tool = (name, work, inputSchema = z.object({})) =>
    server.registerTool(name, { description: name, inputSchema }, work);
  for (const [name, content] of Object.entries(PLAIN)) tool(name, async () => ({ content }));
  tool('test_error_handling', async () => {
    throw new Error('This tool intentionally returns an error for testing');
  });
  tool('test_tool_with_progress', async (_, { mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined) {
        const params = { progressToken, progress, total: 100 };
        await mcpReq.notify({ method: 'notifications/progress', params });
      }
      await sleep(50);
    }
    return { content: [text('done')] };
  });
  tool('test_tool_with_logging', async (_, { mcpReq }) => {
    for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
      await mcpReq.log('info', data);
      await sleep(50);
    }
    return { content: [text('done')] };
  });
  tool('test_input_required_result_elicitation', async (_, { mcpReq }) => {
    const answer = mcpReq.inputResponses?.user_name;
    if (answer) return { content: [text(`Hello, ${answer.content?.name}!`)] };
    const requestedSchema = z.object({ name: z.string() });
    const ask = inputRequired.elicit({ message: 'What is your name?', requestedSchema });
    return inputRequired({ inputRequests: { user_name: ask } });
  });
}

function addResources(server) {
  const fixed = (name, uri, mimeType, content) =>
    server.registerResource(name, uri, { mimeType }, async () => ({
      contents: [{ uri, mimeType, ...content }],
    }));
  const words = 'This is the content of the static text resource.';
  fixed('static-text', 'test://static-text', 'text/plain', { text: words });
  fixed('static-binary', 'test://static-binary', 'image/png', { blob: PNG });
  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined });
  const mimeType = 'application/json';
  server.registerResource('template', template, { mimeType }, async (uri, { id }) => ({
    contents: [
      {
        uri: uri.href,
        mimeType,
        text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
      },
    ],
  }));
}

function addPrompts(server) {
  const user = (content) => ({ role: 'user', content });
  const prompt = (name, argsSchema, messages) =>
    server.registerPrompt(name, { description: name, argsSchema }, async (args) => ({
      messages: messages(args).map(user),
    }));
  prompt('test_simple_prompt', undefined, () => [text('This is a simple prompt for testing.')]);
  prompt('test_prompt_with_arguments', z.object({ arg1: z.string(), arg2: z.string() }), (args) => [
    text(`Prompt with arguments: arg1='${args.arg1}', arg2='${args.arg2}'`),
  ]);
  prompt('test_prompt_with_embedded_resource', z.object({ resourceUri: z.string() }), (args) => [
    embedded(args.resourceUri, 'text/plain', 'Embedded resource content for testing.'),
    text('Please process the embedded resource above.'),
  ]);
  prompt('test_prompt_with_image', undefined, () => [image, text('Please analyze the image above.')]);
}

function makeServer() {
  const server = new McpServer(
    { name: 'countersign-conformance', version: '1.0.0' },
    { capabilities: { logging: {} } },
  );
  addTools(server);
  addResources(server);
  addPrompts(server);
  return server;
}

const handle = toNodeHandler(createMcpHandler(makeServer, { keepAliveMs: 0 }));
const guards = [localhostHostValidation(), localhostOriginValidation()];
const http = createServer((request, response) => {
  if (guards.every((passes) => passes(request, response))) handle(request, response);
});
http.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${http.address().port}/mcp`);
});
