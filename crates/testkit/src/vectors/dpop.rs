//! Tokens that are bound to a key, and the proofs that come with them (RFC 9449).

use serde_json::{Value, json};

use super::{Case, FILES, ISSUER, NOW, challenge, token};
use crate::{keys::TestKey, token::Token};

const URL: &str = "https://mcp.example.com/files/mcp";
const METADATA: &str = "https://mcp.example.com/.well-known/oauth-protected-resource/files/mcp";
/// The client's key.
const KEY: TestKey = TestKey::Ed25519(9);

pub(super) fn policy(dpop: &str) -> Value {
    json!({
        "issuers": [{
            "issuer": ISSUER, "jwks": { "keys": [TestKey::Es256(1).jwk("es1")] },
            "max_lifetime": 3_155_760_000_u64,
        }],
        "resources": [{
            "resource": FILES,
            "scopes": { "baseline": ["mcp:use"] },
            "dpop": dpop,
        }],
    })
}

pub(super) fn policy_with_nonces() -> Value {
    let mut policy = policy("require");
    policy["resources"][0]["dpop_nonce"] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".into();
    policy
}

fn bound() -> Token {
    token().bound_to(KEY)
}

fn proof(token: &str) -> Token {
    Token::proof(KEY, "POST", URL, token, NOW)
}

/// What a `DPoP` challenge says; the list of algorithms is in it as the engine has it.
fn dpop_challenge(error: &str, description: &str, scope: &str) -> String {
    challenge(METADATA, error, description, scope).replacen("Bearer ", "DPoP ", 1)
        + &format!(", algs=\"{}\"", algorithms())
}

fn algorithms() -> String {
    use countersign_core::jose::alg::Algorithm;
    let names: Vec<_> = Algorithm::ASYMMETRIC.iter().map(|algorithm| algorithm.name()).collect();
    names.join(" ")
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = good();
    cases.extend(proofs());
    cases.extend(schemes());
    cases.extend(nonces());
    cases
}

fn with(name: &str, token: &str, proof: &str) -> Case {
    Case::new(&format!("dpop-{name}"), "RFC 9449 §4.3, §7.1")
        .policy("dpop")
        .with("authorization", &format!("DPoP {token}"))
        .with("dpop", proof)
}

fn good() -> Vec<Case> {
    let token = bound().sign();
    let with = |name: &str, proof: Token| with(name, &token, &proof.sign()).once().allowed();
    let rsa = token_of(TestKey::Rs256);
    let ec = token_of(TestKey::Es256(9));
    vec![
        with("accepted", proof(&token)),
        with("typ-as-media-type", proof(&token).header("typ", "application/dpop+JWT")),
        with("htu-with-query", proof(&token).claim("htu", format!("{URL}?x=1#y"))),
        with("htu-with-port", proof(&token).claim("htu", "HTTPS://MCP.example.com:443/files/mcp")),
        with("htu-escaped", proof(&token).claim("htu", "https://mcp.example.com/files/%6Dcp")),
        with("unknown-members", proof(&token).header("kid", "x").claim("x", 1)),
        with("a-little-early", proof(&token).claim("iat", NOW + 30)),
        with("a-little-late", proof(&token).claim("iat", NOW - 90)),
        with("fractional-time", proof(&token).claim("iat", 1_769_904_000.5)),
        super::dpop::with(
            "rsa-key",
            &rsa,
            &Token::proof(TestKey::Rs256, "POST", URL, &rsa, NOW).sign(),
        )
        .once()
        .allowed(),
        super::dpop::with(
            "ec-key",
            &ec,
            &Token::proof(TestKey::Es256(9), "POST", URL, &ec, NOW).sign(),
        )
        .once()
        .allowed(),
    ]
}

fn token_of(key: TestKey) -> String {
    token().bound_to(key).sign()
}

