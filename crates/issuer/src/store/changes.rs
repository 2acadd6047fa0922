//! What an administrator changes in users, resources and clients, or takes away. What a guard must not
//! believe any more is revoked first, so that it stands in the status lists and in the log.

use super::{
    Client, ClientResource, ClientRow, Resource, Store, Transaction,
    clients::{insert_resources, locked_client},
    resources::{insert_parts, locked_resource},
    revocation::{Of, end_grants, log, log_grants_of},
    sql::again_if_deadlocked,
    status::Places,
};
use crate::{Error, clock};

impl Store {
    /// Gives a user another password: nobody stays logged in by the old one. Says how many grants ended,
    /// where they shall; what was allowed before is asked again then.
    pub(crate) async fn replace_password(
        &self,
        name: &str,
        password_hash: &str,
        revoke_grants: bool,
    ) -> Result<u64, Error> {
        again_if_deadlocked(async || {
            let mut transaction = self.begin().await?;
            let update = "UPDATE users SET password_hash = $1 WHERE name_key = $2 RETURNING id";
            let update =
                transaction.sql(update).bind(password_hash).bind(name.to_ascii_lowercase());
            let user: Option<(String,)> = update.returning().await?;
            let (user,) = user.ok_or_else(|| no_user(name))?;
            let delete = "DELETE FROM sessions WHERE user_id = $1";
            transaction.sql(delete).bind(&user).execute().await?;
            let mut ended = 0;
            if revoke_grants {
                let (of, reason) = (Of::User(&user), "password_changed");
                let (grants, places) =
                    end_grants(&mut transaction, of, reason, clock::now()).await?;
                ended = grants;
                let delete = "DELETE FROM consents WHERE user_id = $1";
                transaction.sql(delete).bind(&user).execute().await?;
                places.revoke(&mut transaction).await?;
                log(&mut transaction, "user", &user, reason).await?;
            }
            transaction.commit().await?;
            Ok(ended)
        })
        .await
    }

    /// Forgets a user, after everything that speaks for them has ended.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none of this name, [`Error::Database`].
    pub async fn delete_user(&self, name: &str) -> Result<(), Error> {
        again_if_deadlocked(|| self.end_and_delete_user(name)).await
    }

