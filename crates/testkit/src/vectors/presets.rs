//! Tokens in the form that each provider documents, and its other tokens, which are not for us.

mod own;

use serde_json::{Value, json};

use super::{Case, challenge, policies::LONG};
use crate::{
    keys::TestKey,
    token::{ISSUED_AT, Token},
};

/// A provider, as the policy `presets` has it.
struct Provider {
    preset: &'static str,
    issuer: &'static str,
    /// Where the provider describes its tokens.
    page: &'static str,
    /// The audience that its tokens name.
    audience: &'static str,
    /// What the policy has besides the resource itself.
    accepted: &'static [&'static str],
    baseline: &'static str,
    /// Null for a token without.
    typ: Value,
    /// All claims but `iss`, `aud`, `iat` and `exp`.
    claims: Value,
    /// Subject, client and scope, as the server is told.
    told: [&'static str; 3],
}

const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";

fn auth0() -> Provider {
    Provider {
        preset: "auth0",
        issuer: "https://my-domain.auth0.com/",
        page: "Auth0, access token profiles",
        audience: "https://presets.example.com/auth0",
        accepted: &[],
        baseline: "read:patients",
        typ: json!("JWT"),
        claims: json!({
            "sub": "auth0|123456", "azp": "my_client_id",
            "scope": "openid profile read:patients read:admin", "my_custom_claim": "my_custom_value",
        }),
        told: ["auth0|123456", "my_client_id", "openid profile read:patients read:admin"],
    }
}

fn cognito() -> Provider {
    Provider {
        preset: "cognito",
        issuer: "https://cognito-idp.us-west-2.amazonaws.com/us-west-2_example",
        page: "Amazon Cognito, understanding the access token",
        audience: "https://presets.example.com/cognito",
        accepted: &["files"],
        baseline: "files/use",
        typ: Value::Null,
        claims: json!({
            "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "cognito:groups": ["testgroup"], "version": 2,
            "client_id": "xxxxxxxxxxxxexample", "origin_jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "event_id": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "token_use": "access",
            "scope": "phone openid profile files/use email", "auth_time": ISSUED_AT,
            "jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "username": "my-test-user",
        }),
        told: [
            "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "xxxxxxxxxxxxexample",
            "phone openid profile files/use email",
        ],
    }
}

/// Version 2.0: the audience is the API's client id.
fn entra() -> Provider {
    Provider {
        preset: "entra",
        issuer: "https://login.microsoftonline.com/aaaabbbb-0000-cccc-1111-dddd2222eeee/v2.0",
        page: "Microsoft Entra, access token claims reference",
        audience: "00001111-aaaa-2222-bbbb-3333cccc4444",
        accepted: &["00001111-aaaa-2222-bbbb-3333cccc4444"],
        baseline: "access_as_user",
        typ: json!("JWT"),
        claims: json!({
            "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "nbf": ISSUED_AT, "aio": "opaque",
            "azp": "11112222-bbbb-3333-cccc-4444dddd5555", "azpacr": "0", "name": "Abe Lincoln",
            "oid": "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb", "rh": "0.", "scp": "access_as_user files.read",
            "tid": TENANT, "uti": "XYZ", "ver": "2.0", "roles": ["files.admin"],
        }),
        told: [
            "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
            "11112222-bbbb-3333-cccc-4444dddd5555",
            "access_as_user files.read",
        ],
    }
}

fn keycloak() -> Provider {
    Provider {
        preset: "keycloak",
        issuer: "https://sso.example.com/realms/mcp",
        page: "Keycloak, server administration guide, audience support",
        audience: "https://presets.example.com/keycloak",
        accepted: &[],
        baseline: "mcp:use",
        typ: json!("JWT"),
        claims: json!({
            "jti": "onrtac:4a5b", "sub": "f:1:alice", "typ": "Bearer", "azp": "mcp-client",
            "sid": "1a12455a-da5c-45d0-9845-5f3f1493078a", "acr": "1",
            "scope": "profile mcp:use email", "preferred_username": "alice",
        }),
        told: ["f:1:alice", "mcp-client", "profile mcp:use email"],
    }
}

fn okta() -> Provider {
    Provider {
        preset: "okta",
        issuer: "https://dev-1.okta.com/oauth2/default",
        page: "Okta, validate access tokens",
        audience: "api://default",
        accepted: &["api://default"],
        baseline: "mcp.use",
        typ: Value::Null,
        claims: json!({
            "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "sub": "alice@example.com",
            "cid": "0oancpolmdBGHU9R80g7", "uid": "00unpx5j5xZaFJM7V0g7", "scp": ["openid", "mcp.use"],
            "auth_time": ISSUED_AT,
        }),
        told: ["alice@example.com", "0oancpolmdBGHU9R80g7", "openid mcp.use"],
    }
}

fn supabase() -> Provider {
    Provider {
        preset: "supabase",
        issuer: "https://project-ref.supabase.co/auth/v1",
        page: "Supabase, token security",
        audience: "authenticated",
        accepted: &["authenticated"],
        baseline: "",
        typ: json!("JWT"),
        claims: json!({
            "sub": "user-uuid", "role": "authenticated", "user_id": "user-uuid",
            "email": "user@example.com", "client_id": "9a8b7c6d-5e4f-3a2b-1c0d-9e8f7a6b5c4d",
            "aal": "aal1", "amr": [{ "method": "password", "timestamp": ISSUED_AT }],
            "session_id": "session-uuid",
        }),
        told: ["user-uuid", "9a8b7c6d-5e4f-3a2b-1c0d-9e8f7a6b5c4d", ""],
    }
}

