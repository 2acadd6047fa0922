//! Writes the seeds of the fuzz targets, `fuzz/corpus/TARGET/seed-…`, from the shared vectors: a few
//! small files that each reach another part. What a fuzzer finds beyond them stays out of the
//! repository, but for inputs that once broke something (`regression-…`), which this leaves alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use countersign_testkit::{
    keys::TestKey,
    status::TestList,
    vectors::{self, Case, Vectors},
};
use serde_json::{Value, json};

fn main() -> io::Result<()> {
    let mut seeds = Seeds::default();
    let vectors = vectors::make();
    guard(&mut seeds, &vectors);
    tokens(&mut seeds, &vectors);
    bodies(&mut seeds, &vectors);
    answers(&mut seeds, &vectors);
    introspection(&mut seeds, &vectors);
    documents(&mut seeds, &vectors);
    texts(&mut seeds);
    signatures(&mut seeds);
    seeds.write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus"))
}

#[derive(Default)]
struct Seeds(BTreeMap<&'static str, BTreeSet<Vec<u8>>>);

impl Seeds {
    fn add(&mut self, target: &'static str, seed: impl Into<Vec<u8>>) {
        self.0.entry(target).or_default().insert(seed.into());
    }

    fn write(&self, corpus: &Path) -> io::Result<()> {
        for (target, seeds) in &self.0 {
            let dir = corpus.join(target);
            fs::create_dir_all(&dir)?;
            for old in old_seeds(&dir)? {
                fs::remove_file(old)?;
            }
            for (number, seed) in seeds.iter().enumerate() {
                fs::write(dir.join(format!("seed-{number:02}")), seed)?;
            }
            let bytes: usize = seeds.iter().map(Vec::len).sum();
            println!("{target}: {} seeds, {bytes} bytes", seeds.len());
        }
        Ok(())
    }
}

fn old_seeds(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let is_seed = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("seed-"))
    };
    Ok(fs::read_dir(dir)?.filter_map(|entry| Some(entry.ok()?.path())).filter(is_seed).collect())
}

/// One request for each policy and each way in which requests under it come out.
fn guard(seeds: &mut Seeds, vectors: &Vectors) {
    let mut seen = BTreeSet::new();
    for case in &vectors.cases {
        let end = case.expect.reason.as_deref().unwrap_or(&case.expect.verdict);
        let breaks_lines = case
            .request
            .headers
            .iter()
            .any(|(name, value)| name.contains(['\n', ':']) || value.contains('\n'));
        if !breaks_lines && request(case).len() < 3000 && seen.insert((&case.policy, end)) {
            seeds.add("guard", request(case));
        }
    }
}

fn request(case: &Case) -> Vec<u8> {
    let request = &case.request;
    let mut text = format!(
        "{} {}\n{} {} {}\n",
        case.policy,
        vectors::NOW,
        request.method,
        request.authority,
        request.path
    );
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\n"));
    }
    if let Some(body) = &request.body {
        text.push('\n');
        text.push_str(body);
    }
    byte_string(&text)
}

/// Vectors have one character for each byte.
fn byte_string(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?')).collect()
}

/// One token for each way in which tokens come out, and the proofs.
fn tokens(seeds: &mut Seeds, vectors: &Vectors) {
    let mut seen = BTreeSet::new();
    for case in &vectors.cases {
        let end = case.expect.reason.as_deref().unwrap_or("");
        let of_tokens = ["", "token_", "claim_", "algorithm_", "audience_"];
        for (name, value) in &case.request.headers {
            let Some(token) = value.split(' ').next_back().filter(|token| token.len() < 1200)
            else {
                continue;
            };
            match name.as_str() {
                "authorization"
                    if case.policy == "main"
                        && of_tokens.iter().any(|prefix| end.starts_with(prefix))
                        && seen.insert(("jws", &case.policy, end)) =>
                {
                    seeds.add("jws", byte_string(token));
                }
                "dpop" if seen.insert(("dpop", &case.policy, end)) => {
                    seeds.add("dpop", byte_string(token));
                }
                _ => {}
            }
        }
    }
}

fn bodies(seeds: &mut Seeds, vectors: &Vectors) {
    let mut seen = BTreeSet::new();
    for case in &vectors.cases {
        let end = case.expect.reason.as_deref().unwrap_or(&case.expect.verdict);
        if let Some(body) = case.request.body.as_ref().filter(|body| body.len() < 400)
            && seen.insert((end.to_owned(), body.len() / 40))
        {
            seeds.add("json_rpc", byte_string(body));
        }
    }
}

/// Answers with lists, and streams of them.
fn answers(seeds: &mut Seeds, vectors: &Vectors) {
    for response in vectors.cases.iter().filter_map(|case| case.response.as_ref()) {
        let is = |media: &str| response.headers.iter().any(|(_, value)| value.starts_with(media));
        if response.body.len() < 800 && is("application/json") {
            seeds.add("list", byte_string(&response.body));
        } else if response.body.len() < 800 && is("text/event-stream") {
            seeds.add("events", byte_string(&response.body));
        }
    }
}

