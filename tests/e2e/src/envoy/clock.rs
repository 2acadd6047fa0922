//! A clock that a test can set while Envoy runs by it (`tests/e2e/clock.c`).

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::process::Scratch;

/// The time of one Envoy: that of the machine, and so many seconds.
#[derive(Clone, Debug)]
pub struct Clock {
    library: PathBuf,
    file: PathBuf,
    speed: u32,
    slowness: u32,
}

impl Clock {
    /// A clock with its files in `dir`, by which `speed` seconds go by in one.
    pub fn new(places: &Places, dir: &Path, speed: u32) -> Outcome<Self> {
        let clock = Self { library: library(places)?, file: dir.join("clock"), speed, slowness: 1 };
        clock.set(0)?;
        Ok(clock)
    }

    /// One second goes by in so many: nothing that Envoy or the filter gives up after a time is given up
    /// before a busy machine has done what a test wants done.
    #[must_use]
    pub fn slower(self, slowness: u32) -> Self {
        Self { slowness, ..self }
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

    pub(super) fn environment(&self) -> [(&'static str, OsString); 4] {
        [
            ("LD_PRELOAD", self.library.clone().into()),
            ("COUNTERSIGN_CLOCK", self.file.clone().into()),
            ("COUNTERSIGN_SPEED", self.speed.to_string().into()),
            ("COUNTERSIGN_SLOWNESS", self.slowness.to_string().into()),
        ]
    }
}

/// The library, compiled once for all tests of this process.
fn library(places: &Places) -> Outcome<PathBuf> {
    static COMPILED: Mutex<Option<Scratch>> = Mutex::new(None);
    let mut compiled = COMPILED.lock().map_err(|_| Failure::new("compiling it failed before"))?;
    if let Some(scratch) = compiled.as_ref() {
        return Ok(scratch.path().join("clock.so"));
    }
    let scratch = Scratch::new()?;
    let library = scratch.path().join("clock.so");
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-o"])
        .arg(&library)
        .arg(places.path("tests/e2e/clock.c"))
        .status()
        .map_err(Failure::during("compiling tests/e2e/clock.c"))?;
    if !status.success() {
        return Err(Failure::new("tests/e2e/clock.c does not compile"));
    }
    *compiled = Some(scratch);
    Ok(library)
}
