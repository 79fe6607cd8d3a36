//! Stored objects that cannot be used.

/// An object that is stored and cannot be used. All others were restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot restore {subject}: {reason}")]
pub struct RestoreFailure {
    /// Component or shop.
    pub subject: String,
    /// Why it cannot be used.
    pub reason: String,
}

impl RestoreFailure {
    /// Logs a failure, and returns it.
    pub(crate) fn log(subject: String, reason: String) -> Self {
        tracing::error!(subject, reason, "not restored");
        Self { subject, reason }
    }
}