    async fn end_and_delete_user(&self, name: &str) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        let now = clock::now();
        // Whoever makes a grant looks at this row first: it comes before all of this, or not at all.
        let lock = "UPDATE users SET disabled_at = COALESCE(disabled_at, $1) WHERE name_key = $2 \
                    RETURNING id";
        let lock = transaction.sql(lock).bind(now).bind(name.to_ascii_lowercase());
        let user: Option<(String,)> = lock.returning().await?;
        let (user,) = user.ok_or_else(|| no_user(name))?;
        let (of, reason) = (Of::User(&user), "user_deleted");
        let (_, places) = end_grants(&mut transaction, of, reason, now).await?;
        places.revoke(&mut transaction).await?;
        log(&mut transaction, "user", &user, reason).await?;
        // Sessions, consents, grants and identities go along.
        transaction.sql("DELETE FROM users WHERE id = $1").bind(&user).execute().await?;
        transaction.commit().await
    }

    /// Changes a resource as `change` says, which sees it as it is and refuses what cannot be. What
    /// grants, consents and clients had of a scope that is gone is taken out of them.
    pub(crate) async fn replace_resource(
        &self,
        uri: &str,
        change: impl FnOnce(Resource) -> Result<Resource, Error>,
    ) -> Result<Resource, Error> {
        let mut transaction = self.begin().await?;
        let old = locked_resource(&mut transaction, uri).await?;
        let old = old.ok_or_else(|| no_resource(uri))?;
        let scopes: Vec<String> = old.scopes.iter().map(|scope| scope.name.clone()).collect();
        let new = change(old)?;
        if new.is_default {
            let others = "UPDATE resources SET is_default = FALSE WHERE is_default AND uri <> $1";
            transaction.sql(others).bind(uri).execute().await?;
        }
        transaction
            .sql(
                "UPDATE resources SET name = $1, is_default = $2, token_lifetime = $3, token_alg = \
                 $4 WHERE uri = $5",
            )
            .bind(&new.name)
            .bind(new.is_default)
            .bind(new.token_lifetime)
            .bind(&new.token_alg)
            .bind(uri)
            .execute()
            .await?;
        for delete in [
            "DELETE FROM resource_aliases WHERE resource = $1",
            "DELETE FROM scopes WHERE resource = $1",
            "DELETE FROM resource_tools WHERE resource = $1",
        ] {
            transaction.sql(delete).bind(uri).execute().await?;
        }
        insert_parts(&mut transaction, &new).await?;
        let is_gone = |name: &&String| !new.scopes.iter().any(|scope| scope.name == **name);
        for scope in scopes.iter().filter(is_gone) {
            for take_out in WITHOUT_SCOPE {
                transaction.sql(take_out).bind(scope).bind(uri).execute().await?;
            }
        }
        let empty = "DELETE FROM client_resources WHERE resource = $1 AND scopes = '' AND exchanges = '' \
                     AND NOT introspects";
        transaction.sql(empty).bind(uri).execute().await?;
        transaction.commit().await?;
        self.cache.look_again();
        Ok(new)
    }

    /// Forgets a resource. While grants or clients refer to it that is refused, unless they are to lose
    /// what they have of it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none, [`Error::InUse`], [`Error::Database`].
    pub async fn delete_resource(&self, uri: &str, force: bool) -> Result<(), Error> {
        again_if_deadlocked(|| self.end_and_delete_resource(uri, force)).await?;
        self.cache.look_again();
        Ok(())
    }

    async fn end_and_delete_resource(&self, uri: &str, force: bool) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        let (now, reason) = (clock::now(), "resource_deleted");
        // Clients before the resource, as whoever makes a grant locks them; then grants, lists, the
        // number of the log, as whoever revokes does: in a line and not in a circle.
        let clients = match force {
            true => lock_clients_of(&mut transaction, uri).await?,
            false => Vec::new(),
        };
        if !lock_resource(&mut transaction, uri).await? {
            return Err(no_resource(uri));
        }
        if force {
            let (_, mut places) =
                end_grants(&mut transaction, Of::Resource(uri), reason, now).await?;
            own_places(&mut transaction, uri, &clients, &mut places).await?;
            places.revoke(&mut transaction).await?;
            for client in &clients {
                let end = "UPDATE status_leases SET revoked_at = $1 WHERE client_id = $2 AND \
                           revoked_at IS NULL";
                transaction.sql(end).bind(now).bind(client).execute().await?;
                log(&mut transaction, "client", client, reason).await?;
            }
            log_grants_of(&mut transaction, uri, reason, now).await?;
        } else {
            refuse_if_used(&mut transaction, uri).await?;
        }
        // Scopes, tools, aliases, consents, grants and what clients may do with it go along.
        transaction.sql("DELETE FROM resources WHERE uri = $1").bind(uri).execute().await?;
        transaction.commit().await
    }

    /// Changes a client that the administrator added as `change` says, which sees it as it is and
    /// refuses what cannot be.
    pub(crate) async fn replace_client(
        &self,
        id: &str,
        change: impl FnOnce(
            ClientRow,
            Vec<ClientResource>,
        ) -> Result<(ClientRow, Vec<ClientResource>), Error>,
    ) -> Result<Client, Error> {
        let mut transaction = self.begin().await?;
        let found = locked_client(&mut transaction, id).await?;
        let (row, resources) = found.ok_or_else(|| no_client(id))?;
        let (row, resources) = change(row, resources)?;
        let client = row.client;
        transaction
            .sql(
                "UPDATE clients SET name = $1, redirect_uris = $2, grant_types = $3, jwks = $4, \
                 default_resource = $5, dpop_bound = $6, signed_requests = $7 WHERE id = $8",
            )
            .bind(&client.name)
            .bind(client.redirect_uris.join(" "))
            .bind(client.grant_types.join(" "))
            .bind(&row.jwks)
            .bind(&client.default_resource)
            .bind(client.dpop_bound)
            .bind(client.signed_requests)
            .bind(id)
            .execute()
            .await?;
        let delete = "DELETE FROM client_resources WHERE client_id = $1";
        transaction.sql(delete).bind(id).execute().await?;
        insert_resources(&mut transaction, id, &resources).await?;
        transaction.commit().await?;
        self.cache.look_again();
        Ok(client)
    }

    /// Gives a client that has a secret another one.
    pub(crate) async fn replace_secret(&self, id: &str, secret_hash: &[u8]) -> Result<(), Error> {
        let done = self
            .sql("UPDATE clients SET secret_hash = $1 WHERE id = $2 AND secret_hash IS NOT NULL")
            .bind(secret_hash)
            .bind(id)
            .execute()
            .await?;
        self.cache.look_again();
        match (done, self.client(id).await?) {
            (0, None) => Err(no_client(id)),
            (0, Some(_)) => Err(Error::Invalid(format!("the client {id} has no secret"))),
            _ => Ok(()),
        }
    }
}

