//! How many jobs there are, for those who watch them.

use super::{JobStateKind, small};
use crate::error::StoreError;
use crate::facades::Jobs;

/// So many jobs of a state are counted: more are as many, and counting all would take longer the more there are.
pub const MAX_COUNTED_JOBS: u32 = 10_000;

impl Jobs<'_> {
    /// How many jobs there are in each state that is not over, at most [`MAX_COUNTED_JOBS`] of each.
    ///
    /// # Errors
    /// As the database says.
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
