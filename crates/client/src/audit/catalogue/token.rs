//! What is to be seen only with a token.

super::checks! { Token:
    TOKEN_ACCEPTED = "token_accepted", Must,
        "MCP 2026-07-28, Authorization: Token Handling",
        "The token is accepted",
        "Nobody can use the server, or this token is not for it.",
        "Compare the token's iss, aud, exp and typ with what the server expects; countersign explain does it.";
    TOKEN_EXPIRED_REFUSED = "token_expired_refused", Must,
        "MCP 2026-07-28, Authorization: Token Handling",
        "An expired token gets 401",
        "A token that was lost can be used for ever.",
        "Compare exp with the clock for every request.";
    TOKEN_ALTERED_REFUSED = "token_altered_refused", Must,
        "RFC 9068 §4, RFC 8725 §3.3",
        "The token with one bit of its signature changed gets 401",
        "Signatures are not verified: everybody can write tokens.",
        "Verify the signature of every token before anything in it is used.";
    TOKEN_IN_QUERY_REFUSED = "token_in_query_refused", Must,
        "MCP 2026-07-28, Authorization: Token Requirements; OAuth 2.1 §5.1",
        "The token in the URL does not let in",
        "Tokens in URLs end up in logs, histories and Referer headers.",
        "Take tokens from the Authorization header only.";
    HEADER_MISMATCH_REFUSED = "header_mismatch_refused", Must,
        "MCP 2026-07-28, Streamable HTTP: Server Validation",
        "Mcp-Method and the body must say the same",
        "What a proxy allows by the header, and what the server does by the body, can be two things.",
        "Answer 400 with JSON-RPC error -32020 where Mcp-Method or Mcp-Name are not what the body says.";
    TOKEN_CLAIMS = "token_claims", Should,
        "RFC 9068 §2.1, §2.2",
        "The token has the type and the claims of an access token",
        "Servers cannot tell it from an ID token, nor one token from another.",
        "Issue tokens by RFC 9068: typ at+jwt, with iss, exp, aud, sub, client_id, iat and jti.";
    TOKEN_AUDIENCE = "token_audience", Must,
        "MCP 2026-07-28, Security Considerations: Token Audience Binding; RFC 8707 §2",
        "The token is for this resource, and no other",
        "Whoever receives the token can use it elsewhere.",
        "Let the authorization server set aud to the resource that the client asks for.";
    TOKEN_ISSUER = "token_issuer", Must,
        "RFC 9068 §4, RFC 8414 §2",
        "The token's iss is one of the authorization servers, character for character",
        "Servers that compare as they must refuse it.",
        "Use one spelling of the issuer everywhere: resource metadata, issuer metadata, iss in tokens.";
    TOKEN_LIFETIME = "token_lifetime", Should,
        "MCP 2026-07-28, Security Considerations: Token Theft; RFC 6750 §5.3",
        "The token lives for at most an hour",
        "A token that was stolen can be used for as long.",
        "Issue short-lived access tokens, with refresh tokens for those who stay.";
    TOKEN_SCOPES = "token_scopes", Should,
        "RFC 9068 §2.2.3, MCP 2026-07-28, Security Best Practices: Scope Minimization",
        "The token says what it may do, and no wildcard",
        "A token without scopes, or with all of them, cannot be held to what it was made for.",
        "Let the authorization server put the granted scopes into scope, and clients ask for few.";
}
