//! `countersign policy check`: the same check that every guard makes when it starts.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use countersign_core::guard::{Policy, PolicyError};
use serde_json::{Value, json};

use crate::{
    Global,
    input::read,
    output::{Outcome, Problem, print, warn},
};

/// The filter's own reader, so that nothing is accepted here that Envoy refuses.
#[path = "../../envoy/src/settings.rs"]
#[allow(dead_code, reason = "what the filter does by its settings is not done here")]
mod envoy;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a policy document; a mistake is named with its JSON path
    Check {
        /// The JSON file; - reads standard input
        file: PathBuf,
        /// Check it as the filter in Envoy does: its issuers need a "cluster", and the document may be
        /// {"policy": …, "filter": …}
        #[arg(long)]
        envoy: bool,
    },
}

pub(crate) fn run(command: &Command, global: &Global) -> Outcome {
    let Command::Check { file, envoy } = command;
    let document = read(file)?;
    let policy = if *envoy {
        envoy::Settings::parse(&document).map(|settings| settings.policy)
    } else {
        Policy::parse(&document)
    };
    let policy = policy.map_err(|error| refused(file, &document, *envoy, &error))?;
    if *envoy {
        for doubt in envoy::FilterSettings::doubts(&policy) {
            // Envoy's log has the name before it, as it has before all that the filter says.
            let doubt = doubt.strip_prefix("countersign: ").unwrap_or(&doubt);
            warn(global.json, "policy_doubtful", &format!("{}: {doubt}", file.display()));
        }
    }
    let resources: Vec<&str> =
        policy.resources.iter().map(|resource| resource.audience.resource.as_str()).collect();
    let issuers: Vec<&str> =
        policy.issuers.iter().map(|issuer| issuer.profile.issuer.as_str()).collect();
    print(global.json, &json!({ "resources": resources, "issuers": issuers }), || {
        format!(
            "The policy is valid. It protects {} with tokens from {}.",
            resources.join(", "),
            issuers.join(", ")
        )
    })
}

fn refused(file: &Path, document: &[u8], envoy: bool, error: &PolicyError) -> Problem {
    let members: Option<Value> = serde_json::from_slice(document).ok();
    let is_settings = members.is_some_and(|members| members.get("policy").is_some());
    let hint = match is_settings && !envoy {
        true => ". This is the configuration of the filter in Envoy: check it with --envoy",
        false => "",
    };
    Problem::new("policy_invalid", format!("{}: {error}{hint}", file.display()))
}
