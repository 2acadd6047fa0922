//! Protected resources and their scopes.

use std::collections::BTreeMap;

use countersign_core::oauth::{
    resource::ResourceId,
    scope::{Implications, Scope, ScopeSet},
};

use super::{Store, Transaction, exists};
use crate::{Error, clock};

/// A protected resource (RFC 8707): what tokens are issued for.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The identifier, as it stands in `aud`.
    pub uri: String,
    /// A name for people.
    pub name: String,
    /// Whether it is meant when a client names none.
    pub is_default: bool,
    /// Further spellings that clients may send.
    pub aliases: Vec<String>,
    /// Its scopes, in the order in which they were given.
    pub scopes: Vec<ScopeText>,
    /// What single tools of the server need.
    pub tools: Vec<ToolRule>,
    /// Lifetime of its access tokens in seconds, where it has one of its own.
    pub token_lifetime: Option<i64>,
    /// The algorithm that its access tokens are signed with, where that is not ES256.
    pub token_alg: Option<String>,
}

/// The scopes that a tool of a server needs.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ToolRule {
    /// The tool's name, or a beginning and `*`.
    pub tool: String,
    /// What it needs, separated by spaces.
    pub scopes: String,
}

/// How the access tokens of a resource are made.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenSettings {
    pub(crate) token_lifetime: Option<i64>,
    pub(crate) token_alg: Option<String>,
}

/// A scope of a resource.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ScopeText {
    /// The scope token.
    pub name: String,
    /// What it allows, for the consent page.
    pub description: String,
    /// The scopes that it implies, separated by spaces.
    pub implies: String,
}

#[derive(sqlx::FromRow)]
struct ResourceRow {
    uri: String,
    name: String,
    is_default: bool,
    token_lifetime: Option<i64>,
    token_alg: Option<String>,
}

const ALIASES: &str = "SELECT alias FROM resource_aliases WHERE resource = $1 ORDER BY alias";

const SCOPES: &str =
    "SELECT name, description, implies FROM scopes WHERE resource = $1 ORDER BY position";

const TOOLS: &str = "SELECT tool, scopes FROM resource_tools WHERE resource = $1 ORDER BY tool";

impl ResourceRow {
    fn with(
        self,
        aliases: Vec<(String,)>,
        scopes: Vec<ScopeText>,
        tools: Vec<ToolRule>,
    ) -> Resource {
        let Self { uri, name, is_default, token_lifetime, token_alg } = self;
        let aliases = aliases.into_iter().map(|(alias,)| alias).collect();
        Resource { uri, name, is_default, aliases, scopes, tools, token_lifetime, token_alg }
    }
}

impl Resource {
    /// Whether a `resource` parameter means this resource.
    pub(crate) fn is_meant_by(&self, requested: &str) -> bool {
        let is = |uri: &String| ResourceId::parse(uri).is_ok_and(|uri| uri.matches(requested));
        is(&self.uri) || self.aliases.iter().any(is)
    }

    /// What is granted when a client names no scope: the first one, the least that makes sense.
    pub(crate) fn default_scope(&self) -> ScopeSet {
        self.scopes.first().and_then(|scope| Scope::parse(&scope.name).ok()).into_iter().collect()
    }

    /// Which of its scopes imply which others.
    pub(crate) fn implications(&self) -> Implications {
        let direct = self.scopes.iter().filter_map(|scope| {
            let name = Scope::parse(&scope.name).ok()?;
            Some((name, ScopeSet::parse(&scope.implies).ok()?))
        });
        // They were checked when the resource was added: without cycles, and with names that are
        // scopes. Where that is not so, nothing is implied.
        Implications::new(&direct.collect::<BTreeMap<_, _>>()).unwrap_or_default()
    }

    /// Whether what was granted gives all of this, by itself or by what it implies.
    pub(crate) fn gives(&self, granted: &ScopeSet, requested: &ScopeSet) -> bool {
        let implications = self.implications();
        requested.iter().all(|scope| implications.grants(granted, scope))
    }

    /// The description of one of its scopes.
    pub(crate) fn description(&self, scope: &Scope) -> Option<&str> {
        let found = self.scopes.iter().find(|known| known.name == scope.as_str());
        found.map(|known| known.description.as_str())
    }
}

