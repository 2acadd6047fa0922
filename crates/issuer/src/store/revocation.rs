//! Revocation: what ends, ends for the database, and in the status lists that guards read, at once.

use super::{Store, Transaction, sql::again_if_deadlocked, status::Places};
use crate::{Error, clock};

/// A grant, as an administrator sees it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Grant {
    /// Its name.
    pub id: String,
    /// The name of the user who gave it.
    pub user: Option<String>,
    /// The client that has it.
    pub client_id: String,
    /// The client's name.
    pub client_name: String,
    /// The resource that it is for.
    pub resource: String,
    /// What it allows, separated by spaces.
    pub scopes: String,
    /// When it was given, in seconds since the epoch.
    pub created_at: i64,
    /// When tokens were last issued from it.
    pub last_used_at: Option<i64>,
}

impl Store {
    /// The grants that are alive, the newest first; of a user or of a client, where one is named.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn grants(
        &self,
        user: Option<&str>,
        client_id: Option<&str>,
    ) -> Result<Vec<Grant>, Error> {
        self.sql(
            "SELECT grants.id, users.name AS \"user\", client_id, clients.name AS client_name, \
             resource, scopes, grants.created_at, grants.last_used_at FROM grants JOIN clients ON \
             clients.id = client_id LEFT JOIN users ON users.id = user_id WHERE \
             grants.revoked_at IS NULL AND ($1 = '' OR users.name_key = $2) AND ($3 = '' OR \
             client_id = $4) ORDER BY grants.created_at DESC, grants.id",
        )
        .bind(user.unwrap_or(""))
        .bind(user.unwrap_or("").to_ascii_lowercase())
        .bind(client_id.unwrap_or(""))
        .bind(client_id.unwrap_or(""))
        .all()
        .await
    }

    /// Ends a grant: none of its refresh tokens works any more, and its access tokens are revoked.
    /// Nothing like it is granted again without a question. Says whether there was something to end.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn revoke_grant(&self, id: &str, reason: &str) -> Result<bool, Error> {
        again_if_deadlocked(|| self.end_grant(id, reason, true)).await
    }

    /// The client gives a grant back. What the user allowed it is still allowed.
    pub(crate) async fn give_back_grant(&self, id: &str) -> Result<bool, Error> {
        again_if_deadlocked(|| self.end_grant(id, "revoked_by_client", false)).await
    }

    async fn end_grant(&self, id: &str, reason: &str, for_good: bool) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        let done = transaction
            .sql(
                "UPDATE grants SET revoked_at = $1, reason = $2 WHERE id = $3 AND revoked_at IS \
                 NULL",
            )
            .bind(clock::now())
            .bind(reason)
            .bind(id)
            .execute()
            .await?;
        // What was revoked before has no token that is not.
        if done == 0 {
            return Ok(false);
        }
        if for_good {
            transaction
                .sql(
                    "DELETE FROM consents WHERE (user_id, client_id, resource) IN (SELECT user_id, \
                     client_id, resource FROM grants WHERE id = $1)",
                )
                .bind(id)
                .execute()
                .await?;
        }
        // Whoever reads the tokens now sees those of everybody who was faster: they held the row.
        let rows = transaction
            .sql(
                "SELECT status_list, status_index FROM issued_tokens WHERE grant_id = $1 AND \
                 expires_at > $2",
            )
            .bind(id)
            .bind(clock::now())
            .all()
            .await?;
        let mut places = Places::default();
        places.add(rows);
        places.revoke(&mut transaction).await?;
        log(&mut transaction, "grant", id, reason).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Revokes one access token. One that is revoked already changes nothing.
    pub(crate) async fn revoke_access_token(
        &self,
        status_list: &str,
        status_index: u32,
        jti: &str,
    ) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        let mut places = Places::default();
        places.add(vec![(status_list.to_owned(), i64::from(status_index))]);
        if !places.revoke(&mut transaction).await? {
            return Ok(());
        }
        log(&mut transaction, "token", jti, "revoked_by_client").await?;
        transaction.commit().await
    }

    /// Locks a user out: no login, session, grant or token is worth anything any more.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none of this name, [`Error::Database`].
    pub async fn disable_user(&self, name: &str) -> Result<(), Error> {
        again_if_deadlocked(|| self.end_user(name)).await
    }

    async fn end_user(&self, name: &str) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        let now = clock::now();
        let user: Option<(String,)> = transaction
            .sql(
                "UPDATE users SET disabled_at = COALESCE(disabled_at, $1) WHERE name_key = $2 \
                 RETURNING id",
            )
            .bind(now)
            .bind(name.to_ascii_lowercase())
            .returning()
            .await?;
        let Some((user,)) = user else {
            return Err(Error::Invalid(format!("there is no user {name}")));
        };
        transaction.sql("DELETE FROM sessions WHERE user_id = $1").bind(&user).execute().await?;
        take_grants(
            &mut transaction,
            "SELECT id FROM grants WHERE user_id = $1 AND revoked_at IS NULL ORDER BY id FOR UPDATE",
            &user,
        )
        .await?;
        transaction
            .sql(
                "UPDATE grants SET revoked_at = $1, reason = 'user_disabled' WHERE user_id = $2 \
                 AND revoked_at IS NULL",
            )
            .bind(now)
            .bind(&user)
            .execute()
            .await?;
        let rows = transaction
            .sql(
                "SELECT status_list, status_index FROM issued_tokens JOIN grants ON grants.id = \
                 grant_id WHERE grants.user_id = $1 AND issued_tokens.expires_at > $2",
            )
            .bind(&user)
            .bind(now)
            .all()
            .await?;
        let mut places = Places::default();
        places.add(rows);
        places.revoke(&mut transaction).await?;
        log(&mut transaction, "user", &user, "user_disabled").await?;
        transaction.commit().await
    }

    /// Lets a user log in again. What was revoked stays so.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none of this name, [`Error::Database`].
    pub async fn enable_user(&self, name: &str) -> Result<(), Error> {
        let done = self
            .sql("UPDATE users SET disabled_at = NULL WHERE name_key = $1")
            .bind(name.to_ascii_lowercase())
            .execute()
            .await?;
        match done {
            0 => Err(Error::Invalid(format!("there is no user {name}"))),
            _ => Ok(()),
        }
    }

    /// Shuts a client out: it cannot authenticate, and no grant or token of it is worth anything.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none of this name, [`Error::Database`].
    pub async fn disable_client(&self, id: &str) -> Result<(), Error> {
        again_if_deadlocked(async || {
            let mut transaction = self.begin().await?;
            end_client(&mut transaction, id, "client_disabled").await?;
            transaction.commit().await
        })
        .await?;
        self.cache.look_again();
        Ok(())
    }

    /// Lets a client in again. What was revoked stays so.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none of this name, [`Error::Database`].
    pub async fn enable_client(&self, id: &str) -> Result<(), Error> {
        let done = self
            .sql("UPDATE clients SET disabled_at = NULL WHERE id = $1")
            .bind(id)
            .execute()
            .await?;
        self.cache.look_again();
        match done {
            0 => Err(Error::Invalid(format!("there is no client {id}"))),
            _ => Ok(()),
        }
    }

    /// Forgets a client, after everything of it has ended.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none of this name, [`Error::Database`].
    pub async fn delete_client(&self, id: &str) -> Result<(), Error> {
        again_if_deadlocked(async || {
            let mut transaction = self.begin().await?;
            // A client that is known by its document comes back with it, as a new one. First the
            // document, as where one comes.
            transaction
                .sql("DELETE FROM client_documents WHERE url = $1")
                .bind(id)
                .execute()
                .await?;
            end_client(&mut transaction, id, "client_deleted").await?;
            transaction.sql("DELETE FROM clients WHERE id = $1").bind(id).execute().await?;
            transaction.commit().await
        })
        .await?;
        self.cache.look_again();
        Ok(())
    }
}

