//! Numbers of jobs, for monitoring.

use super::{JobStateKind, small};
use crate::error::StoreError;
use crate::facades::Jobs;

/// Maximum number of jobs that are counted in one state, because the time to count all grows with their number.
pub const MAX_COUNTED_JOBS: u32 = 10_000;

impl Jobs<'_> {
    /// Returns the number of jobs in each unfinished state, at most [`MAX_COUNTED_JOBS`] of each.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn count_by_state(self) -> Result<Vec<(JobStateKind, u32)>, StoreError> {
        let mut counted = Vec::new();
        let mut connection = self.store.pool().acquire().await?;
        for state in JobStateKind::ALL.into_iter().filter(|state| !state.is_over()) {
            let (jobs,): (i64,) =
                sqlx::query_as("select count(*) from (select 1 from jobs where state = $1 limit $2) counted")
                    .bind(state.name())
                    .bind(i64::from(MAX_COUNTED_JOBS))
                    .fetch_one(&mut *connection)
                    .await?;
            counted.push((state, small(jobs)));
        }
        Ok(counted)
    }
}
