//! `countersign user`: the people who can log in.

use std::io::{self, BufRead as _};

use clap::Subcommand;
use countersign_issuer::{NewUser, User};
use serde_json::{Value, json};

use crate::{
    Global,
    output::{Outcome, Problem, lines, print},
    settings::{open_database, open_existing_database},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a person; asks for a password
    Add {
        /// The name for logging in
        name: String,
        /// An e-mail address
        #[arg(long)]
        email: Option<String>,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Give a person another password; asks for it. Whoever is logged in by the old one is not any more
    Password {
        /// The name for logging in
        name: String,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
        /// End what the person allowed to clients too, and ask again; access tokens are revoked
        #[arg(long)]
        revoke_grants: bool,
    },
    /// Write down claims about a person, like roles; `--token-claims` says which are in access tokens
    Claims {
        /// The name for logging in
        name: String,
        /// A JSON object; it replaces what was there
        #[arg(value_name = "JSON")]
        claims: String,
    },
    /// Lock a person out: sessions and grants end, access tokens are revoked
    Disable {
        /// The name for logging in
        name: String,
    },
    /// Let a person log in again; what was revoked stays so
    Enable {
        /// The name for logging in
        name: String,
    },
    /// Remove a person, after all that a disabled one loses. Who is added again later is somebody else
    Delete {
        /// The name for logging in
        name: String,
    },
    /// List everybody
    List,
}

pub(crate) async fn run(command: Command, global: &Global) -> Outcome {
    match command {
        Command::Add { name, email, password_stdin } => {
            let password = read_password(&name, password_stdin)?;
            let new = NewUser { name: &name, email: email.as_deref(), password: &password };
            let store = open_database(global).await?;
            let user = store.create_user(new).await?;
            print(global.json, &describe(&user), || format!("Added the user {}.", user.name))?;
        }
        Command::Password { name, password_stdin, revoke_grants } => {
            let store = open_existing_database(global).await?;
            let password = read_password(&name, password_stdin)?;
            let ended = store.set_password(&name, &password, revoke_grants).await?;
            let data = json!({ "name": name, "changed": true, "revoked_grants": ended });
            print(global.json, &data, || match (revoke_grants, ended) {
                (false, _) => format!("{name} has another password. What {name} allowed stays so."),
                (true, 1) => format!("{name} has another password. 1 grant is revoked."),
                (true, ended) => {
                    format!("{name} has another password. {ended} grants are revoked.")
                }
            })?;
        }
        Command::Claims { name, claims } => {
            open_existing_database(global).await?.set_user_claims(&name, &claims).await?;
            print(global.json, &json!({ "name": name, "set": true }), || {
                format!("Wrote down the claims about {name}.")
            })?;
        }
        Command::Disable { name } => {
            open_existing_database(global).await?.disable_user(&name).await?;
            print(global.json, &json!({ "name": name, "disabled": true }), || {
                format!("{name} is locked out. Guards know within seconds.")
            })?;
        }
        Command::Enable { name } => {
            open_existing_database(global).await?.enable_user(&name).await?;
            print(global.json, &json!({ "name": name, "disabled": false }), || {
                format!("{name} can log in again.")
            })?;
        }
        Command::Delete { name } => {
            open_existing_database(global).await?.delete_user(&name).await?;
            print(global.json, &json!({ "name": name, "deleted": true }), || {
                format!("{name} is removed. Guards know within seconds.")
            })?;
        }
        Command::List => {
            let store = open_existing_database(global).await?;
            let users = store.users().await?;
            let data = users.iter().map(describe).collect();
            print(global.json, &Value::Array(data), || {
                let line = |user: &User| {
                    let email = user.email.as_ref().map(|email| format!(" <{email}>"));
                    let disabled = if user.is_disabled { "  (disabled)" } else { "" };
                    format!("{}{}{disabled}", user.name, email.unwrap_or_default())
                };
                let names: Vec<String> = users.iter().map(line).collect();
                lines(&names, "Nobody yet. Add somebody with: countersign user add NAME")
            })?;
        }
    }
    Ok(())
}

fn describe(user: &User) -> Value {
    json!({
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "disabled": user.is_disabled,
    })
}

fn read_password(name: &str, from_input: bool) -> Result<String, Problem> {
    if from_input { from_stdin() } else { ask(name) }
}

fn from_stdin() -> Result<String, Problem> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Problem::new("io_failed", format!("reading the password: {error}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn ask(name: &str) -> Result<String, Problem> {
    let failed = |error: io::Error| {
        Problem::new(
            "io_failed",
            format!("reading the password: {error} (without a terminal, use --password-stdin)"),
        )
    };
    let first = rpassword::prompt_password(format!("Password for {name}: ")).map_err(failed)?;
    let second = rpassword::prompt_password("Once more: ").map_err(failed)?;
    if first == second {
        Ok(first)
    } else {
        Err(Problem::new("value_invalid", "the passwords are not the same; nothing was done"))
    }
}
