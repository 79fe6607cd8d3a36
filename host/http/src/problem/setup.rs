//! Problems of a set-up and of its changes.

use axum::http::StatusCode;
use cartwright::types::FieldIssue;
use cartwright::{ProductLinkIssues, SetupError};
use cartwright_store::ChangeError;

use super::Problem;

impl From<SetupError> for Problem {
    fn from(error: SetupError) -> Self {
        let (status, kind) = match &error {
            SetupError::UnknownShop(_)
            | SetupError::UnknownAccount(_)
            | SetupError::NotLinked(_)
            | SetupError::UnknownPlugin(_) => (StatusCode::NOT_FOUND, "not-found"),
            SetupError::AlreadyExists(_) => (StatusCode::CONFLICT, "exists"),
            SetupError::PluginMismatch { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "other-plugin"),
            SetupError::Revoked(_) => (StatusCode::UNPROCESSABLE_ENTITY, "revoked"),
            SetupError::Invalid(_) | SetupError::Links(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            SetupError::Hook(error) => return error.clone().into(),
        };
        let problem = Self::new(status, kind, error.to_string()).with_error(&error);
        match error {
            SetupError::Invalid(issues) => problem.with_issues(issues),
            // Here a field's path begins with its link's product; without it, the field is in `error`.
            SetupError::Links(links) => problem.with_issues(
                links
                    .into_iter()
                    .flat_map(|ProductLinkIssues { shop_product, issues }| {
                        issues
                            .into_iter()
                            .map(move |issue| FieldIssue { field: format!("{shop_product}.{}", issue.field), ..issue })
                    })
                    .collect(),
            ),
            _ => problem,
        }
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Setup(error) => error.into(),
            ChangeError::Install(error) => error.into(),
            ChangeError::Store(error) => error.into(),
            ChangeError::Exists(_) => Self::new(StatusCode::PRECONDITION_FAILED, "exists", error.to_string()),
            ChangeError::Changed(_) => Self::new(StatusCode::PRECONDITION_FAILED, "changed", error.to_string()),
        }
    }
}
