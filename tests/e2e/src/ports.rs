//! Free ports on the loopback interface, of which no other test program takes one.
//!
//! A port that is free when it is looked for may be another's when it is bound: by a second test program, or
//! as the near end of a connection. So each program has a block of ports for itself, below those that
//! connections get, and holds a lock on a file with the block's name while it runs.

use std::env::temp_dir;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::Mutex;

use crate::failure::{Failure, Outcome};

/// The first port of the first block. Linux gives connections those from 32768 on.
const FIRST: u16 = 12_000;
const BLOCK: u16 = 100;
const BLOCKS: u16 = 200;

/// The block of this program.
struct Block {
    first: u16,
    /// Ports that were given out; they are given out again when all were.
    used: u16,
    _lock: File,
}

static OWN: Mutex<Option<Block>> = Mutex::new(None);

/// As many different free ports as are asked for.
///
/// # Errors
/// When there are none.
pub fn free_ports<const N: usize>() -> Outcome<[u16; N]> {
    let mut own = OWN.lock().map_err(|_| Failure::new("looking for a free port failed before"))?;
    let block = match own.as_mut() {
        Some(block) => block,
        None => own.insert(Block::lock()?),
    };
    let mut ports = [0; N];
    for at in 0..N {
        let port = (0..BLOCK).find_map(|_| {
            let port = block.next();
            let is_new = !ports.contains(&port);
            (is_new && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()).then_some(port)
        });
        if let (Some(place), Some(port)) = (ports.get_mut(at), port) {
            *place = port;
        } else {
            return Err(Failure::new(format!(
                "no port is free from {} to {}",
                block.first,
                block.first + BLOCK - 1
            )));
        }
    }
    Ok(ports)
}

impl Block {
    /// One that no other program has.
    fn lock() -> Outcome<Self> {
        let begin = u16::try_from(process::id() % u32::from(BLOCKS)).unwrap_or(0);
        for choice in 0..BLOCKS {
            let number = (begin + choice) % BLOCKS;
            let path = temp_dir().join(format!("countersign-ports-{number}"));
            // Another user's file cannot be opened: that block is theirs.
            let Ok(file) = File::options().create(true).append(true).open(&path) else { continue };
            if file.try_lock().is_ok() {
                return Ok(Self { first: FIRST + number * BLOCK, used: 0, _lock: file });
            }
        }
        Err(Failure::new("every block of ports is locked")
            .next(format!("rm {}/countersign-ports-*", temp_dir().display())))
    }

    fn next(&mut self) -> u16 {
        let port = self.first + self.used;
        self.used = (self.used + 1) % BLOCK;
        port
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{Ipv4Addr, TcpListener};

    use super::{BLOCK, Block, free_ports};

    #[test]
    fn ports_differ_and_one_that_is_taken_is_left_out() {
        let [first, second] = free_ports().unwrap();
        assert_ne!(first, second);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).unwrap();
        for _ in 0..BLOCK {
            let [port] = free_ports().unwrap();
            assert_ne!(port, first);
        }
        drop(listener);
    }

    #[test]
    fn no_block_is_two_programs() {
        // A lock on a file is of whoever opened it: as good as another program.
        let blocks: Vec<Block> = (0..3).map(|_| Block::lock().unwrap()).collect();
        let firsts: BTreeSet<u16> = blocks.iter().map(|block| block.first).collect();
        assert_eq!(firsts.len(), 3);
    }
}
