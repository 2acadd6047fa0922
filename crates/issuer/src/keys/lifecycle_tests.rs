//! Tests of the life of signing keys, at any time.

use std::{
    env, fs,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;
use crate::{Database, store::SigningKeyInfo};

const DAYS_90: i64 = 90 * 86_400;
const START: i64 = 1_700_000_000;

struct Fixture {
    folder: PathBuf,
    keys: SigningKeys,
}

impl Fixture {
    async fn new(rotation: i64) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("countersign-keys-{}-{count}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let config =
            Config { database: Database::Sqlite(folder.join("test.db")), ..Config::default() };
        let opened = SigningKeys::open(&config).await.unwrap();
        let keys = SigningKeys { rotation, ..opened };
        keys.ensure(Algorithm::Es256, START).await.unwrap();
        Self { folder, keys }
    }

    /// The keys after the schedule was looked at.
    async fn at(&self, now: i64) -> Vec<SigningKeyInfo> {
        self.keys.tend(now, now).await.unwrap();
        self.keys.store.signing_key_infos().await.unwrap()
    }

    async fn states(&self, now: i64) -> Vec<String> {
        self.at(now).await.into_iter().map(|key| key.state).collect()
    }

    async fn generation(&self) -> i64 {
        self.keys.store.key_set_generation().await.unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Section 9 of the issuer's list: published before the first signature, kept after the last.
#[tokio::test]
async fn a_key_lives_by_its_schedule() {
    let fixture = Fixture::new(DAYS_90).await;
    let end = START + DAYS_90;
    let before = fixture.generation().await;
    assert_eq!(fixture.states(end - AHEAD - 1).await, ["active"]);
    assert_eq!(fixture.generation().await, before, "nothing to fetch anew");

    let keys = fixture.at(end - AHEAD).await;
    assert_eq!(keys[1].state, "pending");
    assert_eq!(keys[1].sign_from, end);
    assert!(keys[1].sign_from - keys[1].created_at >= LEAD);
    assert_eq!(fixture.generation().await, before + 1);
    assert_eq!(fixture.states(end - 1).await, ["active", "pending"]);

    let keys = fixture.at(end).await;
    assert_eq!([keys[0].state.as_str(), keys[1].state.as_str()], ["retiring", "active"]);
    assert_eq!(keys[0].drop_at, Some(end + KEEP));
    assert_eq!(keys[1].sign_until, end + DAYS_90);
    assert_eq!(fixture.states(end + KEEP - 1).await, ["retiring", "active"]);
    assert_eq!(fixture.states(end + KEEP).await, ["active"]);
    assert_eq!(fixture.generation().await, before + 3);
}

/// A server that was off for long publishes first all the same.
#[tokio::test]
async fn late_is_no_reason_to_hurry() {
    let fixture = Fixture::new(DAYS_90).await;
    let late = START + 3 * DAYS_90;
    let keys = fixture.at(late).await;
    assert_eq!((keys[1].state.as_str(), keys[1].sign_from), ("pending", late + LEAD));
    assert_eq!(fixture.states(late + LEAD - 1).await, ["active", "pending"]);
    assert_eq!(fixture.states(late + LEAD).await, ["retiring", "active"]);
}

/// Attack 64: a clock that leaps makes no storm of keys.
#[tokio::test]
async fn attack_64_leaps_make_one_key_a_step() {
    let fixture = Fixture::new(DAYS_90).await;
    for leap in 1..5 {
        assert!(fixture.at(START + leap * 10 * DAYS_90).await.len() <= 3);
    }
    let keys = fixture.at(START).await;
    assert_eq!(keys.iter().filter(|key| key.state == "active").count(), 1);
}

#[tokio::test]
async fn rotation_0_is_by_hand() {
    let fixture = Fixture::new(0).await;
    assert_eq!(fixture.states(START + 100 * DAYS_90).await, ["active"]);
    fixture.keys.rotate("ES256", Rotation::Announced).await.unwrap();
    let keys = fixture.at(START).await;
    assert_eq!(keys[1].state, "pending");
    assert_eq!(keys[1].sign_from - keys[1].created_at, LEAD);
    fixture.keys.rotate("ES256", Rotation::AtOnce).await.unwrap();
    assert_eq!(fixture.states(START).await, ["retiring", "active"], "the one that was announced");
    for bad in ["HS256", "none", "PS256", ""] {
        let refused = fixture.keys.rotate(bad, Rotation::AtOnce).await.unwrap_err();
        assert_eq!(refused.reason(), "value_invalid", "{bad}");
    }
}

/// A schedule that is switched on, or made shorter, counts for the key that signs.
#[tokio::test]
async fn a_shorter_rotation_counts_for_the_present_key() {
    for before in [0, 3650 * 86_400] {
        let mut fixture = Fixture::new(before).await;
        assert_eq!(fixture.states(START + DAYS_90).await, ["active"]);
        fixture.keys.rotation = DAYS_90;
        let end = START + DAYS_90;
        assert_eq!(fixture.states(end - AHEAD - 1).await, ["active"]);
        let keys = fixture.at(end - AHEAD).await;
        assert_eq!((keys[1].state.as_str(), keys[1].sign_from), ("pending", end), "{before}");
        assert_eq!(fixture.states(end).await, ["retiring", "active"]);
        // One that is due since long is announced as any other.
        let mut late = Fixture::new(before).await;
        late.keys.rotation = DAYS_90;
        let keys = late.at(end + 1000).await;
        assert_eq!((keys[1].state.as_str(), keys[1].sign_from), ("pending", end + 1000 + LEAD));
    }
}

/// Rotating by hand brings a key forward that was announced by schedule, never before its caches.
#[tokio::test]
async fn by_hand_brings_forward() {
    let fixture = Fixture::new(DAYS_90).await;
    let now = clock::now();
    let key = fixture.keys.generate(Algorithm::Es256, "pending", now - 60, now + AHEAD).await;
    assert!(fixture.keys.store.add_signing_key(&key.unwrap()).await.unwrap());
    fixture.keys.rotate("ES256", Rotation::Announced).await.unwrap();
    let keys = fixture.keys.store.signing_key_infos().await.unwrap();
    let pending: Vec<_> = keys.iter().filter(|key| key.state == "pending").collect();
    assert_eq!((pending.len(), pending[0].sign_from), (1, now - 60 + LEAD));
}

/// Attack 63: nothing that the key signed is valid, and nobody can sign with it again.
#[tokio::test]
async fn attack_63_a_revoked_key_is_gone() {
    let fixture = Fixture::new(DAYS_90).await;
    let (store, keys) = (&fixture.keys.store, &fixture.keys);
    let stolen = store.signing_keys().await.unwrap().remove(0);
    let before = fixture.generation().await;
    keys.revoke(&stolen.kid, "stolen").await.unwrap();
    let rows = store.signing_keys().await.unwrap();
    let row = rows.iter().find(|row| row.kid == stolen.kid).unwrap();
    assert_eq!((row.state.as_str(), row.private_sealed.len()), ("revoked", 0));
    assert_eq!(rows.iter().filter(|row| row.state == "active").count(), 1, "another one signs");
    assert!(fixture.generation().await > before);
    let logged: Vec<(String, String)> =
        store.test_rows("SELECT ref, reason FROM revocation_log WHERE kind = 'key'").await;
    assert_eq!(logged, [(stolen.kid.clone(), "stolen".to_owned())]);
    assert_eq!(keys.revoke(&stolen.kid, "again").await.unwrap_err().reason(), "value_invalid");

    // Where one was announced, that one takes over.
    keys.rotate("ES256", Rotation::Announced).await.unwrap();
    let rows = store.signing_keys().await.unwrap();
    let next = rows.iter().find(|row| row.state == "pending").unwrap().kid.clone();
    let active = rows.iter().find(|row| row.state == "active").unwrap().kid.clone();
    keys.revoke(&active, "stolen too").await.unwrap();
    let rows = store.signing_keys().await.unwrap();
    assert_eq!(rows.iter().find(|row| row.state == "active").unwrap().kid, next);
    assert_eq!(
        fixture.states(clock::now() + KEEP + 1).await.len(),
        1,
        "revoked ones go in the end"
    );
}

/// A new sealing key takes over in two steps, and the old one opens nothing afterwards.
#[tokio::test]
async fn resealing() {
    let fixture = Fixture::new(DAYS_90).await;
    let file = fixture.folder.join("countersign.key");
    let old = fs::read_to_string(&file).unwrap();
    let new = crate::new_sealing_key().unwrap();
    let config =
        Config { database: Database::Sqlite(fixture.folder.join("test.db")), ..Config::default() };
    let before = fixture.keys.store.signing_keys().await.unwrap();

    fs::write(&file, format!("{new}\n{old}")).unwrap();
    let both = SigningKeys::open(&config).await.unwrap();
    assert_eq!(both.reseal().await.unwrap(), 1);
    assert_eq!(both.reseal().await.unwrap(), 0, "nothing is left to do");
    let after = fixture.keys.store.signing_keys().await.unwrap();
    assert_eq!(after[0].kid, before[0].kid);
    assert_ne!(after[0].sealed_by, before[0].sealed_by);

    fs::write(&file, &new).unwrap();
    let alone = SigningKeys::open(&config).await.unwrap();
    alone.unseal(&after[0], Algorithm::Es256).unwrap();
    fs::write(&file, &old).unwrap();
    let stale = SigningKeys::open(&config).await.unwrap();
    assert!(stale.unseal(&after[0], Algorithm::Es256).is_err());
    // All or nothing.
    assert_eq!(stale.reseal().await.unwrap_err().reason(), "crypto_failed");
    assert_eq!(fixture.keys.store.signing_keys().await.unwrap()[0].sealed_by, after[0].sealed_by);
}
