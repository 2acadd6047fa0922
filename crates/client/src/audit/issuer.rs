//! An authorization server's metadata (RFC 8414).

use countersign_core::oauth::metadata::authorization_server_urls;

use super::{
    Audit, FOREIGN_ORIGIN,
    catalogue::authorization_server::{
        ALL, CLIENT_REGISTRATION, CODE_FLOW_ONLY, DPOP_ALGORITHMS, ISS_PARAMETER, ISSUER_HTTPS,
        ISSUER_IDENTICAL, ISSUER_METADATA_CORS, ISSUER_METADATA_FOUND, PASSWORD_GRANT_NOT_OFFERED,
        PKCE_PLAIN_NOT_OFFERED, PKCE_S256, SCOPES_KNOWN,
    },
    check::{Check, Found},
    document::Document,
    forge::PublishedKey,
    metadata::Resource,
    wire::{Call, Seen},
};

impl Audit<'_> {
    /// Looks at an authorization server; gives a key of its, if there is one that is known here.
    pub(super) async fn look_at_issuer(
        &mut self,
        issuer: &str,
        resource: &Resource,
    ) -> Option<PublishedKey> {
        let Some((place, seen, document)) = self.issuer_document(issuer).await else {
            for check in ALL.iter().skip(1) {
                self.found_at(issuer, check, Found::skipped("there are no metadata"));
            }
            return None;
        };
        self.found_at(issuer, &ISSUER_METADATA_FOUND, Found::right(place));
        let origin = seen.header("access-control-allow-origin");
        self.found_at(
            issuer,
            &ISSUER_METADATA_CORS,
            Found::when(
                matches!(origin, Some("*" | FOREIGN_ORIGIN)),
                "Access-Control-Allow-Origin is there",
                "no Access-Control-Allow-Origin",
            ),
        );
        let insecure = document
            .all_texts()
            .filter(|(name, _)| {
                name.ends_with("_endpoint") || matches!(*name, "issuer" | "jwks_uri")
            })
            .find_map(|(name, url)| Some(format!("{name}: {}", self.wire.check(url).err()?)));
        self.found_at(
            issuer,
            &ISSUER_HTTPS,
            Found::unless(
                insecure,
                match issuer {
                    local if local.starts_with("http:") => "plain http, on this machine only",
                    _ => "https",
                },
            ),
        );
        for (check, found) in members(&document, issuer, resource) {
            self.found_at(issuer, check, found);
        }
        let key = self.look_at_keys(issuer, &document).await;
        self.look_at_endpoints(issuer, &document, resource).await;
        key
    }

    /// The first document of those places where clients look.
    async fn issuer_document(&mut self, issuer: &str) -> Option<(String, Seen, Document)> {
        let mut problems = Vec::new();
        for place in authorization_server_urls(issuer) {
            let call = Call::get(&place)
                .header("accept", "application/json")
                .header("origin", FOREIGN_ORIGIN);
            let answer = self.wire.ask("an authorization server's metadata", call).await;
            match answer.and_then(|seen| Ok((Document::read(&seen)?, seen))) {
                Ok((document, seen)) => return Some((place, seen, document)),
                Err(why) => problems.push(format!("{place}: {why}")),
            }
        }
        let problems = problems.join("; ");
        self.found_at(issuer, &ISSUER_METADATA_FOUND, Found::wrong(problems));
        None
    }
}

/// What the members say.
fn members(document: &Document, issuer: &str, resource: &Resource) -> Vec<(&'static Check, Found)> {
    let pkce = document.texts("code_challenge_methods_supported");
    let offered = if pkce.is_empty() { "none".to_owned() } else { pkce.join(" ") };
    let named = document.text("issuer");
    vec![
        (
            &ISSUER_IDENTICAL,
            Found::when(
                named == Some(issuer),
                issuer,
                format!("the resource names {issuer}, the metadata {}", named.unwrap_or("none")),
            ),
        ),
        (
            &PKCE_S256,
            Found::when(
                pkce.contains(&"S256"),
                &offered,
                format!("code_challenge_methods_supported: {offered}"),
            ),
        ),
        (
            &PKCE_PLAIN_NOT_OFFERED,
            Found::when(
                !pkce.contains(&"plain"),
                &offered,
                "code_challenge_methods_supported lists plain",
            ),
        ),
        (&CODE_FLOW_ONLY, code_flow(document)),
        (
            &PASSWORD_GRANT_NOT_OFFERED,
            Found::when(
                !document.texts("grant_types_supported").contains(&"password"),
                "not listed",
                "grant_types_supported lists password",
            ),
        ),
        (
            &ISS_PARAMETER,
            Found::when(
                document.flag("authorization_response_iss_parameter_supported"),
                "authorization_response_iss_parameter_supported",
                "authorization_response_iss_parameter_supported is not true",
            ),
        ),
        (&CLIENT_REGISTRATION, registration(document)),
        (&DPOP_ALGORITHMS, dpop(document)),
        (&SCOPES_KNOWN, scopes(document, resource)),
    ]
}

fn code_flow(document: &Document) -> Found {
    let types = document.texts("response_types_supported");
    let implicit = types.iter().find(|kind| kind.split(' ').any(|word| word == "token"));
    let grants = document.texts("grant_types_supported");
    match implicit {
        _ if !types.contains(&"code") => {
            Found::wrong("response_types_supported does not list code")
        }
        // Clients of MCP never use it: that others may is no more than a warning.
        Some(kind) => Found::doubt(format!("response_types_supported lists {kind:?}")),
        None if grants.contains(&"implicit") => {
            Found::doubt("grant_types_supported lists implicit")
        }
        None => Found::right(types.join(", ")),
    }
}

fn registration(document: &Document) -> Found {
    let by_document = document.flag("client_id_metadata_document_supported");
    match (by_document, document.text("registration_endpoint").is_some()) {
        (true, true) => Found::right("by metadata document, and by registration"),
        (true, false) => Found::right("by metadata document"),
        (false, true) => Found::right("by registration, which MCP has deprecated since 2026-07-28"),
        (false, false) => Found::wrong("neither is offered"),
    }
}

fn dpop(document: &Document) -> Found {
    let name = "dpop_signing_alg_values_supported";
    if !document.has(name) {
        return Found::skipped("no DPoP is offered");
    }
    let algorithms = document.texts(name);
    let weak = algorithms.iter().find(|one| **one == "none" || one.starts_with("HS"));
    Found::unless(weak.map(|one| format!("{name} lists {one}")), algorithms.join(" "))
}

fn scopes(document: &Document, resource: &Resource) -> Found {
    let known = document.texts("scopes_supported");
    let asked = resource.challenged.split_ascii_whitespace();
    let asked: Vec<&str> = resource.scopes.iter().map(String::as_str).chain(asked).collect();
    if known.is_empty() || asked.is_empty() {
        return Found::skipped("the authorization server, or the resource, lists no scopes");
    }
    let unknown = asked.iter().find(|scope| !known.contains(scope));
    Found::unless(unknown.map(|scope| format!("it does not list {scope}")), "it lists all of them")
}
