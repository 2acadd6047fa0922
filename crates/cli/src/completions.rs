//! `countersign completions`: what a shell completes commands and options with.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::output::{Outcome, Problem, print_line};

/// Print a script with which a shell completes commands and options
///
/// For bash, with the package bash-completion:
///     countersign completions bash > ~/.local/share/bash-completion/completions/countersign
///
/// For zsh, in a folder of $fpath: countersign completions zsh > _countersign
///
/// For fish:
///     countersign completions fish > ~/.config/fish/completions/countersign.fish
///
/// For PowerShell and Elvish, in the profile:
///     countersign completions powershell | Out-String | Invoke-Expression
///     eval (countersign completions elvish | slurp)
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let mut script = Vec::new();
    generate(arguments.shell, &mut crate::Arguments::command(), "countersign", &mut script);
    let script = String::from_utf8(script)
        .map_err(|_| Problem::new("io_failed", "the script is no text"))?;
    print_line(script.trim_end())
}
