//! `countersign serve`: the authorization server.

use std::{io::IsTerminal as _, net::SocketAddr, path::PathBuf};

use clap::ValueEnum;
use countersign_issuer::{Config, Registration, Server};
use tokio::signal;
use tracing_subscriber::EnvFilter;

use crate::{
    Global,
    output::{Outcome, Problem},
};

/// Run the authorization server
///
/// Without any option it is a server for development on http://127.0.0.1:8090, with its database in
/// ./countersign.db and its keys sealed by ./countersign.key. Both are made at the first start; keep
/// a copy of them in different places.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where to listen
    #[arg(long, env = "COUNTERSIGN_LISTEN", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// The public URL, without a trailing slash; it stands in every token and must never change
    /// [default: http://ADDRESS of --listen]
    #[arg(long, env = "COUNTERSIGN_ISSUER")]
    issuer: Option<String>,
    /// The file with the key that seals the signing keys [default: countersign.key beside the
    /// database]. COUNTERSIGN_KEY in the environment takes precedence
    #[arg(long, env = "COUNTERSIGN_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// Lifetime of access tokens, in seconds
    #[arg(
        long,
        env = "COUNTERSIGN_ACCESS_TOKEN_LIFETIME",
        value_name = "SECONDS",
        default_value_t = 900
    )]
    access_token_lifetime: u64,
    /// Whether MCP clients may register by themselves
    #[arg(long, env = "COUNTERSIGN_REGISTRATION", default_value = "open")]
    registration: RegistrationMode,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RegistrationMode {
    /// Every client may; users see that its name is not verified
    Open,
    /// Only `countersign client add`
    Off,
}

pub(crate) async fn run(arguments: Arguments, global: &Global) -> Outcome {
    start_logging(global.json);
    let issuer = arguments.issuer.unwrap_or_else(|| format!("http://{}", arguments.listen));
    let config = Config {
        listen: arguments.listen,
        issuer: issuer.clone(),
        database: global.database.clone(),
        key_file: arguments.key_file,
        access_token_lifetime: arguments.access_token_lifetime,
        registration: match arguments.registration {
            RegistrationMode::Open => Registration::Open,
            RegistrationMode::Off => Registration::Off,
        },
    };
    let server = Server::bind(config).await?;
    let address = server.local_addr()?;
    tracing::info!("listening on {address} as {issuer}");
    say_next_commands(&server, global).await?;
    let terminate = terminated()?;
    server.run(terminate).await?;
    tracing::info!("stopped");
    Ok(())
}

fn start_logging(as_json: bool) {
    let filter =
        EnvFilter::try_from_env("COUNTERSIGN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if as_json {
        builder.json().init();
    } else {
        builder.init();
    }
}

/// A new server can do nothing yet: what is missing is said, with the command for it.
async fn say_next_commands(server: &Server, global: &Global) -> Outcome {
    let database = global.database.display();
    if server.store().resources().await?.is_empty() {
        eprintln!(
            "\nTell the server about your MCP server:\n  countersign --database {database} resource \
             add http://127.0.0.1:10000/mcp --name 'My files' \\\n    --scope 'files:read=Read your \
             files' --scope 'files:write=Change your files' --implies 'files:write=files:read'"
        );
    }
    if server.store().users().await?.is_empty() {
        eprintln!(
            "\nAdd somebody who can log in:\n  countersign --database {database} user add NAME\n"
        );
    }
    Ok(())
}

/// Done at SIGTERM or Ctrl-C.
fn terminated() -> Result<impl Future<Output = ()> + Send + 'static, Problem> {
    #[cfg(unix)]
    let mut term = signal::unix::signal(signal::unix::SignalKind::terminate())
        .map_err(|error| Problem::new("io_failed", format!("waiting for signals: {error}")))?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = term.recv() => {}
            _ = signal::ctrl_c() => {}
        }
        #[cfg(not(unix))]
        let _ = signal::ctrl_c().await;
    })
}
