//! Device codes (RFC 8628): a device waits, and asks again and again, until a person has decided.

use super::{
    Store,
    codes::{NewGrant, Redemption, insert_grant},
    refresh::NewRefreshToken,
    status::IssuedToken,
};
use crate::{Error, clock};

/// Added to the interval for each poll that comes too soon, in seconds (§3.5).
const SLOWER: i64 = 5;

/// Longer than the life of any code: who still asks too often then is no better known by a larger one.
const SLOWEST: i64 = 3600;

/// A device that begins to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewDeviceCode<'a> {
    pub(crate) hash: &'a [u8],
    pub(crate) user_code_hash: &'a [u8],
    pub(crate) client_id: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) scopes: &'a str,
    /// Seconds between two polls.
    pub(crate) interval: i64,
    /// How long it may wait, in seconds.
    pub(crate) lifetime: i64,
}

/// A device that waits, as it is found by the code that it shows.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct WaitingDevice {
    pub(crate) hash: Vec<u8>,
    pub(crate) client_id: String,
    pub(crate) resource: String,
    pub(crate) scopes: String,
}

/// A device code with its grant, where somebody has allowed it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct DeviceRow {
    pub(crate) client_id: String,
    /// `waiting`, `allowed`, `denied` or `consumed`.
    pub(crate) state: String,
    pub(crate) resource: String,
    pub(crate) scopes: String,
    pub(crate) expires_at: i64,
    pub(crate) grant_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) auth_time: Option<i64>,
}

const CONSUME: &str = "UPDATE device_codes SET state = 'consumed' \
                       WHERE hash = $2 AND state = 'allowed' AND expires_at > $1";

impl Store {
    /// Stores a device that waits; `false` when another one shows the same code.
    pub(crate) async fn add_device_code(&self, new: &NewDeviceCode<'_>) -> Result<bool, Error> {
        let now = clock::now();
        let added = self
            .sql(
                "INSERT INTO device_codes (hash, user_code_hash, client_id, resource, scopes, \
                 state, poll_interval, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, \
                 'waiting', $6, $7, $8) ON CONFLICT DO NOTHING",
            )
            .bind(new.hash)
            .bind(new.user_code_hash)
            .bind(new.client_id)
            .bind(new.resource)
            .bind(new.scopes)
            .bind(new.interval)
            .bind(now)
            .bind(now + new.lifetime)
            .execute()
            .await?;
        Ok(added == 1)
    }

    /// The device that shows this code, while nobody has decided.
    pub(crate) async fn waiting_device(
        &self,
        user_code_hash: &[u8],
    ) -> Result<Option<WaitingDevice>, Error> {
        self.sql(
            "SELECT hash, client_id, resource, scopes FROM device_codes WHERE user_code_hash = $1 \
             AND state = 'waiting' AND expires_at > $2",
        )
        .bind(user_code_hash)
        .bind(clock::now())
        .optional()
        .await
    }

    pub(crate) async fn device_code(&self, hash: &[u8]) -> Result<Option<DeviceRow>, Error> {
        self.sql(
            "SELECT code.client_id, code.state, code.resource, code.scopes, code.expires_at, \
             code.grant_id, grants.user_id, grants.auth_time FROM device_codes AS code LEFT JOIN \
             grants ON grants.id = code.grant_id WHERE code.hash = $1",
        )
        .bind(hash)
        .optional()
        .await
    }

    /// Counts a poll of a device that still waits; `false` when it came too soon, and all further ones
    /// have to be rarer (§3.5).
    pub(crate) async fn poll_device(&self, hash: &[u8]) -> Result<bool, Error> {
        let now = clock::now();
        // Times are whole seconds here: five of them may be a little more than four.
        let in_time = self
            .sql(
                "UPDATE device_codes SET polled_at = $1 WHERE hash = $2 AND (polled_at IS NULL OR \
                 polled_at + poll_interval <= $3)",
            )
            .bind(now)
            .bind(hash)
            .bind(now + 1)
            .execute()
            .await?;
        if in_time == 1 {
            return Ok(true);
        }
        self.sql(
            "UPDATE device_codes SET polled_at = $1, poll_interval = poll_interval + $2 WHERE \
             hash = $3 AND poll_interval < $4",
        )
        .bind(now)
        .bind(SLOWER)
        .bind(hash)
        .bind(SLOWEST)
        .execute()
        .await?;
        Ok(false)
    }

    /// Stores what a user granted to a device that waits. Only one caller gets `true`.
    pub(crate) async fn allow_device(
        &self,
        hash: &[u8],
        grant: &NewGrant<'_>,
    ) -> Result<bool, Error> {
        let now = clock::now();
        let mut transaction = self.begin().await?;
        insert_grant(&mut transaction, grant, now).await?;
        let done = transaction
            .sql(
                "UPDATE device_codes SET state = 'allowed', grant_id = $1 WHERE hash = $2 AND state \
                 = 'waiting' AND expires_at > $3",
            )
            .bind(grant.id)
            .bind(hash)
            .bind(now)
            .execute()
            .await?;
        if done == 1 {
            transaction.commit().await?;
        }
        Ok(done == 1)
    }

    /// Ends the waiting of a device. Only one caller gets `true`.
    pub(crate) async fn deny_device(&self, hash: &[u8]) -> Result<bool, Error> {
        let done = self
            .sql("UPDATE device_codes SET state = 'denied' WHERE hash = $1 AND state = 'waiting'")
            .bind(hash)
            .execute()
            .await?;
        Ok(done == 1)
    }

    /// Redeems a code that was allowed, as [`Store::redeem_code`] does.
    pub(crate) async fn redeem_device_code(
        &self,
        hash: &[u8],
        grant_id: &str,
        refresh_token: Option<NewRefreshToken<'_>>,
        access_token: &IssuedToken<'_>,
    ) -> Result<Redemption, Error> {
        self.redeem(CONSUME, hash, grant_id, refresh_token, access_token).await
    }
}
