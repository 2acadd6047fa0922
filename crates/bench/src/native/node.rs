//! The same in Node: a process that measures what it is told to, one line at a time.

use std::io::{BufRead as _, BufReader, Error, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// The process.
pub(crate) struct Node {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    about: Value,
}

impl Node {
    /// Starts this Node with a script, which gets its inputs as the first line and answers with what it
    /// has to say of itself.
    pub(crate) fn start(program: &str, args: &[&str], inputs: &Value) -> Result<Self, Error> {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::other("node has no pipes"));
        };
        let answers = BufReader::new(answers);
        let mut node = Self { child, requests, answers, about: Value::Null };
        node.about = node.ask(inputs)?;
        Ok(node)
    }

    /// What the script said of itself.
    pub(crate) const fn about(&self) -> &Value {
        &self.about
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
