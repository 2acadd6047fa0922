//! Authorization codes: once, by who asked, with what belongs to them.

use std::{sync::Barrier, thread};

use crate::{
    browser::text,
    http::{FORM, encode, send},
    issuer::{CALLBACK, FILES, Issuer, MAIL, VERIFIER},
};

/// RFC 7636 §4.6, OAuth 2.1 §7.5.1: no way around the verifier.
#[test]
fn attack_2_code_without_verifier() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let code = issuer.code(&client, &[]);
    issuer.redeem(&client, &code, &[("code_verifier", "")]).assert_error(400, "invalid_grant");
    let empty = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", "")];
    issuer.token(&client, &empty).assert_error(400, "invalid_grant");
    assert_eq!(issuer.redeem(&client, &code, &[]).status, 200, "nothing was consumed");
}

/// The other way round of attack 2: there is no code without a challenge.
#[test]
fn attack_2_verifier_without_challenge() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let url = issuer.authorize_url(&client, &[("code_challenge", "")]);
    assert_eq!(crate::http::get(&url).parameter("error"), "invalid_request");
}

/// Another client that holds a code gets nothing for it, and nothing is left to get.
#[test]
fn attack_5_code_of_another_client() {
    let issuer = Issuer::start();
    let (a, b) = (issuer.client(), issuer.add_client("client_secret_basic", &[CALLBACK]));
    let code = issuer.code(&a, &[]);
    issuer.redeem(&b, &code, &[]).assert_error(400, "invalid_grant");
    issuer.redeem(&b, &code, &[]).assert_error(400, "invalid_grant");
    issuer.redeem(&a, &code, &[]).assert_error(400, "invalid_grant");
}

/// Values of one kind are nothing as another kind.
#[test]
fn attack_6_other_secrets_are_no_codes() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let tokens = issuer.tokens(&client, &[]);
    let refresh_token = text(&tokens, "refresh_token");
    for forged in [
        refresh_token.to_owned(),
        refresh_token.replace("rt_", "ac_"),
        text(&tokens, "access_token").to_owned(),
    ] {
        issuer.redeem(&client, &forged, &[]).assert_error(400, "invalid_grant");
    }
    let code = issuer.code(&client, &[]);
    for forged in [code.clone(), code.replace("ac_", "rt_")] {
        issuer.refresh(&client, &forged, &[]).assert_error(400, "invalid_grant");
    }
    assert_eq!(issuer.refresh(&client, refresh_token, &[]).status, 200, "still good");
    assert_eq!(issuer.redeem(&client, &code, &[]).status, 200, "still good");
}

/// OAuth 2.1 §4.1.3: who redeems a code twice ends what came of it.
#[test]
fn attack_7_second_use_revokes_the_family() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let code = issuer.code(&client, &[]);
    let tokens = issuer.redeem(&client, &code, &[]).json();
    issuer.redeem(&client, &code, &[]).assert_error(400, "invalid_grant");
    let refreshed = issuer.refresh(&client, text(&tokens, "refresh_token"), &[]);
    refreshed.assert_error(400, "invalid_grant");
}

/// Attack 7, late: the mark of a code outlives the code.
#[test]
fn attack_7_replay_after_expiry_revokes_too() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let code = issuer.code(&client, &[]);
    let tokens = issuer.redeem(&client, &code, &[]).json();
    issuer.sql("UPDATE auth_codes SET expires_at = expires_at - 900");
    issuer.redeem(&client, &code, &[]).assert_error(400, "invalid_grant");
    let refreshed = issuer.refresh(&client, text(&tokens, "refresh_token"), &[]);
    refreshed.assert_error(400, "invalid_grant");
}

/// RFC 9700 §2.1.1: a code lives a minute.
#[test]
fn attack_7_expired_code() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let code = issuer.code(&client, &[]);
    issuer.sql("UPDATE auth_codes SET expires_at = expires_at - 60");
    issuer.redeem(&client, &code, &[]).assert_error(400, "invalid_grant");
    let code = issuer.code(&client, &[]);
    issuer.sql("UPDATE auth_codes SET expires_at = expires_at - 50");
    assert_eq!(issuer.redeem(&client, &code, &[]).status, 200);
}

