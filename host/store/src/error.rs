//! Errors of the store, distinguished by what the caller does next.

use cartwright::TextFault;
use sqlx::error::ErrorKind;
use sqlx::migrate::MigrateError;

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database, its server or the connection fails now: it is locked, restarted, replaced, overloaded or
    /// unreachable. The data is not known to be damaged. Retry.
    #[error("the database is not available now; try again: {0}")]
    Unavailable(String),
    /// The disk is full. Nothing was written; free space, then retry.
    #[error("the database is full; free space, then try again: {0}")]
    Full(String),
    /// The database is damaged: SQLite or PostgreSQL reports it, or a stored value is not what was written. Restore it
    /// from a backup.
    #[error("the database is damaged; restore it from a backup: {0}")]
    Corrupt(String),
    /// The database cannot be used as configured: its URL, its rights, its network.
    #[error("the database configuration is invalid: {0}")]
    Unusable(String),
    /// A newer release has changed the schema. Use that release, or restore a backup from before.
    #[error(
        "the database has schema version {found}, this release supports {known}; use the release that wrote it, or an earlier backup"
    )]
    NewerSchema {
        /// Schema version of the database.
        found: i64,
        /// Latest schema version that this release supports.
        known: i64,
    },
    /// The database was written with another key.
    #[error("the database was written with the key {key_id}, which was not given")]
    WrongKey {
        /// Id of that key: the first bytes of its digest.
        key_id: String,
    },
    /// The change conflicts with what is stored. Read again, then decide anew.
    #[error("conflict: {0}")]
    Conflict(String),
    /// An event with this id was recorded with other content. Report the event under an id of its own.
    #[error(
        "the event id {event} was used for another event, of the order {order}; report this event again with an id of its own"
    )]
    EventIdTaken {
        /// Id of the event.
        event: String,
        /// Order of the recorded event.
        order: String,
    },
    /// The order was recorded in this version with other content. Report it in a higher version.
    #[error("the order {order} was reported in version {version} with other content; report it with a higher version")]
    SameVersion {
        /// The order.
        order: String,
        /// The version.
        version: u64,
    },
    /// The lease of the job was lost: it expired and another worker claimed the job, or an operator changed it. Drop
    /// the run.
    #[error("the lease of the job {0} was lost")]
    LeaseLost(String),
    /// Something does not exist.
    #[error("{what} {id} not found")]
    NotFound {
        /// Kind of object.
        what: &'static str,
        /// Id of the object.
        id: String,
    },
    /// The order's data was erased.
    #[error("the data of the order {0} was erased")]
    Erased(String),
    /// A text cannot be stored.
    #[error("the {what} cannot be stored: {fault}")]
    Text {
        /// What the text is.
        what: &'static str,
        /// Why the text cannot be stored.
        fault: TextFault,
    },
}

impl StoreError {
    /// Returns whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Like [`StoreError::corrupt`], but without the JSON's content: it may be personal or secret, and errors are
    /// logged.
    pub(crate) fn corrupt_json(what: &str, error: &serde_json::Error) -> Self {
        let (kind, line, column) = (error.classify(), error.line(), error.column());
        Self::Corrupt(format!("{what}: invalid JSON ({kind:?}, line {line}, column {column})"))
    }

    pub(crate) fn corrupt(what: &str, error: impl std::fmt::Display) -> Self {
        Self::Corrupt(format!("{what}: {error}"))
    }

    /// Converts an error of the first connection, when it is not yet known whether the URL leads to a usable database.
    pub(crate) fn opening(error: &sqlx::Error) -> Self {
        let text = error.to_string();
        match error {
            // `rustls` reports a rejected certificate so.
            sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => Self::Unusable(text),
            sqlx::Error::Database(error) if error.code().as_deref() == Some("08P01") => {
                Self::Unusable(match text.contains("startup parameter") {
                    true => format!(
                        "the pooler in front of the database refuses a parameter of the connection; allow it, in PgBouncer with \
                         `ignore_startup_parameters = extra_float_digits`: {text}"
                    ),
                    false => format!("the server or the pooler in front of it refuses the connection: {text}"),
                })
            }
            error => Self::of(error),
        }
    }

