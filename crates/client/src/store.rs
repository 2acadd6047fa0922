//! Where logins are kept: one JSON file that only its user can read.
//!
//! Programs that run at the same time take turns by a lock on a file beside it, through the whole of a
//! refresh: a refresh token is used once, and one that is used twice ends the grant (OAuth 2.1 §4.3.1).

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use countersign_core::oauth::resource::ResourceId;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::{Error, dpop, registration::Registration, token::Tokens};

/// What is kept of one MCP server that a user logged in to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Login {
    /// Its resource identifier.
    pub resource: String,
    /// The authorization server that gave the tokens.
    pub issuer: String,
    /// The client that they were given to.
    pub client: Registration,
    /// The scopes that were asked for at the last login: a step-up asks for them again (MCP
    /// authorization, step-up authorization flow).
    pub asked_scope: String,
    /// The tokens were given to the client itself, without a user.
    #[serde(default)]
    pub is_client_credentials: bool,
    /// The tokens.
    pub tokens: Tokens,
    /// The key that they are bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop: Option<dpop::Key>,
}

/// What is read first: the form of the rest.
#[derive(Deserialize)]
struct Form {
    version: u32,
}

/// The file's content.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    /// Of this form.
    version: u32,
    /// Clients that registered themselves, by issuer.
    #[serde(default)]
    clients: BTreeMap<String, Registration>,
    /// By the URL of the MCP server, as it was typed.
    #[serde(default)]
    logins: BTreeMap<String, Login>,
}

/// The form that is written.
const VERSION: u32 = 1;

/// How long other programs may hold the file: twice as long as two answers of a server may take.
const PATIENCE: Duration = Duration::from_secs(80);

/// Between two attempts at the lock.
const PAUSE: Duration = Duration::from_millis(20);

/// Logins and registered clients.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

/// A store that no other program writes to meanwhile.
#[derive(Debug)]
pub struct Locked<'a> {
    store: &'a Store,
    content: Content,
    _lock: File,
}

impl Store {
    /// A store in this file, which need not be there yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for other programs, and reads.
    ///
    /// # Errors
    /// [`Error::Store`], also when another program holds the file for too long.
    pub async fn lock(&self) -> Result<Locked<'_>, Error> {
        self.lock_within(PATIENCE).await
    }

    async fn lock_within(&self, patience: Duration) -> Result<Locked<'_>, Error> {
        let lock = make_folder(&self.folder())
            .and_then(|()| private().truncate(false).open(self.beside("lock")))
            .map_err(|error| self.failed(error))?;
        // Asked again and again, since nothing can end a wait within the system: not even a user.
        let deadline = Instant::now() + patience;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(PAUSE).await,
                Err(TryLockError::WouldBlock) => {
                    let why =
                        "another countersign has been using it for too long; end it, and try again";
                    return Err(self.failed(why));
                }
                Err(TryLockError::Error(error)) => return Err(self.failed(error)),
            }
        }
        Ok(Locked { store: self, content: self.content()?, _lock: lock })
    }

    /// The login to an MCP server, as it was a moment ago.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn login(&self, url: &str) -> Result<Option<Login>, Error> {
        Ok(self.content()?.login(url).map(|(_, login)| login.clone()))
    }

    /// All logins, by URL.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn logins(&self) -> Result<Vec<(String, Login)>, Error> {
        Ok(self.content()?.logins.into_iter().collect())
    }

    fn content(&self) -> Result<Content, Error> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Content::default()),
            Err(error) => return Err(self.failed(error)),
        };
        let unknown = |error: serde_json::Error| {
            // Its position only: its text may have what was read.
            let (line, column) = (error.line(), error.column());
            self.failed(format!(
                "not a file of logins (line {line}, column {column}); move it away and log in again"
            ))
        };
        // The rest of another form may look like anything.
        match serde_json::from_slice(&text).map_err(unknown)? {
            Form { version: VERSION } => serde_json::from_slice(&text).map_err(unknown),
            Form { version } => Err(self.failed(format!(
                "written by another version of countersign (form {version}, this one knows {VERSION})"
            ))),
        }
    }

    /// A file beside the store: its whole name with an ending, so that no two stores share one.
    fn beside(&self, ending: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".");
        path.push(ending);
        path.into()
    }

    fn folder(&self) -> PathBuf {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        }
    }

    fn failed(&self, why: impl ToString) -> Error {
        Error::Store { path: self.path.clone(), why: why.to_string() }
    }
}

impl Content {
    fn login(&self, url: &str) -> Option<(&String, &Login)> {
        let id = ResourceId::parse(url).ok();
        let is_same = |known: &str| known == url || id.as_ref().is_some_and(|id| id.matches(known));
        self.logins.iter().find(|(known, _)| is_same(known))
    }
}

impl Locked<'_> {
    /// The login to an MCP server.
    #[must_use]
    pub fn login(&self, url: &str) -> Option<&Login> {
        self.content.login(url).map(|(_, login)| login)
    }

    /// Keeps a login in place of an earlier one.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn keep(&mut self, url: &str, login: Login) -> Result<(), Error> {
        let url =
            self.content.login(url).map_or_else(|| url.to_owned(), |(known, _)| known.clone());
        self.content.logins.insert(url, login);
        self.write()
    }

    /// Forgets a login.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn forget(&mut self, url: &str) -> Result<(), Error> {
        let known = self.content.login(url).map(|(known, _)| known.clone());
        match known.and_then(|known| self.content.logins.remove(&known)) {
            Some(_) => self.write(),
            None => Ok(()),
        }
    }

    /// The client that registered itself at an issuer.
    #[must_use]
    pub fn client(&self, issuer: &str) -> Option<&Registration> {
        self.content.clients.get(issuer)
    }

    /// Keeps a client that registered itself, or forgets the one that was kept.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn set_client(&mut self, issuer: &str, client: Option<Registration>) -> Result<(), Error> {
        match client {
            Some(client) => self.content.clients.insert(issuer.to_owned(), client),
            None => self.content.clients.remove(issuer),
        };
        self.write()
    }

    /// A new file takes the old one's place: whoever reads meanwhile sees the one or the other.
    fn write(&mut self) -> Result<(), Error> {
        self.content.version = VERSION;
        let store = self.store;
        let text = serde_json::to_vec_pretty(&self.content).map_err(|error| store.failed(error))?;
        let new = store.beside("new");
        let write = || -> std::io::Result<()> {
            // What a program that was killed left behind may have other rights.
            match fs::remove_file(&new) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let mut file = private().create_new(true).open(&new)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&new, &store.path)?;
            sync_folder(&store.folder())
        };
        write().map_err(|error| store.failed(error))
    }
}

/// A name is on the disk when its folder is: after a loss of power the old refresh token is worth nothing.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    match cfg!(unix) {
        true => File::open(folder)?.sync_all(),
        false => Ok(()),
    }
}

/// Options for files that are their user's alone.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
