//! `countersign`: OAuth 2.1 authorization for MCP servers, from the command line.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 usage.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::expect_used, clippy::panic, clippy::unwrap_used))]

mod audit;
mod backup;
mod browser;
mod call;
mod client;
mod client_set;
mod completions;
mod config;
mod credentials;
mod explain;
mod grant;
mod idp;
mod input;
mod key;
mod login;
mod output;
mod policy;
mod resource;
mod resource_set;
mod serve;
mod settings;
mod token;
mod user;
mod verify;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use countersign_issuer::Database;
use mimalloc::MiMalloc;

use crate::output::Outcome;

/// OAuth 2.1 authorization for MCP servers.
///
/// Start an issuer with `countersign serve`, tell it about your MCP server with `countersign
/// resource add`, add people with `countersign user add`. MCP clients register by themselves.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// The help's heading over what every command takes.
const EVERYWHERE: &str = "Options of all commands";

/// What every command takes.
#[derive(Clone, Debug, clap::Args)]
struct Global {
    /// A configuration file in TOML; options and the environment take precedence
    #[arg(long, global = true, env = "COUNTERSIGN_CONFIG", hide_env_values = true,
          value_name = "FILE", help_heading = EVERYWHERE)]
    config: Option<PathBuf>,
    /// The issuer's database: a SQLite file, or postgres://… [default: countersign.db]
    #[arg(long, global = true, env = "COUNTERSIGN_DATABASE", hide_env_values = true,
          value_name = "FILE|URL", help_heading = EVERYWHERE)]
    database: Option<Database>,
    /// Print data as JSON
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Arguments),
    /// Add, change, list and lock out the people who can log in
    #[command(subcommand)]
    User(user::Command),
    /// Add, change, list and remove the MCP servers that tokens are issued for
    #[command(subcommand)]
    Resource(resource::Command),
    /// Add, change and list pre-registered clients, and shut clients out
    #[command(subcommand)]
    Client(client::Command),
    /// List and revoke what users allowed
    #[command(subcommand)]
    Grant(grant::Command),
    /// Say what a single token is worth, and revoke it
    #[command(subcommand)]
    Token(token::Command),
    /// Identity providers that say which clients may act for which users
    #[command(subcommand)]
    Idp(idp::Command),
    /// List, rotate and revoke signing keys, and seal them anew
    Key(key::Arguments),
    Login(login::LoginArguments),
    Logout(login::LogoutArguments),
    Call(call::Arguments),
    Audit(audit::Arguments),
    Backup(backup::BackupArguments),
    Restore(backup::RestoreArguments),
    /// Check the authorization server's configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Check a guard's policy document
    #[command(subcommand)]
    Policy(policy::Command),
    Explain(explain::Arguments),
    /// Print the OpenAPI document of the authorization server's endpoints
    Openapi,
    Verify(verify::Arguments),
    Completions(completions::Arguments),
}

/// A server for years: what requests took is given back, and found again quickly.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { global, command } = Arguments::parse();
    let outcome: Outcome = match command {
        Command::Serve(arguments) => serve::run(arguments, &global).await,
        Command::User(command) => user::run(command, &global).await,
        Command::Resource(command) => resource::run(command, &global).await,
        Command::Client(command) => client::run(command, &global).await,
        Command::Grant(command) => grant::run(command, &global).await,
        Command::Token(command) => token::run(command, &global).await,
        Command::Idp(command) => idp::run(command, &global).await,
        Command::Key(arguments) => key::run(arguments, &global).await,
        Command::Login(arguments) => login::log_in(arguments, &global).await,
        Command::Logout(arguments) => login::log_out(arguments, &global).await,
        Command::Call(arguments) => call::run(arguments, &global).await,
        Command::Audit(arguments) => audit::run(&arguments, &global).await,
        Command::Backup(arguments) => backup::back_up(arguments, &global).await,
        Command::Restore(arguments) => backup::restore(arguments, &global).await,
        Command::Config(command) => config::run(command, &global),
        Command::Policy(command) => policy::run(&command, &global),
        Command::Explain(arguments) => explain::run(&arguments, &global),
        Command::Openapi => openapi(),
        Command::Verify(arguments) => verify::run(&arguments, &global),
        Command::Completions(arguments) => completions::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            problem.print(global.json);
            problem.exit_code()
        }
    }
}

fn openapi() -> Outcome {
    output::print_line(countersign_issuer::OPENAPI.trim_end())
}
