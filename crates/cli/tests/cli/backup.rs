//! `countersign backup` and `countersign restore`, as the operator's guide has them.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use countersign_testkit::postgres;

use crate::{
    http,
    server::{Browser, fill, redeem, refresh, register, token},
    tool::Folder,
};

fn names(folder: &Folder, database: &str) -> Vec<String> {
    let users = folder.json(&["--json", "--database", database, "user", "list"]);
    let users = users.as_array().unwrap();
    users.iter().map(|user| user["name"].as_str().unwrap().to_owned()).collect()
}

fn add_user(folder: &Folder, name: &str) {
    assert_eq!(folder.run(&["user", "add", name, "--password-stdin"], "12345678").code, 0);
}

/// A copy of one moment, whatever happens meanwhile.
#[test]
fn backups_while_the_server_works() {
    let folder = Folder::new();
    let server = folder.serve(&["--listen", "127.0.0.1:0"]);
    fill(&folder);
    let client = register(&server);
    let code = Browser::default().authorize(&server, &client);
    let mut tokens = redeem(&server, &client, &code);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                tokens = refresh(&server, &client, &tokens);
                count += 1;
            }
            count
        });
        for index in 0..5 {
            let file = format!("backup-{index}.db");
            let output = folder.run(&["backup", &file], "");
            assert_eq!(output.code, 0, "{output:?}");
            assert_eq!(names(&folder, &file), ["ada"]);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(traffic.join().unwrap() > 0);
    });
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(folder.path().join("backup-0.db")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "password hashes are in it");
    }
    let again = folder.run(&["--json", "backup", "backup-0.db"], "");
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("already_exists"), "{again:?}");
}

