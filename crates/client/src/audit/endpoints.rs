//! An authorization server's endpoints, asked for what they have to refuse.

use super::{
    Audit, FOREIGN_ORIGIN,
    catalogue::authorization_server::{
        AUTHORIZE_UNKNOWN_CLIENT, AUTHORIZE_WRONG_REDIRECT, INTROSPECTION_AUTHENTICATED,
        REVOCATION_AUTHENTICATED, TOKEN_ENDPOINT_ERRORS, TOKEN_ENDPOINT_NO_STORE,
        TOKEN_ENDPOINT_POST_ONLY, TOKEN_ENDPOINT_UNKNOWN_CLIENT,
    },
    check::{Check, Found},
    document::Document,
    forge::GARBAGE,
    metadata::Resource,
    wire::{Answered, Call, Seen},
};

/// A client that no authorization server knows.
const UNKNOWN_CLIENT: &str = "countersign-audit-unknown";

/// As long as RFC 7636 §4.1 asks for.
const VERIFIER: &str = "countersign-audit-verifier-that-is-of-no-use-00";

impl Audit<'_> {
    pub(super) async fn look_at_endpoints(
        &mut self,
        issuer: &str,
        document: &Document,
        resource: &Resource,
    ) {
        self.try_token_endpoint(issuer, document.text("token_endpoint")).await;
        self.try_authorize(issuer, document.text("authorization_endpoint"), resource).await;
        let endpoints: [(&'static Check, _); 2] = [
            (&REVOCATION_AUTHENTICATED, "revocation_endpoint"),
            (&INTROSPECTION_AUTHENTICATED, "introspection_endpoint"),
        ];
        for (check, name) in endpoints {
            let Some(url) = document.text(name) else {
                self.found_at(issuer, check, Found::skipped("there is none"));
                continue;
            };
            let form = Call::form(url, &[("token", GARBAGE), ("client_id", UNKNOWN_CLIENT)]);
            let answer = self.wire.ask(name, form).await;
            self.found_at(
                issuer,
                check,
                match &answer {
                    Err(why) => Found::undecided(format!("no answer: {why}")),
                    Ok(seen) if seen.status == 429 => Found::undecided("429: try again later"),
                    Ok(seen) if (400..500).contains(&seen.status) => {
                        Found::right(oauth_error(seen))
                    }
                    Ok(seen) if seen.is_success() => {
                        Found::wrong(format!("an unknown client gets {}", seen.summary()))
                    }
                    Ok(seen) => Found::doubt(seen.summary()),
                },
            );
        }
    }

    async fn try_token_endpoint(&mut self, issuer: &str, url: Option<&str>) {
        let checks = [
            &TOKEN_ENDPOINT_ERRORS,
            &TOKEN_ENDPOINT_UNKNOWN_CLIENT,
            &TOKEN_ENDPOINT_NO_STORE,
            &TOKEN_ENDPOINT_POST_ONLY,
        ];
        let Some(url) = url else {
            self.found_at(
                issuer,
                &TOKEN_ENDPOINT_ERRORS,
                Found::wrong("there is no token_endpoint"),
            );
            for check in checks.into_iter().skip(1) {
                self.found_at(issuer, check, Found::skipped("there is no token_endpoint"));
            }
            return;
        };
        let redirect_uri = format!("{FOREIGN_ORIGIN}/callback");
        let form = [
            ("grant_type", "authorization_code"),
            ("code", GARBAGE),
            ("client_id", UNKNOWN_CLIENT),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", VERIFIER),
        ];
        let answer = self.wire.ask("the token endpoint", Call::form(url, &form)).await;
        match &answer {
            Err(why) => {
                for check in checks.into_iter().take(3) {
                    self.found_at(issuer, check, Found::undecided(format!("no answer: {why}")));
                }
            }
            Ok(seen) => {
                self.found_at(issuer, &TOKEN_ENDPOINT_ERRORS, shape(seen));
                self.found_at(
                    issuer,
                    &TOKEN_ENDPOINT_UNKNOWN_CLIENT,
                    Found::when(
                        seen.status == 401 && error_of(seen).as_deref() == Some("invalid_client"),
                        oauth_error(seen),
                        format!("{} instead of 401 invalid_client", oauth_error(seen)),
                    ),
                );
                let control = seen.header("cache-control").unwrap_or_default();
                self.found_at(
                    issuer,
                    &TOKEN_ENDPOINT_NO_STORE,
                    Found::when(
                        control.to_ascii_lowercase().contains("no-store"),
                        format!("Cache-Control: {control}"),
                        "no Cache-Control: no-store",
                    ),
                );
            }
        }
        let call = Call::get(&with_query(
            url,
            &[("grant_type", "client_credentials"), ("client_id", UNKNOWN_CLIENT)],
        ));
        let answer = self.wire.ask("the token endpoint by GET", call).await;
        self.found_at(issuer, &TOKEN_ENDPOINT_POST_ONLY, by_get(&answer));
    }

    async fn try_authorize(&mut self, issuer: &str, url: Option<&str>, resource: &Resource) {
        let Some(url) = url else {
            let none = || Found::skipped("there is no authorization_endpoint");
            self.found_at(issuer, &AUTHORIZE_UNKNOWN_CLIENT, none());
            self.found_at(issuer, &AUTHORIZE_WRONG_REDIRECT, none());
            return;
        };
        let unknown = authorization(url, UNKNOWN_CLIENT, resource);
        let answer = self.wire.ask("the authorization endpoint", unknown).await;
        self.found_at(issuer, &AUTHORIZE_UNKNOWN_CLIENT, not_redirected(&answer));
        let Some(client) = self.client_id else {
            let why = "needs a client that the authorization server knows: --client-id";
            self.found_at(issuer, &AUTHORIZE_WRONG_REDIRECT, Found::skipped(why));
            return;
        };
        let known = authorization(url, client, resource);
        let answer = self.wire.ask("a foreign redirect URI", known).await;
        self.found_at(issuer, &AUTHORIZE_WRONG_REDIRECT, not_redirected(&answer));
    }
}

