//! Clients, and what users consented to for them.

use super::Store;
use crate::{Error, clock};

/// How a client came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
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
    /// `none`, `client_secret_basic` or `client_secret_post`.
    pub auth_method: String,
    /// The grant types it may use.
    pub grant_types: Vec<String>,
    /// When it was added, in seconds since the epoch.
    pub created_at: i64,
}

/// A client with the digest of its secret.
#[derive(Clone, Debug)]
pub(crate) struct ClientRow {
    pub(crate) client: Client,
    pub(crate) secret_hash: Option<Vec<u8>>,
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
    created_at: i64,
}

impl From<Row> for ClientRow {
    fn from(row: Row) -> Self {
        let list = |text: &str| {
            text.split(' ').filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let client = Client {
            id: row.id,
            kind: match row.kind.as_str() {
                "static" => ClientKind::Static,
                _ => ClientKind::Registered,
            },
            name: row.name,
            redirect_uris: list(&row.redirect_uris),
            auth_method: row.auth_method,
            grant_types: list(&row.grant_types),
            created_at: row.created_at,
        };
        Self { client, secret_hash: row.secret_hash }
    }
}

impl Client {
    /// Whether it may use this grant type.
    #[must_use]
    pub fn may_use(&self, grant_type: &str) -> bool {
        self.grant_types.iter().any(|allowed| allowed == grant_type)
    }
}

impl Store {
    pub(crate) async fn add_client(&self, row: &ClientRow) -> Result<(), Error> {
        let client = &row.client;
        self.sql(
            "INSERT INTO clients (id, kind, name, redirect_uris, grant_types, auth_method, \
                 secret_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&client.id)
        .bind(match client.kind {
            ClientKind::Static => "static",
            ClientKind::Registered => "registered",
        })
        .bind(&client.name)
        // URIs have no spaces: they are checked before.
        .bind(client.redirect_uris.join(" "))
        .bind(client.grant_types.join(" "))
        .bind(&client.auth_method)
        .bind(&row.secret_hash)
        .bind(client.created_at)
        .execute()
        .await?;
        Ok(())
    }

    pub(crate) async fn client(&self, id: &str) -> Result<Option<ClientRow>, Error> {
        let row: Option<Row> =
            self.sql("SELECT * FROM clients WHERE id = $1").bind(id).optional().await?;
        Ok(row.map(ClientRow::from))
    }

    /// All clients, the newest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn clients(&self) -> Result<Vec<Client>, Error> {
        let rows: Vec<Row> =
            self.sql("SELECT * FROM clients ORDER BY created_at DESC, id").all().await?;
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
        self.sql(
            "SELECT scopes FROM consents WHERE user_id = $1 AND client_id = $2 AND resource \
                 = $3 AND redirect_uri = $4",
        )
        .bind(user_id)
        .bind(client_id)
        .bind(resource)
        .bind(redirect_uri)
        .scalar()
        .await
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
