//! Options, environment and `countersign.toml`.

use std::fs;

use serde_json::Value;

use crate::tool::Folder;

#[test]
fn options_come_before_the_environment_and_that_before_the_file() {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("etc")).unwrap();
    let file = "listen = \"127.0.0.1:1\"\nissuer = \"https://file.example\"\n\
                access_token_lifetime = 60\nregistration = \"off\"\n                client_documents = \"claude.ai,example.com\"\n\
                outbound_networks = \"10.1.0.0/16\"\noutbound_certificates = \"ca.pem\"\n\
                database = \"data.db\"\n";
    fs::write(folder.path().join("etc/countersign.toml"), file).unwrap();
    let check = ["config", "check", "--json", "--config", "etc/countersign.toml"];
    let config = folder.json(&check);
    assert_eq!(config["listen"], "127.0.0.1:1");
    assert_eq!(config["access_token_lifetime"], 60);
    assert_eq!(config["registration"], "off");
    assert_eq!(config["client_documents"], "claude.ai,example.com");
    assert_eq!(config["outbound_networks"], serde_json::json!(["10.1.0.0/16"]));
    assert_eq!(config["outbound_certificates"], "etc/ca.pem");
    assert_eq!(config["database"], "etc/data.db", "beside the file");
    assert_eq!(config["key_file"], "etc/countersign.key");

    let mut command = folder.command(&[&check[..], &["--listen", "127.0.0.1:3"]].concat());
    command
        .env("COUNTERSIGN_LISTEN", "127.0.0.1:2")
        .env("COUNTERSIGN_ISSUER", "https://environment.example");
    let config: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    assert_eq!(config["listen"], "127.0.0.1:3");
    assert_eq!(config["issuer"], "https://environment.example");

    let default = folder.json(&["config", "check", "--json"]);
    assert_eq!(default["listen"], "127.0.0.1:8090");
    assert_eq!(default["issuer"], "http://127.0.0.1:8090");
    assert_eq!(default["database"], "countersign.db");
    assert_eq!(default["client_documents"], "open");
    assert_eq!(default["status_list_lifetime"], 60);
    let long = ["config", "check", "--json", "--status-list-lifetime", "3600"];
    assert_eq!(folder.json(&long)["status_list_lifetime"], 3600);
    assert_eq!(default["trusted_proxies"], 0);
    assert_eq!(default["dpop_nonces"], false);
    for switch in [&["--dpop-nonces"][..], &["--dpop-nonces", "true"]] {
        let config = folder.json(&[&["config", "check", "--json"], switch].concat());
        assert_eq!(config["dpop_nonces"], true);
    }
    assert_eq!(default["token_claims"], serde_json::json!([]));
    let claims = ["config", "check", "--json", "--token-claims", "roles, tenant"];
    assert_eq!(folder.json(&claims)["token_claims"], serde_json::json!(["roles", "tenant"]));
    assert_eq!(default["outbound_networks"], serde_json::json!([]));
    assert_eq!(default["redis"], Value::Null);
    let redis = ["config", "check", "--json", "--redis", "redis://ada:secret@h:6379/1"];
    assert_eq!(folder.json(&redis)["redis"], "redis://ada@h:6379/1", "without the password");
    assert!(!folder.path().join("countersign.db").exists(), "checking makes nothing");
}

/// Who says that clients do not come by themselves means documents too, unless they are named.
#[test]
fn closed_registration_closes_documents() {
    let folder = Folder::new();
    let check = |rest: &[&str]| {
        let args = [&["config", "check"], rest].concat();
        let text = folder.run(&args, "").stdout;
        let data = folder.json(&[&args[..], &["--json"]].concat());
        (data["client_documents"].clone(), text)
    };
    for (args, documents, said) in [
        (&[][..], "open", "Any client may come, by registration; and with a document (open)."),
        (&["--registration", "off"], "off", "No client may come but those that you add."),
        (&["--registration", "token"], "off", "with an initial access token"),
        (
            &["--registration", "off", "--client-documents", "open"],
            "open",
            "Any client may come, with a document.",
        ),
        (
            &["--registration", "token", "--client-documents", "claude.ai"],
            "claude.ai",
            "documents of claude.ai",
        ),
        (&["--client-documents", "off"], "off", "Any client may come, by registration.\n"),
    ] {
        let (shown, text) = check(args);
        assert_eq!(shown, documents, "{args:?}");
        assert!(text.contains(said), "{args:?}: {text}");
    }
}

#[test]
fn the_administration_reads_the_file_too() {
    let folder = Folder::new();
    fs::write(folder.path().join("countersign.toml"), "database = \"data.db\"\n").unwrap();
    let add = ["user", "add", "ada", "--password-stdin", "--config", "countersign.toml"];
    assert_eq!(folder.run(&add, "correct horse\n").code, 0);
    assert!(folder.path().join("data.db").exists());
}

