//! Sealing at rest: AES-256-GCM under a key that is not in the database.

use std::{
    env,
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
    hmac, rand,
};
use countersign_core::{guard::NonceSecret, jose::base64url};

use crate::{
    Config, Error,
    config::has_folder,
    secret::{self, Kind},
};

/// The environment variable that holds the key, as base64url of 32 bytes.
const VARIABLE: &str = "COUNTERSIGN_KEY";

/// The keys that seal what the database must not hold in clear. The first seals, all of them open:
/// so a new one takes over while what the old ones sealed is still read.
pub(crate) struct KeyRing(Vec<Entry>);

/// A key by its fingerprint, and the keys for other purposes that go with it.
struct Entry {
    id: String,
    key: SealingKey,
    digests: hmac::Key,
    nonces: NonceSecret,
}

/// One key of AES-256-GCM.
pub(crate) struct SealingKey(LessSafeKey);

impl KeyRing {
    /// From the environment, else from the key file, which is made when it does not exist.
    /// It is not made when something was sealed already: that would hide that the key is missing.
    pub(crate) fn load(config: &Config, is_used: bool) -> Result<Self, Error> {
        if let Ok(text) = env::var(VARIABLE) {
            return Self::from_text(&text, VARIABLE);
        }
        let path = Self::file(config)?;
        match fs::read_to_string(&path) {
            // A first start that was killed may have left it empty.
            Ok(text) if text.is_empty() && !is_used => {
                fs::remove_file(&path).map_err(|error| Error::Io(path.clone(), error))?;
                Self::create(&path)
            }
            Ok(text) => {
                warn_if_readable(&path);
                Self::from_text(&text, &path.display().to_string())
            }
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::Io(path, error)),
            Err(_) if is_used => Err(Error::Config(format!(
                "{} is missing: it holds the key that opens the signing keys in {}. Put it back, \
                 or set {VARIABLE}. If it is lost, start with a new database",
                path.display(),
                config.database
            ))),
            Err(_) => Self::create(&path),
        }
    }

    /// The keys, if they are on this machine; else none, which opens nothing and says so then.
    pub(crate) fn load_if_there(config: &Config) -> Result<Self, Error> {
        let file = config.sealing_key_file();
        match env::var_os(VARIABLE).is_some() || file.is_some_and(|path| path.exists()) {
            true => Self::load(config, true),
            false => Ok(Self(Vec::new())),
        }
    }

    /// Whether [`KeyRing::load`] would find keys, or a place for the first one. Nothing is made.
    pub(crate) fn check(config: &Config) -> Result<(), Error> {
        if let Ok(text) = env::var(VARIABLE) {
            return Self::from_text(&text, VARIABLE).map(drop);
        }
        let path = Self::file(config)?;
        match fs::read_to_string(&path) {
            Ok(text) if text.is_empty() => Ok(()),
            Ok(text) => Self::from_text(&text, &path.display().to_string()).map(drop),
            Err(error) if error.kind() == ErrorKind::NotFound => has_folder("key-file", &path),
            Err(error) => Err(Error::Io(path, error)),
        }
    }

    fn file(config: &Config) -> Result<PathBuf, Error> {
        config.sealing_key_file().ok_or_else(|| {
            Error::Config(format!(
                "with PostgreSQL, say where the key is that seals signing keys: give every node \
                 the same --key-file (made at the first start of the first node) or {VARIABLE}"
            ))
        })
    }

    /// Keys as base64url of 32 bytes, separated by white space.
    fn from_text(text: &str, origin: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::Config(format!(
                "{origin} must hold 32 random bytes as base64url (43 characters), or several such \
                 keys, the present one first"
            ))
        };
        let mut ring = Vec::new();
        for text in text.split_whitespace() {
            let bytes = base64url::decode(text).map_err(|_| wrong())?;
            // A key of equal or counted-up bytes was typed, not drawn.
            let mut distinct = bytes.clone();
            distinct.sort_unstable();
            distinct.dedup();
            if bytes.len() != 32 || distinct.len() < 12 {
                return Err(wrong());
            }
            let digests = derive("digests of short secrets", &bytes, b"HMAC-SHA256")?;
            let nonces = derive("DPoP nonces", &bytes, b"HMAC-SHA256")?;
            let nonces = NonceSecret::new(nonces.to_vec());
            ring.push(Entry {
                id: fingerprint(&bytes),
                key: SealingKey::from_bytes(&bytes)?,
                digests: hmac::Key::new(hmac::HMAC_SHA256, &digests),
                nonces: nonces.ok_or(Error::Crypto("a secret is too short"))?,
            });
        }
        if ring.is_empty() { Err(wrong()) } else { Ok(Self(ring)) }
    }

    fn create(path: &Path) -> Result<Self, Error> {
        let text = new_sealing_key()?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let io = |error| Error::Io(path.to_path_buf(), error);
        let mut file = options.open(path).map_err(io)?;
        writeln!(file, "{text}").map_err(io)?;
        file.sync_all().map_err(io)?;
        Self::from_text(&text, "the new key")
    }

    /// Which key seals now: a fingerprint, which stands beside what is sealed.
    pub(crate) fn id(&self) -> &str {
        self.0.first().map_or("", |first| &first.id)
    }

    /// The names of all keys, with a space between.
    pub(crate) fn ids(&self) -> String {
        let ids: Vec<&str> = self.0.iter().map(|entry| entry.id.as_str()).collect();
        ids.join(" ")
    }

    /// Nonce and ciphertext. `place` binds it to where it is stored: `table/primary key`.
    pub(crate) fn seal(&self, place: &str, secret: &[u8]) -> Result<Vec<u8>, Error> {
        let first = self.0.first().ok_or(Error::Crypto(WRONG_KEY))?;
        first.key.seal(place, secret)
    }

    /// What one of the keys sealed.
    pub(crate) fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let mut opened = self.0.iter().filter_map(|entry| entry.key.open(place, sealed).ok());
        opened.next().ok_or(Error::Crypto(WRONG_KEY))
    }

    /// The digest under which a secret is stored that is short enough to be guessed by who reads the
    /// database (HMAC-SHA-256).
    pub(crate) fn digest(&self, kind: Kind, value: &str) -> Vec<u8> {
        self.digests(kind, value).next().unwrap_or_default()
    }

    /// The same by each of the keys: one of them may have been the first when it was stored.
    pub(crate) fn digests(&self, kind: Kind, value: &str) -> impl Iterator<Item = Vec<u8>> {
        let digest = secret::hash(kind, value);
        self.0.iter().map(move |entry| hmac::sign(&entry.digests, &digest).as_ref().to_vec())
    }

    /// The secrets of nonces, that of the present key first: the same on every node with these keys.
    pub(crate) fn nonce_secrets(&self) -> impl Iterator<Item = &NonceSecret> {
        self.0.iter().map(|entry| &entry.nonces)
    }
}

