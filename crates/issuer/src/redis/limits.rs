//! What nodes count together. The clock is Redis's: those of the nodes may differ.

use super::{Redis, Unavailable};

/// The generic cell rate algorithm, on the moment until which an address has used up what it asked for. A
/// clock that was put back must not lock anybody out for longer than a full burst would.
const TAKE: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local used = math.max(tonumber(redis.call('GET', KEYS[1])) or now, now)
used = math.min(used, now + burst) + interval
local over = used - now - burst
if over > 0 then return over end
if used <= now then redis.call('DEL', KEYS[1]) return 0 end
redis.call('SET', KEYS[1], string.format('%.0f', used), 'PX', used - now)
return 0";

/// A window that begins with the first try.
const TRY: &str = "
local tries = redis.call('INCR', KEYS[1])
if tries == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if tries <= tonumber(ARGV[1]) then return 0 end
return math.max(redis.call('PTTL', KEYS[1]), 1)";

impl Redis {
    /// Counts a request of `who`; 0, or the milliseconds to wait before the next one. One that was counted
    /// is given back by an interval below zero.
    pub(crate) async fn take(
        &self,
        limit: &'static str,
        who: &str,
        interval: i64,
        burst: i64,
    ) -> Result<i64, Unavailable> {
        self.script(TAKE, &self.key(limit, &[who]), &[interval, burst]).await
    }

    /// Counts a try of somebody; 0, or the milliseconds until the window ends.
    pub(crate) async fn begin_try(
        &self,
        who: &str,
        most: i64,
        window: i64,
    ) -> Result<i64, Unavailable> {
        self.script(TRY, &self.key("try", &[who]), &[most, window * 1000]).await
    }

    /// Forgets the tries of somebody.
    pub(crate) async fn forget_tries(&self, who: &str) -> Result<(), Unavailable> {
        self.ask(::redis::cmd("DEL").arg(self.key("try", &[who]))).await
    }
}