fn documents(seeds: &mut Seeds, vectors: &Vectors) {
    for policy in vectors.policies.values() {
        let text = policy.to_string();
        if text.len() < 1000 {
            seeds.add("policy", text);
        }
    }
    // The large one without its keys, which a target of their own has.
    let mut main = vectors.policies["main"].clone();
    for issuer in main["issuers"].as_array_mut().into_iter().flatten() {
        issuer["jwks"] = json!({ "keys": [TestKey::Es256(1).jwk("es1")] });
    }
    seeds.add("policy", main.to_string());
    for key in TestKey::ALL {
        seeds.add("jwk_set", json!({ "keys": [key.jwk("k")] }).to_string());
    }
    let (a, b) = (TestKey::Es256(1).jwk("a"), TestKey::Es256(2).jwk("a"));
    seeds.add("jwk_set", json!({ "keys": [a, b, a, {}, 1, { "kty": "AKP" }] }).to_string());
    for (places, ttl) in [(&[0, 9, 63][..], Value::from(60)), (&[], Value::Null)] {
        let token = TestList::new(URI, places).claim("ttl", ttl).sign();
        let payload = token.split('.').nth(1).unwrap_or_default();
        let payload = countersign_core::jose::base64url::decode(payload).unwrap_or_default();
        seeds.add("status_list", [&[8], &payload[..]].concat());
    }
    for kind in [4, 5, 6, 7_u8] {
        seeds.add("status_list", [&[kind], &[0x00, 0xff, 0x81, 0x42][..]].concat());
    }
    let compressed = miniz_oxide::deflate::compress_to_vec_zlib(&[1; 300], 9);
    seeds.add("status_list", [&[0], &compressed[..]].concat());
}

const URI: &str = "https://auth.example.com/status-lists/1";

fn texts(seeds: &mut Seeds) {
    for pair in [
        "https://Mcp.Example.com:443\nHTTPS://mcp.example.com/",
        "http://[2001:DB8::1]:08080/a?b=c\nhttp://[2001:db8::1]:8080/a?b=c",
        "https://h/%7Ea/..%2f\nhttps://h/~a",
        "FILE:///public/a%62c\nfile:/public/abc",
        "urn:x:Y#z\nmcp://files",
        "https://u@h:port/#f\n",
    ] {
        seeds.add("resource", pair);
    }
    for lines in [
        "https://h/.well-known/oauth-protected-resource\nThe token is expired\nfiles:read a",
        "a\"b\\c\r, x=\"y\"\n\"\\\nscope  two",
        "ü\n\u{0}\u{7f}\n",
    ] {
        seeds.add("challenge", lines);
    }
    for text in [
        "Basic realm=\"a, \\\"b\\\"\", Bearer error=invalid_token ,scope=\"a b\", DPoP algs=\"ES256\"",
        "Negotiate YII=, ,Bearer",
        "Bearer a=b, A=c",
    ] {
        seeds.add("challenge", text);
    }
    for text in [
        r#"https://h/mcp
{"resource":"https://h/mcp","authorization_servers":["https://auth.example.com"],"scopes_supported":["a","b"],"bearer_methods_supported":["header"],"dpop_bound_access_tokens_required":true}"#,
        r#"http://localhost:1/mcp
{"resource":"http://localhost:1/mcp","authorization_servers":["http://localhost:2"]}"#,
        r#"https://auth.example.com
{"issuer":"https://auth.example.com","jwks_uri":"https://auth.example.com/jwks","token_endpoint":"http://auth.example.com/token","code_challenge_methods_supported":["S256"],"client_id_metadata_document_supported":true}"#,
    ] {
        seeds.add("metadata", text);
    }
}

/// What an issuer says of a token.
fn introspection(seeds: &mut Seeds, vectors: &Vectors) {
    for (url, answer) in &vectors.fetches {
        if url.contains("/introspect?") {
            seeds.add("introspection", answer.body.as_str());
        }
    }
}

/// Which key, what the numbers are, and the numbers; for RSA which key, algorithm and way, and bytes.
fn signatures(seeds: &mut Seeds) {
    let small = |last: u8| {
        let mut number = [0; 32];
        number[31] = last;
        number
    };
    // Windows of digits at their edges, and all ones, which is above n.
    let numbers = [small(1), small(2), [0x80; 32], [0x82; 32], [0x7f; 32], [0xff; 32]];
    for kind in 0..3 {
        for (at, (a, b)) in (0..).zip(numbers.iter().zip(numbers.iter().rev())) {
            let signer = 3 * at + kind;
            seeds.add("ecdsa", [&[signer, kind][..], a, b, &small(0)].concat());
            seeds.add("ecdsa", [&[signer, kind][..], a, a, b].concat());
        }
        for algorithm in 0..6 {
            seeds.add("rsa", [algorithm, algorithm, kind]);
            seeds.add("rsa", [&[algorithm, algorithm, kind][..], &[1; 40]].concat());
        }
    }
}
