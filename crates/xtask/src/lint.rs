//! `cargo xtask lint`: formatting, clippy, licences and sources.

use countersign_e2e::{Outcome, Places};

use crate::command::{cargo, run};

/// Everything that has an opinion about the sources without running them.
pub(crate) fn check(places: &Places) -> Outcome<()> {
    run(cargo(places).args(["fmt", "--all", "--check"]))?;
    let deny = ["--", "--deny", "warnings"];
    run(cargo(places).args(["clippy", "--workspace", "--all-targets"]).args(deny))?;
    Ok(())
}
