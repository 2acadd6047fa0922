//! Which database: a SQLite file, or a PostgreSQL server.

use std::{
    convert::Infallible,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Where everything is stored that must not be lost.
///
/// As text: `postgres://user:password@host/name` with libpq's parameters, `sqlite:FILE`, or the
/// path of a file, which is SQLite too.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// A PostgreSQL server; for several nodes.
    Postgres(String),
    /// A SQLite file, made when it does not exist; for one machine.
    Sqlite(PathBuf),
}

impl Database {
    /// The file, where there is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Postgres(_) => None,
            Self::Sqlite(path) => Some(path),
        }
    }

    /// The same, with a relative path taken from this folder.
    #[must_use]
    pub fn below(self, folder: &Path) -> Self {
        match self {
            Self::Postgres(_) => self,
            Self::Sqlite(path) => Self::Sqlite(folder.join(path)),
        }
    }
}

impl FromStr for Database {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let path = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:"));
        Ok(Self::Sqlite(PathBuf::from(path.unwrap_or(text))))
    }
}

/// Without the password.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(url) => f.write_str(&without_password(url)),
            Self::Sqlite(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The URL of a server as it may be shown: without the password, and without parameters, which may hold
/// one.
pub(crate) fn without_password(url: &str) -> String {
    // Without a scheme there is no telling what is the password.
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    // A password may have an `@` that was not encoded; the last one ends it.
    match rest.rsplit_once('@') {
        Some((who, place)) => {
            let name = who.split(':').next().unwrap_or_default();
            format!("{scheme}://{name}@{place}")
        }
        None => format!("{scheme}://{rest}"),
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Database {
        text.parse().unwrap()
    }

    #[test]
    fn a_path_is_sqlite() {
        for text in ["a/b.db", "sqlite:a/b.db", "sqlite://a/b.db"] {
            assert_eq!(parsed(text), Database::Sqlite(PathBuf::from("a/b.db")));
        }
        let below = parsed("a.db").below(Path::new("/etc"));
        assert_eq!(below.file(), Some(Path::new("/etc/a.db")));
        assert_eq!(parsed("sqlite:///x.db").below(Path::new("/etc")).to_string(), "/x.db");
    }

    #[test]
    fn passwords_are_not_shown() {
        for (url, shown) in [
            ("postgres://ada:se@cret@h:5432/db?sslmode=require", "postgres://ada@h:5432/db"),
            ("postgresql:///db?host=/run&password=secret", "postgresql:///db"),
            ("postgres://h/db", "postgres://h/db"),
        ] {
            let database = parsed(url);
            assert_eq!(database.to_string(), shown);
            assert!(!format!("{database:?}").contains("secret"));
        }
    }
}
