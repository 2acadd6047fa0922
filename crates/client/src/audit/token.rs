//! What is to be seen only with a token: whether it is accepted, in which places, and what is in it.

use std::fmt;

use countersign_core::{
    jose::{
        base64url,
        json::{self, Number, Object, Value},
    },
    oauth::resource::ResourceId,
};

use super::{
    Audit,
    catalogue::token::{
        ALL, HEADER_MISMATCH_REFUSED, TOKEN_ACCEPTED, TOKEN_ALTERED_REFUSED, TOKEN_AUDIENCE,
        TOKEN_CLAIMS, TOKEN_EXPIRED_REFUSED, TOKEN_IN_QUERY_REFUSED, TOKEN_ISSUER, TOKEN_LIFETIME,
        TOKEN_SCOPES,
    },
    challenge::challenge,
    check::{Check, Found},
    metadata::{Resource, is_wildcard},
    post, refusal,
    wire::{Answered, Call},
};
use crate::Secret;

/// Longest life of a token that raises no doubts, in seconds.
const HOUR: u64 = 3600;

/// An access token, and what stands in it if it is a JWT.
pub(super) struct Token {
    text: Secret,
    content: Option<(Object, Object)>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    pub(super) fn read(token: &Secret) -> Self {
        let part = |text: &str| match json::parse(&base64url::decode(text).ok()?) {
            Ok(Value::Object(members)) => Some(members),
            _ => None,
        };
        let parts: Vec<&str> = token.expose().split('.').collect();
        let content = match parts.as_slice() {
            [header, payload, _] => part(header).zip(part(payload)),
            _ => None,
        };
        Self { text: token.clone(), content }
    }

    pub(super) fn expose(&self) -> &str {
        self.text.expose()
    }

    fn claim(&self, name: &str) -> Option<&Value> {
        self.content.as_ref()?.1.get(name)
    }

    fn time(&self, name: &str) -> Option<u64> {
        match self.claim(name)? {
            Value::Number(Number::Unsigned(seconds)) => Some(*seconds),
            _ => None,
        }
    }

    fn is_expired(&self, now: u64) -> bool {
        self.time("exp").is_some_and(|expires| expires <= now)
    }

    fn is_bound(&self) -> bool {
        self.claim("cnf").is_some()
    }

    /// Whether a server should accept it as it is.
    pub(super) fn is_usable(&self, now: u64) -> bool {
        !self.is_expired(now) && !self.is_bound()
    }

    /// The same with one bit of its signature changed, or a character of a token that is no JWT.
    fn altered(&self) -> Option<String> {
        let text = self.expose();
        let (rest, signature) = text.rsplit_once('.').unwrap_or(("", text));
        if self.content.is_some()
            && let Ok(mut bytes) = base64url::decode(signature)
        {
            let middle = bytes.len() / 2;
            *bytes.get_mut(middle)? ^= 1;
            return Some(format!("{rest}.{}", base64url::encode(bytes)));
        }
        let middle = text.len() / 2;
        let other = if text.get(middle..=middle)? == "A" { "B" } else { "A" };
        Some(format!("{}{other}{}", text.get(..middle)?, text.get(middle + 1..)?))
    }
}

