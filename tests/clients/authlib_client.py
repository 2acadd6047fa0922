"""Authlib against the issuer: the flow with PKCE, by secret and by signed assertion; refresh,
introspection, revocation. Started by tests/e2e/tests/strict_clients.rs."""
import http.cookiejar
import os
import re
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request

from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

# The issuer under test is on this machine, without TLS.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
ISSUER = os.environ["STRICT_ISSUER"]
RESOURCE = os.environ["STRICT_RESOURCE"]
REDIRECT = "http://127.0.0.1:1/callback"
SCOPE = "openid files:read offline_access"


def fetch(url, data=None, headers=None):
    """JSON from a URL."""
    request = urllib.request.Request(url, data, headers or {})
    with urllib.request.urlopen(request) as response:
        import json

        return json.load(response)


class Stop(urllib.request.HTTPRedirectHandler):
    """Follows redirects within the issuer, and keeps the one that leads away."""

    def redirect_request(self, request, fp, code, msg, headers, newurl):
        if newurl.startswith(REDIRECT):
            self.found = newurl
            return None
        return super().redirect_request(request, fp, code, msg, headers, newurl)


def authorize(url):
    """Logs in and allows; returns where the browser is sent."""
    stop = Stop()
    jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    browser = urllib.request.build_opener(jar, stop)
    browser.addheaders = [("Sec-Fetch-Site", "none")]
    page = browser.open(url).read().decode()
    for _ in range(3):
        field = lambda name: re.search(f'name="{name}" value="([^"]*)"', page).group(1)
        form = {"interaction": field("interaction"), "csrf": field("csrf"), "action": "allow"}
        if 'type="password"' in page:
            form["action"] = "login"
            form["username"] = os.environ["STRICT_ACCOUNT"]
            form["password"] = os.environ["STRICT_PASSWORD"]
        body = urllib.parse.urlencode(form).encode()
        headers = {"Origin": ISSUER, "Sec-Fetch-Site": "same-origin"}
        try:
            request = urllib.request.Request(f"{ISSUER}/authorize", body, headers)
            page = browser.open(request).read().decode()
        except urllib.error.HTTPError as error:
            assert error.code == 303, error
            return stop.found
    raise AssertionError(page)


metadata = fetch(f"{ISSUER}/.well-known/openid-configuration")
assert metadata["issuer"] == ISSUER
keys = KeySet.import_key_set(fetch(metadata["jwks_uri"]))
own = RSAKey.generate_key(2048, {"kid": "authlib", "alg": "RS256", "use": "sig"})


def register(method):
    """RFC 7591."""
    import json

    body = {
        "client_name": f"Authlib {method}",
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": method,
    }
    if method == "private_key_jwt":
        body["jwks"] = {"keys": [own.as_dict(private=False)]}
    headers = {"Content-Type": "application/json"}
    return fetch(metadata["registration_endpoint"], json.dumps(body).encode(), headers)


class Assertion(PrivateKeyJWT):
    """Authlib's own audience is the endpoint, for an hour, and claims that are given keep their first
    `jti`. It has to be the issuer alone (draft-ietf-oauth-rfc7523bis), for five minutes at most, once."""

    def sign(self, auth, token_endpoint):
        self.claims = {"aud": ISSUER, "exp": int(time.time()) + 60}
        self.headers = {"kid": "authlib"}
        return super().sign(auth, token_endpoint)


def session(client, method):
    """A session of this client, with what it authenticates by."""
    made = OAuth2Session(
        client["client_id"],
        client.get("client_secret"),
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        scope=SCOPE,
        redirect_uri=REDIRECT,
        code_challenge_method="S256",
    )
    if method == "private_key_jwt":
        made.client_secret = own
        made.register_client_auth_method(Assertion(metadata["token_endpoint"]))
    return made


steps = 0
for method in ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]:
    client = register(method)
    made = session(client, method)
    verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    url, state = made.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce, resource=RESOURCE
    )
    tokens = made.fetch_token(
        metadata["token_endpoint"],
        authorization_response=authorize(url),
        state=state,
        code_verifier=verifier,
    )
    claims = jwt.decode(tokens["id_token"], keys, algorithms=["ES256"]).claims
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (ISSUER, client["client_id"], nonce)
    access = jwt.decode(tokens["access_token"], keys, algorithms=["ES256"])
    assert access.header["typ"] == "at+jwt"
    assert (access.claims["aud"], access.claims["scope"]) == (RESOURCE, "files:read")
    assert access.claims["exp"] > time.time()
    refreshed = made.refresh_token(metadata["token_endpoint"], tokens["refresh_token"])
    assert refreshed["refresh_token"] != tokens["refresh_token"]
    answer = made.revoke_token(
        metadata["revocation_endpoint"], refreshed["refresh_token"], "refresh_token"
    )
    assert answer.status_code == 200, answer.text
    try:
        made.refresh_token(metadata["token_endpoint"], refreshed["refresh_token"])
    except Exception as error:
        assert "invalid_grant" in str(error), error
    else:
        raise AssertionError("a revoked refresh token was taken")
    steps += 1
    print(f"✓ authlib, {method}: code, tokens, refresh, revocation")

service_id, service_secret = os.environ["STRICT_SERVICE"].split(":")
service = OAuth2Session(service_id, service_secret, token_endpoint_auth_method="client_secret_basic")
token = service.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
server_id, server_secret = os.environ["STRICT_SERVER"].split(":")
server = OAuth2Session(server_id, server_secret)
answer = server.introspect_token(metadata["introspection_endpoint"], token["access_token"])
assert answer.json()["active"] is True, answer.text
steps += 1
print("✓ authlib: client_credentials, introspection")
print(f"{steps} steps passed")
