//! Paging of lists.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::problem::Problem;

const MAX_LIMIT: u32 = 500;
const DEFAULT_LIMIT: u32 = 50;

/// Selects a page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Value of `after` that the previous page returned.
    pub(super) after: Option<String>,
    /// Maximum number of entries; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

impl PageQuery {
    pub(super) fn limit(&self) -> Result<u32, Problem> {
        match self.limit.unwrap_or(DEFAULT_LIMIT) {
            limit @ 1..=MAX_LIMIT => Ok(limit),
            _ => Err(Problem::unprocessable("limit", format!("a page has 1 to {MAX_LIMIT} entries"))),
        }
    }

    /// Returns the selected page of a list in memory that is sorted by key.
    pub(super) fn of<T, K: AsRef<str>>(&self, all: Vec<T>, key: impl Fn(&T) -> K) -> Result<Vec<T>, Problem> {
        let limit = usize::try_from(self.limit()?).unwrap_or(usize::MAX);
        let later = |one: &T| self.after.as_deref().is_none_or(|after| key(one).as_ref() > after);
        Ok(all.into_iter().filter(later).take(limit).collect())
    }
}

/// Returns the cursor after these entries, or `None` on the last page.
pub(super) fn after<T>(found: &[T], limit: u32, cursor: impl Fn(&T) -> String) -> Option<String> {
    let full = u32::try_from(found.len()) == Ok(limit);
    found.last().filter(|_| full).map(cursor)
}

/// Returns the problem of an unusable cursor.
pub(super) fn no_cursor() -> Problem {
    Problem::unprocessable("after", "this is not an `after` value that a page of this list returned")
}
