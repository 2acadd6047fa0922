//! Writes verdicts down, so that another build of the verifier can be asked for them: `cargo xtask test wasm`
//! does. `COUNTERSIGN_CORPUS` names the file, to which lines are appended; crates/bench/src/case.rs has their
//! form and reads them.

use std::{
    env,
    fmt::Write as _,
    fs::File,
    io::Write as _,
    sync::{LazyLock, Mutex},
};

static FILE: LazyLock<Option<Mutex<File>>> = LazyLock::new(|| {
    let path = env::var_os("COUNTERSIGN_CORPUS")?;
    let file = File::options().create(true).append(true).open(path).expect("the corpus opens");
    Some(Mutex::new(file))
});

/// The key's parts are those of a JWK.
pub(crate) fn record(
    algorithm: &str,
    key: &[&[u8]],
    message: &[u8],
    signature: &[u8],
    verdict: bool,
) {
    let Some(file) = &*FILE else { return };
    let key: Vec<String> = key.iter().map(|part| hex(part)).collect();
    let (message, signature, verdict) = (hex(message), hex(signature), u8::from(verdict));
    let line = format!("{algorithm} {} {message} {signature} {verdict}\n", key.join("."));
    file.lock().unwrap().write_all(line.as_bytes()).expect("the corpus is written");
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    if text.is_empty() { "-".to_owned() } else { text }
}
