//! Problems of the store.

use axum::http::StatusCode;
use cartwright_store::StoreError;

use super::Problem;

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let (status, kind) = match &error {
            StoreError::Unavailable(_) | StoreError::Full(_) => (StatusCode::SERVICE_UNAVAILABLE, "database"),
            StoreError::NotFound { .. } => (StatusCode::NOT_FOUND, "not-found"),
            StoreError::Erased(_) => (StatusCode::GONE, "erased"),
            StoreError::EventIdTaken { .. } => (StatusCode::CONFLICT, "event-id"),
            StoreError::SameVersion { .. } => (StatusCode::CONFLICT, "same-version"),
            StoreError::Text { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "text"),
            StoreError::Conflict(_) | StoreError::LeaseLost(_) => (StatusCode::CONFLICT, "conflict"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "database"),
        };
        let mut problem = Self::new(status, kind, error.to_string());
        problem.retry_after = error.is_retryable().then_some(5);
        problem
    }
}
