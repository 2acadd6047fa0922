//! What a new start finds (complaint 8), and what it refuses.

use std::fs;

use crate::{
    browser::{Browser, text},
    issuer::{FILES, Folder, Issuer},
    tokens::verified,
};

/// Registrations, keys, sessions, consents, codes and refresh tokens are all still there.
#[test]
fn complaint_8_a_restart_keeps_everything() {
    let issuer = Issuer::start();
    let stranger = issuer.registered("http://127.0.0.1/cb");
    let client = issuer.client();
    let mut browser = Browser::new();
    let url = issuer.authorize_url(&client, &[]);
    let code = browser.authorize(&issuer, &url).parameter("code");
    let tokens = issuer.redeem(&client, &code, &[]).json();
    let unused = browser.visit(&issuer, &url).parameter("code");
    let open = issuer.authorize_url(&stranger, &[("redirect_uri", "http://127.0.0.1:1/cb")]);
    let page = browser.visit(&issuer, &open);
    let address = issuer.url.clone();

    let issuer = issuer.restart();
    assert_eq!(issuer.url, address);
    verified(&issuer, text(&tokens, "access_token"));
    assert_eq!(issuer.refresh(&client, text(&tokens, "refresh_token"), &[]).status, 200);
    assert_eq!(issuer.redeem(&client, &unused, &[]).status, 200);
    assert!(browser.visit(&issuer, &url).parameter("code").starts_with("ac_"));
    let code = browser.press(&issuer, &page, "allow", &[]).parameter("code");
    assert_eq!(issuer.redeem(&stranger, &code, &[]).status, 200);
    issuer.redeem(&stranger, &code, &[]).assert_error(400, "invalid_grant");
}

/// Keys are nothing without the key that seals them, and that is not made a second time.
#[test]
fn attack_57_the_sealing_key_must_fit() {
    let mut issuer = Issuer::start();
    let folder = issuer.end();
    let key = folder.path().join("countersign.key");
    let right = fs::read_to_string(&key).unwrap();

    fs::remove_file(&key).unwrap();
    let config = folder.config();
    let folder = refused(folder, &config, "config_invalid");
    assert!(!key.exists(), "a new key would hide that the old one is missing");

    for (text, reason) in [
        ("", "config_invalid"),
        ("changeme", "config_invalid"),
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "config_invalid"),
        ("Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2RlZmdoaWo", "crypto_failed"),
    ] {
        fs::write(&key, text).unwrap();
        let error = Issuer::run(Folder::new(), config.clone()).err().unwrap();
        assert_eq!(error.reason(), reason, "{text}: {error}");
    }
    fs::write(&key, right).unwrap();
    Issuer::run(folder, config).unwrap();
}

fn refused(folder: Folder, config: &countersign_issuer::Config, reason: &str) -> Folder {
    let error = Issuer::run(Folder::new(), config.clone()).err().unwrap();
    assert_eq!(error.reason(), reason, "{error}");
    folder
}

/// Password hashes and keys are for the owner of the files.
#[cfg(unix)]
#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let issuer = Issuer::start();
    for entry in fs::read_dir(issuer.folder().path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
    }
}

/// Two that share a database, as one server and its administration do.
#[test]
fn what_is_added_meanwhile_counts_at_once() {
    let issuer = Issuer::start();
    let database = issuer.folder().database();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(countersign_issuer::Store::open(&database)).unwrap();
    let found = runtime.block_on(store.resources()).unwrap();
    assert!(found.iter().any(|resource| resource.uri == FILES));
    let new = countersign_issuer::NewUser { name: "grace", email: None, password: "12345678" };
    runtime.block_on(store.create_user(new)).unwrap();
    let mut browser = Browser::new();
    let page = browser.visit(&issuer, &issuer.authorize_url(&issuer.client(), &[]));
    let fields = [("username", "grace"), ("password", "12345678")];
    browser.press(&issuer, &page, "login", &fields).assert_page(200);
    runtime.block_on(store.close());
}