/// A scope $1 of the resource $2 is no more. Tokens that are out keep it until they end.
macro_rules! without_scope {
    ($table:literal, $scopes:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET ",
            $scopes,
            " = TRIM(REPLACE(' ' || ",
            $scopes,
            " || ' ', ' ' || $1 || ' ', ' ')) WHERE resource = $2 AND TRIM(REPLACE(' ' || ",
            $scopes,
            " || ' ', ' ' || $1 || ' ', ' ')) <> ",
            $scopes
        )
    };
}

const WITHOUT_SCOPE: [&str; 5] = [
    without_scope!("grants", "scopes"),
    without_scope!("consents", "scopes"),
    without_scope!("device_codes", "scopes"),
    without_scope!("client_resources", "scopes"),
    without_scope!("client_resources", "exchanges"),
];

/// The clients that act for themselves at a resource, or have tokens for it by exchange. Nodes take no more places of the blocks that they
/// hold for them, and nobody means the resource when they name none.
async fn lock_clients_of(transaction: &mut Transaction, uri: &str) -> Result<Vec<String>, Error> {
    let now = clock::now();
    let clients: Vec<(String,)> = transaction
        .sql(
            "UPDATE clients SET not_before = CASE WHEN not_before < $1 THEN $2 ELSE not_before + 1 \
             END WHERE id IN (SELECT client_id FROM client_resources WHERE resource = $3 AND \
             (scopes <> '' OR exchanges <> '')) RETURNING id",
        )
        .bind(now)
        .bind(now)
        .bind(uri)
        .all()
        .await?;
    let forget = "UPDATE clients SET default_resource = NULL WHERE default_resource = $1";
    transaction.sql(forget).bind(uri).execute().await?;
    Ok(clients.into_iter().map(|(id,)| id).collect())
}

/// The places of clients that act for themselves at a resource, or have tokens for it by exchange.
/// Nothing says which of their tokens are for it (the former stand in blocks that are all their client's):
/// those for other resources end too, and they get new ones.
async fn own_places(
    transaction: &mut Transaction,
    uri: &str,
    clients: &[String],
    places: &mut Places,
) -> Result<(), Error> {
    for client in clients {
        let blocks = "SELECT DISTINCT status_list FROM status_leases WHERE client_id = $1 AND \
                      revoked_at IS NULL";
        let lists: Vec<(String,)> = transaction.sql(blocks).bind(client).all().await?;
        lists.into_iter().for_each(|(list,)| places.touch(list));
    }
    // What was exchanged for a token of this resource belongs to a grant of another one.
    let exchanged = transaction
        .sql(
            "SELECT status_list, status_index FROM issued_tokens WHERE expires_at > $1 AND holder IN \
             (SELECT client_id FROM client_resources WHERE resource = $2 AND exchanges <> '')",
        )
        .bind(clock::now())
        .bind(uri)
        .all()
        .await?;
    places.add(exchanged);
    Ok(())
}

/// Nobody refers to the resource anew until the transaction ends. `false`: there is none.
async fn lock_resource(transaction: &mut Transaction, uri: &str) -> Result<bool, Error> {
    let find = match transaction {
        Transaction::Postgres(_) => "SELECT 1::bigint FROM resources WHERE uri = $1 FOR UPDATE",
        // It is alone from its beginning.
        Transaction::Sqlite(_) => "SELECT 1 FROM resources WHERE uri = $1",
    };
    Ok(transaction.sql(find).bind(uri).scalar::<i64>().await?.is_some())
}

async fn refuse_if_used(transaction: &mut Transaction, uri: &str) -> Result<(), Error> {
    let grants = "SELECT COUNT(*) FROM grants WHERE resource = $1 AND revoked_at IS NULL";
    let grants: Option<i64> = transaction.sql(grants).bind(uri).scalar().await?;
    let clients = "SELECT COUNT(*) FROM clients WHERE default_resource = $1 OR id IN (SELECT \
                   client_id FROM client_resources WHERE resource = $2)";
    let clients: Option<i64> = transaction.sql(clients).bind(uri).bind(uri).scalar().await?;
    match (grants.unwrap_or_default(), clients.unwrap_or_default()) {
        (0, 0) => Ok(()),
        (grants, clients) => Err(Error::InUse(format!(
            "{grants} grants and {clients} clients refer to {uri}; with --force they lose what they \
             have of it"
        ))),
    }
}

fn no_client(id: &str) -> Error {
    Error::Invalid(format!("there is no client {id}"))
}

fn no_resource(uri: &str) -> Error {
    Error::Invalid(format!("there is no resource {uri}"))
}

fn no_user(name: &str) -> Error {
    Error::Invalid(format!("there is no user {name}"))
}

#[cfg(test)]
#[path = "changes_tests.rs"]
mod tests;
