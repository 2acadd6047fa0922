//! Writes `tests/vectors/guard.json`.

use std::{fs, path::Path};

fn main() -> std::io::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/guard.json");
    fs::write(&path, countersign_testkit::vectors::text())?;
    println!("{} cases", countersign_testkit::vectors::make().cases.len());
    Ok(())
}
