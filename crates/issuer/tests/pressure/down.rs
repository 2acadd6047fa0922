//! A database that is down, or does not let go: 503 with a hint when to come again, no crash, and
//! everything as before once it is back.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use countersign_issuer::Database;
use countersign_testkit::postgres::Postgres;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tokio::runtime::Runtime;

use crate::{
    browser::{Browser, text},
    http::{Answer, get},
    issuer::{Client, Issuer},
    parallel::at_once,
};

fn assert_down(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
    assert_eq!(answer.json()["error"], "temporarily_unavailable");
}

/// Everything that needs the database says so, and what does not goes on.
fn assert_all_down(issuer: &Issuer, client: &Client, token: &str) {
    assert_down(&issuer.refresh(client, token, &[]));
    assert_down(&issuer.redeem(client, "ac_x", &[]));
    assert_eq!(get(&issuer.at("/readyz")).status, 503);
    let page = get(&issuer.authorize_url(client, &[]));
    page.assert_page(503);
    assert_eq!(get(&issuer.at("/healthz")).status, 200);
    assert_eq!(get(&issuer.at("/jwks")).status, 200, "guards go on");
}

fn until_ready(issuer: &Issuer) {
    let start = Instant::now();
    while get(&issuer.at("/readyz")).status != 200 {
        assert!(start.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn postgres_goes_away_and_comes_back() {
    let server = Postgres::start(&[]);
    let database = Database::Postgres(server.url(&server.create_database()));
    let issuer = Issuer::start_with(|config| config.database = database);
    let client = issuer.client();
    let mut token = text(&issuer.tokens(&client, &[]), "refresh_token").to_owned();
    for _ in 0..3 {
        server.stop();
        let start = Instant::now();
        assert_all_down(&issuer, &client, &token);
        assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
        server.resume();
        until_ready(&issuer);
        // Nobody has to log in again, and every connection works.
        for _ in 0..20 {
            let answer = issuer.refresh(&client, &token, &[]);
            assert_eq!(answer.status, 200, "{answer:?}");
            token = text(&answer.json(), "refresh_token").to_owned();
        }
        let url = issuer.authorize_url(&client, &[]);
        Browser::new().authorize(&issuer, &url);
    }
}

/// It fails in the middle of traffic: every answer is a whole success or a 503, and each client goes
/// on with the token that it has.
#[test]
fn postgres_goes_away_under_load() {
    let server = Postgres::start(&[]);
    let database = Database::Postgres(server.url(&server.create_database()));
    let issuer = Issuer::start_with(|config| config.database = database);
    let client = issuer.client();
    let tokens: Vec<String> =
        (0..6).map(|_| text(&issuer.tokens(&client, &[]), "refresh_token").to_owned()).collect();
    let stop = AtomicBool::new(false);
    let traffic = |mut token: String| {
        let (mut done, mut down) = (0, 0);
        while !stop.load(Ordering::Relaxed) {
            let answer = issuer.refresh(&client, &token, &[]);
            if answer.status == 200 {
                token = text(&answer.json(), "refresh_token").to_owned();
                done += 1;
            } else {
                assert_down(&answer);
                down += 1;
            }
        }
        // In the end it works, with the token that was answered last.
        let answer = issuer.refresh(&client, &token, &[]);
        assert_eq!(answer.status, 200, "{answer:?}");
        (done, down)
    };
    let traffic = &traffic;
    let counts: Vec<(u32, u32)> = thread::scope(|scope| {
        let all: Vec<_> =
            tokens.into_iter().map(|token| scope.spawn(move || traffic(token))).collect();
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(500));
            server.stop();
            thread::sleep(Duration::from_millis(300));
            server.resume();
            until_ready(&issuer);
        }
        thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Relaxed);
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(counts.iter().all(|(done, _)| *done > 0), "{counts:?}");
    assert!(counts.iter().any(|(_, down)| *down > 0), "it was down: {counts:?}");
}

/// Somebody holds a lock and does not let go: requests are not kept waiting for ever.
#[test]
fn postgres_locked() {
    while_locked("LOCK TABLE refresh_tokens IN ACCESS EXCLUSIVE MODE", |issuer, client, token| {
        let start = Instant::now();
        assert_down(&issuer.refresh(client, token, &[]));
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    });
}

/// Many wait at the same moment: they are told together, and not one after the other.
#[test]
fn postgres_locked_for_many() {
    while_locked("LOCK TABLE counters IN ACCESS EXCLUSIVE MODE", |issuer, client, _| {
        // What was read a moment ago still counts.
        let start = Instant::now();
        while issuer.redeem(client, "ac_x", &[]).status != 503 {
            assert!(start.elapsed() < Duration::from_secs(60), "it goes on without its database");
            thread::sleep(Duration::from_millis(50));
        }
        let start = Instant::now();
        for answer in at_once(50, |_| issuer.redeem(client, "ac_x", &[])) {
            assert_down(&answer);
        }
        // One after the other it takes 250 s.
        assert!(start.elapsed() < Duration::from_secs(100), "{:?}", start.elapsed());
    });
}

/// Does something while somebody holds this lock; a refresh token is good again afterwards.
fn while_locked(lock: &'static str, work: impl FnOnce(&Issuer, &Client, &str)) {
    let server = Postgres::start(&[]);
    let url = server.url(&server.create_database());
    let database = Database::Postgres(url.clone());
    let issuer = Issuer::start_with(|config| config.database = database);
    let client = issuer.client();
    let token = text(&issuer.tokens(&client, &[]), "refresh_token").to_owned();
    let runtime = Runtime::new().unwrap();
    let mut other = runtime.block_on(PgConnection::connect(&url)).unwrap();
    let mut holding = runtime.block_on(other.begin()).unwrap();
    runtime.block_on(sqlx::query(lock).execute(&mut *holding)).unwrap();
    work(&issuer, &client, &token);
    runtime.block_on(holding.rollback()).unwrap();
    assert_eq!(issuer.refresh(&client, &token, &[]).status, 200);
}

#[test]
fn sqlite_locked() {
    let issuer = Issuer::start_with(|config| {
        let path = config.key_file.as_ref().unwrap().with_file_name("locked.db");
        config.database = Database::Sqlite(path);
    });
    let client = issuer.client();
    let token = text(&issuer.tokens(&client, &[]), "refresh_token").to_owned();
    let url = format!("sqlite:{}", issuer.folder().path().join("locked.db").display());
    Runtime::new().unwrap().block_on(async {
        let mut other = SqliteConnection::connect(&url).await.unwrap();
        let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let start = Instant::now();
        assert_down(&issuer.refresh(&client, &token, &[]));
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        assert_eq!(get(&issuer.at("/readyz")).status, 200, "readers do not wait");
        lock.rollback().await.unwrap();
    });
    assert_eq!(issuer.refresh(&client, &token, &[]).status, 200);
}

/// The file is no database any more: every request is answered all the same, and once the file is
/// back the server goes on.
#[test]
fn sqlite_damaged() {
    let issuer = Issuer::start_with(|config| {
        let path = config.key_file.as_ref().unwrap().with_file_name("damaged.db");
        config.database = Database::Sqlite(path);
    });
    let client = issuer.client();
    let token = text(&issuer.tokens(&client, &[]), "refresh_token").to_owned();
    let folder = issuer.folder().path().to_owned();
    let files = ["damaged.db", "damaged.db-wal"].map(|name| folder.join(name));
    let good = files.clone().map(|file| std::fs::read(file).unwrap());
    for (file, bytes) in files.iter().zip(&good) {
        overwrite(file, &vec![0x5a; bytes.len()]);
    }
    for _ in 0..3 {
        let answer = issuer.refresh(&client, &token, &[]);
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        get(&issuer.authorize_url(&client, &[]));
        assert_eq!(get(&issuer.at("/healthz")).status, 200);
    }
    for (file, bytes) in files.iter().zip(&good) {
        overwrite(file, bytes);
    }
    assert_eq!(get(&issuer.at("/jwks")).status, 200);
}

/// In place: the server has the file open.
fn overwrite(file: &std::path::Path, bytes: &[u8]) {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.write_all(bytes).unwrap();
}
