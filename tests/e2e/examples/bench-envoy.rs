//! What the filter costs in a real Envoy, beside no filter, one that does nothing, and Envoy's own
//! `jwt_authn`: all in one run, in turns. Prints the table of docs/performance.md; `cargo xtask bench
//! envoy` builds what it needs and writes the table down.
#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::env;
use std::path::Path;
use std::thread;
use std::time::Duration;

use countersign_e2e::http::Request;
use countersign_e2e::load::{self, Run};
use countersign_e2e::{Envoy, EnvoyConfig, Places, Scratch, Stub, free_ports};
use countersign_testkit::{keys::TestKey, token::Token};
use serde_json::{Value, json};

const ISSUER: &str = "https://auth.example.com";
const RESOURCE: &str = "https://mcp.example.com/mcp";
const HOST: &str = "mcp.example.com";

/// Requests of each kind in a round.
const REQUESTS: usize = 2000;

/// What stands between client and answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filter {
    None,
    Noop,
    JwtAuthn { cache: bool },
    Ours { by_tool: bool, state: bool },
}

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tokens {
    New,
    Same,
    /// Each another one, with a signature that does not verify.
    Bad,
}

struct Row {
    name: &'static str,
    filter: Filter,
    key: TestKey,
    tokens: Tokens,
    body: bool,
}

const ES: TestKey = TestKey::Es256(1);
const RS: TestKey = TestKey::Rs256;

fn rows() -> Vec<Row> {
    use Filter::{JwtAuthn, None, Noop, Ours};
    let row = |name, filter, key, tokens, body| Row { name, filter, key, tokens, body };
    let (plain, cached) = (JwtAuthn { cache: false }, JwtAuthn { cache: true });
    let ours = Ours { by_tool: false, state: true };
    let by_tool = Ours { by_tool: true, state: true };
    let bare = Ours { by_tool: false, state: false };
    vec![
        row("no filter", None, ES, Tokens::New, false),
        row("a wasm filter that does nothing", Noop, ES, Tokens::New, false),
        row("jwt_authn, ES256, new tokens", plain, ES, Tokens::New, false),
        row("ours, ES256, new tokens", ours, ES, Tokens::New, false),
        row("jwt_authn, RS256, new tokens", plain, RS, Tokens::New, false),
        row("ours, RS256, new tokens", ours, RS, Tokens::New, false),
        row("jwt_authn with its cache, ES256, one token", cached, ES, Tokens::Same, false),
        row("ours, ES256, one token", ours, ES, Tokens::Same, false),
        row("ours, ES256, one token, no filter state", bare, ES, Tokens::Same, false),
        row("jwt_authn with its cache, RS256, one token", cached, RS, Tokens::Same, false),
        row("ours, RS256, one token", ours, RS, Tokens::Same, false),
        row("jwt_authn, ES256, bad tokens", plain, ES, Tokens::Bad, false),
        row("ours, ES256, bad tokens", ours, ES, Tokens::Bad, false),
        row("no filter, a call of 2 KB", None, ES, Tokens::New, true),
        row("a wasm filter that does nothing, a call of 2 KB", Noop, ES, Tokens::New, true),
        row("ours, by tool, ES256, new tokens, a call of 2 KB", by_tool, ES, Tokens::New, true),
        row("ours, by tool, ES256, one token, a call of 2 KB", by_tool, ES, Tokens::Same, true),
    ]
}

/// One row's figures of one round.
#[derive(Clone, Copy, Default)]
struct Figures {
    rate: f64,
    /// Microseconds.
    median: f64,
    last: f64,
    processor: f64,
    /// MB.
    memory: f64,
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [noop, rounds] = arguments.as_slice() else {
        panic!("usage: bench-envoy NOOP.wasm ROUNDS");
    };
    let rounds: usize = rounds.parse().expect("a number of rounds");
    let count = (rounds + 1) * REQUESTS;
    eprintln!("signing {} tokens", 2 * count);
    let tokens = [sign_all(ES, count), sign_all(RS, count)];
    let mut tables = Vec::new();
    for workers in [1, 2] {
        tables.push(measure(workers, rounds, Path::new(noop), &tokens));
    }
    print(&tables, rounds);
}

fn sign_all(key: TestKey, count: usize) -> Vec<String> {
    let sign = move |number: usize| minted(key).claim("jti", format!("token-{number}")).sign();
    let half = count / 2;
    let other = thread::spawn(move || (half..count).map(sign).collect::<Vec<_>>());
    let mut tokens: Vec<String> = (0..half).map(sign).collect();
    tokens.extend(other.join().unwrap());
    tokens
}

fn minted(key: TestKey) -> Token {
    Token::new(ISSUER, RESOURCE).key(key, key.alg())
}

