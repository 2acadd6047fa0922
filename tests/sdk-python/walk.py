"""The official Python SDK through Envoy: it finds the issuer, logs in, and steps up by itself.

Its whole OAuth implementation is its own; ours is the storage and, through open.mjs, the person in
front of the browser. Run by tests/e2e with the DEMO_* variables of tests/demo.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

REDIRECT_URI = "http://127.0.0.1:33419/callback"
OPEN = Path(__file__).with_name("open.mjs")


class Memory:
    """The SDK's TokenStorage."""

    def __init__(self):
        self.tokens = None
        self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


class Browser:
    """Where the SDK sends the user, and what comes back."""

    def __init__(self):
        self.visits = 0
        self.callback = ""

    async def open(self, url):
        self.visits += 1
        command = ["node", str(OPEN), url, REDIRECT_URI]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        self.callback = done.stdout.strip()

    async def result(self):
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.callback).query).items()}
        return AuthorizationCodeResult(
            code=query["code"], state=query.get("state"), iss=query.get("iss")
        )


def expect(what, actual, wanted):
    """Stops the walk unless `actual` is what it must be."""
    if actual != wanted:
        sys.exit(f"{what} is {actual!r}, not {wanted!r}")
    print(f"ok {what}: {actual!r}")


async def walk(url, mode):
    memory, browser = Memory(), Browser()
    metadata = OAuthClientMetadata(
        client_name="Countersign test (Python)",
        redirect_uris=[REDIRECT_URI],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method="none",
    )
    auth = OAuthClientProvider(url, metadata, memory, browser.open, browser.result)
    async with httpx2.AsyncClient(auth=auth, timeout=30) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=mode) as client:
            # A pinned modern revision needs no handshake: this is the first request.
            listed = await client.list_tools()
            expect("tools", sorted(tool.name for tool in listed.tools), ["read_file", "write_file"])
            read = await client.call_tool("read_file", {"path": "notes.txt"})
            expect("read_file failed", bool(read.is_error), False)
            expect("logins so far", browser.visits, 1)
            arguments = {"path": "python.txt", "content": "hello"}
            written = await client.call_tool("write_file", arguments)
            expect("write_file says", written.content[0].text, "wrote 5 characters to python.txt")
            expect("logins after the step-up", browser.visits, 2)
            granted = set((memory.tokens.scope or "").split())
            expect("files:write was granted", "files:write" in granted, True)


asyncio.run(walk(os.environ["DEMO_MCP"], sys.argv[1]))
