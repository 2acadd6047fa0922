//! `cargo xtask demo`: the whole story on one machine, told step by step.

use std::io::{Write, stdout};
use std::thread::park;

use countersign_e2e::{ACCOUNT, Failure, Options, Outcome, PASSWORD, Places, Stack};

use crate::command::{run as run_command, say};
use crate::{build, tools};

/// What the command line asked for.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    keep: bool,
    revision: String,
    hold_headers: bool,
}

/// Builds what is missing, starts everything, and lets an MCP client walk through it.
pub(crate) fn run(places: &Places, args: &[String]) -> Outcome<()> {
    let wish = parse(args)?;
    tools::npm(places)?;
    tools::envoy(places)?;
    build::parts(places, &["native".to_owned(), "envoy".to_owned()])?;
    say("starting the issuer, the MCP server and Envoy");
    let mut stack = Stack::start(places, Options { hold_headers: wish.hold_headers })?;
    let mut client = stack.client(places, "node", "tests/demo/main.mjs");
    let walked = run_command(client.env("DEMO_REVISION", &wish.revision));
    if wish.keep {
        invite(&stack);
        loop {
            // Until Ctrl-C; what we started ends with us.
            park();
        }
    }
    walked.map_err(|_| {
        stack.keep_files();
        Failure::new("the demo went differently from what it should show")
            .next(format!("look at the logs in {}", stack.dir().display()))
    })
}

fn parse(args: &[String]) -> Outcome<Wish> {
    let mut wish = Wish { keep: false, revision: "2026-07-28".to_owned(), hold_headers: true };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.as_slice().first()) {
            ("--keep", _) => wish.keep = true,
            ("--headers-continue", _) => wish.hold_headers = false,
            ("--revision", Some(revision)) => {
                wish.revision.clone_from(revision);
                args.next();
            }
            _ => {
                return Err(Failure::new(format!("`demo` does not understand `{arg}`")).next(
                    "cargo xtask demo [--keep] [--revision 2025-11-25] [--headers-continue]",
                ));
            }
        }
    }
    Ok(wish)
}

/// Tells a person how to go on by hand.
fn invite(stack: &Stack) {
    let mcp = stack.mcp();
    println!(
        "
Everything keeps running until Ctrl-C.

  MCP endpoint   {mcp}
  issuer         {}
  log in as      {ACCOUNT}
  password       {PASSWORD}
  files          {}

Point any MCP client at the endpoint, for example:
  npx @modelcontextprotocol/inspector --transport http --server-url {mcp}
  claude mcp add --transport http countersign-demo {mcp}
  curl -i -X POST {mcp}",
        stack.issuer(),
        stack.dir().display(),
    );
    let _ = stdout().flush();
}

#[cfg(test)]
mod tests {
    use super::{Wish, parse};

    fn wish(line: &str) -> Result<Wish, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&args).map_err(|failure| failure.to_string())
    }

    #[test]
    fn options() {
        let usual = Wish { keep: false, revision: "2026-07-28".to_owned(), hold_headers: true };
        assert_eq!(wish(""), Ok(usual));
        let other = Wish { keep: true, revision: "2025-11-25".to_owned(), hold_headers: false };
        assert_eq!(wish("--revision 2025-11-25 --keep --headers-continue"), Ok(other));
        assert!(wish("--revision").is_err());
        assert!(wish("--kept").is_err());
    }
}
