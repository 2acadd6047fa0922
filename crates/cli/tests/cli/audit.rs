//! `countersign audit`: what people and scripts see of it. The checks themselves are tested where they are.

use countersign_e2e::{Answer, Stub};
use serde_json::{Value, json};

use crate::tool::Folder;

/// A server without any authorization.
fn open_server() -> (Stub, String) {
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": {} }).to_string();
    let stub = Stub::start(move |message| match message.target() {
        "/mcp" => Answer::json(answer.clone()),
        _ => Answer::status(404),
    });
    let stub = stub.unwrap();
    let url = format!("http://127.0.0.1:{}/mcp", stub.port());
    (stub, url)
}

#[test]
fn what_fails_is_explained_last() {
    let (_stub, url) = open_server();
    let folder = Folder::new();
    let output = folder.run(&["audit", &url], "");
    assert_eq!((output.code, output.stderr.as_str()), (1, ""));
    let text = output.stdout;
    let (table, rest) = text.split_once("What to do\n").unwrap();
    assert!(table.contains("  fail     authentication_required"), "{text}");
    assert!(
        table.contains("  skipped  all 10 checks: needs a token: --token-file or --with-login"),
        "{text}"
    );
    // Warnings, then what failed, then the grade.
    let warning = rest.find("  warning ").unwrap();
    let failed = rest.find("  fail authentication_required\n    must    ").unwrap();
    let grade = rest.find("\nGrade F: ").unwrap();
    assert!(warning < failed && failed < grade, "{text}");
    assert!(!text.contains('\x1b'), "colours are for terminals: {text}");
}

#[test]
fn as_json() {
    let (_stub, url) = open_server();
    let output = Folder::new().run(&["audit", "--json", &url], "");
    assert_eq!((output.code, output.stderr.as_str()), (1, ""));
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((&report["grade"], &report["url"]), (&json!("F"), &json!(url)));
    let checks = report["checks"].as_array().unwrap();
    for verdict in ["pass", "fail", "warning", "skipped"] {
        assert!(checks.iter().any(|check| check["verdict"] == verdict), "{verdict}");
    }
}

/// 2 for what no request was made for, 1 for what there is nothing to say about.
#[test]
fn nothing_to_audit() {
    let folder = Folder::new();
    let (_stub, url) = open_server();
    for args in [&["audit"][..], &["audit", "mcp.example.com"], &["audit", "http://h/mcp"]] {
        assert_eq!(folder.run(args, "").code, 2, "{args:?}");
    }
    let elsewhere = url.replace("/mcp", "/other");
    let output = folder.run(&["audit", &elsewhere, "--json"], "");
    assert_eq!((output.code, output.stdout.as_str()), (1, ""));
    assert!(output.stderr.contains("there is nothing at this URL"), "{}", output.stderr);
    let output = folder.run(&["audit", &url, "--token-file", "-"], "two words\n");
    assert_eq!(output.code, 1);
    assert!(output.stderr.contains("holds something else"), "{}", output.stderr);
}

/// It is read, sent, and never shown.
#[test]
fn the_token() {
    let token = "an-opaque-token-0123456789";
    let stub = Stub::start(move |message| match message.headers.get("authorization") {
        // It says it again, in all places that are shown.
        Some(_) => Answer::raw(format!(
            "HTTP/1.1 401 -\r\nwww-authenticate: Bearer error_description=\"{token}\"\r\n\
             content-length: 0\r\nconnection: close\r\n\r\n"
        )),
        None => Answer::status(401),
    });
    let stub = stub.unwrap();
    let url = format!("http://127.0.0.1:{}/mcp", stub.port());
    let output = Folder::new().run(&["audit", &url, "--token-file", "-"], &format!("{token}\n"));
    assert_eq!(output.code, 1);
    assert!(output.stdout.contains("401 (the token)"), "{}", output.stdout);
    assert!(!output.stdout.contains(token), "{}", output.stdout);
    let is_sent = stub
        .take()
        .iter()
        .any(|m| m.headers.get("authorization") == Some(format!("Bearer {token}")));
    assert!(is_sent);
}
