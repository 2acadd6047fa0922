//! What only one provider has: its other kinds of token, and what its access tokens may lack.

use serde_json::{Value, json};

use super::{ENTRA_1, auth0, cognito, entra, keycloak, okta, supabase};
use crate::{
    token::EXPIRES_AT,
    vectors::{Case, challenge},
};

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    [
        auth0_cases(),
        cognito_cases(),
        entra_cases(),
        keycloak_cases(),
        okta_cases(),
        supabase_cases(),
    ]
    .concat()
}

fn auth0_cases() -> Vec<Case> {
    let provider = auth0();
    let token = || provider.token();
    let api = provider.audience;
    vec![
        provider.allowed(
            "user-info-beside",
            &token().claim("aud", json!([api, "https://my-domain.auth0.com/userinfo"])),
        ),
        provider.refused(
            "user-info-alone",
            &token().claim("aud", "https://my-domain.auth0.com/userinfo"),
            "audience_mismatch",
        ),
        provider.refused(
            "user-info-of-another-tenant",
            &token().claim("aud", json!([api, "https://other.auth0.com/userinfo"])),
            "audience_mismatch",
        ),
        provider.allowed(
            "rfc-9068-profile",
            &token()
                .header("typ", "at+jwt")
                .claim("azp", Value::Null)
                .claim("client_id", "my_client_id")
                .claim("jti", "73WakrfVbNJBaAmhQtEeDv"),
        ),
        provider.refused("two-clients", &token().claim("client_id", "another"), "claim_malformed"),
        // OpenID Connect Core §2; here with the resource as audience, as if the client were named so.
        provider.refused(
            "id-token",
            &token().claim("nonce", "n-0S6").claim("scope", Value::Null),
            "token_type_unsupported",
        ),
        provider.refused(
            "id-token-with-hash",
            &token().claim("at_hash", "MTIzNDU2Nzg5"),
            "token_type_unsupported",
        ),
        provider.refused(
            "id-token-as-issued",
            &token()
                .claim("aud", "my_client_id")
                .claim("azp", Value::Null)
                .claim("scope", Value::Null),
            "audience_mismatch",
        ),
        provider.refused(
            "without-typ",
            &token().header("typ", Value::Null),
            "token_type_unsupported",
        ),
    ]
}

fn cognito_cases() -> Vec<Case> {
    let provider = cognito();
    let token = || provider.token();
    let unbound = |scope: &str| token().claim("aud", Value::Null).claim("scope", scope);
    let [subject, client, _] = provider.told;
    let told =
        |name: &str, scope: &str| provider.told(name, &unbound(scope), [subject, client, scope]);
    vec![
        told("bound-by-its-scopes", "openid files/use"),
        provider.refused("scopes-of-another-server", &unbound("notes/use"), "audience_mismatch"),
        provider.refused(
            "scopes-of-two-servers",
            &unbound("files/use notes/use"),
            "audience_mismatch",
        ),
        provider.refused(
            "scope-for-the-users-account",
            &unbound("files/use aws.cognito.signin.user.admin"),
            "audience_mismatch",
        ),
        provider.refused("scopes-that-name-no-server", &unbound("openid files"), "claim_missing"),
        provider.refused("aud-empty-array", &token().claim("aud", json!([])), "claim_missing"),
        provider.refused(
            "id-token",
            &token()
                .claim("token_use", "id")
                .claim("scope", Value::Null)
                .claim("client_id", Value::Null)
                .claim("aud", "xxxxxxxxxxxxexample"),
            "token_type_unsupported",
        ),
        provider.refused(
            "id-token-for-us",
            &token().claim("token_use", "id"),
            "token_type_unsupported",
        ),
        provider.refused(
            "token-use-absent",
            &token().claim("token_use", Value::Null),
            "token_type_unsupported",
        ),
        provider.refused(
            "token-use-array",
            &token().claim("token_use", json!(["access"])),
            "token_type_unsupported",
        ),
        provider.refused("typ-jwt", &token().header("typ", "JWT"), "token_type_unsupported"),
    ]
}

fn entra_cases() -> Vec<Case> {
    let provider = entra();
    let token = || provider.token();
    let [subject, client, _] = provider.told;
    let version_1 = || {
        token()
            .claim("iss", ENTRA_1)
            .claim("ver", "1.0")
            .claim("azp", Value::Null)
            .claim("appid", client)
    };
    let app = || {
        token()
            .claim("scp", Value::Null)
            .claim("roles", json!(["access_as_user", "files.read.all"]))
    };
    vec![
        provider.allowed("version-1", &version_1()),
        provider.told(
            "application-with-roles",
            &app(),
            [subject, client, "access_as_user files.read.all"],
        ),
        // Roles are those of the user where there is `scp`: they give the client nothing.
        Case {
            name: "entra-roles-of-a-user-are-no-scopes".to_owned(),
            ..provider.case(
                "x",
                &token().claim("scp", "files.read").claim("roles", json!(["access_as_user"])),
            )
        }
        .challenged(
            403,
            "scope_insufficient",
            &challenge(
                "https://presets.example.com/.well-known/oauth-protected-resource/entra",
                "insufficient_scope",
                "The operation needs more scopes",
                "access_as_user",
            ),
        ),
        provider.refused("two-clients", &token().claim("appid", "another"), "claim_malformed"),
        provider.refused(
            "id-token",
            &token().claim("azp", Value::Null).claim("scp", Value::Null).claim("nonce", "12345"),
            "token_type_unsupported",
        ),
        provider.refused(
            "id-token-without-nonce",
            &token().claim("azp", Value::Null).claim("scp", Value::Null),
            "claim_missing",
        ),
        provider.refused("without-uti", &token().claim("uti", Value::Null), "claim_missing"),
        provider.refused(
            "other-tenant",
            &token().claim(
                "iss",
                "https://login.microsoftonline.com/ffffbbbb-0000-cccc-1111-dddd2222eeee/v2.0",
            ),
            "issuer_unknown",
        ),
        provider.refused("scp-array", &token().claim("scp", json!([1])), "claim_malformed"),
        provider.refused("typ-at-jwt", &token().header("typ", "at+jwt"), "token_type_unsupported"),
    ]
}

