//! Clients, and what users consented to for them.

use rusqlite::OptionalExtension as _;

use super::{Store, Transaction, sql::Pools, together::FindConsent};
use crate::{Error, clock};

/// How a client came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// Its `client_id` is the URL of a document about it.
    Document,
    /// It registered itself (RFC 7591): nobody vouches for its name.
    Registered,
    /// The administrator added it.
    Static,
}

/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    /// The `client_id`.
    pub id: String,
    /// How it came to be known.
    pub kind: ClientKind,
    /// Its name, as the registrant gave it.
    pub name: String,
    /// Where its users may be sent back to.
    pub redirect_uris: Vec<String>,
    /// `none`, `client_secret_basic`, `client_secret_post` or `private_key_jwt`.
    pub auth_method: String,
    /// The grant types it may use.
    pub grant_types: Vec<String>,
    /// When it was added, in seconds since the epoch.
    pub created_at: i64,
    /// Whether it is shut out.
    pub is_disabled: bool,
    /// The resource that it means when it names none.
    pub default_resource: Option<String>,
    /// It gets no tokens but those that are bound to a key (DPoP, RFC 9449 §5.2).
    pub dpop_bound: bool,
    /// Its authorization requests must be signed (RFC 9101 §10.5).
    pub signed_requests: bool,
    /// Changes when it is shut out: what it had before stays worthless.
    pub(crate) not_before: i64,
}

/// What a client may do with a resource without asking a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct ClientResource {
    /// The resource.
    pub resource: String,
    /// The scopes that it may have there for itself, separated by spaces.
    pub scopes: String,
    /// The scopes that it may have there by exchange of a user's token (RFC 8693), separated by
    /// spaces.
    pub exchanges: String,
    /// Whether it is the resource's server, and may introspect tokens for it.
    pub introspects: bool,
}

/// A client with the digest of its secret.
#[derive(Clone, Debug)]
pub(crate) struct ClientRow {
    pub(crate) client: Client,
    pub(crate) secret_hash: Option<Vec<u8>>,
    /// Its public keys, as a JSON Web Key Set.
    pub(crate) jwks: Option<String>,
    /// Where they are published.
    pub(crate) jwks_uri: Option<String>,
    /// What else it registered, as a JSON object.
    pub(crate) metadata: String,
    /// The digest of the token with which it can change its registration.
    pub(crate) registration_token_hash: Option<Vec<u8>>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    kind: String,
    name: String,
    redirect_uris: String,
    grant_types: String,
    auth_method: String,
    secret_hash: Option<Vec<u8>>,
    jwks: Option<String>,
    jwks_uri: Option<String>,
    metadata: String,
    registration_token_hash: Option<Vec<u8>>,
    created_at: i64,
    disabled_at: Option<i64>,
    default_resource: Option<String>,
    dpop_bound: bool,
    signed_requests: bool,
    not_before: i64,
}

/// A row of clients. The columns are named: sqlx keeps prepared statements, and PostgreSQL refuses one that
/// was prepared for other columns, as while another node brings the schema up to date.
macro_rules! select_clients {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, name, redirect_uris, grant_types, auth_method, secret_hash, jwks, ",
            "jwks_uri, metadata, registration_token_hash, created_at, disabled_at, ",
            "default_resource, dpop_bound, signed_requests, not_before FROM clients ",
            $rest
        )
    };
}

const RESOURCES: &str = "SELECT resource, scopes, exchanges, introspects FROM client_resources \
    WHERE client_id = $1 ORDER BY resource";

impl From<Row> for ClientRow {
    fn from(row: Row) -> Self {
        let list = |text: &str| {
            text.split(' ').filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let client = Client {
            id: row.id,
            kind: match row.kind.as_str() {
                "cimd" => ClientKind::Document,
                "static" => ClientKind::Static,
                _ => ClientKind::Registered,
            },
            name: row.name,
            redirect_uris: list(&row.redirect_uris),
            auth_method: row.auth_method,
            grant_types: list(&row.grant_types),
            created_at: row.created_at,
            is_disabled: row.disabled_at.is_some(),
            default_resource: row.default_resource,
            dpop_bound: row.dpop_bound,
            signed_requests: row.signed_requests,
            not_before: row.not_before,
        };
        Self {
            client,
            secret_hash: row.secret_hash,
            jwks: row.jwks,
            jwks_uri: row.jwks_uri,
            metadata: row.metadata,
            registration_token_hash: row.registration_token_hash,
        }
    }
}

impl Client {
    /// Whether it may use this grant type.
    #[must_use]
    pub fn may_use(&self, grant_type: &str) -> bool {
        self.grant_types.iter().any(|allowed| allowed == grant_type)
    }
}

pub(super) const FIND_CONSENT: &str = "SELECT scopes FROM consents WHERE user_id = $1 AND client_id = $2 \
    AND resource = $3 AND redirect_uri = $4";

impl Store {
    pub(crate) async fn add_client(
        &self,
        row: &ClientRow,
        resources: &[ClientResource],
    ) -> Result<(), Error> {
        let client = &row.client;
        let mut transaction = self.begin().await?;
        transaction
            .sql(
                "INSERT INTO clients (id, kind, name, redirect_uris, grant_types, auth_method, \
                 secret_hash, jwks, jwks_uri, metadata, registration_token_hash, \
                 default_resource, dpop_bound, signed_requests, created_at) VALUES ($1, $2, $3, \
                 $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
            )
            .bind(&client.id)
            .bind(match client.kind {
                ClientKind::Document => "cimd",
                ClientKind::Static => "static",
                ClientKind::Registered => "registered",
            })
            .bind(&client.name)
            // URIs have no spaces: they are checked before.
            .bind(client.redirect_uris.join(" "))
            .bind(client.grant_types.join(" "))
            .bind(&client.auth_method)
            .bind(&row.secret_hash)
            .bind(&row.jwks)
            .bind(&row.jwks_uri)
            .bind(&row.metadata)
            .bind(&row.registration_token_hash)
            .bind(&client.default_resource)
            .bind(client.dpop_bound)
            .bind(client.signed_requests)
            .bind(client.created_at)
            .execute()
            .await?;
        insert_resources(&mut transaction, &client.id, resources).await?;
        transaction.commit().await
    }

