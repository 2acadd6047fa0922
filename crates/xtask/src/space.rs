//! Whether the disk has room for what the tests build: linkers and compilers that run out of it die of
//! signals, and say nothing of disks.

use std::process::Command;

use countersign_e2e::Places;

use crate::command::{run_quietly, say};

/// What a run of all stages leaves in `target` and beside it, in MB.
const NEEDED: u64 = 15_000;

/// Says so where there is too little. No more than that: some stages need less.
pub(crate) fn look(places: &Places) {
    let free = number(Command::new("df").args(["-Pm"]).arg(places.root()), 1, 3);
    let used = number(Command::new("du").args(["-sm"]).arg(places.path("target")), 0, 0);
    if let Some(free) = free
        && let has = free + used.unwrap_or(0)
        && has < NEEDED
    {
        say(format_args!(
            "the disk has {free} MB left, and all tests may need {} more: if a linker dies or a file \
             cannot be written, make space and run the same again",
            NEEDED - has
        ));
    }
}

/// The number in this line and column of what a program prints; `None` where it is not there.
fn number(command: &mut Command, line: usize, column: usize) -> Option<u64> {
    let printed = run_quietly(command).ok()?;
    read(&printed, line, column)
}

fn read(printed: &str, line: usize, column: usize) -> Option<u64> {
    printed.lines().nth(line)?.split_whitespace().nth(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_df_and_du_print() {
        let df = "Filesystem 1048576-blocks Used Available Capacity Mounted on\n/dev/vda 257893 1 4711 1% /\n";
        assert_eq!(read(df, 1, 3), Some(4711));
        assert_eq!(read("13402\t/work/target\n", 0, 0), Some(13402));
        assert_eq!(read("", 0, 0), None);
    }
}
