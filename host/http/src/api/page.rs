//! Paging of lists.

use std::str::FromStr;

use serde::Deserialize;
use utoipa::IntoParams;

use crate::problem::Problem;

/// Default number of entries of a page.
const DEFAULT_LIMIT: u32 = 50;
/// Maximum number of entries of a page.
const MAX_LIMIT: u32 = 500;

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
        page_limit(self.limit)
    }

    /// Parses the cursor of the previous page.
    pub(super) fn cursor<T: FromStr>(&self) -> Result<Option<T>, Problem> {
        self.after.as_deref().map(|after| after.parse().map_err(|_| no_cursor())).transpose()
    }

    /// Returns the selected page of a list in memory that is sorted by key.
    pub(super) fn of<T, K: AsRef<str>>(&self, all: Vec<T>, key: impl Fn(&T) -> K) -> Result<Vec<T>, Problem> {
        let limit = usize::try_from(self.limit()?).unwrap_or(usize::MAX);
        let later = |one: &T| self.after.as_deref().is_none_or(|after| key(one).as_ref() > after);
        Ok(all.into_iter().filter(later).take(limit).collect())
    }
}

/// Returns the maximum number of entries of a page: the requested one, or 50.
pub(super) fn page_limit(requested: Option<u32>) -> Result<u32, Problem> {
    limit_within(requested, DEFAULT_LIMIT, MAX_LIMIT)
}

/// Returns the requested maximum number of entries, or the default.
pub(super) fn limit_within(requested: Option<u32>, default: u32, max: u32) -> Result<u32, Problem> {
    let limit = requested.unwrap_or(default);
    match (1..=max).contains(&limit) {
        true => Ok(limit),
        false => Err(Problem::unprocessable("limit", format!("a page has 1 to {max} entries"))),
    }
}

/// Returns the cursor after these entries, or `None` on the last page.
pub(super) fn next_cursor<T, C>(found: &[T], limit: u32, cursor: impl Fn(&T) -> C) -> Option<C> {
    let full = u32::try_from(found.len()) == Ok(limit);
    found.last().filter(|_| full).map(cursor)
}

/// Returns the problem of an unusable cursor.
pub(super) fn no_cursor() -> Problem {
    Problem::unprocessable("after", "this is not an `after` value that a page of this list returned")
}
