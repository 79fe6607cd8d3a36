//! Limits of the database's use that several modules need.

use std::time::Duration;

/// Maximum time for which background work may wait for the database. A server whose machine has failed closes no
/// connection, and the system would wait for a quarter of an hour. PostgreSQL itself ends each statement of this node
/// after this time.
pub(crate) const WORK_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum number of connections to the database. SQLite has one writer; more connections only serve readers.
pub(crate) const MAX_CONNECTIONS: u32 = 8;