/// Version 1.0 of Entra's tokens, with another issuer and another claim for the client.
const ENTRA_1: &str = "https://sts.windows.net/aaaabbbb-0000-cccc-1111-dddd2222eeee/";

/// One resource for each provider, on one host.
pub(super) fn policy() -> Value {
    let keys = json!({ "keys": [TestKey::Rs256.jwk("k1")] });
    let providers = [auth0(), cognito(), entra(), keycloak(), okta(), supabase()];
    let issuer = |preset: &str, issuer: &str| json!({ "issuer": issuer, "preset": preset, "jwks": keys, "max_lifetime": LONG });
    let mut issuers: Vec<Value> =
        providers.iter().map(|provider| issuer(provider.preset, provider.issuer)).collect();
    issuers.push(issuer("entra", ENTRA_1));
    let resources: Vec<Value> = providers
        .iter()
        .map(|provider| {
            let baseline: Vec<&str> = provider.baseline.split_terminator(' ').collect();
            let mut issuers = vec![provider.issuer];
            if provider.preset == "entra" {
                issuers.push(ENTRA_1);
            }
            json!({
                "resource": format!("https://presets.example.com/{}", provider.preset),
                "accept_audiences": provider.accepted,
                "issuers": issuers,
                "scopes": { "baseline": baseline },
            })
        })
        .collect();
    json!({ "issuers": issuers, "resources": resources })
}

impl Provider {
    /// A token as the provider documents it.
    fn token(&self) -> Token {
        let token = Token::new(self.issuer, self.audience).key(TestKey::Rs256, "k1");
        let token = ["sub", "client_id", "scope", "jti"]
            .iter()
            .fold(token, |token, name| token.claim(name, Value::Null));
        let claims = self.claims.as_object().expect("an object");
        claims
            .iter()
            .fold(token, |token, (name, value)| token.claim(name, value.clone()))
            .header("typ", self.typ.clone())
    }

    fn case(&self, name: &str, token: &Token) -> Case {
        Case::new(&format!("{}-{name}", self.preset), self.page)
            .policy("presets")
            .at("presets.example.com", &format!("/{}", self.preset))
            .bearer(&token.sign())
    }

    fn allowed(&self, name: &str, token: &Token) -> Case {
        self.told(name, token, self.told)
    }

    fn told(&self, name: &str, token: &Token, [subject, client, scope]: [&str; 3]) -> Case {
        let headers =
            [("x-mcp-subject", subject), ("x-mcp-client", client), ("x-mcp-scope", scope)];
        let set: Vec<_> = headers.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        self.case(name, token).forwarded("allow", &set)
    }

    fn refused(&self, name: &str, token: &Token, reason: &str) -> Case {
        let metadata = format!(
            "https://presets.example.com/.well-known/oauth-protected-resource/{}",
            self.preset
        );
        let text = "The access token is invalid";
        let challenge = challenge(&metadata, "invalid_token", text, self.baseline);
        // Without a baseline the challenge names no scope.
        let challenge = challenge.trim_end_matches(r#", scope="""#);
        self.case(name, token).challenged(401, reason, challenge)
    }

    /// What is the same for all.
    fn common(&self) -> Vec<Case> {
        let token = || self.token();
        vec![
            self.allowed("access-token", &token()),
            self.refused(
                "other-audience",
                &token().claim("aud", "https://other.example.com"),
                "audience_mismatch",
            ),
            self.refused(
                "further-audience",
                &token().claim("aud", json!([self.audience, "https://other.example.com"])),
                "audience_mismatch",
            ),
            self.refused(
                "no-audience-at-all",
                &{
                    let token = token().claim("aud", Value::Null);
                    if self.preset == "cognito" {
                        token.claim("scope", "openid email")
                    } else {
                        token
                    }
                },
                "claim_missing",
            ),
            self.refused(
                "typ-of-a-logout-token",
                &token().header("typ", "logout+jwt"),
                "token_type_unsupported",
            ),
            self.refused(
                "typ-of-a-status-list",
                &token().header("typ", "statuslist+jwt"),
                "token_type_unsupported",
            ),
            self.refused(
                "token-of-another-issuer",
                &token().claim("iss", "https://presets.example.com"),
                "issuer_unknown",
            ),
            self.refused("without-subject", &token().claim("sub", Value::Null), "claim_missing"),
            self.refused(
                "without-client",
                &["client_id", "azp", "appid", "cid"]
                    .iter()
                    .fold(token(), |token, name| token.claim(name, Value::Null)),
                "claim_missing",
            ),
        ]
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for provider in [auth0(), cognito(), entra(), keycloak(), okta(), supabase()] {
        cases.extend(provider.common());
        // Keycloak signs with whatever its realm says.
        if provider.preset != "keycloak" {
            let token = provider.token().header("alg", "PS512");
            cases.push(provider.refused("other-algorithm", &token, "algorithm_unsupported"));
        }
    }
    cases.extend(own::cases());
    cases
}
