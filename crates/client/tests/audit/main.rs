//! The audit against a server that is right, and against servers that are wrong in one thing each.
#![allow(clippy::unwrap_used, missing_docs)]

mod authorization_server;
mod resource_server;
mod site;

use std::{collections::BTreeSet, time::Duration};

use countersign_client::{
    Http, Secret,
    audit::{CHECKS, Finding, Grade, Options, Report, Verdict, audit},
};

use self::site::Site;

/// Not to be seen with this site: it has one port, and its token has not expired.
const UNSEEN: [&str; 2] = ["plain_http_refused", "token_expired_refused"];

async fn report(fault: &'static str) -> Report {
    let site = Site::start(fault).await;
    let token = Secret::new(site.token());
    let options =
        Options { token: Some(&token), client_id: Some(site::CLIENT), ..Options::default() };
    let report = audit(&Http::new().unwrap(), &site.url(), options).await.unwrap();
    let json = report.to_json().to_string();
    assert!(!json.contains(&site.token()), "{fault}: the report has the token in it");
    assert!(report.is_complete, "{fault}");
    report
}

fn ids(report: &Report, verdicts: &[Verdict]) -> BTreeSet<&'static str> {
    let has = |finding: &&Finding| verdicts.contains(&finding.verdict);
    report.findings.iter().filter(has).map(|finding| finding.check.id).collect()
}

use Verdict::{Fail, Warning};

/// What fails or warns where, and what else cannot be right then.
struct Case(&'static str, &'static str, Verdict, &'static [&'static str]);

/// Each check has a fault that it finds, and finds alone.
const CASES: &[Case] = &[
    Case(
        "open",
        "authentication_required",
        Fail,
        &["origin_refused", "token_altered_refused", "token_in_query_refused"],
    ),
    Case(
        "error_in_200",
        "authentication_required",
        Fail,
        &[
            "header_mismatch_refused",
            "token_altered_refused",
            "token_in_query_refused",
            "origin_refused",
        ],
    ),
    Case("hello", "authentication_required", Warning, &[]),
    Case("no_challenge", "challenge_parsed", Fail, &["invalid_token_error"]),
    Case("bad_challenge", "challenge_parsed", Fail, &["invalid_token_error"]),
    Case("basic_challenge", "challenge_parsed", Fail, &["invalid_token_error"]),
    Case("challenge_error", "challenge_no_error", Warning, &[]),
    Case("no_resource_metadata", "challenge_resource_metadata", Warning, &[]),
    Case("no_scope", "challenge_scope", Warning, &[]),
    Case("offline_challenge", "challenge_scope", Warning, &["scopes_known"]),
    Case("changing", "challenge_repeats", Warning, &[]),
    Case("cacheable", "challenge_not_cacheable", Warning, &[]),
    Case("cacheable_shared", "challenge_not_cacheable", Warning, &[]),
    Case("no_metadata", "metadata_found", Fail, &["metadata_path_inserted"]),
    Case("metadata_elsewhere", "metadata_path_inserted", Warning, &[]),
    Case("root_page", "metadata_root", Warning, &[]),
    Case("root_broken", "metadata_root", Warning, &[]),
    Case("metadata_text", "metadata_json", Fail, &["metadata_path_inserted"]),
    Case("metadata_twice", "metadata_json", Fail, &["metadata_path_inserted"]),
    Case("resource_slash", "metadata_resource", Fail, &["token_audience"]),
    Case("no_issuers", "metadata_authorization_servers", Fail, &[]),
    Case("plain_issuer", "metadata_authorization_servers", Fail, &[]),
    Case("offline_scope", "metadata_scopes_minimal", Warning, &["scopes_known"]),
    Case("wildcard_scope", "metadata_scopes_minimal", Warning, &["scopes_known"]),
    Case("query_method", "metadata_bearer_methods", Fail, &[]),
    Case("get_open", "methods_authenticated", Fail, &[]),
    Case("delete_open", "methods_authenticated", Fail, &[]),
    Case("head_open", "other_methods_authenticated", Fail, &[]),
    Case("put_open", "other_methods_authenticated", Fail, &[]),
    Case("text_open", "content_type_authenticated", Fail, &[]),
    Case("garbage", "garbage_refused", Fail, &[]),
    Case("garbage_403", "garbage_refused", Fail, &[]),
    Case("unsigned", "unsigned_refused", Fail, &[]),
    Case("confusion", "key_confusion_refused", Fail, &[]),
    Case("unknown_key", "unknown_key_refused", Fail, &[]),
    Case("embedded_key", "embedded_key_refused", Fail, &[]),
    Case("wrong_signature", "wrong_signature_refused", Fail, &[]),
    Case("no_error_code", "invalid_token_error", Warning, &[]),
    Case("case", "scheme_case_insensitive", Warning, &[]),
    Case("first_of_two", "doubled_authorization_refused", Fail, &[]),
    Case("last_of_two", "mixed_schemes_refused", Fail, &[]),
    Case("any_origin", "origin_refused", Fail, &[]),
    Case("credentials", "cors_no_credentials", Fail, &[]),
    Case("preflight", "preflight_unauthenticated", Warning, &[]),
    Case("not_exposed", "challenge_exposed", Warning, &[]),
    Case("page", "well_known_no_page", Warning, &[]),
    Case("echo", "errors_leak_nothing", Fail, &[]),
    Case("trace", "errors_leak_nothing", Warning, &[]),
    Case("no_issuer_metadata", "issuer_metadata_found", Fail, &[]),
    Case("other_issuer", "issuer_identical", Fail, &[]),
    Case("plain_endpoint", "issuer_https", Fail, &[]),
    Case("no_cors", "issuer_metadata_cors", Warning, &[]),
    Case("no_s256", "pkce_s256", Fail, &[]),
    Case("plain_pkce", "pkce_plain_not_offered", Warning, &[]),
    Case("no_code", "code_flow_only", Fail, &[]),
    Case("implicit", "code_flow_only", Warning, &[]),
    Case("implicit_grant", "code_flow_only", Warning, &[]),
    Case("password", "password_grant_not_offered", Fail, &[]),
    Case("no_iss", "iss_parameter", Warning, &[]),
    Case("no_registration", "client_registration", Warning, &[]),
    Case("dpop_none", "dpop_algorithms", Fail, &[]),
    Case("unknown_scope", "scopes_known", Warning, &[]),
    Case("no_keys", "keys_usable", Fail, &[]),
    Case("private_key", "keys_public", Fail, &["keys_usable"]),
    Case("short_key", "keys_strong", Fail, &[]),
    Case("same_kid", "keys_distinct", Warning, &[]),
    Case("many_keys", "keys_distinct", Warning, &[]),
    Case("token_page", "token_endpoint_errors", Fail, &["token_endpoint_unknown_client"]),
    Case("token_500", "token_endpoint_errors", Fail, &["token_endpoint_unknown_client"]),
    Case("invalid_grant", "token_endpoint_unknown_client", Warning, &[]),
    Case("stored", "token_endpoint_no_store", Warning, &[]),
    Case("token_by_get", "token_endpoint_post_only", Fail, &[]),
    Case("redirects", "authorize_unknown_client", Fail, &[]),
    Case("redirects_known", "authorize_wrong_redirect", Fail, &[]),
    Case("revoke_open", "revocation_authenticated", Warning, &[]),
    Case("introspect_open", "introspection_authenticated", Fail, &[]),
    Case("token_refused", "token_accepted", Fail, &["origin_refused"]),
    Case("altered", "token_altered_refused", Fail, &[]),
    Case("query", "token_in_query_refused", Fail, &[]),
    Case("mismatch", "header_mismatch_refused", Fail, &[]),
    Case("untyped", "token_claims", Warning, &[]),
    Case("no_jti", "token_claims", Warning, &[]),
    Case("other_audience", "token_audience", Fail, &[]),
    Case("two_audiences", "token_audience", Warning, &[]),
    Case("other_iss", "token_issuer", Fail, &[]),
    Case("long", "token_lifetime", Warning, &[]),
    Case("all_scopes", "token_scopes", Warning, &[]),
];

