//! `/device_authorization` (RFC 8628 §3.1): a device that has no browser begins to wait.

use aws_lc_rs::rand;
use axum::{extract::State, http::StatusCode, response::Response};
use serde_json::json;

use super::{
    App, Shared, client_auth,
    post::{self, Failure, Posted, refuse},
    reply,
    request::{check_scope, find_resource},
};
use crate::{
    Error,
    grant_types::DEVICE_CODE,
    secret::{self, Kind},
    store::NewDeviceCode,
};

/// How long a device waits, in seconds: a person has to find another device, and log in there.
const LIFETIME: i64 = 600;

/// Seconds between two polls (§3.2).
const INTERVAL: i64 = 5;

/// What user codes are made of (§6.1): no vowels, so no words; nothing that looks like another one.
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// Length of a user code: 34 bits. Guesses are limited (§5.1).
const LENGTH: usize = 8;

pub(super) async fn endpoint(State(app): Shared, posted: Posted) -> Response {
    post::answer(begin(&app, &posted).await)
}

async fn begin(app: &App, posted: &Posted) -> Result<Response, Failure> {
    let Posted { address, headers, form } = posted;
    // Whoever knows a public client's name may come with it, and each time something is stored.
    let client = client_auth::authenticate_first(app, headers, form, *address).await?.client;
    if !client.may_use(DEVICE_CODE) {
        return Err(refuse("unauthorized_client", "The client may not use this grant type"));
    }
    let resources = app.store.known_resources().await?;
    let default = client.default_resource.as_deref();
    let resource = find_resource(form.all("resource"), &resources, default)
        .map_err(|error| refuse(error.error, error.description))?;
    let scope = check_scope(form.get("scope"), resource)
        .map_err(|error| refuse(error.error, error.description))?;
    let device_code = secret::new(Kind::DeviceCode)?;
    let hash = secret::hash(Kind::DeviceCode, &device_code);
    let user_code = loop {
        let user_code = new_user_code()?;
        let new = NewDeviceCode {
            hash: &hash,
            user_code_hash: &app.keys.ring().digest(Kind::UserCode, &user_code),
            client_id: &client.id,
            resource: &resource.uri,
            scopes: &scope.to_string(),
            interval: INTERVAL,
            lifetime: LIFETIME,
        };
        // Two devices never show the same code.
        if app.store.add_device_code(&new).await? {
            break shown(&user_code);
        }
    };
    tracing::info!(client = client.id, resource = resource.uri, "a device waits: {scope}");
    let page = format!("{}/device", app.issuer);
    let body = json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={user_code}"),
        "expires_in": LIFETIME,
        "interval": INTERVAL,
    });
    Ok(reply::json(StatusCode::OK, &body))
}

fn new_user_code() -> Result<String, Error> {
    let mut code = String::new();
    while code.len() < LENGTH {
        let mut bytes = [0; 2 * LENGTH];
        rand::fill(&mut bytes)?;
        // 240 is twelve times twenty: above it, some letters would be likelier.
        let letters = bytes.into_iter().filter(|byte| *byte < 240);
        let letters = letters.filter_map(|byte| ALPHABET.get(usize::from(byte) % ALPHABET.len()));
        code.extend(letters.take(LENGTH - code.len()).map(|letter| char::from(*letter)));
    }
    Ok(code)
}

/// A code as somebody typed it: in any case, with or without what stands between (§6.1). `None`: it
/// cannot be one.
pub(super) fn read_user_code(typed: &str) -> Option<String> {
    let letters = typed.chars().filter(|c| !matches!(c, '-' | ' ' | '_' | '.')).take(LENGTH + 1);
    let code: String = letters.map(|c| c.to_ascii_uppercase()).collect();
    let is_code = code.len() == LENGTH && code.bytes().all(|letter| ALPHABET.contains(&letter));
    is_code.then_some(code)
}

/// As people see it: in two halves.
pub(super) fn shown(user_code: &str) -> String {
    match user_code.split_at_checked(LENGTH / 2) {
        Some((first, second)) => format!("{first}-{second}"),
        None => user_code.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// RFC 8628 §6.1, §5.1: readable, and each letter as likely as any other.
    #[test]
    fn user_codes() {
        let codes: Vec<String> = (0..2000).map(|_| new_user_code().unwrap()).collect();
        for code in &codes {
            assert_eq!(read_user_code(code).as_ref(), Some(code));
        }
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
        for letter in ALPHABET.map(char::from) {
            let count = codes.iter().flat_map(|code| code.chars()).filter(|c| *c == letter).count();
            // 800 are to be expected; this is ten standard deviations away.
            assert!((520..1080).contains(&count), "{letter}: {count}");
        }
        assert_eq!(shown("WDJBMJHT"), "WDJB-MJHT");
        for typed in ["WDJB-MJHT", "wdjbmjht", " wdjb mjht ", "WD.JB_MJ-HT"] {
            assert_eq!(read_user_code(typed).as_deref(), Some("WDJBMJHT"), "{typed}");
        }
        for typed in ["", "WDJB-MJH", "WDJB-MJHTX", "WDJB-MJHA", "WDJB-MJH1", "WDJB-MJHÄ", "<b>"] {
            assert_eq!(read_user_code(typed), None, "{typed}");
        }
    }
}
