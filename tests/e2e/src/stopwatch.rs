//! How long a promise took to be kept, without the time in which the machine let the test itself wait.

use std::thread;
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Nothing is the machine's any more after that.
const LIMIT: Duration = Duration::from_secs(60);

/// A stopwatch for a loop that looks ten times a second whether something has happened.
#[derive(Debug)]
pub struct Stopwatch {
    begun: Instant,
    lag: Duration,
}

impl Stopwatch {
    /// One that runs from now on.
    pub fn start() -> Self {
        Self { begun: Instant::now(), lag: Duration::ZERO }
    }

    /// Ends a turn of the loop, with a pause. How long it has been, without the time by which pauses were longer
    /// than they should be: nobody could look then. How long an answer takes is the product's, and counts.
    pub fn turn(&mut self) -> Duration {
        let begun = Instant::now();
        thread::sleep(PAUSE);
        self.paused(begun.elapsed());
        self.time()
    }

    fn paused(&mut self, time: Duration) {
        self.lag += time.saturating_sub(PAUSE);
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

    /// Of a watch that has run for so long.
    fn running(time: Duration) -> Stopwatch {
        Stopwatch { begun: Instant::now().checked_sub(time).unwrap(), lag: Duration::ZERO }
    }

    #[test]
    fn what_the_product_takes_is_counted() {
        let mut watch = running(Duration::from_secs(20));
        let time = watch.turn();
        assert!(time >= Duration::from_secs(20) + PAUSE, "{time:?}");
    }

    #[test]
    fn what_the_machine_takes_is_not_but_not_without_end() {
        let mut watch = running(Duration::from_secs(20));
        watch.paused(PAUSE + Duration::from_secs(15));
        assert!(watch.time() >= Duration::from_secs(5));
        assert_eq!(watch.lag, Duration::from_secs(15));
        watch.begun = watch.begun.checked_sub(LIMIT).unwrap();
        assert!(watch.time() >= LIMIT + Duration::from_secs(20));
    }
}