#[test]
fn mistakes_are_explained() {
    let folder = Folder::new();
    let file = folder.path().join("countersign.toml");
    for (text, said) in [
        ("listne = \"127.0.0.1:1\"", "unknown field `listne`"),
        ("listen = 8090", "listen"),
        ("registration = \"maybe\"", "maybe"),
        ("client_documents = \"maybe\"", "not a domain"),
        ("token_claims = \"roles,sub\"", "meaning of its own"),
        ("redis = \"localhost:6379\"", "redis: must be redis://"),
        ("client_documents = \"claude.ai,\"", "not a domain"),
        ("outbound_networks = \"10.0.0.1/8\"", "range of addresses"),
        ("issuer = \"https://a.example/\"", "trailing slash"),
        ("issuer = \"http://a.example\"", "https"),
        ("listen = \"0.0.0.0:8090\"", "TLS proxy"),
        ("access_token_lifetime = 1", "between 10 and 86400"),
        ("status_list_lifetime = 3601", "between 60 and 3600"),
        ("issuer = \"https://a.example", "line 1"),
    ] {
        fs::write(&file, text).unwrap();
        for command in [&["config", "check"][..], &["serve"]] {
            let args = [command, &["--config", "countersign.toml", "--json"]].concat();
            let output = folder.run(&args, "");
            assert_eq!(output.code, 1, "{text}");
            let error: Value = serde_json::from_str(&output.stderr).unwrap();
            assert_eq!(error["error"], "config_invalid", "{text}");
            assert!(error["message"].as_str().unwrap().contains(said), "{text}: {error}");
        }
    }
    let output = folder.run(&["config", "check", "--config", "none.toml"], "");
    assert_eq!(output.code, 1);
    assert!(output.stderr.contains("none.toml"));
}

/// A proxy that was not declared is everybody at once; `serve` says so too, and starts.
#[test]
fn undeclared_proxies_are_warned_about() {
    let folder = Folder::new();
    let https = ["--issuer", "https://auth.example.com"];
    let check = [&["config", "check"][..], &https].concat();
    let warned = folder.run(&check, "");
    assert_eq!(warned.code, 0);
    assert!(warned.stderr.contains("--trusted-proxies 1"), "{warned:?}");
    let warned = folder.run(&[&check[..], &["--json"]].concat(), "");
    let warning: Value = serde_json::from_str(&warned.stderr).unwrap();
    assert_eq!(warning["warning"], "addresses_unknown");
    let declared = folder.run(&[&check[..], &["--trusted-proxies", "1"]].concat(), "");
    assert_eq!((declared.code, declared.stderr.as_str()), (0, ""));
    let server = folder.serve(&[&["--listen", "127.0.0.1:0"][..], &https].concat());
    let (code, log) = server.signal("-TERM");
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("addresses_unknown"), "{log}");
}

/// Attack 57: a key that somebody typed is none.
#[test]
fn attack_57_weak_keys_are_refused() {
    let folder = Folder::new();
    for key in ["", "changeme", &"A".repeat(43)] {
        let mut command = folder.command(&["serve", "--listen", "127.0.0.1:0"]);
        let output = command.env("COUNTERSIGN_KEY", key).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{key:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("COUNTERSIGN_KEY"));
    }
}

/// The guide's table has each setting, with the default that the program has.
#[test]
fn the_guide_has_every_setting() {
    let guide = include_str!("../../../../docs/issuer.md");
    let defaults = Folder::new().json(&["config", "check", "--json"]);
    for (name, value) in defaults.as_object().unwrap() {
        let row = guide.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("{name} is not in docs/issuer.md"));
        let default = row.split('|').nth(2).unwrap();
        match value {
            Value::Number(number) => assert!(default.contains(&format!("`{number}`")), "{row}"),
            Value::String(text) if name != "issuer" => {
                assert!(default.contains(&format!("`{text}`")), "{row}");
            }
            _ => {}
        }
    }
}

/// The URL of a database has a password in it.
#[test]
fn passwords_are_not_printed() {
    let folder = Folder::new();
    let url = "postgres://ada:hunter2@127.0.0.1:1/db?sslmode=disable";
    let shown = folder.run(&["config", "check", "--database", url, "--key-file", "k"], "");
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.stdout.contains("postgres://ada@127.0.0.1:1/db"), "{shown:?}");
    let down = folder.run(&["user", "list", "--database", url], "");
    assert_eq!(down.code, 1);
    for text in [shown.stdout, shown.stderr, down.stdout, down.stderr] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    // Where it goes without saying for SQLite, it must be said here.
    let command = ["serve", "--listen", "127.0.0.1:0", "--database", url];
    assert!(folder.run(&command, "").stderr.len() > 10);
}

/// What `serve` would refuse is not called valid, and `serve` refuses it before it makes or changes anything.
#[test]
fn what_cannot_start_is_not_valid() {
    let folder = Folder::new();
    fs::write(folder.path().join("bad.key"), "changeme").unwrap();
    for (options, said) in [
        (&["--database", "postgres://localhost/x"][..], "--key-file"),
        (&["--key-file", "bad.key"], "bad.key must hold 32 random bytes"),
        (&["--key-file", "missing/countersign.key"], "there is no folder missing"),
        (&["--database", "missing/countersign.db"], "there is no folder missing"),
    ] {
        for command in
            [&["--json", "config", "check"][..], &["--json", "serve", "--listen", "127.0.0.1:0"]]
        {
            let refused = folder.run(&[command, options].concat(), "");
            assert_eq!(refused.code, 1, "{options:?}: {refused:?}");
            assert!(refused.stderr.contains("config_invalid"), "{refused:?}");
            assert!(refused.stderr.contains(said), "{refused:?}");
        }
    }
    let mut command = folder.command(&["config", "check", "--json"]);
    let refused = command.env("COUNTERSIGN_KEY", "changeme").output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("COUNTERSIGN_KEY must hold"));
    assert!(!folder.path().join("countersign.db").exists());
}
