//! Texts for people: the words of servers, and commands to copy.

/// A server's words as far as they are shown: cut in length, and without what plays with a terminal.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 300;
    text.chars().filter(|char| !is_unseemly(*char)).take(LONGEST).collect()
}

/// Whether a character can make a text look like another one: those that control a terminal, that turn
/// the direction of writing, or that break lines or hide without being control characters.
#[must_use]
pub fn is_unseemly(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// A text as one word of a command line that somebody may copy into their shell: the scopes in it are a
/// server's. `None` for what shells do not read alike.
fn word(text: &str) -> Option<String> {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-._:/+=,".contains(char);
    if text.chars().all(is_plain) {
        Some(text.to_owned())
    } else if text.chars().all(|char| is_plain(char) || char == ' ') {
        Some(format!("\"{text}\""))
    } else if cfg!(windows) || text.chars().any(|char| char == '\'' || is_unseemly(char)) {
        None
    } else {
        Some(format!("'{text}'"))
    }
}

/// The command that logs in to a server, ready to be copied.
pub(crate) fn login_command(url: &str, scope: &str) -> String {
    const LATER: &str = "(quoted for your shell)";
    let url = word(url).unwrap_or_else(|| format!("{url} {LATER}"));
    match word(scope) {
        _ if scope.is_empty() => format!("countersign login {url}"),
        Some(scope) => format!("countersign login {url} --scope {scope}"),
        None => format!("countersign login {url} --scope {scope} {LATER}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_of_servers() {
        assert_eq!(shown("no\r\n\u{1b}[2J\u{9b}31mway"), "no[2J31mway");
        // What is turned around or hidden reads like something else.
        assert_eq!(shown("a\u{202e}b\u{2066}c\u{200b}d\u{2028}e\u{feff}f\u{e0041}"), "abcdef");
        assert_eq!(shown("für 世界"), "für 世界");
        assert_eq!(shown(&"x".repeat(1000)).len(), 300);
    }

    #[test]
    fn commands_to_copy() {
        let plain = login_command("https://h:8443/mcp", "files:read");
        assert_eq!(plain, "countersign login https://h:8443/mcp --scope files:read");
        let two = login_command("https://h/mcp", "a b");
        assert_eq!(two, "countersign login https://h/mcp --scope \"a b\"");
        assert_eq!(login_command("https://h/mcp", ""), "countersign login https://h/mcp");
    }

    /// A scope may have any printable character but space, quotation mark and backslash: a command that is
    /// copied must not run what a server wrote into it.
    #[cfg(unix)]
    #[test]
    fn no_scope_is_a_command() {
        let command = login_command("https://h/mcp?a&b", "$(touch${IFS}x)");
        assert_eq!(command, "countersign login 'https://h/mcp?a&b' --scope '$(touch${IFS}x)'");
        assert_eq!(word("a'$(x)'"), None);
    }

    proptest! {
        /// What a shell reads is the text, and nothing else.
        #[cfg(unix)]
        #[test]
        fn shells_read_it_back(text in "[!-~ ]{1,12}") {
            if let Some(word) = word(&text) {
                let script = format!("printf %s {word}");
                let said = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
                prop_assert_eq!(String::from_utf8(said.stdout).unwrap(), text);
            }
        }
    }
}