/// A request that would be good, were the client known and the redirect URI its own.
fn authorization(url: &str, client_id: &str, resource: &Resource) -> Call {
    let redirect_uri = format!("{FOREIGN_ORIGIN}/callback");
    Call::get(&with_query(
        url,
        &[
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", &redirect_uri),
            ("state", "countersign-audit"),
            // Of nothing that anybody knows.
            ("code_challenge", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            ("code_challenge_method", "S256"),
            ("resource", &resource.id),
        ],
    ))
    .header("accept", "text/html")
}

fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let query = query.extend_pairs(pairs).finish();
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{query}")
}

fn not_redirected(answer: &Answered) -> Found {
    match answer {
        Err(why) => Found::undecided(format!("no answer: {why}")),
        Ok(seen) if seen.status == 429 => Found::undecided("429: try again later"),
        Ok(seen) => match seen.redirect() {
            Some(to) if to.starts_with(FOREIGN_ORIGIN) => {
                Found::wrong("it redirects to the request's redirect_uri")
            }
            Some(_) => Found::right(format!("status {}, to a page of its own", seen.status)),
            None if seen.status >= 500 => Found::doubt(seen.summary()),
            None => Found::right(seen.summary()),
        },
    }
}

/// OAuth 2.1 §3.2.4.
fn shape(seen: &Seen) -> Found {
    match error_of(seen) {
        _ if seen.status == 429 => Found::undecided("429: try again later"),
        Some(error) if matches!(seen.status, 400 | 401) => {
            Found::right(format!("{} {error}", seen.status))
        }
        Some(error) => Found::wrong(format!("status {} with {error}", seen.status)),
        None => Found::wrong(format!("{}, and no JSON with error", seen.summary())),
    }
}

fn by_get(answer: &Answered) -> Found {
    match answer {
        Err(why) => Found::undecided(format!("no answer: {why}")),
        Ok(seen) if seen.is_success() => Found::wrong(format!("GET gets {}", seen.summary())),
        Ok(seen) => match error_of(seen).as_deref() {
            Some("invalid_client" | "unauthorized_client") => {
                Found::doubt(format!("GET is read like POST: {}", oauth_error(seen)))
            }
            _ if (400..500).contains(&seen.status) => Found::right(seen.status.to_string()),
            _ => Found::doubt(format!("GET gets {}", seen.summary())),
        },
    }
}

fn error_of(seen: &Seen) -> Option<String> {
    if !seen.is_json() {
        return None;
    }
    let members = seen.object()?;
    Some(members.get("error")?.as_str()?.chars().take(60).collect())
}

fn oauth_error(seen: &Seen) -> String {
    match error_of(seen) {
        Some(error) => format!("{} {error}", seen.status),
        None => seen.summary(),
    }
}
