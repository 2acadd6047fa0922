"""Holds a running issuer to its OpenAPI document, and the document to OpenAPI 3.1.

Schemathesis makes requests from the document, right and wrong ones, the same for a seed (FUZZ_SEED). About
half of them get values that exist (clients, tokens, a resource), so that they come further than the
first check. What a token request is refused for is for other tests; here, every answer has to be one
that the document allows, and none may be a server error.

FUZZ_ISSUER, FUZZ_RESOURCE, FUZZ_SERVICE (`id:secret`): what to ask. FUZZ_DIR: for its files. FUZZ_CASES: how many requests at most
for each operation in each phase.
"""

import json
import os
import random
import sys
from base64 import b64encode
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import schemathesis
import schemathesis.cli
from openapi_spec_validator import OpenAPIV31SpecValidator

DOCUMENT = Path(__file__).parents[2] / "crates/issuer/openapi.json"
ISSUER = os.environ["FUZZ_ISSUER"]
RESOURCE = os.environ["FUZZ_RESOURCE"]
SERVICE_ID, SERVICE_SECRET = os.environ["FUZZ_SERVICE"].split(":")
SEED = os.environ.get("FUZZ_SEED", "1")
BASIC = "Basic " + b64encode(f"{SERVICE_ID}:{SERVICE_SECRET}".encode()).decode()

pick = random.Random(SEED).choice

# What every response must keep to. Not held against the issuer: that it answers 400 to something that
# fits the schema (a code that nobody issued), or 200 to parameters that it ignores, as it must.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
]


def ask(path, body, content_type, **headers):
    request = Request(ISSUER + path, body, {"Content-Type": content_type, **headers})
    with urlopen(request, timeout=60) as response:
        return json.load(response)


def form(path, **parameters):
    kind = "application/x-www-form-urlencoded"
    return ask(path, urlencode(parameters).encode(), kind, Authorization=BASIC)


def registered():
    """A public client, as MCP clients register."""
    body = {"redirect_uris": ["http://127.0.0.1/callback"], "grant_types": ["authorization_code", "refresh_token"]}
    return ask("/register", json.dumps(body).encode(), "application/json")


PUBLIC = registered()
TOKEN = form("/token", grant_type="client_credentials")["access_token"]
LISTS = json.load(urlopen(ISSUER + "/status-lists", timeout=60))["status_lists"]

# Registration access tokens of the clients that the run itself registers.
REGISTRATIONS = {PUBLIC["client_id"]: PUBLIC["registration_access_token"]}

GOOD = {
    "client_id": [PUBLIC["client_id"], SERVICE_ID],
    "client_secret": [SERVICE_SECRET],
    "grant_type": ["client_credentials", "client_credentials", "refresh_token"],
    "redirect_uri": ["http://127.0.0.1:7/callback"],
    "resource": [RESOURCE],
    "response_type": ["code"],
    "scope": ["files:read", "openid files:read", "files:write"],
    "token": [TOKEN],
    "user_code": ["BCDF-GHJK"],
    "access_token": [TOKEN],
}


@schemathesis.hook
def before_call(context, case, kwargs):
    if pick([True, False]):
        improve(case)
    if token := REGISTRATIONS.get(case.path_parameters.get("client")):
        case.headers["Authorization"] = f"Bearer {token}"
        if isinstance(case.body, dict) and "client_id" in case.body:
            case.body["client_id"] = case.path_parameters["client"]


def improve(case):
    """Puts in what exists."""
    path, body = case.operation.path, case.body if isinstance(case.body, dict) else {}
    # Nobody guesses a proof.
    case.headers.pop("DPoP", None)
    if "list" in case.path_parameters:
        case.path_parameters["list"] = pick(LISTS).rsplit("/", 1)[1]
    if "client" in case.path_parameters:
        case.path_parameters["client"] = pick(sorted(REGISTRATIONS))
    if path.startswith("/register"):
        if "redirect_uris" in body:
            for name in ["client_uri", "logo_uri", "policy_uri", "tos_uri", "jwks_uri", "jwks"]:
                body.pop(name, None)
            body["redirect_uris"] = GOOD["redirect_uri"]
        return
    if path == "/userinfo":
        case.headers["Authorization"] = f"Bearer {TOKEN}"
    for values in [case.query or {}, body]:
        values.update({name: pick(GOOD[name]) for name in GOOD if name in values})
    if path in ["/token", "/revoke", "/introspect", "/par", "/device_authorization"] and body:
        # One way of authenticating: by the header, or as a public client.
        for name in ["client_secret", "client_assertion", "client_assertion_type"]:
            body.pop(name, None)
        if body.get("client_id") == PUBLIC["client_id"]:
            case.headers.pop("Authorization", None)
        else:
            body.pop("client_id", None)
            case.headers["Authorization"] = BASIC


STATUSES = {}


@schemathesis.hook
def after_call(context, case, response):
    operation = case.operation.label
    STATUSES.setdefault(operation, {}).setdefault(response.status_code, 0)
    STATUSES[operation][response.status_code] += 1
    if case.operation.path.startswith("/register") and response.status_code in (200, 201):
        client = response.json()
        REGISTRATIONS[client["client_id"]] = client["registration_access_token"]


def main():
    document = json.loads(DOCUMENT.read_text())
    OpenAPIV31SpecValidator(document).validate()
    print("the document is OpenAPI 3.1")
    # It writes files; none of them into the checkout.
    os.chdir(os.environ["FUZZ_DIR"])
    arguments = ["run", str(DOCUMENT), "--url", ISSUER, "--no-color", "--max-redirects", "0"]
    arguments += ["--checks", ",".join(CHECKS), "--continue-on-failure", "--warnings", "off"]
    arguments += ["--max-examples", os.environ.get("FUZZ_CASES", "10")]
    arguments += ["--seed", SEED, "--generation-database", "none"]
    arguments += ["--suppress-health-check", "all", "--request-timeout", "60"]
    arguments += ["--output-truncate", "false"] + os.environ.get("FUZZ_MORE", "").split()
    try:
        schemathesis.cli.schemathesis(arguments)
    finally:
        for operation, statuses in sorted(STATUSES.items()):
            print(f"{operation}: {', '.join(f'{n} x {status}' for status, n in sorted(statuses.items()))}")


if __name__ == "__main__":
    sys.exit(main())
