//! The problem of an action that a button started, shown beside the button.

use axum::http::StatusCode;
use cartwright_http::Problem;
use maud::{Markup, html};

use super::layout::problem_details;

/// The problem of an action, and the item that the action was for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FailedAction<'a>(Option<(&'a str, &'a Problem)>);

impl<'a> FailedAction<'a> {
    /// Creates the problem of an action; `item` distinguishes the actions of a page.
    pub(super) fn new(item: &'a str, problem: &'a Problem) -> Self {
        Self(Some((item, problem)))
    }

    /// Draws the problem if it belongs to this item. It has the focus.
    pub(super) fn beside(&self, item: &str) -> Markup {
        match self.0 {
            Some((failed, problem)) if failed == item => {
                html! { div #errors tabindex="-1" autofocus { (problem_details(problem)) } }
            }
            _ => html! {},
        }
    }
}

/// Returns a problem that its page shows beside the button.
///
/// # Errors
/// If the item of the action does not exist, so that no page has its button.
pub(super) fn of_button(problem: impl Into<Problem>) -> Result<Problem, Problem> {
    let problem = problem.into();
    if problem.status() == StatusCode::NOT_FOUND { Err(problem) } else { Ok(problem) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_shown_beside_its_own_button() {
        let problem = of_button(Problem::unprocessable("job", "It <runs>.")).expect("its item exists");
        let failed = FailedAction::new("1", &problem);
        assert!(failed.beside("1").into_string().contains("It &lt;runs&gt;."));
        assert_eq!(failed.beside("2").into_string(), "");
        assert_eq!(FailedAction::default().beside("1").into_string(), "");
        assert!(of_button(Problem::not_found("There is none.")).is_err());
    }
}