impl Store {
    pub(crate) async fn add_resource(&self, resource: &Resource) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        if resource.is_default {
            transaction.sql("UPDATE resources SET is_default = FALSE").execute().await?;
        }
        transaction
            .sql(
                "INSERT INTO resources (uri, name, is_default, created_at, token_lifetime, \
                 token_alg, position) SELECT $1, $2, $3, $4, $5, $6, COALESCE(MAX(position), 0) + \
                 1 FROM resources",
            )
            .bind(&resource.uri)
            .bind(&resource.name)
            .bind(resource.is_default)
            .bind(clock::now())
            .bind(resource.token_lifetime)
            .bind(&resource.token_alg)
            .execute()
            .await
            .map_err(exists(format!("there is a resource {} already", resource.uri)))?;
        insert_parts(&mut transaction, resource).await?;
        transaction.commit().await?;
        self.cache.look_again();
        Ok(())
    }

    /// How the access tokens of a resource are made.
    pub(crate) async fn token_settings(&self, uri: &str) -> Result<TokenSettings, Error> {
        let known = self.known_resources().await?;
        let found = known.iter().find(|resource| resource.uri == uri);
        Ok(found.map_or_else(TokenSettings::default, |resource| TokenSettings {
            token_lifetime: resource.token_lifetime,
            token_alg: resource.token_alg.clone(),
        }))
    }

    /// All resources, the oldest first. There are few.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn resources(&self) -> Result<Vec<Resource>, Error> {
        Ok(self.known_resources().await?.to_vec())
    }

    pub(super) async fn stored_resources(&self) -> Result<Vec<Resource>, Error> {
        let rows: Vec<ResourceRow> = self
            .sql(
                "SELECT uri, name, is_default, token_lifetime, token_alg FROM resources ORDER BY \
                 position, uri",
            )
            .all()
            .await?;
        let mut resources = Vec::with_capacity(rows.len());
        for row in rows {
            let aliases = self.sql(ALIASES).bind(&row.uri).all().await?;
            let scopes = self.sql(SCOPES).bind(&row.uri).all().await?;
            let tools = self.sql(TOOLS).bind(&row.uri).all().await?;
            resources.push(row.with(aliases, scopes, tools));
        }
        Ok(resources)
    }
}

/// A resource, which nobody else changes until the transaction ends.
pub(super) async fn locked_resource(
    transaction: &mut Transaction,
    uri: &str,
) -> Result<Option<Resource>, Error> {
    let row: Option<ResourceRow> = transaction
        .sql(
            "UPDATE resources SET name = name WHERE uri = $1 RETURNING uri, name, is_default, \
             token_lifetime, token_alg",
        )
        .bind(uri)
        .returning()
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let aliases = transaction.sql(ALIASES).bind(uri).all().await?;
    let scopes = transaction.sql(SCOPES).bind(uri).all().await?;
    let tools = transaction.sql(TOOLS).bind(uri).all().await?;
    Ok(Some(row.with(aliases, scopes, tools)))
}

/// Stores what belongs to a resource, which has none of it.
pub(super) async fn insert_parts(
    transaction: &mut Transaction,
    resource: &Resource,
) -> Result<(), Error> {
    for alias in &resource.aliases {
        transaction
            .sql("INSERT INTO resource_aliases (alias, resource) VALUES ($1, $2)")
            .bind(alias)
            .bind(&resource.uri)
            .execute()
            .await
            .map_err(exists(format!("another resource has the alias {alias} already")))?;
    }
    for (position, scope) in (0_i64..).zip(&resource.scopes) {
        transaction
            .sql(
                "INSERT INTO scopes (resource, name, description, position, implies) VALUES \
             ($1, $2, $3, $4, $5)",
            )
            .bind(&resource.uri)
            .bind(&scope.name)
            .bind(&scope.description)
            .bind(position)
            .bind(&scope.implies)
            .execute()
            .await
            .map_err(exists(format!("the scope {} is given twice", scope.name)))?;
    }
    for rule in &resource.tools {
        transaction
            .sql("INSERT INTO resource_tools (resource, tool, scopes) VALUES ($1, $2, $3)")
            .bind(&resource.uri)
            .bind(&rule.tool)
            .bind(&rule.scopes)
            .execute()
            .await
            .map_err(exists(format!("the tool {} is given twice", rule.tool)))?;
    }
    Ok(())
}
