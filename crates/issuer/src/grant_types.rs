//! The grant types that there are, and which clients may have them.

/// OAuth 2.1 §4.1.
pub const AUTHORIZATION_CODE: &str = "authorization_code";

/// OAuth 2.1 §4.2: a client acts for itself.
pub const CLIENT_CREDENTIALS: &str = "client_credentials";

/// RFC 8628 §3.4.
pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// OAuth 2.1 §4.3.
pub const REFRESH_TOKEN: &str = "refresh_token";

/// RFC 8693 §2.1.
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// RFC 7523 §2.1; here for identity assertions only
/// (draft-ietf-oauth-identity-assertion-authz-grant).
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// All of them, as the metadata names them.
pub(crate) const ALL: [&str; 6] = [
    AUTHORIZATION_CODE,
    CLIENT_CREDENTIALS,
    REFRESH_TOKEN,
    DEVICE_CODE,
    TOKEN_EXCHANGE,
    JWT_BEARER,
];

/// What a client can register for itself, or have in its document: nothing without its user in a
/// browser that comes back to it. With a device code a stranger could let others log in for it (RFC
/// 8628 §5.4), so that is for the administrator to give.
pub(crate) const OF_STRANGERS: [&str; 2] = [AUTHORIZATION_CODE, REFRESH_TOKEN];

/// Whether a client of this authentication method may have these grant types, by the administrator.
///
/// # Errors
/// Why not.
pub(crate) fn check(grant_types: &[String], auth_method: &str) -> Result<(), String> {
    let has = |name: &str| grant_types.iter().any(|grant| grant == name);
    if let Some(unknown) = grant_types.iter().find(|grant| !ALL.contains(&grant.as_str())) {
        return Err(format!("there is no grant type {unknown:?}"));
    }
    if has(REFRESH_TOKEN) && !has(AUTHORIZATION_CODE) && !has(DEVICE_CODE) {
        return Err("refresh tokens come with a user's grant only".to_owned());
    }
    let proves = [CLIENT_CREDENTIALS, TOKEN_EXCHANGE, JWT_BEARER];
    if auth_method == "none" && proves.into_iter().any(has) {
        return Err("a client that acts without its users needs a secret or keys".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let check = |names: &[&str], method: &str| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            check(&names, method).is_ok()
        };
        assert!(check(&[], "client_secret_basic"));
        assert!(check(&[DEVICE_CODE, REFRESH_TOKEN], "none"));
        assert!(check(&[AUTHORIZATION_CODE, REFRESH_TOKEN, DEVICE_CODE], "private_key_jwt"));
        assert!(!check(&["password"], "client_secret_basic"));
        assert!(!check(&[REFRESH_TOKEN], "none"));
        assert!(!check(&[CLIENT_CREDENTIALS], "none"));
        assert!(!check(&[AUTHORIZATION_CODE, TOKEN_EXCHANGE], "none"));
        assert!(!check(&[JWT_BEARER], "none"));
        assert!(check(&[TOKEN_EXCHANGE, JWT_BEARER], "client_secret_basic"));
    }
}
