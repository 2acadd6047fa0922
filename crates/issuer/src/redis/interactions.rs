//! Authorizations in progress: for ten minutes, written and read a few times each.

use ::redis::cmd;

use super::{Redis, Unavailable};

/// How a stored interaction begins, before the digest of its browser.
const DIGEST: usize = 32;

impl Redis {
    pub(crate) async fn add_interaction(
        &self,
        id_hash: &[u8],
        browser_hash: &[u8],
        request: &str,
        lifetime: i64,
    ) -> Result<(), Unavailable> {
        let value = [browser_hash, request.as_bytes()].concat();
        let mut command = cmd("SET");
        self.ask(command.arg(self.interaction_key(id_hash)).arg(value).arg("EX").arg(lifetime))
            .await
    }

    /// The digest of its browser, and the request.
    pub(crate) async fn interaction(
        &self,
        id_hash: &[u8],
    ) -> Result<Option<(Vec<u8>, String)>, Unavailable> {
        let value: Option<Vec<u8>> =
            self.ask(cmd("GET").arg(self.interaction_key(id_hash))).await?;
        Ok(value.and_then(|value| {
            let (browser, request) = value.split_at_checked(DIGEST)?;
            Some((browser.to_vec(), String::from_utf8(request.to_vec()).ok()?))
        }))
    }

    /// Ends one. Only one caller gets `true`.
    pub(crate) async fn end_interaction(&self, id_hash: &[u8]) -> Result<bool, Unavailable> {
        self.ask(cmd("DEL").arg(self.interaction_key(id_hash))).await
    }

    fn interaction_key(&self, id_hash: &[u8]) -> String {
        use countersign_core::jose::base64url;
        format!("{}:interaction:{}", self.0.prefix, base64url::encode(id_hash))
    }
}
