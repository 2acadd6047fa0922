//! Tests of the writer: what is committed together, undone alone, and failed together.

use std::{env, fs, path::PathBuf, process, sync::atomic::AtomicU32};

use sqlx::sqlite::SqliteJournalMode;
use tokio::task::JoinSet;

use super::*;

struct Fixture {
    folder: PathBuf,
    writer: Arc<Writer>,
    reader: SqliteConnection,
}

impl Fixture {
    async fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("countersign-writer-{}-{count}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.join("test.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let writer = Arc::new(Writer::open(options).await.unwrap());
        let mut reader = writer.connect(true).await.unwrap();
        sqlx::query("CREATE TABLE t (n INTEGER PRIMARY KEY)").execute(&mut reader).await.unwrap();
        Self { folder, writer, reader }
    }

    async fn numbers(&mut self) -> Vec<i64> {
        let rows: Vec<(i64,)> =
            sqlx::query_as("SELECT n FROM t ORDER BY n").fetch_all(&mut self.reader).await.unwrap();
        rows.into_iter().map(|(n,)| n).collect()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

async fn insert(batched: &mut Batched, n: i64) {
    let connection = batched.connection().unwrap();
    sqlx::query("INSERT INTO t VALUES ($1)").bind(n).execute(connection).await.unwrap();
}

/// Everybody who was in line is in one commit, and is told after it.
#[tokio::test]
async fn many_share_a_commit() {
    let mut fixture = Fixture::new().await;
    let mut first = fixture.writer.begin().await.unwrap();
    let mut others = JoinSet::new();
    for n in 1..50 {
        let writer = Arc::clone(&fixture.writer);
        others.spawn(async move {
            let mut batched = writer.begin().await.unwrap();
            insert(&mut batched, n).await;
            batched.commit().await.unwrap();
        });
    }
    // So that they are in line.
    tokio::time::sleep(Duration::from_millis(50)).await;
    insert(&mut first, 0).await;
    first.commit().await.unwrap();
    others.join_all().await;
    assert_eq!(fixture.numbers().await, (0..50).collect::<Vec<_>>());
    let batches = *fixture.writer.shared.over.borrow();
    assert!(batches <= 3, "{batches} commits for 50 transactions");
}

/// Who gives up undoes its own, and nobody else's; the lock is given back although nobody comes.
#[tokio::test]
async fn one_is_undone_alone() {
    let mut fixture = Fixture::new().await;
    let mut work = JoinSet::new();
    for n in 0..20 {
        let writer = Arc::clone(&fixture.writer);
        work.spawn(async move {
            let mut batched = writer.begin().await.unwrap();
            insert(&mut batched, n).await;
            if n % 2 == 0 {
                batched.commit().await.unwrap();
            }
        });
    }
    work.join_all().await;
    assert_eq!(fixture.numbers().await, (0..20).step_by(2).collect::<Vec<_>>());
    let mut other = fixture.writer.connect(true).await.unwrap();
    sqlx::query("INSERT INTO t VALUES (100)").execute(&mut other).await.unwrap();
}

/// Futures that are dropped anywhere leave nothing behind and nobody waiting.
#[tokio::test(flavor = "multi_thread")]
async fn given_up_anywhere() {
    let mut fixture = Fixture::new().await;
    let mut work = JoinSet::new();
    for n in 0..300_i64 {
        let writer = Arc::clone(&fixture.writer);
        work.spawn(async move {
            let whole = async {
                let mut batched = writer.begin().await.unwrap();
                insert(&mut batched, n).await;
                batched.commit().await.unwrap();
            };
            let patience = Duration::from_micros(u64::try_from(n).unwrap() * 37 % 3000);
            timeout(patience, whole).await.is_ok().then_some(n)
        });
    }
    let told: Vec<i64> = work.join_all().await.into_iter().flatten().collect();
    let mut last = fixture.writer.begin().await.unwrap();
    insert(&mut last, 1000).await;
    last.commit().await.unwrap();
    let stored = fixture.numbers().await;
    assert!(told.iter().all(|n| stored.contains(n)), "what was confirmed is there");
    assert!(stored.contains(&1000));
}

/// SQLite may roll back everything by itself, as when the disk is full: then nobody is told that it is
/// done.
#[tokio::test]
async fn all_fail_together() {
    let mut fixture = Fixture::new().await;
    let mut first = fixture.writer.begin().await.unwrap();
    let good = {
        let writer = Arc::clone(&fixture.writer);
        tokio::spawn(async move {
            let mut batched = writer.begin().await.unwrap();
            insert(&mut batched, 1).await;
            batched.commit().await
        })
    };
    let bad = {
        let writer = Arc::clone(&fixture.writer);
        tokio::spawn(async move {
            // In line behind the good one.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let mut batched = writer.begin().await.unwrap();
            batched.turn.as_mut().unwrap().execute("ROLLBACK").await.unwrap();
            batched.commit().await
        })
    };
    tokio::time::sleep(Duration::from_millis(60)).await;
    insert(&mut first, 0).await;
    let first = first.commit();
    let (first, good, bad) = tokio::join!(first, good, bad);
    assert!(first.is_err() && good.unwrap().is_err() && bad.unwrap().is_err());
    assert_eq!(fixture.numbers().await, [0_i64; 0]);
    let mut next = fixture.writer.begin().await.unwrap();
    insert(&mut next, 7).await;
    next.commit().await.unwrap();
    assert_eq!(fixture.numbers().await, [7]);
}

/// Who lost a race reads what the winner has stored, although both were in one batch.
#[tokio::test]
async fn the_loser_sees_the_winner() {
    let mut fixture = Fixture::new().await;
    let mut winner = fixture.writer.begin().await.unwrap();
    let loser = {
        let writer = Arc::clone(&fixture.writer);
        tokio::spawn(async move { drop(writer.begin().await.unwrap()) })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    insert(&mut winner, 1).await;
    let commit = tokio::spawn(winner.commit());
    loser.await.unwrap();
    fixture.writer.settled().await;
    assert_eq!(fixture.numbers().await, [1]);
    commit.await.unwrap().unwrap();
}
