//! `countersign completions`.

use std::process::Command;

use crate::tool::Folder;

#[test]
fn every_shell_has_a_script() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let printed = folder.run(&["completions", shell], "");
        assert_eq!((printed.code, printed.stderr.as_str()), (0, ""), "{shell}");
        assert!(printed.stdout.contains("countersign"), "{shell}");
        assert!(printed.stdout.contains("rotate"), "{shell}: subcommands too");
    }
    assert_eq!(folder.run(&["completions", "tcsh"], "").code, 2);
    assert_eq!(folder.run(&["completions"], "").code, 2);
}

/// What the shell does when somebody presses Tab after the last word.
fn completed(folder: &Folder, words: &[&str]) -> Vec<String> {
    let last = words.last().unwrap();
    let before = words[words.len() - 2];
    let script = format!(
        "source ./script && COMP_WORDS=({}) COMP_CWORD={} && _countersign countersign {last:?} \
         {before:?} && printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.iter().map(|word| format!("{word:?} ")).collect::<String>(),
        words.len() - 1
    );
    let output = bash(folder, &["-c", &script]);
    output.lines().map(str::to_owned).collect()
}

fn bash(folder: &Folder, arguments: &[&str]) -> String {
    let output = Command::new("bash").args(arguments).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bash_completes() {
    let folder = Folder::new();
    let printed = folder.run(&["completions", "bash"], "");
    std::fs::write(folder.path().join("script"), printed.stdout).unwrap();
    bash(&folder, &["-n", "script"]);
    assert_eq!(completed(&folder, &["countersign", "ser"]), ["serve"]);
    assert_eq!(completed(&folder, &["countersign", "key", "rot"]), ["rotate"]);
    assert_eq!(completed(&folder, &["countersign", "user", "list", "--js"]), ["--json"]);
    let shells = completed(&folder, &["countersign", "completions", "z"]);
    assert_eq!(shells, ["zsh"]);
}
