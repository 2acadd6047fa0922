//! Compiles crates for `wasm32-unknown-unknown`, whatever kind of Rust the machine has.

mod debian;
mod opt;
mod sysroot;

use std::env;
use std::path::PathBuf;
use std::process::Command;

use countersign_e2e::{Failure, Outcome, Places};

use crate::command::{cargo, find_program, run, run_quietly, say};

pub(crate) use opt::{is_newer, optimise, optimise_filter};
pub(crate) use sysroot::without_std;

/// The target of everything that runs inside another program.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// SHA-256 by SIMD: every host that we run in has had it since 2023 (Safari 16.4), Envoy's V8 too. What
/// the compiler makes of plain loops by itself is slower in V8: RSA by a third.
const SIMD: [&str; 3] = ["-Ctarget-feature=+simd128", "-Cno-vectorize-loops", "-Cno-vectorize-slp"];

/// A compiler and a standard library for wasm that belong together.
pub(crate) enum Toolchain {
    /// The active toolchain has the target: a plain build.
    Active {
        /// Where its wasm standard library is.
        libraries: PathBuf,
    },
    /// Debian's compiler with a standard library that was built from Debian's sources.
    Debian {
        /// The sysroot with that library.
        sysroot: PathBuf,
    },
}

impl Toolchain {
    /// Finds or makes one; the order is that of DESIGN.md, 'Build'.
    pub(crate) fn find(places: &Places) -> Outcome<Self> {
        if let Some(active) = Self::active() {
            return Ok(active);
        }
        if env::var_os("RUSTUP_AUTO_INSTALL").is_none_or(|value| value != "0")
            && find_program("rustup").is_some()
        {
            say(format_args!("the toolchain lacks {TARGET}: rustup target add {TARGET}"));
            run(Command::new("rustup").args(["target", "add", TARGET]))?;
            return Self::active().ok_or_else(|| {
                Failure::new(format!("rustup added {TARGET}, but rustc does not find it"))
                    .next("compare `rustup show` with the `rustc` on your PATH")
            });
        }
        debian::ensure_installed()?;
        let sysroot = sysroot::ensure(places)?;
        Ok(Self::Debian { sysroot })
    }

    fn active() -> Option<Self> {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut command = Command::new(rustc);
        command.args(["--print", "target-libdir", "--target", TARGET]);
        let libraries = PathBuf::from(run_quietly(&mut command).ok()?.trim());
        sysroot::has_core(&libraries).then_some(Self::Active { libraries })
    }

    /// The folder with this toolchain's `libcore`, `liballoc`, `libstd`… for wasm.
    pub(crate) fn libraries(&self) -> PathBuf {
        match self {
            Self::Active { libraries } => libraries.clone(),
            Self::Debian { sysroot } => sysroot::libraries(sysroot),
        }
    }

    /// `cargo <verb>` for the target, with a target directory of its own.
    pub(crate) fn cargo(&self, places: &Places, verb: &str) -> Command {
        self.cargo_with(places, verb, None, "wasm-build")
    }

    /// The same against another sysroot (for the proof that a crate needs no std).
    pub(crate) fn cargo_with(
        &self,
        places: &Places,
        verb: &str,
        sysroot: Option<PathBuf>,
        target_dir: &str,
    ) -> Command {
        let (mut command, own) = match self {
            Self::Active { .. } => (cargo(places), None),
            Self::Debian { sysroot } => (debian::cargo(places), Some(sysroot.clone())),
        };
        command.args([verb, "--target", TARGET]);
        command.env("CARGO_TARGET_DIR", places.made(target_dir));
        let mut flags = unlocated(places);
        flags.extend(SIMD.map(str::to_owned));
        if let Some(sysroot) = sysroot.or(own) {
            flags.extend(["--sysroot".to_owned(), sysroot.display().to_string()]);
        }
        // 0x1f separates: a path may hold blanks.
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        command
    }
}

/// Flags that keep this machine's paths out of modules that others will run.
fn unlocated(places: &Places) -> Vec<String> {
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let from = [(Some(places.root().to_path_buf()), "/countersign"), (cargo_home, "/cargo")];
    let flag = |(path, name): (Option<PathBuf>, &str)| {
        path.map(|path| format!("--remap-path-prefix={}={name}", path.display()))
    };
    from.into_iter().filter_map(flag).collect()
}
