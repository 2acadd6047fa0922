//! What an authorization server has to do.

super::checks! { AuthorizationServer:
    ISSUER_METADATA_FOUND = "issuer_metadata_found", Must,
        "MCP 2026-07-28, Authorization Server Discovery; RFC 8414 §3",
        "The authorization server has metadata where clients look",
        "Clients do not find its endpoints.",
        "Serve the metadata at /.well-known/oauth-authorization-server, with the issuer's path behind it.";
    ISSUER_IDENTICAL = "issuer_identical", Must,
        "RFC 8414 §3.3",
        "The metadata's issuer is the identifier that the resource names",
        "Clients must not use them otherwise, and since July 2026 the SDKs refuse.",
        "Use one spelling of the issuer everywhere: resource metadata, issuer metadata, iss in tokens.";
    ISSUER_HTTPS = "issuer_https", Must,
        "MCP 2026-07-28, Security Considerations: Communication Security; OAuth 2.1 §1.5",
        "All its endpoints are https",
        "Codes, tokens and passwords could be read on the way.",
        "Set the issuer's public URL to https, also behind a proxy that ends TLS.";
    ISSUER_METADATA_CORS = "issuer_metadata_cors", Should,
        "WHATWG Fetch, CORS protocol",
        "Clients in browsers may read the metadata",
        "No client in a browser can find the endpoints.",
        "Send Access-Control-Allow-Origin: * with the metadata; they are public.";
    PKCE_S256 = "pkce_s256", Must,
        "MCP 2026-07-28, Security Considerations: Authorization Code Protection",
        "PKCE with S256 is offered",
        "Clients must refuse to go on when code_challenge_methods_supported does not list S256.",
        "List S256 in code_challenge_methods_supported, and require PKCE of every client.";
    PKCE_PLAIN_NOT_OFFERED = "pkce_plain_not_offered", Should,
        "RFC 9700 §2.1.1",
        "PKCE with plain is not offered",
        "By plain the verifier itself goes through the browser, and protects nothing.",
        "Take plain out of code_challenge_methods_supported.";
    CODE_FLOW_ONLY = "code_flow_only", Must,
        "OAuth 2.1 §4.1, RFC 9700 §2.1.2",
        "The authorization code flow is offered, and no implicit flow",
        "The implicit flow hands out tokens in URLs.",
        "Offer the response type code, and none that has token in it.";
    PASSWORD_GRANT_NOT_OFFERED = "password_grant_not_offered", Must,
        "RFC 9700 §2.4",
        "The password grant is not offered",
        "Clients would see the passwords of their users.",
        "Take password out of grant_types_supported, and switch the grant off.";
    ISS_PARAMETER = "iss_parameter", Should,
        "MCP 2026-07-28, Authorization: Authorization Response; RFC 9207 §3",
        "Authorization responses say who they are from (iss)",
        "A client of several authorization servers can be made to send a code to the wrong one.",
        "Send iss with each authorization response, and authorization_response_iss_parameter_supported: true.";
    CLIENT_REGISTRATION = "client_registration", Should,
        "MCP 2026-07-28, Client Registration",
        "Clients can become known: by a metadata document of theirs, or by registration",
        "Every client has to be set up by hand on both sides.",
        "Support client ID metadata documents, or at least dynamic client registration.";
    DPOP_ALGORITHMS = "dpop_algorithms", Must,
        "RFC 9449 §5.1, §4.3",
        "DPoP proofs are taken by asymmetric algorithms only, as far as the metadata say",
        "A proof that everybody can make proves nothing.",
        "Take none and HS… out of dpop_signing_alg_values_supported.";
    SCOPES_KNOWN = "scopes_known", Should,
        "MCP 2026-07-28, Authorization: Scope Selection Strategy; RFC 8414 §2",
        "The authorization server knows the resource's scopes",
        "Clients ask for scopes and are answered invalid_scope.",
        "Add the resource's scopes to the authorization server, or leave scopes_supported out there.";
    KEYS_USABLE = "keys_usable", Must,
        "RFC 8414 §2, RFC 7517 §5",
        "The key set can be fetched, and has a key that can be used",
        "No token can be verified.",
        "Serve the key set at jwks_uri, with a public key for signatures.";
    KEYS_PUBLIC = "keys_public", Must,
        "RFC 7517 §9.2",
        "The key set has public keys only",
        "Whoever reads the key set can write tokens.",
        "Replace the key that was published at once, and revoke what it signed.";
    KEYS_STRONG = "keys_strong", Must,
        "RFC 7518 §3.3, RFC 8725 §3.5",
        "RSA keys have at least 2048 bits",
        "A short key can be computed from its public part.",
        "Make a new key of at least 2048 bits, or of P-256.";
    KEYS_DISTINCT = "keys_distinct", Should,
        "RFC 7517 §4.5",
        "Each key has a kid of its own, and there are no more keys than needed",
        "Guards do not know which key to take, or leave keys out where there are too many.",
        "Give each key a kid of its own, and take out keys that sign no longer.";
    TOKEN_ENDPOINT_ERRORS = "token_endpoint_errors", Must,
        "OAuth 2.1 §3.2.4",
        "The token endpoint refuses in the form that clients read",
        "Clients cannot tell a bad request from an outage.",
        "Answer with status 400 or 401, Content-Type: application/json, and a member error.";
    TOKEN_ENDPOINT_UNKNOWN_CLIENT = "token_endpoint_unknown_client", Should,
        "OAuth 2.1 §3.2.4",
        "The token endpoint answers an unknown client with 401 invalid_client",
        "By this clients notice that they are no longer registered; otherwise they are stuck.",
        "Answer 401 with error invalid_client where the client is not known.";
    TOKEN_ENDPOINT_NO_STORE = "token_endpoint_no_store", Should,
        "OAuth 2.1 §3.2.3",
        "The token endpoint's answers are not stored",
        "A cache may keep tokens.",
        "Send Cache-Control: no-store with every answer of the token endpoint.";
    TOKEN_ENDPOINT_POST_ONLY = "token_endpoint_post_only", Must,
        "OAuth 2.1 §3.2",
        "The token endpoint takes nothing by GET",
        "Codes and secrets would stand in URLs, and so in logs.",
        "Answer 405 to every method but POST.";
    AUTHORIZE_UNKNOWN_CLIENT = "authorize_unknown_client", Must,
        "OAuth 2.1 §2.3.5, §4.1.2.1",
        "An unknown client is not redirected to",
        "The server leads people wherever a link says (an open redirector).",
        "Show an error page where the client is not known; never redirect to what the request names.";
    AUTHORIZE_WRONG_REDIRECT = "authorize_wrong_redirect", Must,
        "OAuth 2.1 §2.3.1, §2.3.5",
        "A redirect URI that the client has not registered is not redirected to",
        "Codes can be led to whoever wrote the link.",
        "Compare redirect URIs character for character with the registered ones.";
    REVOCATION_AUTHENTICATED = "revocation_authenticated", Should,
        "RFC 7009 §2.1",
        "The revocation endpoint refuses an unknown client",
        "Whoever finds a token can end it, and can try tokens out.",
        "Check the client before the token, and answer 401 invalid_client.";
    INTROSPECTION_AUTHENTICATED = "introspection_authenticated", Must,
        "RFC 7662 §2.1",
        "The introspection endpoint asks who is asking",
        "Strangers can try out tokens, and read whose they are.",
        "Let only resource servers introspect, by a credential of theirs.";
}