/// Fifty at once: one wins, and since a code came twice its family ends.
#[test]
fn attack_8_parallel_redemptions() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let code = issuer.code(&client, &[]);
    let start = Barrier::new(50);
    let answers: Vec<_> = thread::scope(|scope| {
        let redeem = || {
            start.wait();
            issuer.redeem(&client, &code, &[])
        };
        let all: Vec<_> = (0..50).map(|_| scope.spawn(redeem)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(won.len(), 1);
    for answer in lost {
        answer.assert_error(400, "invalid_grant");
    }
    let token = won[0].json();
    let refreshed = issuer.refresh(&client, text(&token, "refresh_token"), &[]);
    refreshed.assert_error(400, "invalid_grant");
}

/// A guess that looks like a code has no effect on anything.
#[test]
fn attack_9_wrong_secret_has_no_effect() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let code = issuer.code(&client, &[]);
    let tokens = issuer.redeem(&client, &code, &[]).json();
    let last = if code.ends_with('A') { "B" } else { "A" };
    for guess in [
        format!("{}{last}", &code[..code.len() - 1]),
        code[..20].to_owned(),
        format!("{code}x"),
        code.to_uppercase(),
    ] {
        issuer.redeem(&client, &guess, &[]).assert_error(400, "invalid_grant");
    }
    let refreshed = issuer.refresh(&client, text(&tokens, "refresh_token"), &[]);
    assert_eq!(refreshed.status, 200, "the grant lives");
}

/// Complaint 5: what is refused for another reason consumes nothing.
#[test]
fn attack_10_refused_requests_leave_the_code() {
    let issuer = Issuer::start();
    let client = issuer.add_client("client_secret_post", &[CALLBACK]);
    let code = issuer.code(&client, &[]);
    let unknown = [("resource", "https://other.example.com")];
    issuer.redeem(&client, &code, &unknown).assert_error(400, "invalid_target");
    issuer.redeem(&client, &code, &[("resource", MAIL)]).assert_error(400, "invalid_target");
    let wrong = [("redirect_uri", "https://app.example.com/other")];
    issuer.redeem(&client, &code, &wrong).assert_error(400, "invalid_grant");
    let wrong = crate::issuer::Client { secret: Some("cs_x".to_owned()), ..client.clone() };
    issuer.redeem(&wrong, &code, &[]).assert_error(401, "invalid_client");
    let right = [("resource", FILES), ("redirect_uri", CALLBACK)];
    assert_eq!(issuer.redeem(&client, &code, &right).status, 200);
}

/// A wrong verifier is no accident: the code is burnt.
#[test]
fn attack_11_wrong_verifier_burns_the_code() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let code = issuer.code(&client, &[]);
    let wrong = "a".repeat(43);
    issuer.redeem(&client, &code, &[("code_verifier", &wrong)]).assert_error(400, "invalid_grant");
    issuer.redeem(&client, &code, &[]).assert_error(400, "invalid_grant");
}

/// RFC 7636 §4.1: what has not the form of a verifier is none.
#[test]
fn verifier_grammar() {
    let issuer = Issuer::start();
    let client = issuer.client();
    for verifier in ["short", &"a".repeat(129), &format!("{VERIFIER}="), &"ä".repeat(43)] {
        let code = issuer.code(&client, &[]);
        issuer
            .redeem(&client, &code, &[("code_verifier", verifier)])
            .assert_error(400, "invalid_grant");
    }
}

/// OAuth 2.1 §3.2: parameters are sent once; `resource` too, since a token is for one.
#[test]
fn repeated_parameters() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let code = issuer.code(&client, &[]);
    let body = encode(&[
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("code_verifier", VERIFIER),
        ("client_id", &client.id),
    ]);
    let post =
        |more: &str| send("POST", &issuer.at("/token"), &[FORM], Some(&format!("{body}&{more}")));
    for more in ["code=x", "grant_type=refresh_token", "client_id=x", "code_verifier=x", "a=1&a=2"]
    {
        post(more).assert_error(400, "invalid_request");
    }
    post("resource=https%3A%2F%2Fmail.example.com&resource=https%3A%2F%2Fmcp.example.com%2Ffiles")
        .assert_error(400, "invalid_target");
    assert_eq!(post("unknown=1").status, 200);
}

/// Attack 58: whatever comes, the answer is about the request.
#[test]
fn attack_58_odd_requests() {
    let issuer = Issuer::start();
    let client = issuer.client();
    let url = issuer.at("/token");
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        let body = matches!(method, "PUT").then_some("x");
        let answer = send(method, &url, &[], body);
        assert_eq!((answer.status, answer.header("allow")), (405, "POST, OPTIONS"), "{method}");
    }
    let in_query = format!("{url}?grant_type=refresh_token&client_id={}", client.id);
    assert_eq!(send("GET", &in_query, &[], None).status, 405);
    let body = format!("grant_type=refresh_token&refresh_token=rt_x&client_id={}", client.id);
    for kind in ["application/json", "text/plain", "multipart/form-data; boundary=x", "garbage"] {
        let answer = send("POST", &url, &[("content-type", kind)], Some(&body));
        answer.assert_error(415, "invalid_request");
    }
    send("POST", &url, &[], Some(&body)).assert_error(415, "invalid_request");
    for kind in
        ["application/x-www-form-urlencoded; charset=utf-8", "Application/X-WWW-Form-Urlencoded"]
    {
        let answer = send("POST", &url, &[("content-type", kind)], Some(&body));
        answer.assert_error(400, "invalid_grant");
    }
    send("POST", &url, &[FORM], Some("{}")).assert_error(400, "invalid_request");
    send("POST", &url, &[FORM], Some("")).assert_error(400, "invalid_request");
    send("POST", &url, &[FORM], Some("%=%&&==&\0")).assert_error(400, "invalid_request");
    let large = format!("{body}&x={}", "x".repeat(100_000));
    send("POST", &url, &[FORM], Some(&large)).assert_error(413, "invalid_request");
    // Parameters of the URL are none of the request.
    let answer = send("POST", &in_query, &[FORM], Some("refresh_token=rt_x"));
    answer.assert_error(400, "invalid_request");
}
