//! `cargo xtask bench`: the engine or its verifier, natively and in wasm, beside others. The tables go into
//! docs/performance.md, each between marks of its own.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use countersign_e2e::{Failure, Outcome, Places};

use crate::build::{compile_with, glue};
use crate::command::{cargo, line_of, not_started, say, timed, write};
use crate::tools;
use crate::wasm::is_newer;
use crate::{bench_envoy, bench_issuer, bench_js};

/// The reference crates, with what they compute by. The profile has curve25519-dalek and sha2 already.
const REFERENCE: [&str; 13] = [
    "countersign-reference",
    "crypto-bigint",
    "ecdsa",
    "ed25519-dalek",
    "elliptic-curve",
    "hybrid-array",
    "num-bigint-dig",
    "p256",
    "p384",
    "primefield",
    "primeorder",
    "rsa",
    "wnaf",
];

const PAGE: &str = "docs/performance.md";

/// Builds both sides as they are shipped, measures them in one run, and writes the table down.
pub(crate) fn measure(places: &Places, args: &[String]) -> Outcome<()> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (what, rounds) = match words.as_slice() {
        [what @ ("core" | "verify")] => (*what, "9"),
        [what @ ("core" | "verify"), "--rounds", rounds]
            if rounds.parse::<u32>().is_ok_and(|rounds| rounds > 0) =>
        {
            (*what, *rounds)
        }
        ["envoy"] => return bench_envoy::measure(places, "15"),
        ["envoy", "--rounds", rounds] if rounds.parse::<u32>().is_ok_and(|rounds| rounds > 0) => {
            return bench_envoy::measure(places, rounds);
        }
        ["issuer"] => return bench_issuer::measure(places, "5"),
        ["issuer", "--rounds", rounds] if rounds.parse::<u32>().is_ok_and(|rounds| rounds > 0) => {
            return bench_issuer::measure(places, rounds);
        }
        ["js"] => return bench_js::measure(places, "9"),
        ["js", "--rounds", rounds] if rounds.parse::<u32>().is_ok_and(|rounds| rounds > 0) => {
            return bench_js::measure(places, rounds);
        }
        _ => {
            return Err(Failure::new("wrong arguments")
                .next("cargo xtask bench core|verify|envoy|issuer|js [--rounds N]"));
        }
    };
    tools::npm(places)?;
    let module = if what == "verify" { module_for_peers(places) } else { module(places) }?;
    let mut command = cargo(places);
    command.args(["run", "--quiet", "--release", "--package", "countersign-bench", "--", what]);
    command.arg(places.path(&format!("crates/bench/{what}.mjs"))).arg(module).arg(rounds);
    if what == "core" {
        command.arg(places.node_modules().join("jose"));
    } else {
        command.arg("node").arg(places.node22());
    }
    write_section(places, what, &output(&mut command)?)
}

/// Prints what was measured, and writes it into the page between the marks of this name.
pub(crate) fn write_section(places: &Places, what: &str, table: &str) -> Outcome<()> {
    print!("{table}");
    let page = places.path(PAGE);
    let text = fs::read_to_string(&page).map_err(Failure::during(PAGE))?;
    let text = with_section(&text, what, table).ok_or_else(|| {
        Failure::new(format!("{PAGE} has no <!-- bench {what} --> … <!-- /bench {what} -->"))
    })?;
    write(&page, text)?;
    say(format_args!("written to {PAGE}"));
    Ok(())
}

/// The suites as a wasm module with its glue, as modules are shipped; the folder.
pub(crate) fn module(places: &Places) -> Outcome<PathBuf> {
    module_with(places, "bench", &[])
}

/// The same with the reference crates made for speed: what is shipped has them made small, and to compare
/// ourselves with that would flatter us.
fn module_for_peers(places: &Places) -> Outcome<PathBuf> {
    module_with(places, "bench-peers", &REFERENCE)
}

fn module_with(places: &Places, name: &str, fast: &[&str]) -> Outcome<PathBuf> {
    let module = places.made(name);
    timed("wasm module", || {
        let compiled = compile_with(places, "countersign-bench", fast)?;
        if is_newer(&module.join("core_bg.wasm"), &compiled) {
            return Ok(());
        }
        glue(places, &compiled, &module.join("glue"), &module)
    })?;
    Ok(module)
}

/// What a program prints; its errors and progress are shown as they come.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let line = line_of(command);
    let output =
        command.stderr(Stdio::inherit()).output().map_err(|error| not_started(command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Failure::new(format!("`{line}` failed ({})", output.status)))
}

/// The page with another text between the marks of this name.
fn with_section(page: &str, name: &str, section: &str) -> Option<String> {
    let (start, end) = (format!("<!-- bench {name} -->"), format!("<!-- /bench {name} -->"));
    let (before, rest) = page.split_once(&start)?;
    let (_, after) = rest.split_once(&end)?;
    let section = section.trim_end();
    Some(format!("{before}{start}\n{section}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::with_section;

    #[test]
    fn only_the_section_of_this_name_is_written() {
        let page =
            "a\n<!-- bench x -->\nold\n<!-- /bench x -->\nb\n<!-- bench y -->\n<!-- /bench y -->\n";
        for section in ["new\n", "new"] {
            assert_eq!(with_section(page, "x", section).unwrap(), page.replace("old", "new"));
        }
        assert!(with_section(page, "z", "new\n").is_none());
        assert!(with_section("<!-- /bench x --> <!-- bench x -->", "x", "").is_none());
    }
}
