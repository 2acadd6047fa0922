//! Presets: what the access tokens of well-known providers have instead of the RFC 9068 profile.
//!
//! Each is data, with the page of the provider that says so. A preset loosens what its provider leaves
//! no choice about, and asks for a mark of access tokens wherever it lets in `typ` values that the
//! provider's ID tokens have too. What it gives up is said in `docs/policy.md`.

use alloc::vec::Vec;

use crate::{
    jose::{alg::Algorithm, json::Value},
    jwt::claims::Claims,
    oauth::{
        resource::split,
        scope::{Scope, ScopeSet},
    },
};

/// How an issuer's access tokens are read and told from its other tokens.
#[derive(Debug)]
pub struct Preset {
    /// The word in the policy.
    pub name: &'static str,
    /// What it signs access tokens with; a policy may name others.
    pub algorithms: &'static [Algorithm],
    /// The `typ` values, the empty text for a token without; a policy may name others.
    pub token_types: &'static [&'static str],
    /// Claims that must be there; a policy may name others. `client_id`, `jti` and `scope` stand for
    /// what they are read from.
    pub required_claims: &'static [&'static str],
    /// The claims that name the client. Where a token has several, they must say the same.
    pub client: &'static [&'static str],
    /// The claims that hold the scopes. The first that a token has counts, alone.
    pub scope: &'static [&'static str],
    /// The claim that names the token.
    pub token_id: &'static str,
    /// Where the audience stands.
    pub audience: AudienceSource,
    /// What, behind the issuer identifier, may stand in `aud` beside the resource: it is allowed
    /// there, and never enough.
    pub beside: Option<&'static str>,
    /// What tells its access tokens from its other tokens.
    pub marks: &'static [Mark],
    /// Which issuer identifiers it is for.
    pub issuer: IssuerForm,
}

impl Preset {
    /// Whether client, scope, token name and audience stand where RFC 9068 §2.2 has them.
    pub(super) fn has_claims_of_rfc_9068(&self) -> bool {
        self.client == PROFILE.client
            && self.scope == PROFILE.scope
            && self.token_id == PROFILE.token_id
            && self.audience == PROFILE.audience
    }
}

/// Where the audience stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudienceSource {
    /// In `aud`.
    Aud,
    /// In `aud`; without that, in the resource servers that the scopes belong to
    /// (`resource-server/scope`). A scope of the provider's own API counts as an audience too.
    AudOrScopes,
}

