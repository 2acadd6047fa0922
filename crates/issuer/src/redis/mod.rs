//! Redis, where it is configured: what nodes count together and remember for a short time. Nothing is
//! here that must not be lost.
//!
//! A server that fails, or takes too long, is left alone for a moment, so that requests do not queue up
//! behind it; whoever asked does what it can without. The next one to come after that tries again.

mod interactions;
mod limits;
mod replay;
mod url;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ::redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, aio::MultiplexedConnection, cmd,
};
use countersign_core::jose::base64url;
use tokio::time::timeout;

pub use self::url::RedisUrl;
use crate::{Error, secret};

/// For one answer, and for a connection. It is on this network, and answers in a millisecond.
const PATIENCE: Duration = Duration::from_secs(2);

/// A server that failed is left alone for so long.
const REST: Duration = Duration::from_secs(1);

/// Redis did not answer; the log says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unavailable;

impl From<Unavailable> for Error {
    fn from(_: Unavailable) -> Self {
        Self::Redis
    }
}

/// A Redis server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Redis(Arc<Inner>);

struct Inner {
    client: Client,
    /// Before all keys: one server may have several issuers, and more.
    prefix: String,
    state: Mutex<State>,
    /// Held by whoever connects.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    rests_until: Option<Instant>,
    /// It failed, and that was said in the log.
    is_failing: bool,
    /// Whether one has answered before; and which process of Redis did last, as far as it said.
    was_met: bool,
    process: Option<String>,
    /// What happened before this, by Redis's clock, it may have forgotten; in seconds.
    remembers_since: i64,
}

impl State {
    /// The first process that this node sees remembers what it has seen since it started. One that took
    /// its place, restarted or promoted, may lack the last moments of the one before; and so may one
    /// that does not say which it is.
    fn meet(&mut self, server: Process) {
        if !self.was_met {
            self.remembers_since = server.started;
        } else if server.process.is_none() || server.process != self.process {
            self.remembers_since = server.now;
        }
        self.was_met = true;
        self.process = server.process;
    }
}

impl Redis {
    /// The server at this URL, for this issuer; it need not be there yet.
    pub(crate) fn new(url: &RedisUrl, issuer: &str) -> Result<Self, Error> {
        let client = Client::open(url.as_str());
        Ok(Self(Arc::new(Inner {
            client: client.map_err(|_| Error::Config(format!("redis {url}: cannot be used")))?,
            prefix: format!("countersign:{issuer}"),
            state: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
        })))
    }

    /// Connects, so that the log says at once if it cannot be reached.
    pub(crate) async fn greet(&self) {
        // Without it the server runs all the same.
        let _ = self.connection().await;
    }

    /// A key; its parts may be as long as they like, and are not to be read there.
    fn key(&self, kind: &str, parts: &[&str]) -> String {
        let parts: Vec<[u8; 32]> =
            parts.iter().map(|part| secret::sha256(&[part.as_bytes()])).collect();
        let parts: Vec<&[u8]> = parts.iter().map(<[u8; 32]>::as_slice).collect();
        format!("{}:{kind}:{}", self.0.prefix, base64url::encode(secret::sha256(&parts)))
    }

    /// Runs a script on one key.
    async fn script<T: FromRedisValue>(
        &self,
        text: &'static str,
        key: &str,
        arguments: &[i64],
    ) -> Result<T, Unavailable> {
        let mut command = cmd("EVAL");
        command.arg(text).arg(1).arg(key);
        for argument in arguments {
            command.arg(*argument);
        }
        self.ask(&command).await
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Unavailable> {
        let mut connection = self.connection().await?;
        match timeout(PATIENCE, command.query_async(&mut connection)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.failed(&error)),
            Err(_) => Err(self.failed(&"no answer in time")),
        }
    }

    /// What happened before may be forgotten; in seconds of Redis's clock.
    async fn remembers_since(&self) -> Result<i64, Unavailable> {
        self.connection().await?;
        Ok(self.state().remembers_since)
    }

    async fn connection(&self) -> Result<MultiplexedConnection, Unavailable> {
        if let Some(known) = self.known()? {
            return Ok(known);
        }
        // One connects; the others do not wait for it.
        let Ok(_connecting) = self.0.connecting.try_lock() else {
            return Err(Unavailable);
        };
        if let Some(known) = self.known()? {
            return Ok(known);
        }
        let (connection, server) = match timeout(PATIENCE, self.connect()).await {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(self.failed(&error)),
            Err(_) => return Err(self.failed(&"no connection in time")),
        };
        let mut state = self.state();
        state.meet(server);
        if state.is_failing {
            tracing::info!("Redis answers again");
        }
        state.is_failing = false;
        state.rests_until = None;
        state.connection = Some(connection.clone());
        Ok(connection)
    }

    fn known(&self) -> Result<Option<MultiplexedConnection>, Unavailable> {
        let state = self.state();
        match (&state.connection, state.rests_until) {
            (Some(connection), _) => Ok(Some(connection.clone())),
            (None, Some(until)) if Instant::now() < until => Err(Unavailable),
            _ => Ok(None),
        }
    }

    async fn connect(&self) -> Result<(MultiplexedConnection, Process), RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let mut connection =
            self.0.client.get_multiplexed_async_connection_with_config(&config).await?;
        let info: String = cmd("INFO").arg("server").query_async(&mut connection).await?;
        let (now, _): (i64, i64) = cmd("TIME").query_async(&mut connection).await?;
        Ok((connection, Process::read(&info, now)))
    }

    fn failed(&self, why: &dyn fmt::Display) -> Unavailable {
        let mut state = self.state();
        if !state.is_failing {
            tracing::warn!(reason = "redis_unavailable", "Redis: {why}");
        }
        state.is_failing = true;
        state.connection = None;
        state.rests_until = Some(Instant::now() + REST);
        Unavailable
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redis")
    }
}

/// The process that answers.
#[derive(Debug, PartialEq, Eq)]
struct Process {
    process: Option<String>,
    started: i64,
    now: i64,
}

impl Process {
    /// Of what `INFO server` says. What it does not say counts as just started.
    fn read(info: &str, now: i64) -> Self {
        let value = |name: &str| {
            info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
        };
        let uptime = value("uptime_in_seconds").and_then(|text| text.parse().ok()).unwrap_or(0);
        Self {
            process: value("run_id").map(str::to_owned),
            started: now.saturating_sub(uptime),
            now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_itself() {
        let info = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\nuptime_in_seconds:40\r\n";
        let read = Process::read(info, 1000);
        assert_eq!(read, Process { process: Some("abc".to_owned()), started: 960, now: 1000 });
        assert_eq!(Process::read("", 1000), Process { process: None, started: 1000, now: 1000 });

        let mut state = State::default();
        let mut meet = |info: &str, now| {
            state.meet(Process::read(info, now));
            state.remembers_since
        };
        assert_eq!(meet(info, 1000), 960);
        assert_eq!(meet(info, 1050), 960, "the same one");
        assert_eq!(meet("run_id:other\r\nuptime_in_seconds:500", 1100), 1100, "another one");
        // A proxy may leave out which it is: nobody can tell that from another one.
        assert_eq!(meet("", 1200), 1200);
        assert_eq!(meet("", 1300), 1300);
        assert_eq!(meet(info, 1400), 1400);
    }
}
