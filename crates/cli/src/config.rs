//! `countersign config`: looks at the configuration without starting anything.

use clap::Subcommand;
use countersign_issuer::{ClientDocuments, Config, Registration};
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
    let strangers = strangers(&config);
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
             {strangers}\n\
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
    })?;
    Ok(())
}

/// Which clients can come without the administrator, in a sentence.
fn strangers(config: &Config) -> String {
    let documents = &config.client_documents;
    match (config.registration, documents) {
        (Registration::Open, ClientDocuments::Off) => {
            "Any client may come, by registration.".to_owned()
        }
        (Registration::Open, _) => {
            format!("Any client may come, by registration; and with a document ({documents}).")
        }
        (_, ClientDocuments::Open) => "Any client may come, with a document.".to_owned(),
        (_, ClientDocuments::Domains(_)) => {
            format!("Clients may come with documents of {documents} and the names below.")
        }
        (Registration::Token, ClientDocuments::Off) => {
            "Clients may come with an initial access token, or are added by you.".to_owned()
        }
        (Registration::Off, ClientDocuments::Off) => {
            "No client may come but those that you add.".to_owned()
        }
    }
}