/// A claim that tells access tokens from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It must not be there.
    Absent(&'static str),
    /// It must be one of these texts.
    OneOf(&'static str, &'static [&'static str]),
}

/// Which issuer identifiers a preset is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerForm {
    /// Any.
    Any,
    /// One tenant's: the shared endpoints stand for everybody's tenants.
    EntraTenant,
    /// A custom authorization server's: tokens of the organization's own are for Okta alone.
    OktaCustom,
}

/// The claims that OpenID Connect gives to ID tokens alone (OpenID Connect Core §2, §3.3.2.11).
const NO_ID_TOKEN: &[Mark] =
    &[Mark::Absent("nonce"), Mark::Absent("at_hash"), Mark::Absent("c_hash")];

/// The scope for Cognito's own API for users: whoever has such a token can change the user's account.
const COGNITO_SELF_SERVICE: &str = "aws.cognito.signin.user.admin";

/// The profile without a preset (RFC 9068 §2).
pub static RFC_9068: Preset = PROFILE;

const PROFILE: Preset = Preset {
    name: "rfc9068",
    algorithms: &Algorithm::ASYMMETRIC,
    token_types: &["at+jwt"],
    required_claims: &["sub", "client_id", "jti"],
    client: &["client_id"],
    scope: &["scope"],
    token_id: "jti",
    audience: AudienceSource::Aud,
    beside: None,
    marks: &[],
    issuer: IssuerForm::Any,
};

/// Auth0, with its own token profile or that of RFC 9068; the former has `azp` and no `jti`.
///
/// <https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles>, and for the algorithms
/// <https://auth0.github.io/node-auth0/variables/management.Management.SigningAlgorithmEnum.html>
pub static AUTH0: Preset = Preset {
    name: "auth0",
    algorithms: &[Algorithm::Rs256, Algorithm::Rs512, Algorithm::Ps256],
    token_types: &["at+jwt", "JWT"],
    required_claims: &["sub", "client_id"],
    client: &["client_id", "azp"],
    beside: Some("userinfo"),
    marks: NO_ID_TOKEN,
    ..PROFILE
};

/// Amazon Cognito user pools.
///
/// <https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html>
/// and, for the audience,
/// <https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-define-resource-servers.html>
pub static COGNITO: Preset = Preset {
    name: "cognito",
    algorithms: &[Algorithm::Rs256],
    token_types: &[""],
    audience: AudienceSource::AudOrScopes,
    marks: &[Mark::OneOf("token_use", &["access"])],
    ..PROFILE
};

/// Microsoft Entra ID, tokens of version 1.0 and 2.0.
///
/// <https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference>
pub static ENTRA: Preset = Preset {
    name: "entra",
    algorithms: &[Algorithm::Rs256],
    token_types: &["JWT"],
    client: &["azp", "appid"],
    scope: &["scp", "roles"],
    token_id: "uti",
    marks: NO_ID_TOKEN,
    issuer: IssuerForm::EntraTenant,
    ..PROFILE
};

/// Keycloak. Its payloads have a `typ` of their own, which says what kind of token it is.
///
/// <https://www.keycloak.org/docs/latest/server_admin/#audience-support>
pub static KEYCLOAK: Preset = Preset {
    name: "keycloak",
    token_types: &["at+jwt", "JWT"],
    client: &["azp", "client_id"],
    marks: &[Mark::OneOf("typ", &["Bearer", "DPoP"])],
    ..PROFILE
};

/// Okta's custom authorization servers.
///
/// <https://developer.okta.com/docs/guides/validate-access-tokens/>
pub static OKTA: Preset = Preset {
    name: "okta",
    algorithms: &[Algorithm::Rs256],
    token_types: &["at+jwt", ""],
    client: &["cid"],
    scope: &["scp"],
    marks: NO_ID_TOKEN,
    issuer: IssuerForm::OktaCustom,
    ..PROFILE
};

/// Supabase Auth as OAuth 2.1 server.
///
/// <https://supabase.com/docs/guides/auth/oauth-server/token-security>, and for the algorithms
/// <https://supabase.com/docs/guides/auth/signing-keys>
pub static SUPABASE: Preset = Preset {
    name: "supabase",
    algorithms: &[Algorithm::Es256, Algorithm::Rs256],
    token_types: &["JWT"],
    required_claims: &["sub", "client_id", "session_id"],
    marks: &[
        Mark::OneOf("role", &["authenticated"]),
        Mark::Absent("nonce"),
        Mark::Absent("at_hash"),
        Mark::Absent("c_hash"),
    ],
    ..PROFILE
};

// === impl Preset ===

impl Preset {
    /// All that a policy can name.
    pub const ALL: [&'static Self; 6] = [&AUTH0, &COGNITO, &ENTRA, &KEYCLOAK, &OKTA, &SUPABASE];

    /// The mark that a token lacks: the name of the claim that says that it is no access token.
    #[must_use]
    pub fn missing_mark(&self, claims: &Claims) -> Option<&'static str> {
        self.marks.iter().find(|mark| !mark.holds(claims)).map(|mark| match mark {
            Mark::Absent(name) | Mark::OneOf(name, _) => *name,
        })
    }

    /// Claims that are needed whatever the policy requires: where ID tokens have the same `typ`, the client
    /// is one of the things that tell them apart.
    #[must_use]
    pub const fn always_required(&self) -> &'static [&'static str] {
        if self.marks.is_empty() { &[] } else { &["client_id"] }
    }

    /// Whether this audience may stand beside the resource in tokens of `issuer`.
    #[must_use]
    pub fn stands_beside(&self, issuer: &str, audience: &str) -> bool {
        self.beside.is_some_and(|end| audience.strip_prefix(issuer) == Some(end))
    }
}

impl Mark {
    fn holds(self, claims: &Claims) -> bool {
        match self {
            Self::Absent(name) => !claims.all.contains_key(name),
            Self::OneOf(name, texts) => {
                let found = claims.all.get(name).and_then(Value::as_str);
                found.is_some_and(|found| texts.contains(&found))
            }
        }
    }
}

impl IssuerForm {
    /// Checks an issuer identifier.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn check(self, issuer: &str) -> Result<(), &'static str> {
        let (_, _, path) = split(issuer).unwrap_or_default();
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        match self {
            Self::Any => Ok(()),
            Self::EntraTenant if segments.next().is_some_and(is_guid) => Ok(()),
            Self::EntraTenant => {
                Err("with this preset the issuer must be that of one tenant, by its id: \
                 https://login.microsoftonline.com/{tenant id}/v2.0 or \
                 https://sts.windows.net/{tenant id}/")
            }
            Self::OktaCustom if segments.next() == Some("oauth2") && segments.next().is_some() => {
                Ok(())
            }
            Self::OktaCustom => {
                Err("with this preset the issuer must be a custom authorization server, \
                 https://{domain}/oauth2/{id}: tokens of the organization's own are for Okta alone")
            }
        }
    }
}