/// Faults by which strangers get in, or could.
const BYPASSES: [&str; 12] = [
    "open",
    "get_open",
    "delete_open",
    "text_open",
    "garbage",
    "unsigned",
    "confusion",
    "unknown_key",
    "embedded_key",
    "wrong_signature",
    "altered",
    "private_key",
];

#[tokio::test]
async fn a_server_that_is_right_passes() {
    let report = report("").await;
    let json = report.to_json();
    assert_eq!(ids(&report, &[Fail, Warning]), BTreeSet::new(), "{json:#}");
    assert_eq!(ids(&report, &[Verdict::Skipped]), BTreeSet::from(UNSEEN), "{json:#}");
    assert_eq!(report.grade(), Grade::A);
    assert!(!report.is_failed());
    let all: BTreeSet<_> = CHECKS.iter().copied().flatten().map(|check| check.id).collect();
    assert_eq!(ids(&report, &[Verdict::Pass, Verdict::Skipped]), all);
    assert_eq!(report.findings.len(), all.len(), "each once");
    // As the help says.
    assert!((35..=50).contains(&report.requests), "{} requests", report.requests);
}

#[tokio::test]
async fn each_fault_is_found_and_found_alone() {
    let mut problems = Vec::new();
    for Case(fault, id, verdict, others) in CASES {
        let report = report(fault).await;
        let finding = report.findings.iter().find(|finding| finding.check.id == *id).unwrap();
        let mut expected: BTreeSet<&str> = others.iter().copied().collect();
        expected.insert(id);
        let wrong = ids(&report, &[Fail, Warning]);
        let is_bypass = BYPASSES.contains(fault);
        if (finding.verdict, &wrong) != (*verdict, &expected)
            || (report.grade() == Grade::F) != is_bypass
            || finding.is_bypass != is_bypass
        {
            let seen = &finding.seen;
            problems.push(format!("{fault}: {:?} {seen}, {wrong:?}", finding.verdict));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn each_check_has_a_fault() {
    let found: BTreeSet<_> = CASES.iter().map(|Case(_, id, ..)| *id).collect();
    let all = CHECKS.iter().copied().flatten().map(|check| check.id);
    let without: Vec<_> = all.filter(|id| !found.contains(id)).collect();
    // These have tests of their own.
    assert_eq!(without, UNSEEN);
}

/// `docs/audit.md` has each of them, as it is.
#[test]
fn each_check_is_documented() {
    let document = include_str!("../../../../docs/audit.md");
    let missing: Vec<_> = CHECKS
        .iter()
        .copied()
        .flatten()
        .map(|check| {
            let level = check.level.code();
            format!("| `{}` | {level} | {} | {} |", check.id, check.title, check.clause)
        })
        .filter(|row| !document.contains(row))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
    let is_row = |line: &&str| line.contains("` | must |") || line.contains("` | should |");
    let rows = document.lines().filter(is_row);
    assert_eq!(rows.count(), CHECKS.iter().map(|role| role.len()).sum::<usize>());
}

/// An expired token must be refused; one that is accepted all the same is a bypass.
#[tokio::test]
async fn expired_tokens() {
    for (fault, verdict) in [("expired", Verdict::Pass), ("expired_accepted", Fail)] {
        let report = report(fault).await;
        let finding =
            report.findings.iter().find(|one| one.check.id == "token_expired_refused").unwrap();
        assert_eq!(finding.verdict, verdict);
        assert_eq!(finding.is_bypass, verdict == Fail);
    }
}

/// What is not answered is not right either.
#[tokio::test]
async fn undecided() {
    let site = Site::start("limits").await;
    let report = audit(&Http::new().unwrap(), &site.url(), Options::default()).await.unwrap();
    assert_eq!(ids(&report, &[Fail, Warning]), BTreeSet::new());
    let garbage = report.findings.iter().find(|one| one.check.id == "garbage_refused").unwrap();
    assert_eq!(garbage.verdict, Verdict::Skipped);
    assert!(garbage.is_undecided && !report.is_complete);
    assert_eq!(report.grade(), Grade::B);
}

/// What there is no time for is skipped, and costs the A.
#[tokio::test]
async fn out_of_time() {
    let site = Site::start("slow").await;
    let options = Options { time_limit: Some(Duration::from_secs(1)), ..Options::default() };
    let report = audit(&Http::new().unwrap(), &site.url(), options).await.unwrap();
    assert!(!report.is_complete && report.requests < 15, "{} requests", report.requests);
    assert_eq!(ids(&report, &[Fail, Warning]), BTreeSet::new());
    assert_eq!(report.grade(), Grade::B);
    let all = CHECKS.iter().copied().flatten().count();
    assert_eq!(report.findings.len(), all, "each once");
    let last = report.findings.last().unwrap();
    assert_eq!((last.verdict, last.seen.as_str()), (Verdict::Skipped, "there was no time left"));
}

/// Without a token, and without a client, the rest is looked at all the same.
#[tokio::test]
async fn without_a_token() {
    let site = Site::start("").await;
    let report = audit(&Http::new().unwrap(), &site.url(), Options::default()).await.unwrap();
    assert_eq!(ids(&report, &[Fail, Warning]), BTreeSet::new());
    let skipped = ids(&report, &[Verdict::Skipped]);
    let tokens = CHECKS[2].iter().map(|check| check.id);
    let expected = ["authorize_wrong_redirect", "plain_http_refused"].into_iter().chain(tokens);
    assert_eq!(skipped, expected.collect());
    assert_eq!(report.grade(), Grade::A);
    assert!((25..=40).contains(&report.requests), "{} requests", report.requests);
}

/// Only what the help names is sent: one message that changes nothing, and never a call of a tool.
#[tokio::test]
async fn what_is_sent() {
    let site = Site::start("").await;
    let token = Secret::new(site.token());
    let options = Options { token: Some(&token), ..Options::default() };
    let report = audit(&Http::new().unwrap(), &site.url(), options).await.unwrap();
    let seen = site.seen();
    assert_eq!(seen.len(), usize::try_from(report.requests).unwrap());
    for request in seen.iter().filter(|request| request.path() == "/mcp") {
        let body = String::from_utf8_lossy(&request.body);
        let is_harmless = ["", "{}"].contains(&&*body)
            || body.contains(r#""method":"initialize""#)
            || body.contains(r#""method":"tools/list""#);
        assert!(is_harmless, "{body}");
    }
    assert!(seen.iter().all(|request| !request.path().starts_with("/register")));
    // The session that was begun is ended.
    let ended = |request: &&site::Request| request.header("mcp-session-id") == Some("s");
    assert_eq!(
        seen.iter().filter(ended).map(|r| r.method.as_str()).collect::<Vec<_>>(),
        ["DELETE"]
    );
}

/// What there is nothing to say about.
#[tokio::test]
async fn nothing_to_audit() {
    for (fault, reason) in
        [("404", "answer_invalid"), ("500", "answer_invalid"), ("moved", "redirected")]
    {
        let site = Site::start(fault).await;
        let error =
            audit(&Http::new().unwrap(), &site.url(), Options::default()).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{fault}");
    }
}
