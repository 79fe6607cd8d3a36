//! The error of a command, printed as JSON on standard error.

use cartwright::{CartError, SetupError};
use cartwright_service::grants;
use serde_json::{Value, json};

/// An error in a file, or an error that the host returns.
pub(crate) enum Failure {
    Cart(Box<CartError>),
    Files(anyhow::Error),
}

impl From<CartError> for Failure {
    fn from(error: CartError) -> Self {
        Self::Cart(Box::new(error))
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Hook(error) => CartError::Hook(error).into(),
            error => CartError::Setup(error).into(),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Files(error)
    }
}

impl Failure {
    /// Returns the typed error with its message. For a missing grant it also suggests the flag that adds it.
    #[allow(clippy::indexing_slicing, reason = "an error is serialized as a JSON object")]
    pub(crate) fn typed(&self) -> serde_json::Result<Value> {
        let mut typed = match self {
            Self::Cart(error) => {
                let mut typed = serde_json::to_value(error)?;
                typed["message"] = json!(error.to_string());
                typed
            }
            Self::Files(error) => json!({ "error": "files", "message": format!("{error:#}") }),
        };
        if let Some(suggested_flag) = typed["message"].as_str().and_then(grants::suggested_flag) {
            typed["help"] = json!(format!("to allow it here, add: {suggested_flag}"));
        }
        Ok(typed)
    }
}
