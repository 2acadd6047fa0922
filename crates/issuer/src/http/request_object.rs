//! Request objects (RFC 9101): an authorization request that its client signed, sent by value.

use countersign_core::jose::json::{Number, Object, Value};

use super::{App, client_keys::signed_by, params::Params, post::Failure, request::PARAMETERS};
use crate::{Error, store::ClientRow};

/// Its own type, and no other. §10.8 leaves untyped ones to servers that have old clients; this one
/// has none, and so no other JWT of a client is ever taken for a request (RFC 8725 §3.11).
const TYPES: [&str; 1] = ["oauth-authz-req+jwt"];

/// What a client signed.
#[derive(Debug)]
pub(super) struct SignedRequest {
    pub(super) params: Params,
    token_id: String,
    made_at: Option<i64>,
    forget_at: i64,
}

/// Said of one that comes again.
pub(super) const USED: &str = "The request object was used before (jti)";

/// Reads a request object: signed by the client's key, for this server alone, in its time.
///
/// The inner error is a sentence about what is wrong with it.
pub(super) async fn read(
    app: &App,
    row: &ClientRow,
    text: &str,
) -> Result<Result<SignedRequest, &'static str>, Failure> {
    let signed = match signed_by(app, row, text, &TYPES, None).await? {
        Ok(signed) => signed,
        Err(why) => return Ok(Err(why)),
    };
    let forget_at = i64::try_from(signed.forget_at).unwrap_or(i64::MAX);
    let made_at = signed.claims.issued_at.and_then(|at| i64::try_from(at).ok());
    let token_id = signed.token_id;
    let params = params(&signed.claims.all, &row.client.id);
    Ok(params.map(|params| SignedRequest { params, token_id, made_at, forget_at }))
}

impl SignedRequest {
    /// Lets it pass, once. `false`: it was used before.
    pub(super) async fn take(&self, app: &App, client_id: &str) -> Result<bool, Error> {
        let (name, made_at) = (&self.token_id, self.made_at);
        app.is_first_use("request_object", client_id, name, made_at, self.forget_at).await
    }
}

/// The parameters as if they had been sent one by one (§4, §6.3).
fn params(claims: &Object, client_id: &str) -> Result<Params, &'static str> {
    // §4: a request in a request, or one that is somewhere else.
    if ["request", "request_uri"].iter().any(|name| claims.contains_key(*name)) {
        return Err("it has a request or a request_uri in it");
    }
    // §10.8: it could be an assertion by which the client authenticates.
    if claims.get("sub").and_then(Value::as_str) == Some(client_id) {
        return Err("its sub is the client");
    }
    if claims.get("client_id").and_then(Value::as_str) != Some(client_id) {
        return Err("its client_id is not that of the client");
    }
    let mut params = Params::default();
    // Others are ignored, as they are outside of an object.
    for name in PARAMETERS {
        let values = match claims.get(name) {
            None => continue,
            // RFC 8707 §2: several are an array here.
            Some(Value::Array(values)) if name == "resource" => {
                values.iter().map(text).collect::<Option<_>>()
            }
            // §4: numbers as JSON numbers. No other parameter is one.
            Some(Value::Number(Number::Unsigned(seconds))) if name == "max_age" => {
                Some(vec![seconds.to_string()])
            }
            Some(value) => text(value).map(|text| vec![text]),
        };
        params = params.with(name, values.ok_or("a parameter in it has the wrong type")?);
    }
    Ok(params)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use countersign_core::jose::json::parse;

    use super::*;

    fn read(claims: &str) -> Result<Params, &'static str> {
        params(parse(claims.as_bytes()).unwrap().as_object().unwrap(), "c")
    }

    #[test]
    fn claims_become_parameters() {
        let params = read(
            r#"{"client_id":"c","iss":"c","max_age":60,"resource":["https://a","https://b"],
                "scope":"","claims":{"x":1},"sub":"u"}"#,
        )
        .unwrap();
        assert_eq!(params.get("max_age"), Some("60"));
        assert_eq!(params.all("resource"), ["https://a", "https://b"]);
        assert_eq!((params.get("scope"), params.has("iss")), (None, false));
        assert!(!params.has("claims"));
    }

    #[test]
    fn what_no_request_may_have() {
        for bad in [
            r#"{}"#,
            r#"{"client_id":"d"}"#,
            r#"{"client_id":["c"]}"#,
            r#"{"client_id":"c","sub":"c"}"#,
            r#"{"client_id":"c","request":"x"}"#,
            r#"{"client_id":"c","request_uri":null}"#,
            r#"{"client_id":"c","scope":["a"]}"#,
            r#"{"client_id":"c","state":null}"#,
            r#"{"client_id":"c","state":1}"#,
            r#"{"client_id":"c","max_age":-1}"#,
            r#"{"client_id":"c","max_age":1.5}"#,
            r#"{"client_id":"c","resource":[1]}"#,
            r#"{"client_id":"c","prompt":true}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
