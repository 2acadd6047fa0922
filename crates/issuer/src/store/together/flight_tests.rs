//! Tests of flights: what comes of those who wait where something goes wrong, and how statements are
//! planned.

use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;
use tokio::time::{sleep, timeout};

use super::{
    super::{Store, sql::Pools},
    tests::{SOON, at_once, rotate, with},
    *,
};

fn lines(store: &Store) -> Arc<Together> {
    let Pools::Postgres { together, .. } = &store.pools else { unreachable!() };
    Arc::clone(together)
}

/// A flight looks whether somebody waits before it ends.
async fn has_landed<I: Item>(line: &Line<I>) {
    let began = Instant::now();
    while line.0.queue().flights > 0 {
        assert!(began.elapsed() < SOON);
        sleep(Duration::from_millis(1)).await;
    }
    assert!(line.0.queue().waiting.is_empty());
}

#[tokio::test]
async fn who_hangs_up_changes_nothing_for_others() {
    let store = with(20).await;
    for round in 0..5_u32 {
        // Two at once, so that a flight carries them; gone before it comes, or while it flies.
        let works = [0, 5].map(|other| {
            let (store, grant) = (Store::clone(&store), round + other);
            let patience = Duration::from_micros(u64::from(grant) * 300);
            async move { drop(timeout(patience, rotate(&store, grant, grant)).await) }
        });
        at_once(works).await;
    }
    let works = (10..20).map(|grant| {
        let store = Store::clone(&store);
        async move { rotate(&store, grant, grant).await.unwrap() }
    });
    assert_eq!(at_once(works).await, [true; 10]);
    for grant in 0..20 {
        // Done once, by the one or the other.
        rotate(&store, grant, 100 + grant).await.unwrap();
    }
    assert_eq!(store.number("SELECT COUNT(*) FROM issued_tokens").await, 20);
    has_landed(&lines(&store).rotations).await;
}

/// Those who have hung up make room, also while nothing goes on.
#[tokio::test]
async fn a_line_grows_by_those_who_wait() {
    let mut queue: Queue<Find<RefreshRow>> = Queue { waiting: VecDeque::new(), flights: FLIGHTS };
    for _ in 0..10_000 {
        let (answer, found) = oneshot::channel();
        assert!(!queue.join(Waiting { item: Find::new(b""), answer }));
        drop(found);
    }
    assert!(queue.waiting.len() < 100, "{}", queue.waiting.len());
}

/// Asks for nothing, or fails as no statement should.
struct Fragile(bool);

impl Item for Fragile {
    type Answer = ();

    const TEXT: &'static str = "SELECT 1::bigint AS place";

    fn bind(query: ForMany, items: &[&Self]) -> ForMany {
        assert!(!items.iter().any(|item| item.0), "as the test wants it");
        query
    }

    fn read(_row: &PgRow) -> Result<(), sqlx::Error> {
        Ok(())
    }

    fn without_row() -> Option<()> {
        Some(())
    }

    async fn alone(&self, _pool: &PgPool) -> Result<(), Error> {
        Ok(())
    }
}

#[tokio::test]
async fn a_flight_that_crashes_leaves_nobody_waiting() {
    let store = with(0).await;
    let line = Arc::new(Line::new(&lines(&store).shared));
    for _ in 0..2 {
        let works = [false, true, false].map(|fails| {
            let line = Arc::clone(&line);
            async move { line.join(Fragile(fails)).await }
        });
        for done in timeout(SOON, at_once(works)).await.unwrap() {
            assert!(matches!(done, Err(Error::Database(sqlx::Error::WorkerCrashed))), "{done:?}");
        }
        has_landed(&line).await;
        // Who comes alone has a statement for one.
        line.join(Fragile(true)).await.unwrap();
        has_landed(&line).await;
    }
}

/// Nobody knows what was done when a connection ends: it is not tried again, which might look like a theft.
#[tokio::test]
async fn what_was_cut_off_is_not_done_again() {
    let store = with(3).await;
    let mut holding = store.begin().await.unwrap();
    let lock = "LOCK TABLE issued_tokens IN ACCESS EXCLUSIVE MODE";
    holding.sql(lock).execute().await.unwrap();
    let node = Store::clone(&store);
    let works = (0..3).map(move |grant| {
        let store = node.clone();
        async move { rotate(&store, grant, grant).await }
    });
    let works = tokio::spawn(at_once(works));
    while !works.is_finished() {
        let end = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = \
                   current_database() AND wait_event_type = 'Lock'";
        store.number(end).await;
        sleep(Duration::from_millis(10)).await;
    }
    for done in works.await.unwrap() {
        assert!(matches!(done, Err(Error::Database(_))), "{done:?}");
    }
    drop(holding);
    for grant in 0..3 {
        assert!(rotate(&store, grant, grant).await.unwrap());
    }
}

#[tokio::test]
async fn nothing_begins_after_the_end() {
    let store = with(1).await;
    assert!(rotate(&store, 0, 0).await.unwrap());
    store.close().await;
    let begun = timeout(SOON, rotate(&store, 0, 1)).await.unwrap();
    assert!(matches!(begun, Err(Error::Database(sqlx::Error::PoolClosed))), "{begun:?}");
}

/// From item to item by an index: PostgreSQL knows nothing of new tables, and keeps the plan that it made
/// then.
#[tokio::test]
async fn no_table_is_read_as_a_whole() {
    let store = with(1).await;
    let lines = lines(&store);
    let mut held = lines.shared.connections.take().await.unwrap();
    for text in [
        Find::<RefreshRow>::TEXT,
        Rotate::TEXT,
        Find::<CodeRow>::TEXT,
        GrantAndCode::TEXT,
        Redeem::TEXT,
        FindSession::TEXT,
        FindConsent::TEXT,
        FindVersion::TEXT,
    ] {
        let count = (1..20).take_while(|number| text.contains(&format!("${number}"))).count();
        let nothing = vec!["NULL"; count].join(", ");
        for statement in [
            "SET plan_cache_mode = force_generic_plan".to_owned(),
            format!("PREPARE one AS {text}"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(held.connection()).await.unwrap();
        }
        let explain = AssertSqlSafe(format!("EXPLAIN EXECUTE one ({nothing})"));
        let rows = sqlx::raw_sql(explain).fetch_all(held.connection()).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let text = plan.join("\n");
        assert!(text.contains("Index Cond"), "{text}");
        for (line, next) in plan.iter().zip(&plan[1..]) {
            // By what it is looked for, also where the scan is one of an index.
            let is_looked_for = next.contains("Index Cond") && !line.contains("Bitmap");
            let is_table = ["Seq Scan", "Index Scan", "Index Only Scan", "Bitmap"];
            let reads = is_table.iter().any(|kind| line.contains(kind));
            assert!(!reads || is_looked_for, "{text}");
        }
        sqlx::raw_sql("DEALLOCATE one").execute(held.connection()).await.unwrap();
    }
}
