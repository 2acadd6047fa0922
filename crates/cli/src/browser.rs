//! How a user is asked: by their browser, or by a URL to open where there is one, and the URL that it was
//! sent back to, pasted.

use std::{
    io::{self, BufRead as _, IsTerminal as _},
    process::{Command, Stdio},
    thread,
};

use countersign_client::Url;
use countersign_client::login::Ask;
use tokio::sync::mpsc;

use crate::output::complain;

/// How the browser is opened.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Browser {
    /// Open no browser; print the URL. Where the browser runs on another machine, paste the URL that it
    /// was sent back to, even though it shows an error there
    #[arg(long, conflicts_with = "browser")]
    no_browser: bool,
    /// The program that opens the URL, which comes as its last argument [default: the system's]
    #[arg(long, env = "BROWSER", hide_env_values = true, value_name = "COMMAND")]
    browser: Option<String>,
}

impl Ask for Browser {
    fn ask(&self, url: &Url) -> Option<mpsc::Receiver<String>> {
        let is_open = !self.no_browser && self.open(url);
        complain(match is_open {
            true => format!("Log in in your browser. If it did not open, open this:\n\n  {url}\n"),
            false => format!("Open this in a browser:\n\n  {url}\n"),
        });
        if !io::stdin().is_terminal() && !self.no_browser {
            return None;
        }
        complain("Is the browser on another machine? Then paste the URL that it ends up at here:");
        Some(pasted())
    }
}

impl Browser {
    /// Runs the program with the URL as an argument of its own: no shell sees it (MCP, security best
    /// practices).
    fn open(&self, url: &Url) -> bool {
        let mut words = match &self.browser {
            Some(command) => command.split_whitespace().map(str::to_owned).collect(),
            None => system(),
        }
        .into_iter();
        let Some(program) = words.next() else { return false };
        let mut command = Command::new(program);
        command.args(words).arg(url.as_str());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else { return false };
        // Not waited for here: some run as long as the browser does.
        thread::spawn(move || child.wait());
        true
    }
}

fn system() -> Vec<String> {
    let words: &[&str] = if cfg!(target_os = "macos") {
        &["open"]
    } else if cfg!(windows) {
        &["rundll32", "url.dll,FileProtocolHandler"]
    } else {
        &["xdg-open"]
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Lines from standard input. A thread of its own reads them, since nothing can end a read that waits; it
/// goes with the program.
fn pasted() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(4);
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