/// A new key for the key file or `COUNTERSIGN_KEY`.
///
/// # Errors
/// [`Error::Crypto`] without randomness.
pub fn new_sealing_key() -> Result<String, Error> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes)?;
    Ok(base64url::encode(bytes))
}

fn fingerprint(key: &[u8]) -> String {
    let digest = secret::sha256(&[b"countersign sealing key\0", key]);
    base64url::encode(digest).chars().take(11).collect()
}

impl SealingKey {
    /// A key that only who knows this secret of 256 random bits can make again (RFC 5869).
    pub(crate) fn derive(purpose: &str, secret: &str) -> Result<Self, Error> {
        Self::from_bytes(&derive(purpose, secret.as_bytes(), b"AES-256-GCM")?)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Ok(Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes)?)))
    }

    /// Nonce and ciphertext, bound to a place.
    pub(crate) fn seal(&self, place: &str, secret: &[u8]) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce)?;
        let mut bytes = secret.to_vec();
        self.0.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(place),
            &mut bytes,
        )?;
        Ok([&nonce[..], &bytes].concat())
    }

    pub(crate) fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let (nonce, bytes) = sealed.split_at_checked(NONCE_LEN).ok_or(Error::Crypto(WRONG_KEY))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce)?;
        let mut bytes = bytes.to_vec();
        self.0
            .open_in_place(nonce, Aad::from(place), &mut bytes)
            .map(|opened| opened.to_vec())
            .map_err(|_| Error::Crypto(WRONG_KEY))
    }
}

