//! `countersign key`: the keys that sign, and the key that seals them.

use clap::Subcommand;
use countersign_issuer::{Rotation, SigningKeyInfo, SigningKeys, new_sealing_key};
use serde_json::{Value, json};

use crate::{
    Global,
    output::{Outcome, lines, print},
    settings::{KeyOptions, open_existing_database},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    options: KeyOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the signing keys and what happens to them when
    List,
    /// Make the next signing key; it is published at once and signs in half an hour
    ///
    /// The key that signs now stays published for another day, until no token of it is valid. The
    /// server does all of this by itself every --key-rotation seconds. Where no server ran for five
    /// minutes, or a clock leapt, no key takes over for an hour, unless by --now.
    Rotate {
        /// Of which algorithm
        #[arg(long, value_name = "ALG", default_value = "ES256",
              value_parser = ["ES256", "EdDSA", "RS256"])]
        alg: String,
        /// Sign with it at once, although some caches do not know it yet
        #[arg(long)]
        now: bool,
    },
    /// Take a signing key out of the key set at once: everything that it signed is void
    ///
    /// For a key that somebody else has. Its private half is destroyed. If it was the one that signs,
    /// the next one takes over now, and clients get new tokens with their refresh tokens.
    Revoke {
        /// The key's id, as `countersign key list` prints it
        // It may begin with a hyphen: it is base64url.
        #[arg(allow_hyphen_values = true)]
        kid: String,
        /// Why, for the revocation log
        #[arg(long)]
        reason: String,
    },
    /// Seal the signing keys anew, under the first key of the key file
    ///
    /// To replace the sealing key: make one with `countersign key new-sealing-key`, put it on a line
    /// after the old one in every node's key file (or after it in COUNTERSIGN_KEY, with a space), and
    /// restart the nodes one after the other: now all can open what it seals. Then put it before the old
    /// one everywhere, restart the nodes again, run this, and remove the old line.
    Reseal,
    /// Print a new sealing key, for a key file or COUNTERSIGN_KEY
    NewSealingKey,
}

pub(crate) async fn run(arguments: Arguments, global: &Global) -> Outcome {
    let Arguments { options, command } = arguments;
    match command {
        Command::NewSealingKey => {
            let key = new_sealing_key()?;
            print(global.json, &json!({ "key": key }), || key.clone())?;
        }
        Command::List => {
            let keys = open_existing_database(global).await?.signing_key_infos().await?;
            let data = keys.iter().map(describe).collect();
            print(global.json, &Value::Array(data), || {
                let described: Vec<String> = keys.iter().map(line).collect();
                lines(&described, "None yet: the server makes the first one when it starts.")
            })?;
        }
        Command::Rotate { alg, now } => {
            let when = if now { Rotation::AtOnce } else { Rotation::Announced };
            let keys = existing(options, global).await?;
            keys.rotate(&alg, when).await?;
            let next = if now {
                "signs now"
            } else {
                "is published, and signs in half an hour, or up to an hour later where the servers were \
                 stopped or a clock leapt"
            };
            print(global.json, &json!({ "alg": alg, "now": now }), || {
                format!("The next {alg} key {next}. See: countersign key list")
            })?;
        }
        Command::Revoke { kid, reason } => {
            existing(options, global).await?.revoke(&kid, &reason).await?;
            print(global.json, &json!({ "kid": kid, "state": "revoked" }), || {
                format!("The key {kid} is revoked.")
            })?;
        }
        Command::Reseal => {
            let count = existing(options, global).await?.reseal().await?;
            print(global.json, &json!({ "resealed": count }), || {
                format!("Sealed {count} secrets under the first key of the key file.")
            })?;
        }
    }
    Ok(())
}

/// Keys are changed where there is a database, and not made in a new one by a mistyped name.
async fn existing(
    options: KeyOptions,
    global: &Global,
) -> Result<SigningKeys, crate::output::Problem> {
    open_existing_database(global).await?.close().await;
    Ok(SigningKeys::open(&options.resolve(global)?).await?)
}

fn describe(key: &SigningKeyInfo) -> Value {
    json!({
        "kid": key.kid,
        "alg": key.alg,
        "state": key.state,
        "created_at": key.created_at,
        "sign_from": key.sign_from,
        "sign_until": key.sign_until,
        "drop_at": key.drop_at,
        "sealed_by": key.sealed_by,
    })
}

fn line(key: &SigningKeyInfo) -> String {
    let SigningKeyInfo { kid, alg, state, sign_from, sign_until, drop_at, .. } = key;
    let what = match (state.as_str(), drop_at) {
        ("pending", _) => format!("signs from {sign_from}"),
        ("active", _) if *sign_until == i64::MAX => format!("signs since {sign_from}"),
        ("active", _) => format!("signs since {sign_from}, until {sign_until}"),
        (_, Some(drop_at)) => format!("signed until {sign_until}, is deleted at {drop_at}"),
        (_, None) => format!("signed until {sign_until}"),
    };
    format!("{kid}  {alg:<5}  {state:<8}  {what}")
}
