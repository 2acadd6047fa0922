//! The protected resource's metadata (RFC 9728).

use countersign_core::oauth::scope::ScopeSet;

use super::{
    Audit,
    catalogue::resource_server::{
        METADATA_AUTHORIZATION_SERVERS, METADATA_BEARER_METHODS, METADATA_FOUND, METADATA_JSON,
        METADATA_PATH_INSERTED, METADATA_RESOURCE, METADATA_ROOT, METADATA_SCOPES_MINIMAL,
    },
    challenge::challenge,
    check::Found,
    document::Document,
    wire::{Answered, Call, Seen},
};
use crate::discovery::metadata_urls;

/// What is known of the resource.
#[derive(Clone, Debug, Default)]
pub(super) struct Resource {
    /// As it calls itself, else the URL.
    pub(super) id: String,
    /// Its authorization servers that may be called.
    pub(super) issuers: Vec<String>,
    /// The scopes that it lists.
    pub(super) scopes: Vec<String>,
    /// Those that it asks for at first.
    pub(super) challenged: String,
}

impl Audit<'_> {
    pub(super) async fn look_at_metadata(&mut self, first: &Seen) -> Resource {
        let challenge = challenge(first).ok();
        let parameter = |name| challenge.as_ref()?.parameter(name).map(str::to_owned);
        let mut resource = Resource {
            id: self.url.to_owned(),
            challenged: parameter("scope")
                .filter(|s| ScopeSet::parse(s).is_ok())
                .unwrap_or_default(),
            ..Resource::default()
        };
        // In the order of clients: named, path-inserted, root.
        let known = metadata_urls(self.url).unwrap_or_default();
        let named = parameter("resource_metadata");
        let mut answers: Vec<(String, Answered)> = Vec::new();
        for place in named.iter().chain(&known) {
            if !answers.iter().any(|(asked, _)| asked == place) {
                let answer = self.wire.ask("the resource's metadata", Call::get(place)).await;
                answers.push((place.clone(), answer));
            }
        }
        let at = |place: Option<&String>| {
            answers.iter().find(|(asked, _)| Some(asked) == place).map(|(_, answer)| answer)
        };
        self.found(
            &METADATA_PATH_INSERTED,
            match (known.first(), at(known.first())) {
                (Some(place), Some(answer)) => match read(answer) {
                    Ok(_) => Found::right(place),
                    Err(why) => Found::wrong(format!("{place}: {why}")),
                },
                _ => Found::skipped("the URL has no well-known path"),
            },
        );
        self.found(
            &METADATA_ROOT,
            match (known.get(1), at(known.get(1))) {
                (Some(place), Some(answer)) => at_root(place, answer),
                _ => Found::skipped("the server's path is the root"),
            },
        );
        let is_there = |answer: &Answered| matches!(answer, Ok(seen) if seen.is_success());
        let served = answers.iter().find(|(_, answer)| is_there(answer));
        let Some((place, answer)) = served else {
            self.found(&METADATA_FOUND, Found::wrong("none at any of the places"));
            self.without_document("there are no metadata");
            return resource;
        };
        // Clients do not look further when there is none where the challenge says.
        self.found(
            &METADATA_FOUND,
            match (&named, at(named.as_ref())) {
                (Some(named), Some(Ok(seen))) if !seen.is_success() => {
                    Found::wrong(format!("the challenge names {named}: status {}", seen.status))
                }
                (Some(named), Some(Err(why))) => {
                    Found::wrong(format!("the challenge names {named}: {why}"))
                }
                _ => Found::right(place),
            },
        );
        let document = match read(answer) {
            Ok(document) => document,
            Err(why) => {
                self.found(&METADATA_JSON, Found::wrong(format!("{place}: {why}")));
                self.without_members("there are no metadata that can be read");
                return resource;
            }
        };
        self.found(&METADATA_JSON, Found::right("application/json"));
        self.look_at_members(&document);
        let issuers = document.texts("authorization_servers");
        resource.issuers = issuers
            .into_iter()
            .filter(|issuer| self.wire.check(issuer).is_ok())
            .map(str::to_owned)
            .collect();
        if let Some(id) = document.text("resource") {
            resource.id = id.to_owned();
        }
        resource.scopes =
            document.texts("scopes_supported").into_iter().map(str::to_owned).collect();
        resource
    }

    fn look_at_members(&mut self, document: &Document) {
        self.found(
            &METADATA_RESOURCE,
            match document.text("resource") {
                Some(id) => Found::when(id == self.url, id, format!("it is {id}")),
                None => Found::wrong("there is no resource"),
            },
        );
        let issuers = document.texts("authorization_servers");
        let insecure = issuers.iter().find_map(|issuer| self.wire.check(issuer).err());
        self.found(
            &METADATA_AUTHORIZATION_SERVERS,
            match insecure {
                _ if issuers.is_empty() => {
                    Found::wrong("authorization_servers is missing or empty")
                }
                Some(why) => Found::wrong(why),
                None => Found::right(issuers.join(", ")),
            },
        );
        let scopes = document.texts("scopes_supported");
        let excess = scopes.iter().find(|scope| **scope == "offline_access" || is_wildcard(scope));
        let listed = if scopes.is_empty() { "none listed".to_owned() } else { scopes.join(" ") };
        let excess = excess.map(|scope| format!("scopes_supported has {scope}"));
        self.found(&METADATA_SCOPES_MINIMAL, Found::unless(excess, listed));
        let methods = document.texts("bearer_methods_supported");
        self.found(
            &METADATA_BEARER_METHODS,
            match methods.as_slice() {
                [] if !document.has("bearer_methods_supported") => Found::right("none are named"),
                // DPoP alone: RFC 9728 §2 has an empty array where no bearer tokens are taken.
                [] | ["header"] => Found::right(methods.join(" ")),
                others => Found::wrong(format!("bearer_methods_supported: {}", others.join(", "))),
            },
        );
    }

    fn without_document(&mut self, why: &str) {
        self.found(&METADATA_JSON, Found::skipped(why));
        self.without_members(why);
    }

    fn without_members(&mut self, why: &str) {
        for check in [
            &METADATA_RESOURCE,
            &METADATA_AUTHORIZATION_SERVERS,
            &METADATA_SCOPES_MINIMAL,
            &METADATA_BEARER_METHODS,
        ] {
            self.found(check, Found::skipped(why));
        }
    }
}

fn read(answer: &Answered) -> Result<Document, String> {
    answer.as_ref().map_err(Clone::clone).and_then(Document::read)
}

/// `*`, `files:*`, `files.*`.
pub(super) fn is_wildcard(scope: &str) -> bool {
    scope.ends_with('*')
}

/// Another resource of the same host may have its metadata there.
fn at_root(place: &str, answer: &Answered) -> Found {
    match answer {
        Err(why) => Found::undecided(format!("no answer: {why}")),
        Ok(seen) if matches!(seen.status, 401 | 404 | 405 | 410) && !seen.is_success() => {
            Found::when(seen.status != 401, format!("status {}", seen.status), "status 401")
        }
        Ok(seen) => match Document::read(seen) {
            Ok(document) => Found::right(document.text("resource").unwrap_or("no resource")),
            Err(why) => Found::wrong(format!("{place}: {why}")),
        },
    }
}
