//! Writes `tests/vectors/guard.json` and `tests/vectors/attacks.jsonl`.

use std::{fs, path::Path};

use countersign_testkit::{attacks, vectors};

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    fs::write(folder.join("guard.json"), vectors::text())?;
    fs::write(folder.join("attacks.jsonl"), attacks::text())?;
    println!("{} cases, {} lines", vectors::make().cases.len(), attacks::lines().len());
    Ok(())
}