    /// What a client may do with resources without asking a user.
    pub(crate) async fn client_resources(&self, id: &str) -> Result<Vec<ClientResource>, Error> {
        let known = self.known_client(id).await?;
        Ok(known.map(|known| known.resources.clone()).unwrap_or_default())
    }

    pub(super) async fn stored_client_resources(
        &self,
        id: &str,
    ) -> Result<Vec<ClientResource>, Error> {
        self.sql(RESOURCES).bind(id).all().await
    }

    pub(crate) async fn client(&self, id: &str) -> Result<Option<ClientRow>, Error> {
        Ok(self.known_client(id).await?.map(|known| known.row.clone()))
    }

    pub(super) async fn stored_client(&self, id: &str) -> Result<Option<ClientRow>, Error> {
        let row: Option<Row> =
            self.sql(select_clients!("WHERE id = $1")).bind(id).optional().await?;
        Ok(row.map(ClientRow::from))
    }

    /// All clients, the newest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn clients(&self) -> Result<Vec<Client>, Error> {
        let rows: Vec<Row> =
            self.sql(select_clients!("ORDER BY created_at DESC, id")).all().await?;
        Ok(rows.into_iter().map(|row| ClientRow::from(row).client).collect())
    }

    /// The scopes that a user has allowed a client for a resource, at this redirect URI.
    pub(crate) async fn consented(
        &self,
        user_id: &str,
        client_id: &str,
        resource: &str,
        redirect_uri: &str,
    ) -> Result<Option<String>, Error> {
        let key = [user_id, client_id, resource, redirect_uri];
        let direct = match &self.pools {
            Pools::Postgres { together, .. } => {
                return together.consents.join(FindConsent(key.map(str::to_owned))).await;
            }
            Pools::Sqlite { direct, .. } => direct,
        };
        direct.read(|connection| {
            let mut statement = connection.prepare_cached(FIND_CONSENT)?;
            statement.query_row(key, |row| row.get(0)).optional()
        })
    }

    pub(crate) async fn remember_consent(
        &self,
        user_id: &str,
        client_id: &str,
        resource: &str,
        redirect_uri: &str,
        scopes: &str,
    ) -> Result<(), Error> {
        self.sql(
            "INSERT INTO consents (user_id, client_id, resource, redirect_uri, scopes, \
                 granted_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (user_id, client_id, \
                 resource, redirect_uri) DO UPDATE SET scopes = excluded.scopes, granted_at = \
                 excluded.granted_at",
        )
        .bind(user_id)
        .bind(client_id)
        .bind(resource)
        .bind(redirect_uri)
        .bind(scopes)
        .bind(clock::now())
        .execute()
        .await?;
        Ok(())
    }
}

/// A client with what it may do for itself; nobody else changes either until the transaction ends.
pub(super) async fn locked_client(
    transaction: &mut Transaction,
    id: &str,
) -> Result<Option<(ClientRow, Vec<ClientResource>)>, Error> {
    let lock = transaction.sql("UPDATE clients SET name = name WHERE id = $1");
    lock.bind(id).execute().await?;
    let row: Option<Row> =
        transaction.sql(select_clients!("WHERE id = $1")).bind(id).optional().await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let resources = transaction.sql(RESOURCES).bind(id).all().await?;
    Ok(Some((row.into(), resources)))
}

/// Stores what a client may do for itself, which has none of it.
pub(super) async fn insert_resources(
    transaction: &mut Transaction,
    id: &str,
    resources: &[ClientResource],
) -> Result<(), Error> {
    for resource in resources {
        transaction
            .sql(
                "INSERT INTO client_resources (client_id, resource, scopes, exchanges, \
                 introspects) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(id)
            .bind(&resource.resource)
            .bind(&resource.scopes)
            .bind(&resource.exchanges)
            .bind(resource.introspects)
            .execute()
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::store::test_stores;

    /// A node goes on while another one brings the schema up to date: PostgreSQL refuses a statement
    /// that was prepared for other columns.
    #[tokio::test]
    async fn a_new_column_is_no_matter() {
        for store in test_stores::each().await {
            store.fill().await;
            for change in [
                "UPDATE clients SET name = 'C'",
                "ALTER TABLE clients ADD COLUMN of_tomorrow TEXT",
                "ALTER TABLE clients DROP COLUMN of_tomorrow",
            ] {
                store.run(change).await;
                assert!(store.stored_client("c").await.unwrap().is_some(), "{change}");
                assert_eq!(store.clients().await.unwrap().len(), 2, "{change}");
            }
        }
    }
}