/// All rows in turns, so many rounds; the medians.
fn measure(workers: u16, rounds: usize, noop: &Path, tokens: &[Vec<String>; 2]) -> Vec<Figures> {
    let rows = rows();
    let upstream = Stub::upstream().unwrap();
    let mut envoys: Vec<(Filter, Envoy, Scratch)> = Vec::new();
    for row in &rows {
        if !envoys.iter().any(|(filter, ..)| *filter == row.filter) {
            let scratch = Scratch::new().unwrap();
            let config = config(row.filter, workers, noop, upstream.port());
            let envoy = Envoy::start(&Places::of_checkout(), &config, scratch.path()).unwrap();
            envoys.push((row.filter, envoy, scratch));
        }
    }
    thread::sleep(Duration::from_secs(2));
    let mut figures = vec![Vec::new(); rows.len()];
    // The first round only lets V8 compile what is hot. It has tokens of its own: those that were seen
    // before would be remembered.
    for round in 0..=rounds {
        for (number, row) in rows.iter().enumerate() {
            let (_, envoy, _) = envoys.iter().find(|(filter, ..)| *filter == row.filter).unwrap();
            let tokens = &tokens[usize::from(row.key == RS)][round * REQUESTS..][..REQUESTS];
            figures[number].push(once(envoy, row, tokens, workers));
        }
        eprintln!("{workers} workers, round {round} of {rounds}");
    }
    figures.iter().map(|rounds| medians(rounds.get(1..).unwrap_or_default())).collect()
}

fn once(envoy: &Envoy, row: &Row, tokens: &[String], workers: u16) -> Figures {
    let requests: Vec<Vec<u8>> = (0..tokens.len())
        .map(|number| {
            let token = match row.tokens {
                Tokens::New => tokens[number].clone(),
                Tokens::Same => tokens[0].clone(),
                Tokens::Bad => {
                    let signature = tokens[(number + 1) % tokens.len()].rsplit('.').next().unwrap();
                    let (input, _) = tokens[number].rsplit_once('.').unwrap();
                    format!("{input}.{signature}")
                }
            };
            request(&token, row.body).to_bytes()
        })
        .collect();
    let (_, before) = envoy.usage().unwrap();
    let connections = 4 * usize::from(workers);
    let run: Run =
        load::send(envoy.port(), connections, requests.len(), |number| &requests[number]).unwrap();
    let (memory, after) = envoy.usage().unwrap();
    let expected = if row.tokens == Tokens::Bad && row.filter != Filter::None { 401 } else { 200 };
    assert_eq!(run.count(expected), requests.len(), "{}: {:?}", row.name, run.statuses);
    let count = f64::from(u32::try_from(requests.len()).unwrap());
    let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
    Figures {
        rate: run.rate(),
        median: micros(run.percentile(50)),
        last: micros(run.percentile(99)),
        processor: f64::from(u32::try_from(after - before).unwrap()) / count,
        memory: f64::from(u32::try_from(memory).unwrap()) * 1024.0 / 1e6,
    }
}

fn request(token: &str, body: bool) -> Request {
    let request = Request::new(if body { "POST" } else { "GET" }, "/mcp", HOST)
        .header("authorization", format!("Bearer {token}"))
        .header("mcp-protocol-version", "2025-11-25");
    if !body {
        return request;
    }
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "read_file", "arguments": { "path": "/a/b", "text": "lorem ipsum ".repeat(160) } } });
    request.header("content-type", "application/json").body(call.to_string())
}

fn config(filter: Filter, workers: u16, noop: &Path, upstream: u16) -> EnvoyConfig {
    let [port] = free_ports().unwrap();
    let mut scopes = json!({ "baseline": ["mcp:use"] });
    if matches!(filter, Filter::Ours { by_tool: true, .. }) {
        scopes["tools"] = json!({ "read_file": ["files:read"], "write_*": ["files:write"] });
    }
    let keys = json!({ "keys": [ES.jwk(ES.alg()), RS.jwk(RS.alg())] });
    let policy = json!({
        "issuers": [{ "issuer": ISSUER, "jwks": keys, "max_lifetime": 3_155_760_000_u64 }],
        "resources": [{ "resource": RESOURCE, "scopes": scopes }],
        // Else a flood of bad tokens is not even looked at.
        "limits": { "failures_per_minute": 0 },
    });
    let state = !matches!(filter, Filter::Ours { state: false, .. });
    let document = json!({ "policy": policy, "filter": { "filter_state": state } }).to_string();
    EnvoyConfig::new(&Places::of_checkout(), port, &document, true, upstream, &[])
        .with_workers(workers)
        .answering("application/json", "{}")
        .manager(|manager| {
            let filters = manager["http_filters"].as_array_mut().unwrap();
            match filter {
                Filter::None => drop(filters.remove(0)),
                Filter::Noop => {
                    let config = &mut filters[0]["typed_config"]["config"];
                    config["vm_config"]["vm_id"] = json!("noop");
                    config["vm_config"]["code"]["local"]["filename"] = json!(noop);
                    config["configuration"]["value"] = json!("");
                }
                Filter::JwtAuthn { cache } => filters[0] = jwt_authn(&keys, cache),
                Filter::Ours { .. } => {}
            }
            // Envoy would answer at once and close the connection of whoever still sends a body.
            let at = filters.len() - 1;
            let buffer = json!({ "name": "buffer", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer",
                "max_request_bytes": 65536,
            } });
            filters.insert(at, buffer);
        })
}