/// 32 bytes for a purpose and an algorithm (RFC 5869).
fn derive(purpose: &str, secret: &[u8], algorithm: &[u8]) -> Result<[u8; 32], Error> {
    let extracted = Salt::new(HKDF_SHA256, purpose.as_bytes()).extract(secret);
    let mut bytes = [0; 32];
    extracted.expand(&[algorithm], HKDF_SHA256)?.fill(&mut bytes)?;
    Ok(bytes)
}

pub(crate) const WRONG_KEY: &str = "what is sealed in the database does not open with this key: use the key \
                         file (or COUNTERSIGN_KEY) that the database was made with";

/// A secret mount of a container is often readable for others, so this is no error.
fn warn_if_readable(path: &Path) {
    #[cfg(unix)]
    if let Ok(metadata) = fs::metadata(path)
        && std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0
    {
        let path = path.display();
        tracing::warn!(reason = "key_file_readable", "others can read {path}: chmod 600 {path}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_to_key_and_place() {
        let key = SealingKey::from_bytes(&[7; 32]).unwrap();
        let sealed = key.seal("here", b"secret").unwrap();
        assert_eq!(key.open("here", &sealed).unwrap(), b"secret");
        assert!(key.open("there", &sealed).is_err());
        assert!(key.open("here", &sealed[..10]).is_err());
        assert!(SealingKey::from_bytes(&[8; 32]).unwrap().open("here", &sealed).is_err());
        let derived = |secret| SealingKey::derive("test", secret).unwrap();
        let sealed = derived("a").seal("here", b"secret").unwrap();
        assert_eq!(derived("a").open("here", &sealed).unwrap(), b"secret");
        assert!(derived("b").open("here", &sealed).is_err());
    }

    #[test]
    fn digests_by_the_first_key_are_found_by_all() {
        let (old, new) = (new_sealing_key().unwrap(), new_sealing_key().unwrap());
        let ring = |text: &str| KeyRing::from_text(text, "test").unwrap();
        let (before, both) = (ring(&old), ring(&format!("{new} {old}")));
        let digest = before.digest(Kind::UserCode, "WDJBMJHT");
        assert_ne!(both.digest(Kind::UserCode, "WDJBMJHT"), digest);
        assert!(both.digests(Kind::UserCode, "WDJBMJHT").any(|other| other == digest));
        assert!(!both.digests(Kind::UserCode, "WDJBMJHX").any(|other| other == digest));
        assert!(!both.digests(Kind::Session, "WDJBMJHT").any(|other| other == digest));
        assert_ne!(digest, secret::hash(Kind::UserCode, "WDJBMJHT"), "without the key: nothing");
    }

    /// Attack 57: keys that were typed are no keys.
    #[test]
    fn attack_57_default_keys_are_refused() {
        let random = "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2RlZmdoaWo";
        for bad in
            ["", "secret", "changeme", &base64url::encode([7; 32]), &"A".repeat(43), &random[1..]]
        {
            assert!(KeyRing::from_text(bad, "test").is_err(), "{bad}");
            let both = format!("{random}\n{bad}x");
            assert!(KeyRing::from_text(&both, "test").is_err(), "{both}");
        }
        assert!(KeyRing::from_text(&format!(" {random}\n"), "test").is_ok());
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let (old, new) = (new_sealing_key().unwrap(), new_sealing_key().unwrap());
        let ring = |text: &str| KeyRing::from_text(text, "test").unwrap();
        let sealed = ring(&old).seal("here", b"secret").unwrap();
        let both = ring(&format!("{new}\n{old}\n"));
        assert_eq!(both.open("here", &sealed).unwrap(), b"secret");
        assert_eq!(both.id(), ring(&new).id());
        assert_ne!(both.id(), ring(&old).id());
        let sealed = both.seal("here", b"secret").unwrap();
        assert!(ring(&old).open("here", &sealed).is_err());
        assert!(ring(&new).open("there", &sealed).is_err());
        assert_eq!(ring(&new).open("here", &sealed).unwrap(), b"secret");
    }
}