/// Takes grants in the order of their names, so that two who end the same ones wait for each other in a line
/// and not in a circle. SQLite is alone from the beginning.
async fn take_grants(
    transaction: &mut Transaction,
    take: &'static str,
    of: &str,
) -> Result<(), Error> {
    if let Transaction::Postgres(_) = transaction {
        transaction.sql(take).bind(of).execute().await?;
    }
    Ok(())
}

async fn end_client(
    transaction: &mut Transaction,
    id: &str,
    reason: &'static str,
) -> Result<(), Error> {
    let now = clock::now();
    let done = transaction
        .sql(
            "UPDATE clients SET disabled_at = COALESCE(disabled_at, $1), not_before = CASE WHEN \
             not_before < $2 THEN $3 ELSE not_before + 1 END WHERE id = $4",
        )
        .bind(now)
        .bind(now)
        .bind(now)
        .bind(id)
        .execute()
        .await?;
    if done == 0 {
        return Err(Error::Invalid(format!("there is no client {id}")));
    }
    take_grants(
        transaction,
        "SELECT id FROM grants WHERE client_id = $1 AND revoked_at IS NULL ORDER BY id FOR UPDATE",
        id,
    )
    .await?;
    transaction
        .sql(
            "UPDATE grants SET revoked_at = $1, reason = $2 WHERE client_id = $3 AND revoked_at IS \
             NULL",
        )
        .bind(now)
        .bind(reason)
        .bind(id)
        .execute()
        .await?;
    let mut places = Places::default();
    let rows = transaction
        .sql(
            "SELECT status_list, status_index FROM issued_tokens JOIN grants ON grants.id = \
             grant_id WHERE grants.client_id = $1 AND issued_tokens.expires_at > $2",
        )
        .bind(id)
        .bind(now)
        .all()
        .await?;
    places.add(rows);
    // What it has by exchange belongs to grants of other clients.
    let rows = transaction
        .sql(
            "SELECT status_list, status_index FROM issued_tokens WHERE holder = $1 AND expires_at \
             > $2",
        )
        .bind(id)
        .bind(now)
        .all()
        .await?;
    places.add(rows);
    // Its own tokens have no rows: they stand in blocks that are all its own.
    let blocks: Vec<(String,)> = transaction
        .sql("SELECT DISTINCT status_list FROM status_leases WHERE client_id = $1")
        .bind(id)
        .all()
        .await?;
    for (list,) in blocks {
        places.touch(list);
    }
    places.revoke(transaction).await?;
    transaction
        .sql("UPDATE status_leases SET revoked_at = $1 WHERE client_id = $2 AND revoked_at IS NULL")
        .bind(now)
        .bind(id)
        .execute()
        .await?;
    log(transaction, "client", id, reason).await
}

/// Writes down what was revoked, under a number that has no gaps.
pub(super) async fn log(
    transaction: &mut Transaction,
    kind: &'static str,
    name: &str,
    reason: &str,
) -> Result<(), Error> {
    let seq: Option<(i64,)> = transaction
        .sql("UPDATE counters SET value = value + 1 WHERE name = 'revocations' RETURNING value")
        .returning()
        .await?;
    let Some((seq,)) = seq else {
        return Err(Error::Crypto("the counter of revocations is missing"));
    };
    transaction
        .sql(
            "INSERT INTO revocation_log (seq, kind, ref, revoked_at, reason) VALUES ($1, $2, \
             $3, $4, $5)",
        )
        .bind(seq)
        .bind(kind)
        .bind(name)
        .bind(clock::now())
        .bind(reason)
        .execute()
        .await?;
    Ok(())
}
