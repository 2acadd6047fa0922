//! What is not the token's content: methods, content types, browsers, plain http, pages for everything.

use reqwest::{Method, Url};

use super::{
    Audit, FOREIGN_ORIGIN,
    catalogue::resource_server::{
        CHALLENGE_EXPOSED, CONTENT_TYPE_AUTHENTICATED, CORS_NO_CREDENTIALS, METHODS_AUTHENTICATED,
        ORIGIN_REFUSED, OTHER_METHODS_AUTHENTICATED, PLAIN_HTTP_REFUSED, PREFLIGHT_UNAUTHENTICATED,
        WELL_KNOWN_NO_PAGE,
    },
    check::Found,
    post,
    wire::{Answered, Call, Seen},
};
use crate::{check_url, http::is_loopback};

impl Audit<'_> {
    pub(super) async fn look_at_transport(&mut self, first: &Seen) {
        if first.status == 401 {
            self.try_methods().await;
        } else {
            for check in
                [&METHODS_AUTHENTICATED, &OTHER_METHODS_AUTHENTICATED, &CONTENT_TYPE_AUTHENTICATED]
            {
                self.found(check, Found::skipped("a request without a token does not get 401"));
            }
        }
        self.come_from_foreign_site().await;
        self.look_for_pages().await;
        let found = self.try_plain_http().await;
        self.found(&PLAIN_HTTP_REFUSED, found);
    }

    async fn try_methods(&mut self) {
        let stream = Call::get(self.url).header("accept", "text/event-stream");
        let get = self.wire.ask("GET without a token", stream).await;
        let end = Call::new(Method::DELETE, self.url);
        let delete = self.wire.ask("DELETE without a token", end).await;
        self.found(&METHODS_AUTHENTICATED, leg("GET", &get).and(leg("DELETE", &delete)));
        let head = self.wire.ask("HEAD without a token", Call::new(Method::HEAD, self.url)).await;
        let put =
            Call::new(Method::PUT, self.url).header("content-type", "application/json").body("{}");
        let put = self.wire.ask("PUT without a token", put).await;
        // These lead to nothing in MCP: what answers them may be harmless.
        let weaker = |found| match found {
            Found::Bypass(seen) => Found::Wrong(seen),
            other => other,
        };
        let both = weaker(leg("HEAD", &head)).and(weaker(leg("PUT", &put)));
        self.found(&OTHER_METHODS_AUTHENTICATED, both);
        let mut text = self.call();
        text.headers.retain(|(name, _)| *name != "content-type");
        let text = text.header("content-type", "text/plain");
        let answer = self.wire.ask("text/plain without a token", text).await;
        self.found(&CONTENT_TYPE_AUTHENTICATED, leg("text/plain", &answer));
    }

    async fn come_from_foreign_site(&mut self) {
        let good = self.token.as_ref().filter(|token| token.is_usable(self.now));
        let call = good.map_or_else(|| self.call(), |token| self.call_with(token.expose()));
        let has_token = good.is_some();
        let call = call.header("origin", FOREIGN_ORIGIN);
        let answer = self.wire.ask("a foreign web site", call).await;
        let without = match has_token {
            true => {
                let call = self.call().header("origin", FOREIGN_ORIGIN);
                self.wire.ask("a foreign web site without a token", call).await
            }
            false => answer.clone(),
        };
        let preflight = Call::new(Method::OPTIONS, self.url)
            .header("origin", FOREIGN_ORIGIN)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization, content-type");
        let preflight = self.wire.ask("a preflight", preflight).await;
        self.found(
            &ORIGIN_REFUSED,
            match &answer {
                Err(why) => Found::undecided(format!("no answer: {why}")),
                Ok(seen) if seen.status == 403 => Found::right("403"),
                Ok(seen) if seen.status == 401 && !has_token => Found::right(
                    "401; whether 403 comes with a token is to be seen with --token-file or --with-login",
                ),
                Ok(seen) if seen.lets_in() => {
                    Found::wrong(format!("Origin: {FOREIGN_ORIGIN} gets {}", seen.summary()))
                }
                Ok(seen) => Found::doubt(format!("{} instead of 403", seen.summary())),
            },
        );
        let open = [&answer, &preflight].into_iter().flatten().find(|seen| {
            allows_foreign(seen)
                && seen.header("access-control-allow-credentials") == Some("true")
                // With the wildcard browsers send none (Fetch, CORS protocol and credentials).
                && seen.header("access-control-allow-origin") != Some("*")
        });
        let open =
            open.map(|_| "Access-Control-Allow-Credentials: true for a foreign site".to_owned());
        self.found(
            &CORS_NO_CREDENTIALS,
            match (&answer, &preflight) {
                (Err(why), Err(_)) => Found::undecided(format!("no answer: {why}")),
                _ => Found::unless(open, "not allowed"),
            },
        );
        self.found(
            &PREFLIGHT_UNAUTHENTICATED,
            match &preflight {
                Err(why) => Found::undecided(format!("no answer: {why}")),
                Ok(seen) if seen.status == 401 => Found::wrong("OPTIONS gets 401"),
                Ok(seen) if seen.status >= 500 && seen.status != 501 => {
                    Found::doubt(format!("OPTIONS gets {}", seen.status))
                }
                Ok(seen) => Found::right(format!("OPTIONS gets {}", seen.status)),
            },
        );
        self.found(
            &CHALLENGE_EXPOSED,
            match &without {
                Err(why) => Found::undecided(format!("no answer: {why}")),
                Ok(seen) if seen.status == 401 && allows_foreign(seen) => exposed(seen),
                Ok(_) => Found::skipped("the server is not for browsers of other sites"),
            },
        );
    }

    async fn look_for_pages(&mut self) {
        let Ok(url) = check_url(self.url) else { return };
        let origin = url.origin().ascii_serialization();
        let mut found = Found::right("no page");
        for path in ["oauth-authorization-server", "oauth-protected-resource/countersign-audit"] {
            let place = format!("{origin}/.well-known/{path}");
            found = match self.wire.ask("a well-known path", Call::get(&place)).await {
                Err(why) => found.and(Found::undecided(format!("no answer: {why}"))),
                Ok(seen) if seen.is_success() && !seen.is_json() => {
                    found.and(Found::wrong(format!("{place}: {}", seen.summary())))
                }
                Ok(_) => found,
            };
        }
        self.found(&WELL_KNOWN_NO_PAGE, found);
    }

    async fn try_plain_http(&mut self) -> Found {
        let Ok(url) = check_url(self.url) else { return Found::skipped("not a URL") };
        if url.scheme() == "http" {
            return Found::skipped("the server is on this machine and has no https");
        }
        if url.port().is_some() || is_loopback(&url) {
            return Found::skipped(
                "the server has a port of its own, where nothing else can answer",
            );
        }
        let answer = match plain(&url) {
            Some(url) => self.wire.ask_plainly("plain http", post(&url, self.message)).await,
            None => return Found::skipped("not a URL"),
        };
        plain_http(&answer)
    }
}