impl Audit<'_> {
    pub(super) async fn use_token(&mut self, resource: &Resource) {
        let Some(token) = self.token.take() else {
            for check in ALL {
                self.found(check, Found::skipped("needs a token: --token-file or --with-login"));
            }
            return;
        };
        for (check, found) in content(&token, resource) {
            self.found(check, found);
        }
        if !token.is_usable(self.now) {
            self.refuse_expired(&token).await;
            return;
        }
        self.found(&TOKEN_EXPIRED_REFUSED, Found::skipped("the token has not expired"));
        let answer = self.wire.ask("the token", self.call_with(token.expose())).await;
        let accepted = acceptance(&answer);
        let is_accepted = matches!(accepted, Found::Right(_));
        self.found(&TOKEN_ACCEPTED, accepted);
        if is_accepted {
            self.misuse(&token).await;
            return;
        }
        for check in [&TOKEN_ALTERED_REFUSED, &TOKEN_IN_QUERY_REFUSED, &HEADER_MISMATCH_REFUSED] {
            self.found(check, Found::skipped("the token is not accepted anyway"));
        }
    }

    async fn refuse_expired(&mut self, token: &Token) {
        let why = match token.is_bound() {
            true => "the token is bound to a key that the audit does not have",
            false => "the token has expired",
        };
        let expired = match token.is_bound() {
            true => Found::skipped(why),
            false => {
                let call = self.call_with(token.expose());
                refusal(&self.wire.ask("the expired token", call).await)
            }
        };
        self.found(&TOKEN_EXPIRED_REFUSED, expired);
        for check in [
            &TOKEN_ACCEPTED,
            &TOKEN_ALTERED_REFUSED,
            &TOKEN_IN_QUERY_REFUSED,
            &HEADER_MISMATCH_REFUSED,
        ] {
            self.found(check, Found::skipped(why));
        }
    }

    /// What a good token must not be good for.
    async fn misuse(&mut self, token: &Token) {
        let altered = match token.altered() {
            Some(altered) => {
                refusal(&self.wire.ask("the token, altered", self.call_with(&altered)).await)
            }
            None => Found::skipped("the token cannot be changed"),
        };
        self.found(&TOKEN_ALTERED_REFUSED, altered);
        let separator = if self.url.contains('?') { '&' } else { '?' };
        let encoded: String = form_urlencoded::byte_serialize(token.expose().as_bytes()).collect();
        let url = format!("{}{separator}access_token={encoded}", self.url);
        let answer = self.wire.ask("the token in the URL", post(&url, self.message)).await;
        self.found(
            &TOKEN_IN_QUERY_REFUSED,
            match &answer {
                // A server may name the URL when it is out of reach, and the token is in it.
                Err(_) => Found::undecided("no answer"),
                Ok(seen) if (400..500).contains(&seen.status) => {
                    Found::right(seen.status.to_string())
                }
                Ok(seen) if seen.lets_in() => Found::wrong(format!("let in: {}", seen.summary())),
                Ok(seen) => Found::doubt(format!("{} instead of 401", seen.summary())),
            },
        );
        let answer = self.wire.ask("a header beside the body", mismatch(self.url, token)).await;
        self.found(
            &HEADER_MISMATCH_REFUSED,
            match &answer {
                Err(why) => Found::undecided(format!("no answer: {why}")),
                Ok(seen) if seen.status == 400 => Found::right("400"),
                Ok(seen) if seen.lets_in() => Found::wrong(format!("let in: {}", seen.summary())),
                Ok(seen) if matches!(seen.status, 401 | 403) => Found::skipped(format!(
                    "status {}: the token is not good for that",
                    seen.status
                )),
                Ok(seen) => Found::doubt(format!("{} instead of 400", seen.summary())),
            },
        );
    }
}

/// Lists tools, and says that it does something else. Both are harmless. Servers of older revisions have
/// to refuse the version (Streamable HTTP, protocol version header).
fn mismatch(url: &str, token: &Token) -> Call {
    const VERSION: &str = "2026-07-28";
    let message = serde_json::json!({
        "jsonrpc": "2.0", "id": 3, "method": "tools/list", "params": { "_meta": {
            "io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientInfo": {
                "name": "countersign-audit", "version": env!("CARGO_PKG_VERSION"),
            },
            "io.modelcontextprotocol/clientCapabilities": {},
        } },
    });
    post(url, &message.to_string())
        .header("authorization", format!("Bearer {}", token.expose()))
        .header("mcp-protocol-version", VERSION)
        .header("mcp-method", "server/discover")
}

