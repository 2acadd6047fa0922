//! An authorization server's key set (RFC 7517).

use std::collections::BTreeSet;

use countersign_core::jose::{
    base64url,
    json::{Object, Value},
    jwks::JwkSet,
};

use super::{
    Audit,
    catalogue::authorization_server::{KEYS_DISTINCT, KEYS_PUBLIC, KEYS_STRONG, KEYS_USABLE},
    check::Found,
    document::Document,
    forge::PublishedKey,
    wire::Call,
};

/// More keys than this are more than a rotation needs.
const MANY: usize = 10;

/// More than this are not read.
const MAX_KEYS: usize = 256;

impl Audit<'_> {
    pub(super) async fn look_at_keys(
        &mut self,
        issuer: &str,
        document: &Document,
    ) -> Option<PublishedKey> {
        let rest = [&KEYS_PUBLIC, &KEYS_STRONG, &KEYS_DISTINCT];
        let Some(place) = document.text("jwks_uri") else {
            for check in [&KEYS_USABLE].into_iter().chain(rest) {
                self.found_at(issuer, check, Found::skipped("there is no jwks_uri"));
            }
            return None;
        };
        let answer = self.wire.ask("the key set", Call::get(place)).await;
        let read = answer.and_then(|seen| Ok((Document::read(&seen)?, seen)));
        let (set, seen) = match read {
            Ok(read) => read,
            Err(why) => {
                self.found_at(issuer, &KEYS_USABLE, Found::wrong(format!("{place}: {why}")));
                for check in rest {
                    self.found_at(issuer, check, Found::skipped("there is no key set"));
                }
                return None;
            }
        };
        let usable = JwkSet::parse(&seen.body, MAX_KEYS);
        self.found_at(
            issuer,
            &KEYS_USABLE,
            match &usable {
                Ok(set) => Found::right(format!("usable: {}", set.keys().len())),
                Err(error) => Found::wrong(error.to_string()),
            },
        );
        let keys: Vec<&Object> =
            set.elements("keys").unwrap_or_default().iter().filter_map(Value::as_object).collect();
        let private = keys.iter().any(|key| is_private(key));
        self.found_at(
            issuer,
            &KEYS_PUBLIC,
            match private {
                true => Found::Bypass("a private or symmetric key is published".to_owned()),
                false => Found::right("no private or symmetric key"),
            },
        );
        let weak = keys.iter().filter_map(|key| rsa_bits(key)).find(|bits| *bits < 2048);
        let weak = weak.map(|bits| format!("an RSA key of {bits} bits"));
        self.found_at(
            issuer,
            &KEYS_STRONG,
            Found::unless(weak, "no RSA key is shorter than 2048 bits"),
        );
        self.found_at(issuer, &KEYS_DISTINCT, distinct(&keys));
        keys.into_iter().find_map(PublishedKey::of)
    }
}

/// RFC 7518 §6.2.2, §6.3.2, §6.4.
fn is_private(key: &Object) -> bool {
    ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|name| key.contains_key(*name))
}

fn rsa_bits(key: &Object) -> Option<usize> {
    if key.get("kty")?.as_str()? != "RSA" {
        return None;
    }
    let modulus = base64url::decode(key.get("n")?.as_str()?).ok()?;
    let leading: usize = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(leading)?;
    let unused = usize::try_from(first.leading_zeros()).ok()?;
    Some((modulus.len() - leading) * 8 - unused)
}

fn distinct(keys: &[&Object]) -> Found {
    let names: Vec<&str> =
        keys.iter().filter_map(|key| key.get("kid").and_then(Value::as_str)).collect();
    let different: BTreeSet<&str> = names.iter().copied().collect();
    if different.len() < names.len() {
        return Found::wrong("two keys have the same kid");
    }
    if names.len() < keys.len() && keys.len() > 1 {
        return Found::wrong("one of several keys has no kid");
    }
    let all = format!("in the set: {}", keys.len());
    Found::when(keys.len() <= MANY, all.clone(), all)
}