fn keycloak_cases() -> Vec<Case> {
    let provider = keycloak();
    let token = || provider.token();
    let kind = |name: &str, kind: &str| {
        provider.refused(name, &token().claim("typ", kind), "token_type_unsupported")
    };
    vec![
        provider.allowed("with-typ-at-jwt", &token().header("typ", "at+jwt")),
        kind("id-token", "ID"),
        kind("refresh-token", "Refresh"),
        kind("offline-token", "Offline"),
        kind("logout-token", "Logout"),
        kind("bearer-in-other-case", "bearer"),
        provider.refused(
            "kind-absent",
            &token().claim("typ", Value::Null),
            "token_type_unsupported",
        ),
        provider.refused(
            "account-beside",
            &token().claim("aud", json!([provider.audience, "account"])),
            "audience_mismatch",
        ),
        provider.refused("account-only", &token().claim("aud", "account"), "audience_mismatch"),
        provider.refused(
            "client-as-audience",
            &token().claim("aud", "mcp-client"),
            "audience_mismatch",
        ),
        provider.refused("two-clients", &token().claim("client_id", "another"), "claim_malformed"),
        provider.refused("without-jti", &token().claim("jti", Value::Null), "claim_missing"),
    ]
}

fn okta_cases() -> Vec<Case> {
    let provider = okta();
    let token = || provider.token();
    vec![
        provider.allowed("with-typ-at-jwt", &token().header("typ", "at+jwt")),
        provider.refused(
            "id-token",
            &token()
                .claim("aud", "0oancpolmdBGHU9R80g7")
                .claim("cid", Value::Null)
                .claim("scp", Value::Null)
                .claim("jti", "ID.x"),
            "audience_mismatch",
        ),
        provider.refused(
            "id-token-for-us",
            &token().claim("cid", Value::Null).claim("scp", Value::Null).claim("jti", "ID.x"),
            "claim_missing",
        ),
        provider.refused(
            "id-token-with-nonce",
            &token().claim("nonce", "n"),
            "token_type_unsupported",
        ),
        provider.refused(
            "token-of-the-organization",
            &token().header("typ", "application/okta-internal-at+jwt"),
            "token_type_unsupported",
        ),
        provider.refused("without-jti", &token().claim("jti", Value::Null), "claim_missing"),
        // The standard's claim is not where Okta has its scopes.
        Case {
            name: "okta-scope-claim-is-not-looked-at".to_owned(),
            ..provider.case("x", &token().claim("scp", json!(["openid"])).claim("scope", "mcp.use"))
        }
        .challenged(
            403,
            "scope_insufficient",
            &challenge(
                "https://presets.example.com/.well-known/oauth-protected-resource/okta",
                "insufficient_scope",
                "The operation needs more scopes",
                "mcp.use",
            ),
        ),
    ]
}

fn supabase_cases() -> Vec<Case> {
    let provider = supabase();
    let token = || provider.token();
    vec![
        provider.allowed(
            "bound-by-a-hook",
            &token().claim("aud", "https://presets.example.com/supabase"),
        ),
        provider.refused(
            "session-of-an-app-of-the-project",
            &token().claim("client_id", Value::Null),
            "claim_missing",
        ),
        provider.refused("anonymous-key", &token().claim("role", "anon"), "token_type_unsupported"),
        provider.refused(
            "service-key",
            &token().claim("role", "service_role"),
            "token_type_unsupported",
        ),
        provider.refused(
            "id-token",
            &token()
                .claim("aud", "9a8b7c6d-5e4f-3a2b-1c0d-9e8f7a6b5c4d")
                .claim("role", Value::Null)
                .claim("session_id", Value::Null)
                .claim("exp", EXPIRES_AT),
            "token_type_unsupported",
        ),
        provider.refused("id-token-for-us", &token().claim("nonce", "n"), "token_type_unsupported"),
        provider.refused(
            "without-session",
            &token().claim("session_id", Value::Null),
            "claim_missing",
        ),
        provider.refused("hs256", &token().header("alg", "HS256"), "algorithm_unsupported"),
    ]
}
