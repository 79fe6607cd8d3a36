//! Problems of guest calls.

use axum::http::StatusCode;
use cartwright::types::CallError;
use cartwright::{Failure, HookError};

use super::Problem;

impl From<HookError> for Problem {
    fn from(error: HookError) -> Self {
        let (status, kind) = match &error.failure {
            Failure::PluginError(answer) => match answer {
                CallError::InvalidInput(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-input"),
                CallError::NotConfigured(_) => (StatusCode::UNPROCESSABLE_ENTITY, "not-configured"),
                CallError::Rejected(_) => (StatusCode::UNPROCESSABLE_ENTITY, "rejected"),
                CallError::Denied(_) => (StatusCode::UNPROCESSABLE_ENTITY, "denied"),
                CallError::LimitExceeded(_) => (StatusCode::UNPROCESSABLE_ENTITY, "limit-exceeded"),
                CallError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "vendor-unavailable"),
                CallError::Internal(_) | CallError::Other(_) => (StatusCode::BAD_GATEWAY, "plugin-failed"),
            },
            Failure::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Failure::NotExported(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unsupported"),
            Failure::Limit(_) | Failure::Trap(_) | Failure::UnansweredRequest(_) | Failure::ContractViolation(_) => {
                (StatusCode::BAD_GATEWAY, "plugin-failed")
            }
        };
        let mut problem = Self::new(status, kind, error.to_string()).with_error(&error);
        match error.failure {
            Failure::PluginError(CallError::InvalidInput(issue) | CallError::NotConfigured(issue)) => {
                problem = problem.with_issues(vec![issue]);
            }
            Failure::PluginError(CallError::Rejected(message)) => problem.shopper = Some(message),
            Failure::PluginError(CallError::Unavailable(outage)) => {
                problem.retry_after = Some(outage.retry_after_seconds.unwrap_or(5));
            }
            Failure::Busy { .. } => problem.retry_after = Some(1),
            _ => {}
        }
        problem
    }
}
