//! Assertions about responses.

use cartwright_fake_vendors::client::Reply;
use serde_json::Value;

/// Assertions about the response to a request.
pub trait ReplyAssertions {
    /// Returns the JSON of a response with this status.
    fn with(self, status: u16) -> Value;
    /// Returns the JSON of a success.
    fn ok(self) -> Value;
    /// Returns a problem of this kind, with all its members.
    fn problem(self, status: u16, kind: &str) -> Value;
}

impl ReplyAssertions for Reply {
    #[track_caller]
    fn with(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    #[track_caller]
    fn ok(self) -> Value {
        let status = if self.body.is_empty() { 204 } else { 200 };
        self.with(status)
    }

    #[track_caller]
    fn problem(self, status: u16, kind: &str) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.with(status);
        assert_eq!(problem["type"], format!("urn:cartwright:problem:{kind}"), "{problem:#}");
        assert_eq!(problem["status"], status, "{problem:#}");
        problem
    }
}
