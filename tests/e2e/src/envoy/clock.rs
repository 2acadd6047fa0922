//! A clock that a test can set while Envoy runs by it (`tests/e2e/clock.c`).

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::places::Places;

/// The time of one Envoy: that of the machine, and so many seconds.
#[derive(Clone, Debug)]
pub struct Clock {
    library: PathBuf,
    file: PathBuf,
    speed: u32,
}

impl Clock {
    /// A clock with its files in `dir`, by which `speed` seconds go by in one.
    pub fn new(places: &Places, dir: &Path, speed: u32) -> Outcome<Self> {
        let (library, file) = (dir.join("clock.so"), dir.join("clock"));
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .arg(&library)
            .arg(places.path("tests/e2e/clock.c"))
            .status()
            .map_err(Failure::during("compiling tests/e2e/clock.c"))?;
        if !compiled.success() {
            return Err(Failure::new("tests/e2e/clock.c does not compile"));
        }
        let clock = Self { library, file, speed };
        clock.set(0)?;
        Ok(clock)
    }

    /// Moves the time of day to so many seconds after the machine's, at once.
    pub fn set(&self, seconds: i64) -> Outcome<()> {
        // In place: Envoy has the file mapped. Eight bytes are written in one step.
        let doing = || Failure::during(format!("writing {}", self.file.display()));
        let mut options = fs::File::options();
        let options = options.create(true).truncate(false).write(true);
        let mut file = options.open(&self.file).map_err(doing())?;
        file.write_all(&seconds.to_ne_bytes()).map_err(doing())
    }

    pub(super) fn environment(&self) -> [(&'static str, OsString); 3] {
        [
            ("LD_PRELOAD", self.library.clone().into()),
            ("COUNTERSIGN_CLOCK", self.file.clone().into()),
            ("COUNTERSIGN_SPEED", self.speed.to_string().into()),
        ]
    }
}
