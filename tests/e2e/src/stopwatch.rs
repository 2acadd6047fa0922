//! How long a promise took to be kept, without what the machine took from the test itself.

use std::thread;
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// The pause and a request take no longer; what goes beyond it is the machine's.
const TURN: Duration = Duration::from_millis(300);
/// Nothing is the machine's any more after that.
const LIMIT: Duration = Duration::from_secs(60);

/// A stopwatch for a loop that looks ten times a second whether something has happened.
#[derive(Debug)]
pub struct Stopwatch {
    begun: Instant,
    turn: Instant,
    lag: Duration,
}

impl Stopwatch {
    /// One that runs from now on.
    pub fn start() -> Self {
        let begun = Instant::now();
        Self { begun, turn: begun, lag: Duration::ZERO }
    }

    /// Ends a turn of the loop, with a pause. How long it has been, without the time by which turns were
    /// longer than they should be: nobody looked then.
    pub fn turn(&mut self) -> Duration {
        thread::sleep(PAUSE);
        self.lag += self.turn.elapsed().saturating_sub(TURN);
        self.turn = Instant::now();
        self.time()
    }

    /// How long it has been, likewise.
    pub fn time(&self) -> Duration {
        let time = self.begun.elapsed();
        if time > LIMIT { time } else { time.saturating_sub(self.lag) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_takes_is_not_counted_but_not_without_end() {
        let mut watch = Stopwatch::start();
        thread::sleep(2 * TURN);
        let begun = watch.begun;
        let time = watch.turn();
        assert!(watch.lag >= TURN && time <= begun.elapsed() - TURN, "{time:?}");
        watch.begun = begun.checked_sub(2 * LIMIT).unwrap();
        assert!(watch.time() >= 2 * LIMIT);
    }
}
