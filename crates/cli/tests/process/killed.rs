//! SIGKILL in the middle of traffic: nothing that was answered is lost (complaint 8 of the issuer's
//! list).

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    browser::{Answer, Browser, encode, post_form, post_json},
    program::{Folder, Serving, free_port},
};

const PASSWORD: &str = "correct horse battery staple";
const CALLBACK: &str = "https://app.example.com/callback";

/// RFC 7636 Appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A client of a server that may be gone.
#[derive(Clone, Copy)]
struct Client<'a> {
    url: &'a str,
    id: &'a str,
}

impl Client<'_> {
    fn token(self, parameters: &[(&str, &str)]) -> Result<Answer, ureq::Error> {
        let parameters = [&[("client_id", self.id)], parameters].concat();
        post_form(&format!("{}/token", self.url), "", &parameters)
    }

    fn redeem(self, code: &str) -> Result<Answer, ureq::Error> {
        let grant = ("grant_type", "authorization_code");
        self.token(&[grant, ("code", code), ("code_verifier", VERIFIER)])
    }

    fn refresh(self, token: &str) -> Result<Answer, ureq::Error> {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)])
    }

    /// A code; after the first time the consent is remembered, and no page comes.
    fn code(self, browser: &mut Browser) -> Result<String, ureq::Error> {
        let query = encode(&[
            ("response_type", "code"),
            ("client_id", self.id),
            ("redirect_uri", CALLBACK),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
        browser.code(&format!("{}/authorize?{query}", self.url), "ada", PASSWORD)
    }
}

/// What the server said that it has done.
#[derive(Default)]
struct Answered {
    registered: Mutex<Vec<String>>,
    codes: Mutex<Vec<String>>,
    redeemed: Mutex<Vec<(String, String)>>,
    refreshed: AtomicUsize,
}

#[test]
fn complaint_8_a_kill_loses_nothing_that_was_answered() {
    let folder = Folder::new();
    let add = ["user", "add", "ada", "--password-stdin"];
    folder.run_with(&add, PASSWORD).done();
    let add =
        ["resource", "add", "https://mcp.example.com", "--name", "Files", "--scope", "read=Read"];
    folder.run(&add).done();
    let add = ["--json", "client", "add", "--name", "App", "--redirect-uri", CALLBACK];
    let client = folder.run(&add).json()["client_id"].as_str().unwrap().to_owned();

    let port = free_port();
    let mut server = folder.serve(port);
    let url = server.url.clone();
    let client = Client { url: &url, id: &client };
    let mut browser = Browser::default();
    let code = client.code(&mut browser).unwrap();
    let mut chain = client.redeem(&code).unwrap().text("refresh_token");
    let jwks = crate::browser::get(&format!("{url}/jwks"), "").unwrap().body;

    for round in 0..5 {
        let answered = Answered::default();
        let last = traffic(&mut server, client, &browser, &chain, &answered, round);
        server = folder.serve(port);
        assert_eq!(crate::browser::get(&format!("{url}/jwks"), "").unwrap().body, jwks);
        chain = check(client, &last, &answered);
    }
}

/// Four kinds of traffic until the server is killed. Gives the last refresh token of the chain that
/// was answered.
fn traffic(
    server: &mut Serving,
    client: Client<'_>,
    browser: &Browser,
    chain: &str,
    answered: &Answered,
    round: u64,
) -> String {
    thread::scope(|scope| {
        let registrations = || {
            let body = json!({ "client_name": "Stranger", "redirect_uris": [CALLBACK] });
            while let Ok(answer) = post_json(&format!("{}/register", client.url), &body) {
                assert_eq!(answer.status, 201, "{answer:?}");
                answered.registered.lock().unwrap().push(answer.text("client_id"));
            }
        };
        let refreshes = || {
            let mut token = chain.to_owned();
            while let Ok(answer) = client.refresh(&token) {
                assert_eq!(answer.status, 200, "{answer:?}");
                token = answer.text("refresh_token");
                answered.refreshed.fetch_add(1, Ordering::Relaxed);
            }
            token
        };
        let codes = || {
            let mut browser = browser.clone();
            while let Ok(code) = client.code(&mut browser) {
                answered.codes.lock().unwrap().push(code);
            }
        };
        let redemptions = || {
            let mut browser = browser.clone();
            while let Ok(code) = client.code(&mut browser) {
                let Ok(answer) = client.redeem(&code) else { break };
                assert_eq!(answer.status, 200, "{answer:?}");
                let token = answer.text("refresh_token");
                answered.redeemed.lock().unwrap().push((code, token));
            }
        };
        scope.spawn(registrations);
        scope.spawn(codes);
        scope.spawn(redemptions);
        let chain = scope.spawn(refreshes);
        let done = || {
            !answered.registered.lock().unwrap().is_empty()
                && !answered.codes.lock().unwrap().is_empty()
                && answered.redeemed.lock().unwrap().len() > 1
                && answered.refreshed.load(Ordering::Relaxed) > 0
        };
        // On a busy machine it takes a while until each kind had its turn.
        for _ in 0..400 {
            thread::sleep(Duration::from_millis(50));
            if done() {
                break;
            }
        }
        assert!(done(), "no traffic");
        // Not always at the same point of the same request.
        thread::sleep(Duration::from_millis(37 * round));
        server.kill();
        chain.join().unwrap()
    })
}

/// All of it is there after the restart. Gives a refresh token to go on with.
fn check(client: Client<'_>, chain: &str, answered: &Answered) -> String {
    for id in answered.registered.lock().unwrap().iter() {
        let answer = Client { id, ..client }.redeem("ac_unknown").unwrap();
        assert_eq!(answer.text("error"), "invalid_grant", "{id} is known: {answer:?}");
    }
    for code in answered.codes.lock().unwrap().iter() {
        let answer = client.redeem(code).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let redeemed = answered.redeemed.lock().unwrap();
    for (_, token) in redeemed.iter().skip(1) {
        let answer = client.refresh(token).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    // What was used stays used: a code that comes again ends what came of it.
    let (code, token) = &redeemed[0];
    assert_eq!(client.redeem(code).unwrap().text("error"), "invalid_grant");
    assert_eq!(client.refresh(token).unwrap().text("error"), "invalid_grant");
    // Its successor may have been stored and not answered: then the retry gets that one.
    let answer = client.refresh(chain).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text("refresh_token")
}
