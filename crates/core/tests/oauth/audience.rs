//! Which tokens are meant for a resource: `aud`, `resource`, aliases and `exclusive_audience` (RFC 8707
//! §2, RFC 9068 §4, RFC 7519 §4.1.3).

use countersign_core::{
    Reason,
    jose::alg::Algorithm,
    jwt::{
        access_token::{Audience, ClaimCheck, Profile},
        claims::Claims,
        confirmation::Presentation,
        preset::{AUTH0, Preset, RFC_9068},
    },
    oauth::resource::ResourceId,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const ISSUER: &str = "https://tenant.example/";
const ALIAS: &str = "mcp://files";

/// A name that may stand in `aud`, and what it is to the resource `https://h.example/mcp`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Name {
    Resource(&'static str),
    Alias,
    UserInfo,
    Other(&'static str),
}

impl Name {
    fn text(self) -> &'static str {
        match self {
            Self::Resource(text) | Self::Other(text) => text,
            Self::Alias => ALIAS,
            Self::UserInfo => "https://tenant.example/userinfo",
        }
    }
}

fn name() -> impl Strategy<Value = Name> {
    use Name::{Alias, Other, Resource, UserInfo};
    prop::sample::select(vec![
        Resource("https://h.example/mcp"),
        Resource("HTTPS://H.Example:443/mcp"),
        Alias,
        Alias,
        UserInfo,
        Other("https://h.example/mcp/"),
        Other("https://h.example"),
        Other("http://h.example/mcp"),
        Other("h.example/mcp"),
        Other("https://h.example/mcp2"),
        // Aliases are compared as they are written.
        Other("MCP://files"),
        Other("mcp://files/"),
        Other("https://tenant.example/userinfo/"),
        Other(""),
    ])
}

/// A claim with these names: none, a text, or an array.
fn names() -> impl Strategy<Value = (Option<Value>, Vec<Name>)> {
    let one = name().prop_map(|name| (Some(json!(name.text())), vec![name]));
    let several = prop::collection::vec(name(), 0..4).prop_map(|names| {
        let texts: Vec<&str> = names.iter().map(|name| name.text()).collect();
        (Some(json!(texts)), names)
    });
    prop_oneof![1 => Just((None, Vec::new())), 3 => one, 5 => several]
}

fn check(
    preset: &'static Preset,
    aliases: bool,
    exclusive: bool,
    members: [(&str, Option<Value>); 2],
) -> Result<(), Reason> {
    let mut claims = json!({ "iss": ISSUER });
    for (name, value) in members {
        if let Some(value) = value {
            claims[name] = value;
        }
    }
    let mut claims = Claims::parse(claims.to_string().as_bytes())?;
    claims.read_as(preset)?;
    let profile = Profile {
        issuer: ISSUER.to_owned(),
        preset,
        algorithms: vec![Algorithm::Es256],
        token_types: vec!["at+jwt".to_owned()],
        required_claims: Vec::new(),
        max_lifetime: 60,
    };
    let audience = Audience {
        resource: ResourceId::parse("https://h.example/mcp").unwrap(),
        aliases: if aliases { vec![ALIAS.to_owned()] } else { Vec::new() },
        exclusive,
    };
    let checks = profile.claim_checks(&claims, &audience, Presentation::Bearer, 0, 0);
    let found = checks.into_iter().find(|(check, _)| *check == ClaimCheck::Audience);
    found.expect("it is among them").1
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn as_the_model_says(
        (aud, audience) in names(), (resource, resources) in names(),
        aliases: bool, exclusive: bool, auth0: bool,
    ) {
        let is_ours = |name: &Name| match name {
            Name::Resource(_) => true,
            Name::Alias => aliases,
            Name::UserInfo | Name::Other(_) => false,
        };
        // Each name is ours, or harmless beside ours, or foreign.
        let fits = |names: &[Name]| {
            let ours = names.iter().filter(|name| is_ours(name)).count();
            let beside = names.iter().filter(|name| auth0 && **name == Name::UserInfo).count();
            ours > 0 && (!exclusive || ours + beside == names.len())
        };
        let expected = if audience.is_empty() {
            Err(Reason::ClaimMissing)
        } else if fits(&audience) && (resources.is_empty() || fits(&resources)) {
            Ok(())
        } else {
            Err(Reason::AudienceMismatch)
        };
        let preset = if auth0 { &AUTH0 } else { &RFC_9068 };
        let found = check(preset, aliases, exclusive, [("aud", aud), ("resource", resource)]);
        prop_assert_eq!(found, expected);
    }

    /// RFC 7519 §4.1.3: a string or an array of strings; nothing else is an audience.
    #[test]
    fn other_types_are_malformed(
        bad in prop::sample::select(vec![
            json!(1), json!(true), json!({}), json!([1]), json!(["https://h.example/mcp", null]),
            json!([["https://h.example/mcp"]]), json!(null),
        ]),
        in_resource: bool,
    ) {
        let good = Some(json!("https://h.example/mcp"));
        let members = match in_resource {
            true => [("aud", good), ("resource", Some(bad))],
            false => [("aud", Some(bad)), ("resource", None)],
        };
        prop_assert_eq!(check(&RFC_9068, false, false, members), Err(Reason::ClaimMalformed));
    }
}
