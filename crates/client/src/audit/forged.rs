//! Tokens that this audit makes itself: none may be accepted.

use super::{
    Audit,
    catalogue::resource_server::{
        DOUBLED_AUTHORIZATION_REFUSED, EMBEDDED_KEY_REFUSED, GARBAGE_REFUSED, INVALID_TOKEN_ERROR,
        KEY_CONFUSION_REFUSED, MIXED_SCHEMES_REFUSED, SCHEME_CASE_INSENSITIVE, UNKNOWN_KEY_REFUSED,
        UNSIGNED_REFUSED, WRONG_SIGNATURE_REFUSED,
    },
    challenge::challenge,
    check::{Check, Found},
    forge::{Forger, GARBAGE, PublishedKey},
    metadata::Resource,
    refusal,
    wire::{Answered, Call, Seen},
};
use crate::Error;

impl Audit<'_> {
    /// The forged tokens, in the name of the first authorization server.
    pub(super) async fn forge_tokens(
        &mut self,
        first: &Seen,
        resource: &Resource,
        key: Option<&PublishedKey>,
    ) -> Result<(), Error> {
        if first.status != 401 {
            for check in [
                &GARBAGE_REFUSED,
                &UNSIGNED_REFUSED,
                &KEY_CONFUSION_REFUSED,
                &UNKNOWN_KEY_REFUSED,
                &EMBEDDED_KEY_REFUSED,
                &WRONG_SIGNATURE_REFUSED,
                &INVALID_TOKEN_ERROR,
                &SCHEME_CASE_INSENSITIVE,
                &DOUBLED_AUTHORIZATION_REFUSED,
                &MIXED_SCHEMES_REFUSED,
            ] {
                self.found(check, Found::skipped("a request without a token does not get 401"));
            }
            return Ok(());
        }
        let garbage = self.wire.ask("no token at all", self.call_with(GARBAGE)).await;
        self.found(&GARBAGE_REFUSED, refusal(&garbage));
        self.forge(resource, key, &garbage).await?;
        self.confuse(&garbage).await;
        Ok(())
    }

    async fn forge(
        &mut self,
        resource: &Resource,
        key: Option<&PublishedKey>,
        garbage: &Answered,
    ) -> Result<(), Error> {
        let mut answers = vec![garbage.clone()];
        let issuer = resource.issuers.first().map_or("https://issuer.invalid", String::as_str);
        let forger = Forger::new(issuer, &resource.id, &resource.challenged, self.now)?;
        let forged: [(&'static Check, Option<String>); 5] = [
            (&UNSIGNED_REFUSED, Some(forger.unsigned())),
            (&KEY_CONFUSION_REFUSED, key.map(|key| forger.key_confusion(key))),
            (&UNKNOWN_KEY_REFUSED, Some(forger.unknown_key()?)),
            (&EMBEDDED_KEY_REFUSED, Some(forger.embedded_key()?)),
            (&WRONG_SIGNATURE_REFUSED, key.map(|key| forger.wrong_signature(key)).transpose()?),
        ];
        for (check, token) in forged {
            let Some(token) = token else {
                self.found(check, Found::skipped("no key of the issuer is known"));
                continue;
            };
            let answer = self.wire.ask("a forged token", self.call_with(&token)).await;
            self.found(check, refusal(&answer));
            answers.push(answer);
        }
        let refused: Vec<&Seen> =
            answers.iter().flatten().filter(|seen| seen.status == 401).collect();
        let other = refused.iter().find_map(|seen| match challenge(seen) {
            Err(why) => Some(why),
            Ok(challenge) => match challenge.parameter("error") {
                Some("invalid_token") => None,
                Some(error) => Some(format!("error={error:?}")),
                None => Some("no error in the challenge".to_owned()),
            },
        });
        self.found(
            &INVALID_TOKEN_ERROR,
            match refused.is_empty() {
                true => Found::skipped("none of them got 401"),
                false => Found::unless(other, "error=\"invalid_token\""),
            },
        );
        Ok(())
    }

    /// Schemes in other letters, and more than one of them. A good token beside a bad one tells more than
    /// two bad ones.
    async fn confuse(&mut self, garbage: &Answered) {
        let lower = self.call().header("authorization", format!("bearer {GARBAGE}"));
        let lower = self.wire.ask("a scheme in small letters", lower).await;
        let error = |answer: &Answered| {
            let challenge = challenge(answer.as_ref().ok()?).ok()?;
            Some(challenge.parameter("error").map(str::to_owned))
        };
        self.found(
            &SCHEME_CASE_INSENSITIVE,
            match (&lower, garbage) {
                (Ok(lower_seen), Ok(seen)) if lower_seen.status == seen.status => Found::when(
                    error(&lower) == error(garbage),
                    "answered like Bearer",
                    "the challenge is another one than for Bearer",
                ),
                (Ok(seen), Ok(_)) if seen.status == 429 => Found::undecided("429"),
                (Ok(seen), Ok(_)) => Found::wrong(format!("status {}", seen.status)),
                (Err(why), _) | (_, Err(why)) => Found::undecided(format!("no answer: {why}")),
            },
        );
        let other = "countersign-audit-another-that-is-none";
        let good = self.token.as_ref().filter(|token| token.is_usable(self.now));
        let good = good.map_or(other, |token| token.expose()).to_owned();
        let call = self.call();
        let twice = |first: String, second: String| {
            call.clone().header("authorization", first).header("authorization", second)
        };
        let doubled = twice(format!("Bearer {good}"), format!("Bearer {GARBAGE}"));
        self.refuse_both(&DOUBLED_AUTHORIZATION_REFUSED, doubled).await;
        let mixed = twice(format!("DPoP {GARBAGE}"), format!("Bearer {good}"));
        self.refuse_both(&MIXED_SCHEMES_REFUSED, mixed).await;
    }

    async fn refuse_both(&mut self, check: &'static Check, call: Call) {
        let answer = self.wire.ask("two Authorization headers", call).await;
        self.found(
            check,
            match answer {
                Err(why) => Found::undecided(format!("no answer: {why}")),
                Ok(seen) if seen.status == 429 => {
                    Found::undecided("429: the server limits attempts")
                }
                Ok(seen) if matches!(seen.status, 400 | 401 | 403 | 431) => {
                    Found::right(seen.status.to_string())
                }
                Ok(seen) if seen.lets_in() => Found::wrong(format!("let in: {}", seen.summary())),
                Ok(seen) => Found::doubt(format!("{}: 400 or 401 was expected", seen.summary())),
            },
        );
    }
}