/// The same place without TLS.
fn plain(url: &Url) -> Option<String> {
    let mut plain = url.clone();
    plain.set_scheme("http").ok()?;
    Some(plain.into())
}

fn plain_http(answer: &Answered) -> Found {
    match answer {
        Err(why) => Found::right(format!("no answer: {why}")),
        Ok(seen) => match seen.redirect() {
            Some(to) if to.starts_with("https://") => Found::right(format!("redirect to {to}")),
            Some(to) => Found::doubt(format!("redirect to {to}")),
            None if seen.status == 401 || seen.lets_in() => {
                Found::wrong(format!("plain http gets {}", seen.summary()))
            }
            None => Found::right(seen.summary()),
        },
    }
}

/// What a request without a token came to by some method or content type.
fn leg(name: &str, answer: &Answered) -> Found {
    match answer {
        Err(why) => Found::undecided(format!("{name}: no answer: {why}")),
        Ok(seen) if seen.lets_in() => {
            Found::Bypass(format!("{name} is let in: {}", seen.summary()))
        }
        Ok(seen) if (400..500).contains(&seen.status) || seen.status == 501 => {
            Found::right(format!("{name}: {}", seen.status))
        }
        Ok(seen) => Found::doubt(format!("{name}: {} instead of 401", seen.summary())),
    }
}

fn allows_foreign(seen: &Seen) -> bool {
    matches!(seen.header("access-control-allow-origin"), Some("*" | FOREIGN_ORIGIN))
}

fn exposed(seen: &Seen) -> Found {
    let names = seen.header("access-control-expose-headers").unwrap_or_default();
    let is_named = names.split(',').map(str::trim).any(|name| {
        // It means every name, but for requests with cookies or the like; a token that a script sets is not.
        name == "*" || name.eq_ignore_ascii_case("www-authenticate")
    });
    Found::when(is_named, names, "Access-Control-Expose-Headers does not have WWW-Authenticate")
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue, LOCATION};

    use super::*;

    /// No server of a test has both ports.
    #[test]
    fn answers_by_plain_http() {
        let seen = |status, location: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(location) = location {
                headers.insert(LOCATION, HeaderValue::from_static(location));
            }
            Ok(Seen { status, headers, body: Vec::new() })
        };
        assert!(matches!(plain_http(&Err("refused".to_owned())), Found::Right(_)));
        assert!(matches!(plain_http(&seen(308, Some("https://h/mcp"))), Found::Right(_)));
        assert!(matches!(plain_http(&seen(426, None)), Found::Right(_)));
        assert!(matches!(plain_http(&seen(302, Some("http://h/login"))), Found::Doubt(_)));
        assert!(matches!(plain_http(&seen(401, None)), Found::Wrong(_)));
        assert!(matches!(plain_http(&seen(200, None)), Found::Wrong(_)));
        let url = Url::parse("https://h.example/mcp?a=b").unwrap();
        assert_eq!(plain(&url).unwrap(), "http://h.example/mcp?a=b");
    }
}
