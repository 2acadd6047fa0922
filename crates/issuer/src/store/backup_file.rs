//! The file of a backup: looked at before it may replace anything.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Seek as _},
    path::{Path, PathBuf},
};

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

use super::{Store, migrate};
use crate::{Database, Error};

/// How a SQLite file begins.
const HEAD: &[u8] = b"SQLite format 3\0";

pub(super) const POSTGRES: &str =
    "the database is PostgreSQL: use pg_restore, then run this without a file";

/// A copy of a backup with the present schema, for its owner alone: the backup itself stays as it is.
/// It is deleted however the restore ends.
#[derive(Debug)]
pub struct Backup(PathBuf);

impl Backup {
    /// Makes sure that a file is a backup which [`Store::restore`] can put into this database. The
    /// database is not touched, and not made.
    ///
    /// # Errors
    /// [`Error::Invalid`] for PostgreSQL, and for a file that is no whole backup of this program's;
    /// [`Error::Database`], [`Error::Io`], [`Error::Migration`].
    pub async fn open(from: &Path, database: &Database) -> Result<Self, Error> {
        let Some(path) = database.file() else {
            return Err(Error::Invalid(POSTGRES.to_owned()));
        };
        let shown = from.display();
        let io = |error| Error::Io(from.to_path_buf(), error);
        let real = fs::canonicalize(from).map_err(io)?;
        if fs::canonicalize(path).is_ok_and(|path| path == real) {
            return Err(Error::Invalid(format!("{shown} is the database itself")));
        }
        // Of a file that was copied with other tools: its newest content is not in it.
        for suffix in ["-wal", "-journal"] {
            let beside = with_suffix(from, suffix);
            if fs::metadata(&beside).is_ok_and(|found| found.len() > 0) {
                return Err(Error::Invalid(format!(
                    "a part of {shown} lies in {}: make a whole copy with countersign --database \
                     {shown} backup FILE, and restore that",
                    beside.display()
                )));
            }
        }
        let mut backup = File::open(from).map_err(io)?;
        let mut begin = Vec::new();
        backup.by_ref().take(HEAD.len() as u64).read_to_end(&mut begin).map_err(io)?;
        if begin != HEAD {
            return Err(Error::Invalid(format!("{shown} is no backup")));
        }
        backup.rewind().map_err(io)?;
        let copy = Self(with_suffix(from, ".restoring"));
        // A restore that was killed may have left one.
        copy.delete()?;
        let io = |error| Error::Io(copy.0.clone(), error);
        private(&copy.0).and_then(|mut file| io::copy(&mut backup, &mut file)).map_err(io)?;
        copy.check_origin(from).await?;
        let store = Box::pin(Store::open(&Database::Sqlite(copy.0.clone()))).await?;
        let sound = store.sql("PRAGMA integrity_check(1)").scalar::<String>().await;
        store.close().await;
        match sound?.as_deref() {
            Some("ok") => Ok(copy),
            found => Err(Error::Invalid(format!(
                "{shown} is damaged: {}",
                found.unwrap_or("nothing can be read")
            ))),
        }
    }

    /// Whether it began as a database of ours: any other would get our schema, and nothing else.
    async fn check_origin(&self, from: &Path) -> Result<(), Error> {
        let options = SqliteConnectOptions::new().filename(&self.0).immutable(true).read_only(true);
        let read = async {
            let mut connection = options.disable_statement_logging().connect().await?;
            let all = "SELECT version, checksum FROM _sqlx_migrations ORDER BY version";
            let all: Vec<(i64, Vec<u8>)> = sqlx::query_as(all).fetch_all(&mut connection).await?;
            connection.close().await?;
            Ok::<_, sqlx::Error>(all)
        };
        let why = match read.await {
            Ok(all) if !all.first().is_some_and(|(_, first)| migrate::is_first(first)) => {
                "its tables are others".to_owned()
            }
            // What its new tables and columns hold would be lost.
            Ok(all) if !all.iter().all(|(version, _)| migrate::is_known(*version)) => {
                "a newer version of this program made it".to_owned()
            }
            Ok(_) => return Ok(()),
            Err(error) => error.to_string(),
        };
        Err(Error::Invalid(format!("{} cannot be put back: {why}", from.display())))
    }

    pub(super) fn copy(&self) -> &Path {
        &self.0
    }

    /// Deletes it where nothing has failed yet.
    pub(super) fn remove(self) -> Result<(), Error> {
        self.delete()
    }

    fn delete(&self) -> Result<(), Error> {
        for suffix in ["", "-wal", "-shm"] {
            let path = with_suffix(&self.0, suffix);
            remove(&path).map_err(|error| Error::Io(path, error))?;
        }
        Ok(())
    }
}

impl Drop for Backup {
    fn drop(&mut self) {
        // What failed before is what counts.
        let _ = self.delete();
    }
}

/// Deletes a file, if there is one.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A new file for its owner alone: password hashes will be in it.
pub(super) fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
