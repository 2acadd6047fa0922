//! What can go wrong outside of a protocol exchange.

use std::{fmt, io, path::PathBuf};

/// A failure of the server itself or of its administration.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is unsafe or contradictory; the text says what to do.
    Config(String),
    /// Cryptography failed: no randomness, or a key that cannot be read.
    Crypto(&'static str),
    /// The database refused.
    Database(sqlx::Error),
    /// The user or the client was shut out in the meantime.
    Ended,
    /// What is to be added exists already.
    Exists(String),
    /// What is to be taken away is still used; the text says by what.
    InUse(String),
    /// A value given by an administrator is not acceptable; the text says why.
    Invalid(String),
    /// A file or a socket failed.
    Io(PathBuf, io::Error),
    /// The schema could not be brought up to date.
    Migration(sqlx::migrate::MigrateError),
    /// Redis does not answer, and nothing else can.
    Redis,
}

impl Error {
    /// A stable snake_case code.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Config(_) => "config_invalid",
            Self::Crypto(_) => "crypto_failed",
            Self::Database(_) => "database_failed",
            Self::Ended => "access_ended",
            Self::Exists(_) => "already_exists",
            Self::InUse(_) => "in_use",
            Self::Invalid(_) => "value_invalid",
            Self::Io(..) => "io_failed",
            Self::Migration(_) => "migration_failed",
            Self::Redis => "redis_unavailable",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(text) | Self::Exists(text) | Self::InUse(text) | Self::Invalid(text) => {
                f.write_str(text)
            }
            Self::Crypto(text) => f.write_str(text),
            Self::Ended => f.write_str("the user or the client was shut out in the meantime"),
            Self::Database(error) => write!(f, "the database refused: {error}"),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Migration(error) => write!(f, "the database schema: {error}"),
            Self::Redis => f.write_str("Redis cannot say whether something was used before"),
        }
    }
}

impl std::error::Error for Error {}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<aws_lc_rs::error::Unspecified> for Error {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Crypto("the cryptographic library failed")
    }
}