/// Each differs from an accepted one in one respect.
fn proofs() -> Vec<Case> {
    let token = bound().sign();
    let refused = |name: &str, reason: &str, proof: &str| {
        let description = "The DPoP proof is invalid";
        let challenge = dpop_challenge("invalid_dpop_proof", description, "mcp:use");
        with(name, &token, proof).challenged(401, reason, &challenge)
    };
    let malformed = |name: &str, proof: Token| refused(name, "proof_malformed", &proof.sign());
    let mismatch = |name: &str, proof: Token| refused(name, "proof_mismatch", &proof.sign());
    let null = Value::Null;
    let private = {
        let mut jwk = KEY.jwk("x");
        jwk["d"] = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A".into();
        jwk
    };
    let oct = json!({ "kty": "oct", "k": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" });
    vec![
        malformed("typ-missing", proof(&token).header("typ", null.clone())),
        malformed("typ-of-tokens", proof(&token).header("typ", "at+jwt")),
        malformed("typ-jwt", proof(&token).header("typ", "JWT")),
        malformed("alg-none", proof(&token).header("alg", "none")),
        malformed("alg-hs256", proof(&token).header("alg", "HS256").header("jwk", oct.clone())),
        malformed("alg-of-another-key", proof(&token).header("alg", "ES256")),
        malformed("jwk-missing", proof(&token).header("jwk", null.clone())),
        malformed("jwk-private", proof(&token).header("jwk", private)),
        malformed("jwk-symmetric", proof(&token).header("jwk", oct)),
        malformed("jwk-as-text", proof(&token).header("jwk", KEY.jwk("x").to_string())),
        malformed(
            "jku-instead",
            proof(&token).header("jwk", null.clone()).header("jku", "https://h/"),
        ),
        malformed("crit", proof(&token).header("crit", vec!["x"])),
        malformed("jti-missing", proof(&token).claim("jti", null.clone())),
        malformed("jti-empty", proof(&token).claim("jti", "")),
        malformed("jti-number", proof(&token).claim("jti", 1)),
        malformed("htm-missing", proof(&token).claim("htm", null.clone())),
        malformed("htu-missing", proof(&token).claim("htu", null.clone())),
        malformed("htu-array", proof(&token).claim("htu", vec![URL])),
        malformed("iat-missing", proof(&token).claim("iat", null.clone())),
        malformed("iat-text", proof(&token).claim("iat", NOW.to_string())),
        malformed("ath-number", proof(&token).claim("ath", 1)),
        refused("garbage", "proof_malformed", "garbage"),
        refused("empty", "proof_malformed", ""),
        refused("too-long", "proof_malformed", &"a".repeat(8193)),
        refused("padded", "proof_malformed", &format!("{}=", proof(&token).sign())),
        refused("not-ascii", "proof_malformed", "\u{e9}"),
        refused("twice", "proof_malformed", &proof(&token).sign())
            .with("dpop", &proof(&token).claim("jti", "2").sign()),
        mismatch("htm-of-another-method", proof(&token).claim("htm", "GET")),
        mismatch("htm-in-lower-case", proof(&token).claim("htm", "post")),
        mismatch("htu-of-another-path", proof(&token).claim("htu", format!("{URL}/x"))),
        mismatch(
            "htu-of-another-host",
            proof(&token).claim("htu", "https://evil.example/files/mcp"),
        ),
        mismatch("htu-of-another-scheme", proof(&token).claim("htu", URL.replace("https", "http"))),
        mismatch(
            "htu-of-another-port",
            proof(&token).claim("htu", URL.replace(".com", ".com:8443")),
        ),
        mismatch("htu-relative", proof(&token).claim("htu", "/files/mcp")),
        mismatch("htu-with-user", proof(&token).claim("htu", URL.replace("//", "//u@"))),
        mismatch("ath-missing", proof(&token).claim("ath", null)),
        mismatch("ath-of-another-token", proof("x")),
        refused("old", "proof_not_fresh", &proof(&token).claim("iat", NOW - 91).sign()),
        refused("future", "proof_not_fresh", &proof(&token).claim("iat", NOW + 31).sign()).once(),
        refused("signature", "proof_signature_invalid", &proof(&token).with_signature(&[1; 64]))
            .once(),
        refused(
            "signature-of-another-proof",
            "proof_signature_invalid",
            &proof(&token).with_signature(&proof(&token).claim("jti", "2").signature()),
        )
        .once(),
    ]
}

fn schemes() -> Vec<Case> {
    let token = bound().sign();
    let invalid = |scope| dpop_challenge("invalid_token", "The access token is invalid", scope);
    let case =
        |name: &str| Case::new(&format!("dpop-{name}"), "RFC 9449 §7.1, §7.2").policy("dpop");
    let of = |proof: Token, token: &str| (format!("DPoP {token}"), proof.sign());
    let (stolen, others_proof) =
        of(Token::proof(TestKey::Ed25519(8), "POST", URL, &token, NOW), &token);
    let unbound = super::token().sign();
    let (loose, loose_proof) = of(proof(&unbound), &unbound);
    let certificate = super::token()
        .claim("cnf", json!({ "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" }))
        .sign();
    let bare = |algs: &str| {
        format!("DPoP resource_metadata=\"{METADATA}\", scope=\"mcp:use\", algs=\"{algs}\"")
    };
    let proof_missing = dpop_challenge("invalid_dpop_proof", "A DPoP proof is required", "mcp:use");
    let bearer = challenge(METADATA, "invalid_token", "The access token is invalid", "mcp:use");
    let both = format!("{bearer}, {}", bare(&algorithms()));
    let accept = |name: &str| case(name).policy("dpop-accept");
    vec![
        case("proof-missing").with("authorization", &format!("DPoP {token}")).challenged(
            401,
            "proof_missing",
            &proof_missing,
        ),
        case("of-another-key")
            .with("authorization", &stolen)
            .with("dpop", &others_proof)
            .once()
            .challenged(401, "token_bound", &invalid("mcp:use")),
        case("of-an-unbound-token")
            .with("authorization", &loose)
            .with("dpop", &loose_proof)
            .once()
            .challenged(401, "token_unbound", &invalid("mcp:use")),
        case("required-and-bearer").bearer(&token).with("dpop", &proof(&token).sign()).challenged(
            401,
            "scheme_unsupported",
            &bare(&algorithms()),
        ),
        case("required-and-nothing").challenged(401, "token_missing", &bare(&algorithms())),
        accept("accepted-and-bearer").bearer(&unbound).allowed(),
        accept("accepted-and-bound-bearer").bearer(&token).challenged(401, "token_bound", &both),
        accept("accepted-and-certificate-bound").bearer(&certificate).challenged(
            401,
            "token_bound",
            &both,
        ),
        accept("accepted-and-nothing").challenged(
            401,
            "token_missing",
            &format!(
                "Bearer resource_metadata=\"{METADATA}\", scope=\"mcp:use\", {}",
                bare(&algorithms())
            ),
        ),
        accept("accepted-with-proof")
            .with("authorization", &format!("dpop {token}"))
            .with("dpop", &proof(&token).sign())
            .once()
            .allowed(),
        Case::new("dpop-off", "DESIGN, resources.dpop")
            .with("authorization", &format!("DPoP {token}"))
            .with("dpop", &proof(&token).sign())
            .challenged(
                401,
                "scheme_unsupported",
                &format!("Bearer resource_metadata=\"{METADATA}\", scope=\"mcp:use\""),
            ),
    ]
}

fn nonces() -> Vec<Case> {
    let token = bound().sign();
    let case =
        |name: &str, proof: Token| with(name, &token, &proof.sign()).policy("dpop-nonce").once();
    let required = |name: &str, proof: Token| {
        let description = "The DPoP proof must carry the nonce of this answer";
        let challenge = dpop_challenge("use_dpop_nonce", description, "mcp:use");
        case(name, proof)
            .challenged(401, "proof_nonce_required", &challenge)
            .header("dpop-nonce", &nonce(0))
    };
    vec![
        required("nonce-missing", proof(&token)),
        required("nonce-unknown", proof(&token).claim("nonce", "AAAAAAAAAAAAAAAAAAAAAA")),
        required("nonce-too-old", proof(&token).claim("nonce", nonce(-2))),
        case("nonce", proof(&token).claim("nonce", nonce(0))).allowed(),
        case("nonce-before", proof(&token).claim("nonce", nonce(-1)))
            .allowed()
            .header("dpop-nonce", &nonce(0)),
        case("nonce-of-a-clock-ahead", proof(&token).claim("nonce", nonce(1)))
            .allowed()
            .header("dpop-nonce", &nonce(0)),
    ]
}

/// The nonce of a period from now, made as the engine makes it.
fn nonce(periods: i64) -> String {
    let now = NOW.checked_add_signed(300 * periods).expect("a time");
    let secret = countersign_core::guard::NonceSecret::new((0..32).collect()).expect("long enough");
    secret.nonce_at(FILES, now)
}
