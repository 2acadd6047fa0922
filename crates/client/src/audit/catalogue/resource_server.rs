//! What an MCP server has to do, or the guard in front of it.

super::checks! { ResourceServer:
    AUTHENTICATION_REQUIRED = "authentication_required", Must,
        "MCP 2026-07-28, Authorization: Token Handling; RFC 6750 §3.1",
        "A request without a token gets 401",
        "Whoever finds the URL can use the server.",
        "Let the server, or a guard in front of it, refuse every request without a token with 401.";
    CHALLENGE_PARSED = "challenge_parsed", Must,
        "RFC 6750 §3, RFC 9110 §11.6.1",
        "The 401 has a WWW-Authenticate header that can be read, with Bearer or DPoP",
        "Clients find the authorization server by this header; without it many give up.",
        "Send WWW-Authenticate: Bearer resource_metadata=\"…\", scope=\"…\" with every 401.";
    CHALLENGE_NO_ERROR = "challenge_no_error", Should,
        "RFC 6750 §3.1",
        "The challenge names no error where no token was sent",
        "error=\"invalid_token\" makes clients throw away tokens that are good, and log in again.",
        "Leave error out of the challenge when the request had no credentials.";
    CHALLENGE_RESOURCE_METADATA = "challenge_resource_metadata", Should,
        "MCP 2026-07-28, Authorization Server Discovery; RFC 9728 §5.1",
        "The challenge says where the resource's metadata stand",
        "Clients of revision 2025-06-18 look nowhere else.",
        "Add resource_metadata=\"https://…/.well-known/oauth-protected-resource/…\" to the challenge.";
    CHALLENGE_SCOPE = "challenge_scope", Should,
        "MCP 2026-07-28, Authorization: Scope Selection Strategy",
        "The challenge says which scopes are needed, and not offline_access",
        "Without it clients ask for every scope that the metadata list: more than they need.",
        "Add scope=\"…\" with the scopes that every request needs to the challenge.";
    CHALLENGE_REPEATS = "challenge_repeats", Should,
        "MCP 2026-07-28, Authorization: Scope Challenge Handling",
        "The same request gets the same challenge again",
        "Clients compare challenges to find out whether a login helped; they loop when one differs.",
        "Make the challenge from the configuration alone: no times, no random parts, one order of scopes.";
    CHALLENGE_NOT_CACHEABLE = "challenge_not_cacheable", Should,
        "RFC 9111 §3",
        "No shared cache may keep the refusals",
        "A cache would answer clients that do have a token with somebody else's refusal.",
        "Send Cache-Control: no-store, or none at all, with 401 and 403.";
    METADATA_FOUND = "metadata_found", Must,
        "MCP 2026-07-28, Authorization Server Discovery; RFC 9728 §3",
        "The resource has metadata where clients look",
        "Clients cannot find out where tokens come from.",
        "Serve the protected resource metadata at /.well-known/oauth-protected-resource followed by the path of the server.";
    METADATA_PATH_INSERTED = "metadata_path_inserted", Should,
        "RFC 9728 §3.1",
        "The metadata stand at the well-known path with the server's path behind it",
        "Clients that do not read the challenge look there first.",
        "Route /.well-known/oauth-protected-resource/<path> to where the metadata are.";
    METADATA_ROOT = "metadata_root", Should,
        "MCP 2026-07-28, Authorization Server Discovery",
        "The well-known path at the root has metadata too, or nothing",
        "Clients look there last; a page of the web site, or an error, stops them.",
        "Serve the metadata at the root's well-known path too, or answer 404.";
    METADATA_JSON = "metadata_json", Must,
        "RFC 9728 §3.2",
        "The metadata are one JSON object, sent as application/json",
        "Clients read nothing else.",
        "Send the metadata with status 200 and Content-Type: application/json.";
    METADATA_RESOURCE = "metadata_resource", Must,
        "RFC 9728 §3.3",
        "The metadata's resource is the URL, character for character",
        "Clients refuse metadata of another resource: a final slash or another host name is enough.",
        "Set resource to the URL that people are given. If another URL is right, audit that.";
    METADATA_AUTHORIZATION_SERVERS = "metadata_authorization_servers", Must,
        "MCP 2026-07-28, Authorization Server Discovery",
        "The metadata name an authorization server, by https",
        "Clients do not know whom to ask for a token, or ask where others listen.",
        "List the issuer's identifier in authorization_servers.";
    METADATA_SCOPES_MINIMAL = "metadata_scopes_minimal", Should,
        "MCP 2026-07-28, Authorization: Refresh Tokens; Security Best Practices: Scope Minimization",
        "The metadata's scopes have neither offline_access nor a wildcard",
        "Clients ask for all scopes that are listed, so every stolen token can do all of it.",
        "List the scopes of basic use in scopes_supported, and challenge for the others when they are needed.";
    METADATA_BEARER_METHODS = "metadata_bearer_methods", Must,
        "MCP 2026-07-28, Authorization: Token Requirements; RFC 9728 §2",
        "Tokens are taken in the header only, as far as the metadata say",
        "Tokens in URLs end up in logs, histories and Referer headers.",
        "Set bearer_methods_supported to [\"header\"].";
    METHODS_AUTHENTICATED = "methods_authenticated", Must,
        "MCP 2026-07-28, Authorization: Token Requirements",
        "GET and DELETE are not let in without a token",
        "By GET a stranger listens to a session, by DELETE they end it.",
        "Authenticate every request on the path, whatever its method.";
    OTHER_METHODS_AUTHENTICATED = "other_methods_authenticated", Must,
        "MCP 2026-07-28, Authorization: Token Requirements",
        "HEAD and PUT are not let in without a token",
        "A guard that knows a list of methods can be walked around by another one.",
        "Authenticate every request on the path, whatever its method.";
    CONTENT_TYPE_AUTHENTICATED = "content_type_authenticated", Must,
        "MCP 2026-07-28, Authorization: Token Requirements",
        "A body of another content type is not let in without a token",
        "Browsers send text/plain to other sites without asking, and lenient servers read it as JSON.",
        "Authenticate every request on the path, whatever its content type.";
    GARBAGE_REFUSED = "garbage_refused", Must,
        "MCP 2026-07-28, Authorization: Token Handling; RFC 6750 §3.1",
        "A token that is no token gets 401",
        "The server looks whether there is a token, and not at the token.",
        "Verify every token, and answer 401 with error=\"invalid_token\" where that fails.";
    UNSIGNED_REFUSED = "unsigned_refused", Must,
        "RFC 8725 §3.2, RFC 9068 §4",
        "A JWT without signature (alg none) gets 401",
        "Everybody can write such a token for everybody.",
        "Allow the issuer's algorithms by name, and never none.";
    KEY_CONFUSION_REFUSED = "key_confusion_refused", Must,
        "RFC 8725 §3.1",
        "A JWT by HS256 with the issuer's public key as secret gets 401",
        "Everybody has the public key, and so can write tokens.",
        "Bind each key to its algorithm; do not let the token's header choose.";
    UNKNOWN_KEY_REFUSED = "unknown_key_refused", Must,
        "RFC 8725 §3.8, RFC 9068 §4",
        "A JWT by a key that is not the issuer's gets 401",
        "Everybody can make a key and write tokens with it.",
        "Take keys from the issuer's key set only, and refuse a kid that is not in it.";
    EMBEDDED_KEY_REFUSED = "embedded_key_refused", Must,
        "RFC 7515 §4.1.3, RFC 8725 §3.1",
        "A JWT that brings its own key (jwk) gets 401",
        "Whoever writes the token also says by which key it is verified.",
        "Ignore the header's jwk, jku, x5c and x5u; take keys from the issuer's key set only.";
    WRONG_SIGNATURE_REFUSED = "wrong_signature_refused", Must,
        "RFC 8725 §3.3, RFC 9068 §4",
        "A JWT that names the issuer's key, but is not signed by it, gets 401",
        "The token is decoded and not verified: everybody can write one.",
        "Verify the signature. A decoder alone is no verification.";
    INVALID_TOKEN_ERROR = "invalid_token_error", Should,
        "RFC 6750 §3.1",
        "Tokens that are refused get error=\"invalid_token\"",
        "Clients cannot tell that their token is at fault, and do not renew it.",
        "Add error=\"invalid_token\" to the challenge when a token was sent and refused.";
    SCHEME_CASE_INSENSITIVE = "scheme_case_insensitive", Should,
        "RFC 9110 §11.1",
        "bearer in small letters is the same scheme",
        "Clients that write it so get a challenge as if they had sent nothing.",
        "Compare the scheme without regard to case.";
    DOUBLED_AUTHORIZATION_REFUSED = "doubled_authorization_refused", Must,
        "RFC 9110 §5.3, RFC 6750 §2",
        "Two Authorization headers are refused",
        "Guard and server may each take another one of the two.",
        "Refuse a request with more than one Authorization header.";
    MIXED_SCHEMES_REFUSED = "mixed_schemes_refused", Must,
        "RFC 9449 §7.2, RFC 6750 §2",
        "DPoP and Bearer together are refused",
        "A token bound to a key could be used without the key.",
        "Refuse a request with more than one Authorization header.";
    ORIGIN_REFUSED = "origin_refused", Must,
        "MCP 2026-07-28, Streamable HTTP: Security Warning",
        "A request from a foreign web site is refused",
        "Web pages can reach servers on the machine or network of whoever looks at them (DNS rebinding).",
        "Answer 403 when Origin is there and not on a list of the sites that you know.";
    CORS_NO_CREDENTIALS = "cors_no_credentials", Must,
        "WHATWG Fetch, CORS protocol and credentials",
        "Foreign web sites may not send credentials and read the answer",
        "Any page could act with the cookies or certificates of whoever looks at it.",
        "Do not send Access-Control-Allow-Credentials; bearer tokens do not need it.";
    PREFLIGHT_UNAUTHENTICATED = "preflight_unauthenticated", Should,
        "WHATWG Fetch, CORS-preflight fetch",
        "A preflight request is not asked for a token",
        "Browsers send none with it, so no client in a browser can work.",
        "Answer OPTIONS before authentication: with CORS headers, or with 403 for foreign sites.";
    CHALLENGE_EXPOSED = "challenge_exposed", Should,
        "WHATWG Fetch, CORS-safelisted response-header name",
        "Clients in browsers may read WWW-Authenticate",
        "A client in a browser sees a 401 and cannot read what to do about it.",
        "Send Access-Control-Expose-Headers: WWW-Authenticate, also with the 401.";
    WELL_KNOWN_NO_PAGE = "well_known_no_page", Should,
        "RFC 8615 §3, RFC 9728 §3.2",
        "No web page answers for /.well-known/oauth-…",
        "Clients take a page that stands for everything for metadata, and stop there.",
        "Answer 404 for every /.well-known/oauth-… that is not there, before any catch-all page.";
    PLAIN_HTTP_REFUSED = "plain_http_refused", Must,
        "MCP 2026-07-28, Security Considerations: Communication Security; OAuth 2.1 §1.5",
        "The server does not answer by plain http",
        "Clients with the wrong URL send their token where everybody on the way can read it.",
        "Close port 80, or answer it with a redirect to https alone.";
    ERRORS_LEAK_NOTHING = "errors_leak_nothing", Must,
        "MCP 2026-07-28, Security Considerations: Token Theft; RFC 6750 §5.2",
        "Errors show neither tokens nor the server's inside",
        "What errors show is kept in logs, and helps whoever attacks.",
        "Answer errors with a code and a sentence; keep traces and tokens out of them.";
}
