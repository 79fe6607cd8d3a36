//! Issues of the fields of a submitted form.

use axum::http::StatusCode;
use cartwright::types::{FieldIssue, Message};
use cartwright_http::Problem;

/// Returns a problem with one issue.
pub(super) fn wrong(field: &str, text: impl Into<String>) -> Problem {
    let text = text.into();
    let message = Message { key: "entered".to_owned(), parameters: Vec::new(), text: text.clone() };
    Problem::unprocessable("body", text).with_issues(vec![FieldIssue {
        field: field.to_owned(),
        message,
        blocking: true,
    }])
}

/// Attributes a problem without a field to `field`.
pub(super) fn of_field(field: &'static str) -> impl Fn(Problem) -> Problem {
    move |problem| match problem.issues().is_empty() && problem.status() == StatusCode::UNPROCESSABLE_ENTITY {
        true => wrong(field, problem.detail()),
        false => problem,
    }
}

/// Collects the issues of all fields of a form, so that they are shown together.
#[derive(Debug, Default)]
pub(super) struct Issues(Vec<FieldIssue>);

impl Issues {
    /// Returns the value of a field, or collects its issue.
    pub(super) fn take<T>(&mut self, read: Result<T, Problem>) -> Option<T> {
        read.map_err(|problem| self.0.extend_from_slice(problem.issues())).ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ends the collection.
    ///
    /// # Errors
    /// If there is any issue.
    pub(super) fn end(self) -> Result<(), Problem> {
        if self.is_empty() { Ok(()) } else { Err(self.into_problem()) }
    }

    pub(super) fn into_problem(self) -> Problem {
        let texts: Vec<&str> = self.0.iter().map(|issue| issue.message.text.as_str()).collect();
        Problem::unprocessable("body", texts.join(" ")).with_issues(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_without_a_field_is_placed_beside_one_where_what_was_entered_is_wrong() {
        let placed = of_field("origins")(Problem::unprocessable("origins", "It is wrong."));
        assert_eq!(placed.issues().first().map(|issue| issue.field.as_str()), Some("origins"));
        assert!(of_field("origins")(Problem::not_found("There is none.")).issues().is_empty());
    }
}
