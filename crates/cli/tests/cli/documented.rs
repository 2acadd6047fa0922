//! The commands that the issuer's documents show, run as they stand there.

use std::{env, fs, path::Path, process::Command};

use crate::tool::Folder;

/// Every command of the `sh` blocks, with continued lines joined.
fn commands(document: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(document);
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let joined = blocks.map(|block| block.replace("\\\n", " ")).collect::<String>();
    joined.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn commands_of_the_protocol_guide() {
    let folder = Folder::new();
    assert_eq!(folder.run(&["user", "add", "ada", "--password-stdin"], "correct horse\n").code, 0);
    let url = "https://app.example.com/client.json";
    let document = format!(
        r#"{{"client_id":"{url}","client_name":"App","redirect_uris":["http://localhost/cb"]}}"#
    );
    fs::write(folder.path().join("client.json"), document).unwrap();
    let key = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    fs::write(folder.path().join("job.jwks.json"), key).unwrap();

    let mut all = commands("issuer-protocol.md");
    assert!(all.len() >= 10, "{all:?}");
    // Services are for resources; the guide speaks of those later.
    all.sort_by_key(|line| !line.starts_with("countersign resource add"));
    let tool = Path::new(env!("CARGO_BIN_EXE_countersign"));
    for line in all {
        // A server would not end; what it would start with is checked.
        let line = line.replace("countersign serve", "countersign config check");
        let mut command = Command::new("sh");
        command.args(["-c", &line]).current_dir(folder.path());
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("COUNTERSIGN_")) {
                command.env_remove(name);
            }
        }
        let path = env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", tool.parent().unwrap().display()));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
    }
}
