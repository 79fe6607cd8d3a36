//! What can go wrong in the store, split by what the caller does next.

use cartwright::TextFault;
use sqlx::error::ErrorKind;
use sqlx::migrate::MigrateError;

/// The store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is locked, away or overloaded. Try again.
    #[error("the database does not answer now; try again later: {0}")]
    Unavailable(String),
    /// There is no room left. Nothing was written; make room, then try again.
    #[error("the database has no room left; make room, then try again: {0}")]
    Full(String),
    /// What the database holds cannot be read. Restore it from a copy.
    #[error("the database is damaged; restore it from a copy: {0}")]
    Corrupt(String),
    /// The database cannot be used as it is set up: its address, its rights.
    #[error("the database cannot be used; look at its address and rights: {0}")]
    Unusable(String),
    /// A newer release has changed the tables. Use that release, or restore a copy from before.
    #[error(
        "the database has schema version {found}, this release knows {known}; use the release that wrote it, or a copy from before"
    )]
    NewerSchema {
        /// The version of the database.
        found: i64,
        /// The latest that this release knows.
        known: i64,
    },
    /// The database was written with another key.
    #[error("the database was written with the key {key_id}, which was not given")]
    WrongKey {
        /// Names that key; the first bytes of its digest.
        key_id: String,
    },
    /// It contradicts what is stored. Read again, then decide anew.
    #[error("conflict: {0}")]
    Conflict(String),
    /// An event with this id was recorded with other content. Report this one under an id of its own.
    #[error(
        "the event id {event} was used for another event, of the order {order}; report this event again with an id of its own"
    )]
    EventIdTaken {
        /// The event's id.
        event: String,
        /// The order of the event that has it.
        order: String,
    },
    /// An order was recorded in this version with other content. Report it in a higher version.
    #[error(
        "the order {order} is known in version {version} with other content; report it again in a version higher than {version}"
    )]
    SameVersion {
        /// The order.
        order: String,
        /// The version.
        version: u64,
    },
    /// The job is somebody else's by now: the lease ran out and another worker claimed it, or an operator decided. Drop the run.
    #[error("the job {0} is somebody else's by now")]
    Fenced(String),
    /// No such thing.
    #[error("there is no {what} {id}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// By which id.
        id: String,
    },
    /// The order's data was erased.
    #[error("the data of the order {0} was erased")]
    Erased(String),
    /// A text that was given cannot be stored. Give another.
    #[error("the {what} cannot be stored: {fault}")]
    Text {
        /// What the text is.
        what: &'static str,
        /// Why.
        fault: TextFault,
    },
}

impl StoreError {
    /// Is it worth trying the same again?
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// As [`StoreError::corrupt`], without what the JSON holds: it may be personal or secret, and errors are logged.
    pub(crate) fn corrupt_json(what: &str, error: &serde_json::Error) -> Self {
        let (kind, line, column) = (error.classify(), error.line(), error.column());
        Self::Corrupt(format!("{what}: its JSON does not fit ({kind:?}, line {line}, column {column})"))
    }

    pub(crate) fn corrupt(what: &str, error: impl std::fmt::Display) -> Self {
        Self::Corrupt(format!("{what}: {error}"))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::of(&error)
    }
}

impl StoreError {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        use sqlx::Error;
        let text = error.to_string();
        match error {
            Error::Database(error) => of_database(error.code().as_deref().unwrap_or(""), &error.kind(), text),
            // How a certificate that is not accepted is told.
            Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => Self::Unusable(text),
            Error::Io(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => Self::Unavailable(text),
            Error::Configuration(_) | Error::InvalidArgument(_) | Error::Tls(_) => Self::Unusable(text),
            _ => Self::Corrupt(text),
        }
    }
}

/// By SQLite's result code, extended (<https://www.sqlite.org/rescode.html>), or PostgreSQL's SQLSTATE
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn of_database(code: &str, kind: &ErrorKind, text: String) -> StoreError {
    if matches!(kind, ErrorKind::UniqueViolation | ErrorKind::ForeignKeyViolation) {
        return StoreError::Conflict(text);
    }
    if code.len() == 5 {
        return match code.split_at(2) {
            // Lost connections, deadlocks and serialisation, too many clients, shut down by the operator.
            ("08" | "40", _) | ("57", _) | ("53", "300") | ("55", "P03") => StoreError::Unavailable(text),
            ("53", _) => StoreError::Full(text),
            ("58" | "XX", _) => StoreError::Corrupt(text),
            ("22" | "23" | "P0", _) => StoreError::Conflict(text),
            _ => StoreError::Unusable(text),
        };
    }
    // The low byte is the plain code.
    match code.parse::<i64>().map(|code| code & 0xff) {
        Ok(5 | 6 | 10) => StoreError::Unavailable(text),
        Ok(13) => StoreError::Full(text),
        Ok(11 | 26) => StoreError::Corrupt(text),
        Ok(18..=20) => StoreError::Conflict(text),
        _ => StoreError::Unusable(text),
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            error => Self::Corrupt(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_databases_codes_say_what_to_do_next() {
        let of = |code: &str| of_database(code, &ErrorKind::Other, String::new());
        for code in ["5", "517", "6", "08006", "40001", "40P01", "53300", "55P03", "57P01"] {
            assert!(matches!(of(code), StoreError::Unavailable(_)), "{code}");
        }
        for code in ["13", "53100"] {
            assert!(matches!(of(code), StoreError::Full(_)), "{code}");
        }
        for code in ["11", "26", "XX001", "58030"] {
            assert!(matches!(of(code), StoreError::Corrupt(_)), "{code}");
        }
        for code in ["8", "14", "1", "28P01", "3D000", "42501", "42P01"] {
            assert!(matches!(of(code), StoreError::Unusable(_)), "{code}");
        }
        for code in ["19", "1811", "23514", "P0001"] {
            assert!(matches!(of(code), StoreError::Conflict(_)), "{code}");
        }
    }
}
