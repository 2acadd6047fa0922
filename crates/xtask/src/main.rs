//! `cargo xtask`: the project's only build tool.
#![forbid(unsafe_code)]
#![allow(clippy::std_instead_of_core, reason = "a program: there is no build of it without std")]

mod bench;
mod bench_envoy;
mod bench_issuer;
mod bench_js;
mod build;
mod command;
mod coverage;
mod demo;
mod dist;
mod fuzz;
mod links;
mod lint;
mod no_std;
mod oci;
mod panics;
mod programs;
mod space;
mod test;
mod tools;
mod verdicts;
mod wasm;

use std::env;
use std::process::ExitCode;

use countersign_e2e::{Failure, Outcome, Places};

const USAGE: &str = "\
usage: cargo xtask <command>

  build [native|envoy|js] [--release]  everything, or one part: the binary `countersign`, the Envoy
                                       filter (target/wasm), the npm package's module (js/dist)
  demo [--keep] [--revision R]         the whole story on this machine: issuer, Envoy, MCP server, and
       [--headers-continue]            an official MCP client; --keep leaves it running for a look
  test [stage…]                        build, lint and test everything, as CI does; or some stages
  fuzz [TARGET] [--seconds N]          libFuzzer on every target, or one, for 10 s or N each
  bench core|verify [--rounds N]       what the engine, or its verifier, costs natively and in wasm,
                                       beside others; written to docs/performance.md
  bench envoy [--rounds N]             what the filter costs in Envoy, beside Envoy's own; likewise
  bench issuer [--rounds N]            what the issuer does in a second, beside oidc-provider; likewise
  bench js [--rounds N]                what the npm package costs a token, beside other verifiers; likewise
  dist [--check]                       the filter to release and its OCI image (target/dist); --check
                                       builds it twice and compares
  coverage [--lines]                   which lines of the engine its tests run; fails below 96 %
  lint                                 formatting, links in the docs, clippy, licences
  no-std                               prove that the engine builds without the standard library
  panics                               prove that no code of ours can panic in the wasm modules
  tools [NAME…]                        fetch the pinned tools into target/tools, or some: npm, npm-js,
                                       npm-clients, envoy, sdk-python, authlab, clients, schemathesis,
                                       sdk-rust, redis
";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nxtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Outcome<()> {
    let places = Places::of_checkout();
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", args),
    };
    match command {
        "bench" => bench::measure(&places, rest),
        "build" => build::parts(&places, rest),
        "coverage" => coverage::measure(&places, rest),
        "dist" => dist::make(&places, rest),
        "demo" => demo::run(&places, rest),
        "test" => test::run(&places, rest),
        "fuzz" => fuzz::command(&places, rest),
        "lint" => lint::check(&places).map(drop),
        "no-std" => no_std::prove(&places),
        "panics" => panics::prove(&places).map(drop),
        "tools" => tools::fetch(&places, rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => Err(Failure::new(format!("unknown command `{other}`")).next("cargo xtask help")),
    }
}
