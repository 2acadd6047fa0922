//! Redis for the issuer's tests: what is installed, or what is in Debian's packages, which are unpacked
//! and not installed, so that no server of theirs starts.

use std::process::Command;

use countersign_e2e::{Failure, Outcome, Places};

use super::once;
use crate::command::{files_in, find_program, make_dir, remove_dir, run_quietly, say};

/// The server is a link into its tools; the libraries are those that a plain system lacks.
const PACKAGES: [&str; 4] = ["redis-server", "redis-tools", "libjemalloc2", "liblzf1"];

/// Makes sure that there is a `redis-server`.
pub(crate) fn redis(places: &Places) -> Outcome<()> {
    let is_named = std::env::var_os("COUNTERSIGN_REDIS_SERVER").is_some();
    if is_named || find_program("redis-server").is_some() {
        return Ok(());
    }
    if find_program("apt-get").is_none() {
        return Err(Failure::new("there is no redis-server")
            .next("install Redis 6 or newer, or set COUNTERSIGN_REDIS_SERVER"));
    }
    once(places, "redis", &PACKAGES.join(" "), |dir| {
        say(format_args!("fetching Debian's Redis: {}", PACKAGES.join(" ")));
        let packed = dir.join("packed");
        make_dir(&packed)?;
        let mut download = Command::new("apt-get");
        download.args(["download", "-q"]).args(PACKAGES).current_dir(&packed);
        if run_quietly(&mut download).is_err() {
            // The lists of packages are old, or were never fetched.
            let hint = "apt-get install redis-server, or set COUNTERSIGN_REDIS_SERVER";
            run_quietly(Command::new("apt-get").args(["update", "-q"]))
                .and_then(|_| run_quietly(&mut download))
                .map_err(|failure| failure.next(hint))?;
        }
        for package in files_in(&packed)? {
            run_quietly(Command::new("dpkg").arg("-x").arg(package).arg(dir))?;
        }
        remove_dir(&packed)
    })
}
