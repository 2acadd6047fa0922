//! Durability by sync calls: when an answer says that something is done, the database's log was synced
//! after the last write to it.

use std::{fs, path::PathBuf, process::Command};

use countersign_testkit::postgres::Postgres;

use crate::{
    browser::Browser,
    nodes::{Client, PASSWORD},
    program::{Folder, free_port},
};

const REFRESHES: usize = 25;

/// The library that logs, and where.
struct Shim {
    library: PathBuf,
    log: PathBuf,
}

impl Shim {
    fn build(folder: &Folder) -> Self {
        let library = folder.path().join("syncs.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/syncs.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&library)
            .arg(source)
            .arg("-ldl")
            .status();
        assert!(built.unwrap().success());
        Self { library, log: folder.path().join("syncs.log") }
    }

    fn environment(&self) -> [(&str, &str); 2] {
        [("LD_PRELOAD", self.library.to_str().unwrap()), ("SYNC_LOG", self.log.to_str().unwrap())]
    }

    /// `w` and `s`, in the order of the calls.
    fn calls(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Somebody who has a refresh token from a server with this database.
fn prepared(folder: &Folder, database: &str, url: &str) -> Client {
    let run = |arguments: &[&str], input: &str| {
        folder.run_with(&[&["--database", database], arguments].concat(), input)
    };
    run(&["user", "add", "ada", "--password-stdin"], PASSWORD).done();
    let resource = "https://mcp.example.com";
    run(&["resource", "add", resource, "--name", "Files", "--scope", "read=Read"], "").done();
    let callback = crate::nodes::CALLBACK;
    let add = ["--json", "client", "add", "--name", "App", "--redirect-uri", callback];
    let id = run(&add, "").json()["client_id"].as_str().unwrap().to_owned();
    Client::new(url, url, &id)
}

/// The calls that fell between a request and its answer, for each refresh.
fn refreshes(client: &Client, shim: &Shim) -> Vec<String> {
    let code = client.code(&mut Browser::default()).unwrap();
    let mut token = client.redeem(&code).unwrap().text("refresh_token");
    let one = |_| {
        let before = shim.calls().len();
        token = client.refresh(&token).unwrap().text("refresh_token");
        shim.calls()[before..].to_owned()
    };
    (0..REFRESHES).map(one).collect()
}

#[test]
fn sqlite_answers_after_the_sync() {
    let folder = Folder::new();
    let shim = Shim::build(&folder);
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let client = prepared(&folder, "countersign.db", &url);
    let arguments = ["--database", "countersign.db"];
    let _server = folder.serve(port, &arguments, &shim.environment());
    let calls = refreshes(&client, &shim);
    assert!(calls.iter().all(|calls| calls.contains('w')), "{calls:?}");
    // The server tidies up for itself now and then, and may be at it as one of them is looked at.
    let unsynced = calls.iter().filter(|calls| !calls.ends_with('s')).count();
    assert!(unsynced <= 2, "written and not synced: {calls:?}");
}

/// And the same server without fsync is found out.
#[test]
fn postgres_answers_after_the_sync() {
    for (fsync, is_synced) in [("fsync=on", true), ("fsync=off", false)] {
        let folder = Folder::new();
        let shim = Shim::build(&folder);
        // Written by the server's own user.
        fs::write(&shim.log, "").unwrap();
        open_to_all(&folder, &shim);
        let server = Postgres::start_in(&[fsync, "autovacuum=off"], &shim.environment());
        let database = server.url(&server.create_database());
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let client = prepared(&folder, &database, &url);
        let arguments = ["--database", &database, "--key-file", "countersign.key"];
        let _node = folder.serve(port, &arguments, &[]);
        for calls in refreshes(&client, &shim) {
            assert!(calls.contains('w'), "{calls}");
            assert_eq!(calls.contains('s'), is_synced, "{fsync}: {calls}");
        }
    }
}

fn open_to_all(folder: &Folder, shim: &Shim) {
    use std::os::unix::fs::PermissionsExt as _;
    for (path, mode) in
        [(folder.path(), 0o755), (shim.log.as_path(), 0o666), (shim.library.as_path(), 0o755)]
    {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
}