fn jwt_authn(keys: &Value, cache: bool) -> Value {
    let mut provider = json!({
        "issuer": ISSUER, "audiences": [RESOURCE], "forward": false,
        "local_jwks": { "inline_string": keys.to_string() },
    });
    if cache {
        provider["jwt_cache_config"] = json!({ "jwt_cache_size": 4096 });
    }
    json!({ "name": "jwt_authn", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": { "issuer": provider },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "issuer" } }],
    } })
}

fn medians(rounds: &[Figures]) -> Figures {
    let sorted = |figure: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let of = |figure| sorted(figure)[rounds.len() / 2];
    Figures {
        rate: of(|figures| figures.rate),
        median: of(|figures| figures.median),
        last: of(|figures| figures.last),
        processor: lower_half(&sorted(|figures| figures.processor)),
        memory: of(|figures| figures.memory),
    }
}

/// What else runs on the machine only adds to a time: the mean of the half that had least of it.
fn lower_half(sorted: &[f64]) -> f64 {
    let half = &sorted[..sorted.len().div_ceil(2)];
    half.iter().sum::<f64>() / f64::from(u32::try_from(half.len()).unwrap())
}

fn print(tables: &[Vec<Figures>], rounds: usize) {
    let rows = rows();
    println!(
        "{rounds} rounds of {REQUESTS} requests each, over 4 connections for each worker; medians. \
         Processor time is that of Envoy's workers, the mean of the better half of the rounds, since \
         what else runs on the machine only adds to it; *added* is what is more than without a \
         filter.\n"
    );
    for (workers, figures) in (1..).zip(tables) {
        let plural = if workers == 1 { "worker" } else { "workers" };
        println!(
            "| {workers} {plural} | requests/s | p50 | p99 | processor time | added | memory |"
        );
        println!("|---|---:|---:|---:|---:|---:|---:|");
        for (row, found) in rows.iter().zip(figures) {
            let bare = rows.iter().position(|r| r.filter == Filter::None && r.body == row.body);
            let added = found.processor - figures[bare.unwrap()].processor;
            println!(
                "| {} | {:.0} | {:.0} µs | {:.0} µs | {:.0} µs | {:.0} µs | {:.0} MB |",
                row.name,
                found.rate,
                found.median,
                found.last,
                found.processor,
                added,
                found.memory
            );
        }
        println!();
    }
    verdicts(&rows, &tables[0]);
}

/// Against the targets, by what is added with one worker.
fn verdicts(rows: &[Row], figures: &[Figures]) {
    let added = |name: &str| {
        let at = rows.iter().position(|row| row.name == name).unwrap();
        figures[at].processor - figures[0].processor
    };
    let noop = added("a wasm filter that does nothing");
    let ratio = |ours: &str, theirs: &str| added(ours) / added(theirs);
    let told = |what: &str, limit: f64, found: f64| {
        let verdict = match found {
            found if !(0.01..100.0).contains(&found) => "lost in noise",
            found if found <= limit => "met",
            _ => "missed",
        };
        println!("| {what} | {limit} | {found:.2} | {verdict} |");
    };
    println!("| target, by added processor time, one worker | at most | found | |");
    println!("|---|---:|---:|---|");
    let es = ratio("ours, ES256, new tokens", "jwt_authn, ES256, new tokens");
    told("ES256, new tokens: ours by jwt_authn's", 0.7, es);
    let rs = ratio("ours, RS256, new tokens", "jwt_authn, RS256, new tokens");
    told("RS256, new tokens: ours by jwt_authn's", 0.95, rs);
    told(
        "one token, ES256: ours by that of a filter that does nothing",
        1.3,
        added("ours, ES256, one token") / noop,
    );
    told("one token, RS256: the same", 1.3, added("ours, RS256, one token") / noop);
    let bad = added("ours, ES256, bad tokens") / added("ours, ES256, new tokens");
    told("bad tokens by good ones, ES256", 1.0, bad);
}
