//! A load generator: few connections that stay open, one request after the other on each.

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};
use crate::http::read_message;

/// No answer takes longer than that.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// How long each answer took, in order of that.
    pub latencies: Vec<Duration>,
    /// How many answers had each status.
    pub statuses: Vec<(u16, usize)>,
}

impl Run {
    /// Answers in a second.
    pub fn rate(&self) -> f64 {
        let count = u32::try_from(self.latencies.len()).unwrap_or(u32::MAX);
        f64::from(count) / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// The latency that so many hundredths of the answers did not exceed.
    pub fn percentile(&self, hundredths: usize) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get(last * hundredths / 100).copied().unwrap_or_default()
    }

    /// How many answers had this status.
    pub fn count(&self, status: u16) -> usize {
        self.statuses.iter().find(|(found, _)| *found == status).map_or(0, |(_, count)| *count)
    }

    fn add(&mut self, status: u16, latency: Duration) {
        self.latencies.push(latency);
        match self.statuses.iter_mut().find(|(found, _)| *found == status) {
            Some((_, count)) => *count += 1,
            None => self.statuses.push((status, 1)),
        }
    }
}

/// Sends `count` requests to a port of this machine over so many connections. `request` gives the whole
/// text of each; its answer must have a length.
pub fn send<R: AsRef<[u8]>>(
    port: u16,
    connections: usize,
    count: usize,
    request: impl Fn(usize) -> R + Sync,
) -> Outcome<Run> {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    let runs: Vec<Outcome<Run>> = thread::scope(|scope| {
        let worker = || scope.spawn(|| connection(port, &next, count, &request));
        let workers: Vec<_> = (0..connections).map(|_| worker()).collect();
        let failed = |_| Err(Failure::new("a connection's thread failed"));
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(failed)).collect()
    });
    let mut all = Run { elapsed: start.elapsed(), ..Run::default() };
    for run in runs {
        let run = run?;
        all.latencies.extend(run.latencies);
        for (status, count) in run.statuses {
            match all.statuses.iter_mut().find(|(found, _)| *found == status) {
                Some((_, sum)) => *sum += count,
                None => all.statuses.push((status, count)),
            }
        }
    }
    all.latencies.sort_unstable();
    Ok(all)
}

fn connection<R: AsRef<[u8]>>(
    port: u16,
    next: &AtomicUsize,
    count: usize,
    request: &impl Fn(usize) -> R,
) -> Outcome<Run> {
    let doing = format!("sending to port {port}");
    let open = || -> Outcome<(TcpStream, BufReader<TcpStream>)> {
        let stream =
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(Failure::during(&doing))?;
        stream.set_nodelay(true).map_err(Failure::during(&doing))?;
        stream.set_read_timeout(Some(TIMEOUT)).map_err(Failure::during(&doing))?;
        let copy = stream.try_clone().map_err(Failure::during(&doing))?;
        Ok((stream, BufReader::new(copy)))
    };
    let (mut stream, mut reader) = open()?;
    let mut run = Run::default();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return Ok(run);
        }
        let text = request(number);
        let start = Instant::now();
        stream.write_all(text.as_ref()).map_err(Failure::during(&doing))?;
        let answer = read_message(&mut reader)?
            .ok_or_else(|| Failure::new(format!("{doing}: the connection ended")))?;
        run.add(answer.status(), start.elapsed());
        if answer.headers.get("connection").as_deref() == Some("close") {
            (stream, reader) = open()?;
        }
    }
}
