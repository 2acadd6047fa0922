//! `countersign policy check`: the same check that every guard makes when it starts.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use crate::{
    Global,
    input::read_policy,
    output::{Outcome, print},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a policy document; a mistake is named with its JSON path
    Check {
        /// The JSON file; - reads standard input
        file: PathBuf,
    },
}

pub(crate) fn run(command: &Command, global: &Global) -> Outcome {
    let Command::Check { file } = command;
    let policy = read_policy(file)?;
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
    });
    Ok(())
}
