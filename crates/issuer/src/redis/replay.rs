//! What came before. When Redis cannot say, nobody can: then what comes is neither taken nor refused for
//! good.

use super::{Redis, Unavailable};

/// Seconds by which the clocks of this node and of Redis may differ.
const SKEW: i64 = 5;

/// Seconds by which the clock of whoever made something may be ahead of this node's: with it, what says
/// that it was made now may have come before. For so long after Redis was started nothing can be told of
/// what is made by a right clock.
const AHEAD: i64 = crate::http::LEEWAY;

/// Seconds for which a name is kept beyond its end, as in the database: on a node whose clock is late it
/// has not ended yet.
const KEPT: i64 = 300;

/// How long before it is forgotten, in seconds, something can come first, where it does not say when it
/// was made: assertions end five minutes ahead, with half a minute of leeway at both ends.
const LONGEST: i64 = 300 + 2 * AHEAD;

impl Redis {
    /// Remembers a name. Only the first caller gets `true`.
    ///
    /// # Errors
    /// Redis does not answer, or was not there for as long as the name may have been in use.
    pub(crate) async fn is_first_use(
        &self,
        kind: &str,
        issuer: &str,
        jti: &str,
        made_at: Option<i64>,
        forget_at: i64,
    ) -> Result<bool, Unavailable> {
        let first_good = made_at.map_or(forget_at - LONGEST, |made_at| made_at - AHEAD);
        let earliest = first_good - SKEW;
        self.remembers(earliest).await?;
        let key = self.key("used", &[kind, issuer, jti]);
        let lifetime = (forget_at - crate::clock::now()).max(1) + KEPT;
        let mut command = ::redis::cmd("SET");
        let first: Option<String> =
            self.ask(command.arg(key).arg(1).arg("NX").arg("EX").arg(lifetime)).await?;
        // Another Redis may have answered than the one that was asked before.
        self.remembers(earliest).await?;
        Ok(first.is_some())
    }

    async fn remembers(&self, earliest: i64) -> Result<(), Unavailable> {
        if self.remembers_since().await? < earliest {
            return Ok(());
        }
        tracing::warn!(reason = "redis_forgot", "Redis is too young to know what was used before");
        Err(Unavailable)
    }
}
