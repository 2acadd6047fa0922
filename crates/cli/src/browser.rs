//! How a user is asked: by their browser, or by a URL to open where there is one, and the URL that it was
//! sent back to, pasted.

use std::{
    io::{self, BufRead, IsTerminal as _},
    process::{Command, Stdio},
    sync::{Mutex, Once, PoisonError},
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

    fn pasted_in_vain(&self) {
        complain(
            "That is not the answer to this login. Paste the whole URL, with what follows the \"?\":",
        );
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

/// Who gets the next line. A program may ask more than once, and only the last one still listens.
static LISTENER: Mutex<Option<mpsc::Sender<String>>> = Mutex::new(None);

/// Lines from standard input. One thread reads them for as long as the program runs, since nothing can end
/// a read that waits: a second one would lose the line that the first is waiting for.
fn pasted() -> mpsc::Receiver<String> {
    static READER: Once = Once::new();
    let (sender, receiver) = mpsc::channel(4);
    listen(Some(sender));
    READER.call_once(|| drop(thread::spawn(|| give_out(io::stdin().lock()))));
    receiver
}

fn listen(sender: Option<mpsc::Sender<String>>) {
    *LISTENER.lock().unwrap_or_else(PoisonError::into_inner) = sender;
}

fn give_out(input: impl BufRead) {
    for line in input.lines().map_while(Result::ok) {
        let listener = LISTENER.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(listener) = listener {
            // Whoever is gone needs no line.
            let _ = listener.blocking_send(line);
        }
    }
    // Whoever asks from now on is told that there is nothing to come.
    listen(None);
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// The line goes to the login that waits now, and not to one that is over.
    #[test]
    fn the_last_one_who_asks_gets_the_line() {
        let (over, ended) = mpsc::channel(1);
        listen(Some(over));
        drop(ended);
        give_out(Cursor::new("lost\n"));
        let (sender, mut receiver) = mpsc::channel(1);
        listen(Some(sender));
        give_out(Cursor::new("line\n"));
        assert_eq!(receiver.blocking_recv().as_deref(), Some("line"));
        assert_eq!(receiver.blocking_recv(), None);
    }
}
