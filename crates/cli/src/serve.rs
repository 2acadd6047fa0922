//! `countersign serve`: the authorization server.

use std::io::IsTerminal as _;

use countersign_issuer::Server;
use tracing_subscriber::EnvFilter;

use crate::{
    Global,
    output::{Outcome, Problem},
    settings::Options,
};

/// Run the authorization server
///
/// Without any option it is a server for development on http://127.0.0.1:8090, with its database in
/// ./countersign.db and its keys sealed by ./countersign.key. Both are made at the first start; keep
/// copies of them in different places.
///
/// For production give it the address that the world sees, --issuer https://auth.example.com, and
/// put a TLS proxy in front of it. COUNTERSIGN_LOG=debug says more.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    options: Options,
}

pub(crate) async fn run(arguments: Arguments, global: &Global) -> Outcome {
    start_logging(global.json);
    // From here on a signal is an orderly end, also one that comes before the first request.
    let terminate = terminated()?;
    let config = arguments.options.resolve(global)?;
    let warning = config.warning();
    let server = Server::bind(config).await?;
    tracing::info!("listening on {} as {}", server.local_addr()?, server.issuer());
    if let Some(text) = warning {
        tracing::warn!(reason = "addresses_unknown", "{text}");
    }
    say_next_commands(&server, global).await?;
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
    let mut tool = String::from("countersign");
    if let Some(path) = &global.config {
        tool.push_str(&format!(" --config {}", path.display()));
    }
    if let Some(database) = &global.database {
        tool.push_str(&format!(" --database {database}"));
    }
    if server.store().users().await?.is_empty() {
        eprintln!("\nAdd somebody who can log in:\n  {tool} user add NAME");
    }
    if server.store().resources().await?.is_empty() {
        eprintln!(
            "\nName the MCP server that tokens are for, and what it lets people do:\n  {tool} \
             resource add http://127.0.0.1:10000/mcp --name 'My files' \\\n    --scope \
             'files:read=Read your files' --scope 'files:write=Change your files' \\\n    \
             --implies 'files:write=files:read'\n\nMCP clients find the rest at {}\n",
            server.issuer()
        );
    }
    Ok(())
}

/// Done at SIGTERM or Ctrl-C.
#[cfg(unix)]
fn terminated() -> Result<impl Future<Output = ()> + Send + 'static, Problem> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error| Problem::new("io_failed", format!("waiting for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Done at Ctrl-C.
#[cfg(not(unix))]
fn terminated() -> Result<impl Future<Output = ()> + Send + 'static, Problem> {
    Ok(async move {
        let _ = tokio::signal::ctrl_c().await;
    })
}
