//! The challenge of a request without a token (RFC 6750 §3, RFC 9728 §5.1).

use countersign_core::oauth::www_authenticate::ReceivedChallenge;
use reqwest::header::WWW_AUTHENTICATE;

use super::{
    Audit, INITIALIZE,
    catalogue::resource_server::{
        AUTHENTICATION_REQUIRED, CHALLENGE_NO_ERROR, CHALLENGE_NOT_CACHEABLE, CHALLENGE_PARSED,
        CHALLENGE_REPEATS, CHALLENGE_RESOURCE_METADATA, CHALLENGE_SCOPE,
    },
    check::Found,
    refusal,
    wire::{Answered, Seen},
};

/// The challenge for MCP clients among those of an answer, if all of them can be read.
pub(super) fn challenge(seen: &Seen) -> Result<ReceivedChallenge, String> {
    let lines = seen.headers.get_all(WWW_AUTHENTICATE);
    let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    if lines.is_empty() {
        return Err("there is no WWW-Authenticate".to_owned());
    }
    let challenges = ReceivedChallenge::parse_all(&lines.join(&b", "[..]))
        .map_err(|error| format!("WWW-Authenticate cannot be read: {error}"))?;
    let by = |scheme| challenges.iter().find(|challenge| challenge.is(scheme));
    by("bearer").or_else(|| by("dpop")).cloned().ok_or_else(|| {
        let schemes: Vec<&str> = challenges.iter().map(|one| one.scheme.as_str()).collect();
        format!("the schemes are {}, neither Bearer nor DPoP", schemes.join(", "))
    })
}

impl Audit<'_> {
    pub(super) async fn look_at_challenge(&mut self, first: &Seen) {
        let answered = Ok(first.clone());
        self.found(
            &AUTHENTICATION_REQUIRED,
            match self.message == INITIALIZE {
                true => refusal(&answered),
                false => {
                    Found::doubt("anybody may say hello (initialize), and tools/list gets 401")
                }
            },
        );
        if first.status != 401 {
            for check in [
                &CHALLENGE_PARSED,
                &CHALLENGE_NO_ERROR,
                &CHALLENGE_RESOURCE_METADATA,
                &CHALLENGE_SCOPE,
                &CHALLENGE_REPEATS,
                &CHALLENGE_NOT_CACHEABLE,
            ] {
                self.found(check, Found::skipped("a request without a token does not get 401"));
            }
            return;
        }
        self.found(&CHALLENGE_NOT_CACHEABLE, cacheability(first));
        let again = self.wire.ask("the same again", self.call()).await;
        self.found(&CHALLENGE_REPEATS, repeats(first, &again));
        let challenge = match challenge(first) {
            Ok(challenge) => challenge,
            Err(why) => {
                self.found(&CHALLENGE_PARSED, Found::wrong(why));
                for check in [&CHALLENGE_NO_ERROR, &CHALLENGE_RESOURCE_METADATA, &CHALLENGE_SCOPE] {
                    self.found(check, Found::skipped("there is no challenge that can be read"));
                }
                return;
            }
        };
        self.found(&CHALLENGE_PARSED, Found::right(&challenge.scheme));
        let error = challenge.parameter("error").map(|error| format!("error={error:?}"));
        self.found(&CHALLENGE_NO_ERROR, Found::unless(error, "no error"));
        self.found(
            &CHALLENGE_RESOURCE_METADATA,
            match challenge.parameter("resource_metadata") {
                Some(url) => Found::right(url),
                None => Found::wrong("no resource_metadata"),
            },
        );
        self.found(
            &CHALLENGE_SCOPE,
            match challenge.parameter("scope") {
                Some(scope) if scope.split(' ').any(|one| one == "offline_access") => Found::wrong(
                    format!("offline_access is none of a resource's scopes: {scope:?}"),
                ),
                Some(scope) => Found::right(scope),
                None => Found::wrong("no scope"),
            },
        );
    }
}

fn repeats(first: &Seen, again: &Answered) -> Found {
    let lines = |seen: &Seen| {
        let lines = seen.headers.get_all(WWW_AUTHENTICATE);
        lines.iter().map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>()
    };
    match again {
        Err(why) => Found::undecided(format!("no answer: {why}")),
        Ok(again) if again.status == 429 => Found::undecided("429: the server limits attempts"),
        Ok(again) => Found::when(
            (again.status, lines(again)) == (first.status, lines(first)),
            "the same",
            format!("the second time status {}, or another challenge", again.status),
        ),
    }
}

/// A 401 is stored only where its headers allow it expressly (RFC 9111 §3, §4.2.2).
fn cacheability(seen: &Seen) -> Found {
    let value: Vec<String> = seen
        .headers
        .get_all("cache-control")
        .iter()
        .map(|line| String::from_utf8_lossy(line.as_bytes()).to_ascii_lowercase())
        .collect();
    let value = value.join(", ");
    let directives: Vec<&str> = value.split(',').map(str::trim).collect();
    let has = |name: &str| directives.contains(&name);
    if has("no-store") || has("private") {
        return Found::right(format!("Cache-Control: {value}"));
    }
    let seconds = |name: &str| {
        directives
            .iter()
            .find_map(|one| one.strip_prefix(name)?.strip_prefix('=')?.parse::<u64>().ok())
    };
    let is_stored = has("public")
        || seconds("s-maxage").or_else(|| seconds("max-age")).is_some_and(|age| age > 0);
    match (is_stored, value.is_empty()) {
        (true, _) => Found::wrong(format!("Cache-Control: {value}")),
        // RFC 9111 §5.3.
        (false, true) if seen.headers.contains_key("expires") => {
            Found::doubt("Expires without Cache-Control")
        }
        (false, true) => Found::right("no Cache-Control: a 401 is not stored by itself"),
        (false, false) => Found::right(format!("Cache-Control: {value}")),
    }
}
