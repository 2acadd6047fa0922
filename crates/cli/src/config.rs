//! `countersign config`: looks at the configuration without starting anything.

use clap::Subcommand;
use countersign_issuer::Registration;
use serde_json::json;

use crate::{
    Global,
    output::{Outcome, print, warn},
    settings::Options,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check what `serve` would start with, and print it
    ///
    /// Takes the options of `serve`, the same environment and, with --config, the same file.
    Check(Options),
}

pub(crate) fn run(command: Command, global: &Global) -> Outcome {
    let Command::Check(options) = command;
    let config = options.resolve(global)?;
    config.check()?;
    config.check_machine()?;
    let issuer = config.issuer_url()?;
    if let Some(text) = config.warning() {
        warn(global.json, "addresses_unknown", &text);
    }
    let key_file = config.sealing_key_file();
    let registration = match config.registration {
        Registration::Off => "off",
        Registration::Open => "open",
        Registration::Token => "token",
    };
    let networks: Vec<String> =
        config.outbound.allowed_networks.iter().map(ToString::to_string).collect();
    let redis = config.redis.as_ref().map(ToString::to_string);
    let data = json!({
        "listen": config.listen,
        "issuer": issuer,
        "database": config.database.to_string(),
        "key_file": key_file,
        "key_rotation": config.key_rotation,
        "access_token_lifetime": config.access_token_lifetime,
        "status_list_lifetime": config.status_list_lifetime,
        "registration": registration,
        "client_documents": config.client_documents.to_string(),
        "trusted_proxies": config.trusted_proxies,
        "dpop_nonces": config.dpop_nonces,
        "token_claims": config.token_claims,
        "redis": redis,
        "outbound_networks": networks,
        "outbound_certificates": config.outbound.certificates,
    });
    print(global.json, &data, || {
        format!(
            "listen                 {}\n\
             issuer                 {issuer}\n\
             database               {}\n\
             key_file               {}\n\
             key_rotation           {}\n\
             access_token_lifetime  {}\n\
             status_list_lifetime   {}\n\
             registration           {registration}\n\
             client_documents       {}\n\
             trusted_proxies        {}\n\
             dpop_nonces            {}\n\
             token_claims           {}\n\
             redis                  {}\n\
             outbound_networks      {}\n\
             outbound_certificates  {}\n\
             The configuration is valid.",
            config.listen,
            config.database,
            key_file.as_deref().map_or_else(|| "-".to_owned(), |path| path.display().to_string()),
            config.key_rotation,
            config.access_token_lifetime,
            config.status_list_lifetime,
            config.client_documents,
            config.trusted_proxies,
            config.dpop_nonces,
            if config.token_claims.is_empty() {
                "-".to_owned()
            } else {
                config.token_claims.join(",")
            },
            redis.as_deref().unwrap_or("-"),
            if networks.is_empty() { "-".to_owned() } else { networks.join(",") },
            config
                .outbound
                .certificates
                .as_deref()
                .map_or_else(|| "-".to_owned(), |path| path.display().to_string()),
        )
    });
    Ok(())
}
