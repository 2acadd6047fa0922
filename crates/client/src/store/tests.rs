//! The file of logins: whose it is, who writes to it at once, and what else may stand in it.

use std::process::{Command, Stdio};

use super::*;
use crate::tests::world::{Folder, login};

fn store(folder: &Folder) -> Store {
    Store::new(folder.path().join("logins").join("credentials.json"))
}

fn login_to(url: &str) -> Login {
    login(url, "https://auth.example.com")
}

async fn keep(store: &Store, url: &str) {
    store.lock().await.unwrap().keep(url, login_to(url)).unwrap();
}

fn urls(store: &Store) -> Vec<String> {
    store.logins().unwrap().into_iter().map(|(url, _)| url).collect()
}

/// Only its user reads it, whatever a program that was killed left behind.
#[cfg(unix)]
#[tokio::test]
async fn files_are_their_users_alone() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let folder = Folder::new();
    let store = store(&folder);
    let inner = store.folder();
    keep(&store, "https://h/mcp").await;
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&inner), mode(store.path())), (0o700, 0o600));
    assert_eq!(mode(&store.beside("lock")), 0o600);

    // Half a file of a killed program, which others can read.
    fs::write(store.beside("new"), "{").unwrap();
    fs::set_permissions(store.beside("new"), fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(store.path(), fs::Permissions::from_mode(0o644)).unwrap();
    keep(&store, "https://h/two").await;
    assert_eq!(mode(store.path()), 0o600);
    assert_eq!(urls(&store), ["https://h/mcp", "https://h/two"]);

    // A link that somebody put there is not followed.
    let other = folder.path().join("other");
    fs::write(&other, "mine").unwrap();
    symlink(&other, store.beside("new")).unwrap();
    keep(&store, "https://h/three").await;
    assert_eq!(fs::read(&other).unwrap(), b"mine");
    assert_eq!(mode(store.path()), 0o600);
}

/// A file that is not one of logins, or of another version, is left as it is, and not shown.
#[tokio::test]
async fn content_of_others() {
    let folder = Folder::new();
    let store = store(&folder);
    make_folder(&store.folder()).unwrap();
    for (text, expected) in [
        ("", "not a file of logins"),
        ("s3cret", "not a file of logins"),
        ("[]", "not a file of logins"),
        (r#"{"logins":{}}"#, "not a file of logins"),
        (r#"{"version":1,"logins":{"https://h":{"tokens":"s3cret"}}}"#, "not a file of logins"),
        (r#"{"version":2,"logins":["s3cret"]}"#, "another version"),
        (r#"{"version":0}"#, "another version"),
    ] {
        fs::write(store.path(), text).unwrap();
        for error in [store.logins().unwrap_err(), store.lock().await.unwrap_err()] {
            assert_eq!(error.reason(), "store_failed");
            let said = error.to_string();
            assert!(said.contains(expected) && !said.contains("s3cret"), "{text}: {said}");
        }
        assert_eq!(fs::read_to_string(store.path()).unwrap(), text);
    }
    // What is not known of this version does no harm.
    fs::write(store.path(), r#"{"version":1,"more":[1]}"#).unwrap();
    assert!(urls(&store).is_empty());
}

/// A login is found by the URL that was typed, and by the other spellings of the same one.
#[tokio::test]
async fn spellings_of_a_url() {
    let folder = Folder::new();
    let store = store(&folder);
    keep(&store, "https://H.example").await;
    keep(&store, "https://h.example/mcp").await;
    keep(&store, "https://h.example:443/").await;
    assert_eq!(urls(&store), ["https://H.example", "https://h.example/mcp"]);
    for (url, is_known) in [
        ("https://h.example/", true),
        ("HTTPS://h.EXAMPLE/mcp", true),
        ("https://h.example/mcp/", false),
        ("https://h.example/MCP", false),
        ("http://h.example/mcp", false),
        ("https://h.example:8443/mcp", false),
        ("https://h.example/mcp?x", false),
        ("https://h.example.evil/mcp", false),
        ("nonsense", false),
    ] {
        assert_eq!(store.login(url).unwrap().is_some(), is_known, "{url}");
    }
    let mut locked = store.lock().await.unwrap();
    locked.forget("https://h.example/other").unwrap();
    locked.forget("https://h.example/").unwrap();
    drop(locked);
    assert_eq!(urls(&store), ["https://h.example/mcp"]);
}

/// Two stores in one folder are two, whatever their names end in.
#[tokio::test]
async fn neighbours() {
    let folder = Folder::new();
    for name in ["a.json", "a.toml", "a.lock", "a.new"] {
        let store = Store::new(folder.path().join(name));
        let _other = Store::new(folder.path().join("a.json")).lock().await;
        if name != "a.json" {
            store.lock_within(Duration::from_millis(200)).await.unwrap();
            keep(&store, &format!("https://h/{name}")).await;
        }
    }
    for name in ["a.toml", "a.lock", "a.new"] {
        let store = Store::new(folder.path().join(name));
        assert_eq!(urls(&store), [format!("https://h/{name}")]);
    }
}

/// Who waits for the file comes to an end, and may go away meanwhile.
#[tokio::test]
async fn a_lock_that_is_held() {
    let folder = Folder::new();
    let store = store(&folder);
    let held = store.lock().await.unwrap();
    let error = store.lock_within(Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(error.reason(), "store_failed");
    let waiting = tokio::time::timeout(Duration::from_millis(50), store.lock());
    assert!(waiting.await.is_err());
    // Whoever only reads does not wait.
    assert!(urls(&store).is_empty());
    drop(held);
    store.lock().await.unwrap();
}

const CHILD: &str = "COUNTERSIGN_TEST_STORE";
const EACH: usize = 15;

/// Not a test of its own: what the next one runs as other processes.
#[tokio::test]
#[ignore = "run by many_at_once"]
async fn one_of_many() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let store = Store::new(path);
    for number in 0..EACH {
        keep(&store, &format!("https://h/{}/{number}", std::process::id())).await;
    }
}

/// Nothing is lost between processes, and whoever reads sees a whole file.
#[tokio::test]
async fn many_at_once() {
    let folder = Folder::new();
    let store = store(&folder);
    let program = std::env::current_exe().unwrap();
    let mut children: Vec<_> = (0..3)
        .map(|_| {
            Command::new(&program)
                .args(["--exact", "store::tests::one_of_many", "--ignored"])
                .env(CHILD, store.path())
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    while children.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
        store.logins().unwrap();
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(urls(&store).len(), 3 * EACH);
}