/// Whoever gets past authorization may still be told that the message is not to the server's liking.
fn acceptance(answer: &Answered) -> Found {
    match answer {
        Err(why) => Found::undecided(format!("no answer: {why}")),
        Ok(seen) if seen.status == 429 => Found::undecided("429: the server limits requests"),
        Ok(seen) if seen.status == 403 => {
            let challenge = challenge(seen).ok();
            match challenge.as_ref().and_then(|one| one.parameter("error")) {
                Some("insufficient_scope") => Found::doubt("403: it is good, but lacks scopes"),
                _ => Found::wrong("status 403"),
            }
        }
        Ok(seen) if seen.status == 401 => {
            let challenge = challenge(seen).ok();
            let error = challenge.as_ref().and_then(|one| one.parameter("error_description"));
            Found::wrong(format!("401 {}", error.unwrap_or_default()))
        }
        Ok(seen) if seen.status >= 500 => Found::doubt(seen.summary()),
        Ok(seen) => Found::right(seen.summary()),
    }
}

/// What stands in the token (RFC 9068).
fn content(token: &Token, resource: &Resource) -> Vec<(&'static Check, Found)> {
    let Some((header, claims)) = &token.content else {
        let checks =
            [&TOKEN_CLAIMS, &TOKEN_AUDIENCE, &TOKEN_ISSUER, &TOKEN_LIFETIME, &TOKEN_SCOPES];
        let skipped = || Found::skipped("the token is no JWT: only its issuer can read it");
        return checks.into_iter().map(|check| (check as &'static Check, skipped())).collect();
    };
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let kind = header.get("typ").and_then(Value::as_str).unwrap_or("no typ");
    let is_typed = ["at+jwt", "application/at+jwt"].iter().any(|t| kind.eq_ignore_ascii_case(t));
    let missing: Vec<&str> = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]
        .into_iter()
        .filter(|name| !claims.contains_key(*name))
        .collect();
    let lacking = match (is_typed, missing.as_slice()) {
        (true, []) => None,
        (false, []) => Some(format!("typ is {kind}")),
        (_, missing) => Some(format!("typ is {kind}; without {}", missing.join(", "))),
    };
    let issuers = &resource.issuers;
    let issuer = match text("iss") {
        _ if issuers.is_empty() => Found::skipped("no authorization server is known"),
        Some(iss) => Found::when(
            issuers.iter().any(|known| known == iss),
            iss,
            format!("iss is {iss}, the resource names {}", issuers.join(", ")),
        ),
        None => Found::wrong("no iss"),
    };
    let lifetime = match (token.time("iat"), token.time("exp")) {
        (Some(issued), Some(expires)) => {
            let seconds = expires.saturating_sub(issued);
            Found::when(seconds <= HOUR, format!("{seconds} s"), format!("{seconds} s"))
        }
        _ => Found::wrong("it has no iat, or no exp"),
    };
    vec![
        (&TOKEN_CLAIMS, Found::unless(lacking, kind)),
        (&TOKEN_AUDIENCE, audience(claims, resource)),
        (&TOKEN_ISSUER, issuer),
        (&TOKEN_LIFETIME, lifetime),
        (&TOKEN_SCOPES, scopes(claims)),
    ]
}

fn audience(claims: &Object, resource: &Resource) -> Found {
    let audiences: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => return Found::wrong("no aud"),
    };
    let is_this = |audience: &&str| {
        ResourceId::parse(&resource.id).is_ok_and(|resource| resource.matches(audience))
    };
    match audiences.as_slice() {
        [one] if is_this(one) => Found::right(*one),
        several if several.iter().any(is_this) => {
            Found::doubt(format!("it is for others too: {}", several.join(", ")))
        }
        others => Found::wrong(format!("aud is {}", others.join(", "))),
    }
}

fn scopes(claims: &Object) -> Found {
    let scopes: Vec<&str> = match claims.get("scope").or_else(|| claims.get("scp")) {
        Some(Value::String(scopes)) => scopes.split_ascii_whitespace().collect(),
        Some(Value::Array(scopes)) => scopes.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let wildcard = scopes.iter().find(|scope| is_wildcard(scope));
    match wildcard {
        Some(scope) => Found::wrong(format!("it has {scope}")),
        None => Found::when(!scopes.is_empty(), scopes.join(" "), "no scope"),
    }
}