    pub(crate) fn of(error: &sqlx::Error) -> Self {
        use sqlx::Error;
        let text = error.to_string();
        match error {
            Error::Database(error) => of_database(error.code().as_deref().unwrap_or(""), &error.kind(), text),
            Error::Configuration(_) | Error::InvalidArgument(_) => Self::Unusable(format!("check its URL: {text}")),
            Error::Tls(_) => Self::Unusable(format!("check `sslmode` in its URL and the certificates: {text}")),
            Error::PoolTimedOut => {
                Self::Unavailable("no connection was available in time; /health/ready says why".to_owned())
            }
            // None of these shows that the data is damaged: both databases check the types of what they store, so that
            // an unreadable response was garbled in transit, or belongs to another statement.
            Error::Protocol(_)
            | Error::Decode(_)
            | Error::ColumnDecode { .. }
            | Error::ColumnNotFound(_)
            | Error::ColumnIndexOutOfBounds { .. }
            | Error::TypeNotFound { .. }
            | Error::AnyDriverError(_)
            | Error::RowNotFound => Self::Unavailable(format!("a response of the database cannot be read: {text}")),
            _ => Self::Unavailable(text),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::of(&error)
    }
}

fn of_database(code: &str, kind: &ErrorKind, text: String) -> StoreError {
    match kind {
        ErrorKind::UniqueViolation => StoreError::Conflict(format!("it already exists: {text}")),
        ErrorKind::ForeignKeyViolation => {
            StoreError::Conflict(format!("it refers to something that does not exist, or is referred to: {text}"))
        }
        _ if code.len() == 5 => of_postgres(code, text),
        _ => of_sqlite(code.parse().unwrap_or_default(), text),
    }
}

/// Converts an SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>). An unknown code is not
/// taken for damaged data.
fn of_postgres(code: &str, text: String) -> StoreError {
    match code.split_at(2) {
        // Standbys, and servers that are being replaced.
        ("25", "006") => StoreError::Unavailable(format!(
            "its server is read-only: it is a standby or is being replaced; if this persists, change the URL to the primary: \
             {text}"
        )),
        // A statement that this connection prepared is missing, or replaced by another.
        ("26", _) | ("42", "P05") => StoreError::Unavailable(format!(
            "another session responded; a pooler must give each connection a session of its own, as PgBouncer does with \
              `pool_mode = session`: {text}"
        )),
        ("08" | "25" | "34", _) => StoreError::Unavailable(format!("the connection is not usable: {text}")),
        ("0A", _) if text.contains("cached plan") => StoreError::Unavailable(text),
        // The disk is full; a lack of memory or connections is another case.
        ("53", "100") => StoreError::Full(text),
        // Deadlocks and serialization failures; too many clients; locks; shutdown by the operator.
        ("40" | "53" | "55" | "57", _) => StoreError::Unavailable(text),
        ("58", _) | ("XX", "000") => {
            StoreError::Unavailable(format!("its server failed; see the server's log: {text}"))
        }
        ("XX", _) => StoreError::Corrupt(text),
        ("22" | "23" | "P0", _) => StoreError::Conflict(text),
        ("28", _) => StoreError::Unusable(format!("check its URL, user and password: {text}")),
        ("3D" | "3F", _) => StoreError::Unusable(format!("check the name of the database in its URL: {text}")),
        ("42", "501") => StoreError::Unusable(format!("its user lacks rights: {text}")),
        _ => StoreError::Unusable(text),
    }
}

/// Converts an extended result code of SQLite (<https://www.sqlite.org/rescode.html>).
fn of_sqlite(code: i64, text: String) -> StoreError {
    /// `SQLITE_IOERR_DATA` and `SQLITE_IOERR_CORRUPTFS`: a checksum is wrong.
    const DAMAGED_ON_DISK: [i64; 2] = [8202, 8458];
    /// `SQLITE_READONLY_DBMOVED`.
    const MOVED: i64 = 1032;
    // The low byte is the primary code.
    match code & 0xff {
        // Aborted, busy, locked, out of memory, interrupted, lock protocol, changed schema.
        4..=7 | 9 | 15 | 17 => StoreError::Unavailable(text),
        8 if code == MOVED => StoreError::Unusable(format!(
            "its file was moved or replaced while it was open; restart this process: {text}"
        )),
        8 => StoreError::Unusable(format!(
            "its file cannot be written; check the permissions of the file, of the files beside it, of its folder and of the disk: {text}"
        )),
        10 if DAMAGED_ON_DISK.contains(&code) => StoreError::Corrupt(text),
        10 => {
            StoreError::Unavailable(format!("the disk of its file cannot be read or written; check the disk: {text}"))
        }
        11 | 26 => StoreError::Corrupt(text),
        13 => StoreError::Full(text),
        14 => StoreError::Unusable(format!(
            "its file cannot be opened; check that its folder exists and that this user may read and write both: {text}"
        )),
        18..=20 => StoreError::Conflict(text),
        3 | 23 => StoreError::Unusable(format!("this user may not access its file: {text}")),
        _ => StoreError::Unusable(text),
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            // The tables are intact, but not those of this release.
            error => Self::Unusable(format!(
                "its schema was created by another build than this one; use that build, or an empty database: {error}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: &str) -> StoreError {
        of_database(code, &ErrorKind::Other, "as the database says".to_owned())
    }

    #[test]
    fn an_error_of_the_connection_or_the_server_is_worth_another_try() {
        let postgres = [
            "08000", "08003", "08006", "08P01", "25006", "25P02", "25P03", "26000", "34000", "40001", "40P01", "42P05",
            "53200", "53300", "55006", "55P03", "57014", "57P01", "57P02", "57P03", "57P05", "58030", "XX000",
        ];
        // SQLITE_BUSY, _BUSY_SNAPSHOT, _LOCKED, _NOMEM, _IOERR, _IOERR_FSYNC, _PROTOCOL.
        let sqlite = ["5", "517", "6", "7", "10", "1034", "15"];
        for code in postgres.into_iter().chain(sqlite) {
            let error = of(code);
            assert!(matches!(error, StoreError::Unavailable(_)) && error.is_retryable(), "{code}: {error:?}");
        }
        let garbled = [
            sqlx::Error::Protocol("unknown message type".to_owned()),
            sqlx::Error::Io(std::io::ErrorKind::InvalidData.into()),
            sqlx::Error::Decode("not UTF-8".into()),
            sqlx::Error::ColumnIndexOutOfBounds { index: 1, len: 1 },
            sqlx::Error::RowNotFound,
            sqlx::Error::BeginFailed,
            sqlx::Error::PoolTimedOut,
        ];
        for error in garbled {
            assert!(matches!(StoreError::of(&error), StoreError::Unavailable(_)), "{error:?}");
        }
    }

    #[test]
    fn a_database_is_called_damaged_only_when_it_says_so_itself() {
        // SQLITE_CORRUPT, _CORRUPT_INDEX, _NOTADB, _IOERR_DATA, _IOERR_CORRUPTFS.
        for code in ["XX001", "XX002", "11", "779", "26", "8202", "8458"] {
            assert!(matches!(of(code), StoreError::Corrupt(_)), "{code}");
        }
        assert!(!matches!(StoreError::from(MigrateError::VersionMismatch(1)), StoreError::Corrupt(_)));
    }

    #[test]
    fn other_errors_say_who_can_mend_them() {
        for code in ["13", "53100"] {
            assert!(matches!(of(code), StoreError::Full(_)), "{code}");
        }
        for code in ["19", "1811", "23514", "P0001", "22021"] {
            assert!(matches!(of(code), StoreError::Conflict(_)), "{code}");
        }
        for (code, says) in [
            ("8", "cannot be written"),
            ("1544", "of its folder"),
            ("1032", "moved or replaced"),
            ("14", "cannot be opened"),
            ("3", "may not access"),
            ("28P01", "user and password"),
            ("28000", "user and password"),
            ("3D000", "name of the database"),
            ("42501", "lacks rights"),
            ("42P01", "configuration is invalid"),
            ("1", "configuration is invalid"),
        ] {
            let error = of(code);
            assert!(matches!(error, StoreError::Unusable(_)) && error.to_string().contains(says), "{code}: {error}");
        }
        assert!(of("25006").to_string().contains("standby"));
        assert!(of("10").to_string().contains("disk"));
    }
}
