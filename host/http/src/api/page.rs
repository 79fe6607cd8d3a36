//! Lists that come in parts.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::problem::Problem;

const MAX_LIMIT: u32 = 500;
const DEFAULT_LIMIT: u32 = 50;

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// What the part before gave as `after`.
    pub(super) after: Option<String>,
    /// How many; 50 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

impl PageQuery {
    pub(super) fn limit(&self) -> Result<u32, Problem> {
        match self.limit.unwrap_or(DEFAULT_LIMIT) {
            limit @ 1..=MAX_LIMIT => Ok(limit),
            _ => Err(Problem::unprocessable("limit", format!("a part of a list has 1 to {MAX_LIMIT} entries"))),
        }
    }

    /// Of a list in memory, by its keys in their order, the part that is meant.
    pub(super) fn of<T, K: AsRef<str>>(&self, all: Vec<T>, key: impl Fn(&T) -> K) -> Result<Vec<T>, Problem> {
        let limit = usize::try_from(self.limit()?).unwrap_or(usize::MAX);
        let later = |one: &T| self.after.as_deref().is_none_or(|after| key(one).as_ref() > after);
        Ok(all.into_iter().filter(later).take(limit).collect())
    }
}

/// Where a list goes on after these; none at its end.
pub(super) fn after<T>(found: &[T], limit: u32, cursor: impl Fn(&T) -> String) -> Option<String> {
    let full = u32::try_from(found.len()) == Ok(limit);
    found.last().filter(|_| full).map(cursor)
}

/// A cursor of the part before is unusable.
pub(super) fn no_cursor() -> Problem {
    Problem::unprocessable("after", "this is no `after` that a part of this list gave")
}