/// The server goes on, with what it had then; what has ended since does not come back.
#[test]
fn restored_while_the_server_works() {
    let folder = Folder::new();
    let server = folder.serve(&["--listen", "127.0.0.1:0"]);
    fill(&folder);
    let client = register(&server);
    let mut browser = Browser::default();
    let code = browser.authorize(&server, &client);
    let used = redeem(&server, &client, &code);
    let unused = browser.authorize(&server, &client);
    assert_eq!(folder.run(&["backup", "backup.db"], "").code, 0);

    add_user(&folder, "grace");
    let tokens = refresh(&server, &client, &used);
    refresh(&server, &client, &tokens);
    let first = folder.json(&["key", "list", "--json"])[0]["kid"].as_str().unwrap().to_owned();
    let stranger = register(&server);
    assert_eq!(folder.run(&["restore", "backup.db"], "").code, 0);

    assert_eq!(names(&folder, "countersign.db"), ["ada"]);
    // A token that was used after the backup is no good, and neither is a code.
    for secret in [&used, &tokens] {
        let parameters = [
            ("grant_type", "refresh_token"),
            ("refresh_token", secret["refresh_token"].as_str().unwrap()),
            ("client_id", &client),
        ];
        token(&server, &parameters).assert_error(400, "invalid_grant");
    }
    let parameters = [
        ("grant_type", "authorization_code"),
        ("code", unused.as_str()),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        ("client_id", &client),
    ];
    token(&server, &parameters).assert_error(400, "invalid_grant");
    let parameters =
        [("grant_type", "refresh_token"), ("refresh_token", "rt_x"), ("client_id", &stranger)];
    token(&server, &parameters).assert_error(401, "invalid_client");
    // Ada logs in again, and the same key signs.
    let code = Browser::default().authorize(&server, &client);
    let tokens = redeem(&server, &client, &code);
    assert!(http::get(&server.at("/jwks")).body.contains(&first));
    refresh(&server, &client, &tokens);

    // With the grants, if that is what is wanted. A key that was revoked stays so.
    let kid = folder.json(&["key", "list", "--json"])[0]["kid"].as_str().unwrap().to_owned();
    assert_eq!(folder.run(&["backup", "second.db"], "").code, 0);
    assert_eq!(folder.run(&["key", "revoke", &kid, "--reason", "test"], "").code, 0);
    assert_eq!(folder.run(&["restore", "second.db", "--keep-grants"], "").code, 0);
    refresh(&server, &client, &tokens);
    let keys = folder.json(&["key", "list", "--json"]);
    let state = |kid: &str| {
        let found = keys.as_array().unwrap().iter().find(|key| key["kid"] == kid).unwrap();
        found["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(&kid), "revoked");
    // The server takes it over within seconds, and has another one.
    let published = || http::get(&server.at("/jwks")).body;
    let begun = Instant::now();
    while published().contains(&kid) && begun.elapsed() < Duration::from_secs(60) {
        // Never without a key that signs.
        assert!(published().contains("kid"));
        thread::sleep(Duration::from_millis(20));
    }
    assert!(!published().contains(&kid) && published().contains("kid"), "{}", published());
    let (code, log) = server.signal("-TERM");
    assert_eq!(code, 0, "{log}");
}

/// The machine is lost, and backup and sealing key are what is left.
#[test]
fn restored_from_nothing() {
    let folder = Folder::new();
    let server = folder.serve(&["--listen", "127.0.0.1:0"]);
    fill(&folder);
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let keys = http::get(&server.at("/jwks")).json()["keys"].clone();
    assert_eq!(folder.run(&["backup", "backup.db"], "").code, 0);
    server.kill();
    for name in ["countersign.db", "countersign.db-wal", "countersign.db-shm"] {
        let _ = fs::remove_file(folder.path().join(name));
    }
    assert_eq!(folder.run(&["restore", "backup.db"], "").code, 0);
    let server = folder.serve(&["--listen", &address]);
    assert_eq!(http::get(&server.at("/jwks")).json()["keys"], keys);
    let client = register(&server);
    let code = Browser::default().authorize(&server, &client);
    redeem(&server, &client, &code);
}

#[test]
fn what_is_no_backup_changes_nothing() {
    let folder = Folder::new();
    add_user(&folder, "ada");
    assert_eq!(folder.run(&["backup", "backup.db"], "").code, 0);
    let path = |name: &str| folder.path().join(name);
    fs::write(path("text.db"), "nothing ".repeat(1000)).unwrap();
    let mut bytes = fs::read(path("backup.db")).unwrap();
    let middle = bytes.len() / 4;
    bytes[middle..].fill(0x5a);
    fs::write(path("damaged.db"), bytes).unwrap();
    for bad in ["text.db", "damaged.db", "missing.db"] {
        let refused = folder.run(&["restore", bad], "");
        assert_eq!(refused.code, 1, "{bad}: {refused:?}");
    }
    assert_eq!(folder.run(&["restore"], "").code, 1);
    assert_eq!(names(&folder, "countersign.db"), ["ada"]);
    // Nor is there an empty database afterwards where there was none.
    for arguments in [&["restore"][..], &["restore", "missing.db"], &["restore", "text.db"]] {
        let refused = folder.run(&[&["--database", "new.db"], arguments].concat(), "");
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(!path("new.db").exists(), "{arguments:?}");
    }
    let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<String> = left.map(|name| name.into_string().unwrap()).collect();
    assert!(!left.iter().any(|name| name.contains("restoring")), "{left:?}");
}

/// PostgreSQL has its own tools; the guide's commands, one after the other.
#[test]
fn postgres_by_its_own_tools() {
    let folder = Folder::new();
    let database = postgres::Database::new();
    let url = database.url();
    let run = |arguments: &[&str], input: &str| {
        folder.run(&[&["--database", url.as_str()], arguments].concat(), input)
    };
    assert_eq!(run(&["user", "add", "ada", "--password-stdin"], "12345678").code, 0);
    let refused = run(&["backup", "backup.db"], "");
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("pg_dump"), "{refused:?}");
    let dump = folder.path().join("backup.dump");
    fs::write(&dump, database.run("pg_dump", &["--format=custom"])).unwrap();
    assert_eq!(run(&["user", "add", "grace", "--password-stdin"], "12345678").code, 0);
    let dump = dump.display().to_string();
    // What a newer version of the program may have added is not in the dump, and must not be in its way.
    let added = "CREATE TABLE newer (client TEXT REFERENCES clients (id))";
    assert_eq!(database.run("psql", &["-q", "-v", "ON_ERROR_STOP=1", "-c", added]), b"");
    database.empty();
    assert_eq!(database.run("pg_restore", &["--single-transaction", &dump]), b"");
    let output = run(&["restore"], "");
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(names(&folder, &url), ["ada"]);
}