/// The identifiers of the resource servers that scopes of the form `resource-server/scope` belong to.
/// A scope's own name has no slash in it.
pub(super) fn resource_servers(scope: &ScopeSet) -> Vec<&str> {
    scope
        .iter()
        .map(Scope::as_str)
        .filter_map(|scope| match scope {
            COGNITO_SELF_SERVICE => Some(scope),
            _ => scope.rsplit_once('/').map(|(server, _)| server),
        })
        .collect()
}

/// `8-4-4-4-12` hexadecimal digits.
fn is_guid(text: &str) -> bool {
    let mut groups = text.split('-');
    let lengths = [8, 4, 4, 4, 12];
    let fits = |length: &usize| {
        groups.next().is_some_and(|group| {
            group.len() == *length && group.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    lengths.iter().all(fits) && text.len() == 36
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;
    use crate::jwt::access_token::Profile;

    #[test]
    fn issuers_that_stand_for_many_are_refused() {
        for good in [
            "https://login.microsoftonline.com/aaaabbbb-0000-cccc-1111-dddd2222eeee/v2.0",
            "https://sts.windows.net/aaaabbbb-0000-cccc-1111-dddd2222eeee/",
            "https://login.microsoftonline.us/AAAABBBB-0000-cccc-1111-dddd2222eeee/v2.0",
        ] {
            assert_eq!(IssuerForm::EntraTenant.check(good), Ok(()), "{good}");
        }
        for bad in [
            "https://login.microsoftonline.com/common/v2.0",
            "https://login.microsoftonline.com/organizations/v2.0",
            "https://login.microsoftonline.com/{tenantid}/v2.0",
            "https://login.microsoftonline.com/contoso.onmicrosoft.com/v2.0",
            "https://login.microsoftonline.com/aaaabbbb-0000-cccc-1111-dddd2222eeee-/v2.0",
            "https://login.microsoftonline.com/aaaabbbb-0000-cccc-1111-dddd2222eeeg/v2.0",
            "https://login.microsoftonline.com/v2.0/aaaabbbb-0000-cccc-1111-dddd2222eeee",
            "https://login.microsoftonline.com",
        ] {
            assert!(IssuerForm::EntraTenant.check(bad).is_err(), "{bad}");
        }
        assert_eq!(IssuerForm::OktaCustom.check("https://dev-1.okta.com/oauth2/default"), Ok(()));
        for bad in
            ["https://dev-1.okta.com", "https://dev-1.okta.com/oauth2", "https://h/x/oauth2/y"]
        {
            assert!(IssuerForm::OktaCustom.check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn scopes_name_their_resource_server() {
        let scope = "openid https://h/mcp/read files/write aws.cognito.signin.user.admin";
        assert_eq!(
            resource_servers(&ScopeSet::parse(scope).unwrap()),
            ["https://h/mcp", "files", COGNITO_SELF_SERVICE]
        );
    }

    #[test]
    fn only_the_issuers_own_user_info_stands_beside() {
        let issuer = "https://tenant.auth0.com/";
        assert!(AUTH0.stands_beside(issuer, "https://tenant.auth0.com/userinfo"));
        for other in ["https://other.auth0.com/userinfo", "https://tenant.auth0.com/userinfo/", ""]
        {
            assert!(!AUTH0.stands_beside(issuer, other), "{other}");
        }
        assert!(!RFC_9068.stands_beside(issuer, "https://tenant.auth0.com/userinfo"));
    }

    /// A policy that requires no claims does not let in ID tokens by that.
    #[test]
    fn the_client_is_always_needed() {
        let needed = |preset, required: &[&str]| -> Vec<String> {
            let profile = Profile {
                issuer: String::new(),
                preset,
                algorithms: Vec::new(),
                token_types: Vec::new(),
                required_claims: required.iter().map(|name| (*name).into()).collect(),
                max_lifetime: 0,
            };
            profile.needed_claims().map(String::from).collect()
        };
        for preset in Preset::ALL {
            assert_eq!(needed(preset, &[]), ["client_id"], "{}", preset.name);
            assert_eq!(needed(preset, &["client_id", "jti"]), ["client_id", "jti"]);
        }
        assert_eq!(needed(&RFC_9068, &["sub"]), ["sub"]);
    }

    /// Whoever takes the `typ` that the provider's ID tokens have must tell them apart otherwise.
    #[test]
    fn every_preset_tells_id_tokens_apart() {
        for preset in Preset::ALL {
            assert!(!preset.marks.is_empty(), "{}", preset.name);
            assert!(preset.required_claims.contains(&"client_id"), "{}", preset.name);
        }
    }
}
