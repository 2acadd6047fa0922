//! `countersign idp`: identity providers whose assertions count (ID-JAG, MCP's enterprise-managed
//! authorization), and who of theirs is which user.

use std::{fs, path::PathBuf};

use clap::Subcommand;
use countersign_issuer::{Identity, IdentityProvider};
use serde_json::{Value, json};

use crate::{
    Global,
    output::{Outcome, Problem, lines, print},
    settings::{open_database, open_existing_database},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Trust an identity provider to speak for those users who are linked to it
    Add {
        /// Its issuer identifier, as it stands in `iss`
        issuer: String,
        /// Where it publishes its keys
        #[arg(long, value_name = "URL", required_unless_present = "jwks")]
        jwks_uri: Option<String>,
        /// Its public keys: a file with a JSON Web Key Set
        #[arg(long, value_name = "FILE", conflicts_with = "jwks_uri")]
        jwks: Option<PathBuf>,
    },
    /// Trust an identity provider no longer, and forget who its users are
    Delete {
        /// Its issuer identifier
        issuer: String,
    },
    /// List the identity providers that are trusted, and who of theirs is which user
    List,
    /// Say who of an identity provider is which user
    Link {
        /// The name of the user
        user: String,
        /// The issuer identifier of the identity provider
        #[arg(long)]
        issuer: String,
        /// The `sub` that the user has there
        #[arg(long)]
        subject: String,
    },
    /// Forget who somebody of an identity provider is
    Unlink {
        /// The issuer identifier of the identity provider
        #[arg(long)]
        issuer: String,
        /// The `sub` there
        #[arg(long)]
        subject: String,
    },
}

pub(crate) async fn run(command: Command, global: &Global) -> Outcome {
    match command {
        Command::Add { issuer, jwks_uri, jwks } => {
            let read = |path: PathBuf| {
                let shown = path.display();
                fs::read_to_string(&path)
                    .map_err(|error| Problem::new("io_failed", format!("{shown}: {error}")))
            };
            let provider = IdentityProvider { issuer, jwks: jwks.map(read).transpose()?, jwks_uri };
            open_database(global).await?.add_identity_provider(&provider).await?;
            print(global.json, &json!({ "issuer": provider.issuer, "trusted": true }), || {
                format!(
                    "{} is trusted. Say who its users are: countersign idp link --help",
                    provider.issuer
                )
            })?;
        }
        Command::Delete { issuer } => {
            open_existing_database(global).await?.delete_identity_provider(&issuer).await?;
            print(global.json, &json!({ "issuer": issuer, "trusted": false }), || {
                format!("{issuer} is trusted no longer. Tokens that there are end by themselves.")
            })?;
        }
        Command::List => list(global).await?,
        Command::Link { user, issuer, subject } => {
            let identity = Identity { issuer, subject, user };
            open_existing_database(global).await?.link_user(&identity).await?;
            print(global.json, &describe(&identity), || {
                format!("{} of {} is {}.", identity.subject, identity.issuer, identity.user)
            })?;
        }
        Command::Unlink { issuer, subject } => {
            open_existing_database(global).await?.unlink_user(&issuer, &subject).await?;
            print(global.json, &json!({ "issuer": issuer, "subject": subject }), || {
                format!("{subject} of {issuer} is nobody here any more.")
            })?;
        }
    }
    Ok(())
}

async fn list(global: &Global) -> Outcome {
    let store = open_existing_database(global).await?;
    let (providers, identities) = (store.identity_providers().await?, store.identities().await?);
    let of = |issuer: &str| {
        let theirs = identities.iter().filter(|identity| identity.issuer == issuer);
        theirs.cloned().collect::<Vec<Identity>>()
    };
    let data = providers.iter().map(|provider| {
        json!({
            "issuer": provider.issuer,
            "jwks_uri": provider.jwks_uri,
            "users": of(&provider.issuer).iter().map(describe).collect::<Value>(),
        })
    });
    print(global.json, &Value::Array(data.collect()), || {
        let mut all = Vec::new();
        for provider in &providers {
            all.push(provider.issuer.clone());
            all.extend(
                of(&provider.issuer)
                    .iter()
                    .map(|identity| format!("  {:?} is {}", identity.subject, identity.user)),
            );
        }
        lines(&all, "No identity provider is trusted. See: countersign idp add --help")
    })?;
    Ok(())
}

fn describe(identity: &Identity) -> Value {
    json!({ "issuer": identity.issuer, "subject": identity.subject, "user": identity.user })
}
