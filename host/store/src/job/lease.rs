//! The lease of a job, and its check before a write.

use std::time::SystemTime;

use crate::database::WriteTransaction;
use crate::error::StoreError;

/// A worker's right to change a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Id of the job.
    pub job: String,
    /// Name of the worker.
    pub worker: String,
    /// Fencing token: the highest one is valid.
    pub fencing_token: u64,
    /// Time at which the lease expires, so that another worker may claim the job.
    pub until: SystemTime,
}

/// Fails unless the lease is valid. No other worker can claim the job before this transaction ends.
pub(crate) async fn check_lease(work: &mut WriteTransaction, lease: &Lease) -> Result<(), StoreError> {
    let update =
        sqlx::query("update jobs set fencing_token = fencing_token where id = $1 and fencing_token = $2 and state in ('running', 'waiting')")
            .bind(&lease.job)
            .bind(fencing_token(lease))
            .execute(&mut **work)
            .await?;
    if update.rows_affected() == 1 { Ok(()) } else { Err(StoreError::LeaseLost(lease.job.clone())) }
}

/// Returns the fencing token as the tables store it.
pub(super) fn fencing_token(lease: &Lease) -> i64 {
    i64::try_from(lease.fencing_token).unwrap_or(i64::MAX)
}
