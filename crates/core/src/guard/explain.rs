//! The words of a trace. They say what was compared; the comparing is done elsewhere.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use super::{
    identity::Identity,
    policy::{Policy, ResourcePolicy, StatusCheck},
    request::RequestHead,
    verdict::Refused,
};
use crate::{
    UnixSeconds,
    jose::{alg::Algorithm, jws},
    jwt::{
        access_token::{Audience, ClaimCheck, Profile},
        claims::Claims,
        confirmation::Confirmation,
        preset::Preset,
    },
    oauth::{scope::ScopeSet, status_list::StatusReference},
};

/// The request's line, as far as it is text.
pub(super) fn request(head: &RequestHead<'_>) -> String {
    let text = String::from_utf8_lossy;
    // The query may hold a token.
    let path = text(head.path);
    let path = path.split('?').next().unwrap_or_default();
    let (method, authority) = (text(head.method), text(head.authority));
    format!("{method} {path} for {authority}")
}

/// What the policy covers.
pub(super) fn covered(policy: &Policy) -> String {
    let cover = |resource: &ResourcePolicy| {
        let hosts: Vec<String> = resource.hosts.iter().map(ToString::to_string).collect();
        format!("{} under {}", hosts.join(" and "), resource.path)
    };
    let covers: Vec<String> = policy.resources.iter().map(cover).collect();
    format!("the policy covers {}", covers.join("; "))
}

pub(super) fn header(header: &jws::Header) -> String {
    let quoted = |text: &Option<String>| {
        text.as_ref().map_or_else(|| "absent".to_string(), |text| format!("{text:?}"))
    };
    let algorithm = header.algorithm.map_or("not supported", Algorithm::name);
    format!("typ {}, alg {algorithm}, kid {}", quoted(&header.typ), quoted(&header.kid))
}

pub(super) fn profile(profile: &Profile) -> String {
    let names: Vec<&str> = profile.algorithms.iter().map(|algorithm| algorithm.name()).collect();
    format!("typ must be one of {:?}, alg one of {}", profile.token_types, names.join(", "))
}

pub(super) fn issuer(policy: &Policy, resource: &ResourcePolicy, claimed: Option<&str>) -> String {
    let accepted: Vec<&str> = resource
        .issuers
        .iter()
        .filter_map(|position| policy.issuers.get(*position))
        .map(|issuer| issuer.profile.issuer.as_str())
        .collect();
    match claimed {
        Some(claimed) => format!("iss {claimed:?}, accepted {accepted:?}, byte for byte"),
        None => format!("there is no iss, accepted {accepted:?}"),
    }
}

/// What a check on claims is about.
pub(super) const fn name(check: ClaimCheck) -> &'static str {
    match check {
        ClaimCheck::Issuer => "issuer",
        ClaimCheck::Kind => "kind",
        ClaimCheck::Audience => "audience",
        ClaimCheck::Times => "times",
        ClaimCheck::Lifetime => "lifetime",
        ClaimCheck::Required => "claims",
        ClaimCheck::Binding => "binding",
    }
}

/// What a preset asks of an access token's claims.
pub(super) fn kind(claims: &Claims, preset: &Preset) -> String {
    match preset.missing_mark(claims) {
        Some(name) => {
            format!("its claim {name} says that it is no access token of {}", preset.name)
        }
        None => format!("nothing says that it is no access token of {}", preset.name),
    }
}

pub(super) fn audience(claims: &Claims, audience: &Audience) -> String {
    let mut text = format!("aud {:?}", claims.audience);
    if !claims.resource.is_empty() {
        text += &format!(", resource {:?}", claims.resource);
    }
    text += &format!(", wanted {:?}", audience.resource.as_str());
    if !audience.aliases.is_empty() {
        text += &format!(" or one of {:?}", audience.aliases);
    }
    text + if audience.exclusive {
        ", and no other beside it"
    } else {
        ", others beside it allowed"
    }
}

pub(super) fn times(claims: &Claims, now: UnixSeconds, leeway: u64) -> String {
    let part = |name: &str, time: Option<UnixSeconds>| match time {
        None => format!("{name} absent"),
        Some(time) if time >= now => format!("{name} {time} (in {} s)", time - now),
        Some(time) => format!("{name} {time} ({} s ago)", now - time),
    };
    let (issued, ends) = (part("iat", claims.issued_at), part("exp", claims.expires_at));
    let starts = claims.not_before.map(|time| part(", nbf", Some(time))).unwrap_or_default();
    format!("{issued}, {ends}{starts}; now {now}, leeway {leeway} s")
}

pub(super) fn lifetime(claims: &Claims, longest: u64) -> String {
    match claims.expires_at.zip(claims.issued_at) {
        Some((end, start)) => {
            format!("{} s from iat to exp, at most {longest} s", end.saturating_sub(start))
        }
        None => "exp and iat are needed".to_string(),
    }
}

pub(super) fn required(claims: &Claims, profile: &Profile) -> String {
    let (there, missing): (Vec<&str>, Vec<&str>) =
        profile.needed_claims().partition(|name| claims.has(name));
    if missing.is_empty() {
        format!("there are {}", there.join(", "))
    } else {
        format!("missing or empty: {}", missing.join(", "))
    }
}

pub(super) fn binding(confirmation: &Confirmation, with_proof: bool) -> String {
    let token = match confirmation {
        Confirmation::None => "the token is bound to no key",
        Confirmation::Thumbprint(_) => "the token is bound to a key (cnf.jkt)",
        Confirmation::Certificate(_) => "the token is bound to a client certificate (cnf.x5t#S256)",
        Confirmation::Other => "the token is bound by means that are not checked here (cnf)",
    };
    let request = if with_proof { "came with a DPoP proof" } else { "came as a bearer token" };
    format!("{token}, and {request}")
}

pub(super) fn status(identity: &Identity, policy: &Policy, position: usize) -> String {
    let mode = policy.issuers.get(position).map(|issuer| issuer.status);
    match (mode, StatusReference::of(&identity.claims)) {
        (Some(StatusCheck::Ignore), _) => "the policy ignores status lists".to_string(),
        (_, Ok(Some(reference))) => {
            format!("place {} of the list {:?}", reference.index, reference.uri)
        }
        (_, Ok(None)) => "the token refers to no status list".to_string(),
        (_, Err(_)) => "the status claim is malformed".to_string(),
    }
}

pub(super) fn scopes(
    resource: &ResourcePolicy,
    identity: &Identity,
    needed: &ScopeSet,
    rule: Option<&str>,
) -> String {
    let set = |scopes: &ScopeSet| match scopes.is_empty() {
        true => "nothing".to_string(),
        false => format!("{scopes}"),
    };
    let missing = resource.scopes.missing(&identity.scope, needed);
    let by = rule.map_or_else(|| "the baseline".to_string(), |rule| format!("rule {rule}"));
    let rest = if missing.is_empty() { String::new() } else { format!("; missing: {missing}") };
    format!("granted: {}; needed by {by}: {}{rest}", set(&identity.scope), set(needed))
}

pub(super) fn refused(refused: &Refused) -> String {
    let meaning = refused.reason.meaning();
    match &refused.detail {
        None => format!("{}: {meaning}", refused.reason),
        Some(detail) => format!("{}: {meaning} Found: {detail}", refused.reason),
    }
}
