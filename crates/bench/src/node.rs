//! The same in Node: a process that measures what it is told to, one line at a time.

use std::io::{BufRead as _, BufReader, Error, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use countersign_bench::suite::{Inputs, NOW, Suite};
use serde_json::{Value, json};

use crate::inputs::{ISSUER, RESOURCE};

/// The process.
pub(crate) struct Node {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Whether Node has something of its own, or `jose`, for this.
pub(crate) fn has_peer(name: &str) -> bool {
    matches!(name, "cold-es256" | "cold-rs256" | "cold-eddsa" | "jwks") || name.starts_with("scan-")
}

impl Node {
    pub(crate) fn start(
        script: &str,
        module: &str,
        jose: &str,
        inputs: &Inputs,
        suite: &Suite,
    ) -> Result<Self, Error> {
        let mut command = Command::new("node");
        command.args([script, module, jose]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::other("node has no pipes"));
        };
        let mut node = Self { child, requests, answers: BufReader::new(answers) };
        let body = |name| String::from_utf8_lossy(suite.body(name)).into_owned();
        let first = json!({
            "policy": inputs.policy, "rules": inputs.rules, "jwks": inputs.jwks,
            "tokens": inputs.tokens, "issuer": ISSUER, "resource": RESOURCE, "now": NOW,
            "bodies": {
                "scan-text": body("scan-text"), "scan-members": body("scan-members"),
                "scan-2k": body("scan-2k"),
            },
        });
        node.ask(&first)?;
        Ok(node)
    }

    /// Nanoseconds for one time.
    pub(crate) fn measure(&mut self, who: &str, name: &str) -> Result<f64, Error> {
        let answer = self.ask(&json!({ "who": who, "name": name }))?;
        answer["ns"].as_f64().ok_or_else(|| Error::other(format!("node: {answer}")))
    }

    fn ask(&mut self, request: &Value) -> Result<Value, Error> {
        writeln!(self.requests, "{request}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).map_err(|_| Error::other(format!("node answered {line:?}")))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
