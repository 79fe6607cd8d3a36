//! A form that is shown again after its input was rejected. It keeps the input; a focused summary links to each wrong
//! field, and each message is shown beside its field too.

use std::fmt::Display;

use axum::http::header::RETRY_AFTER;
use axum::response::{AppendHeaders, IntoResponse, Response};
use cartwright::types::FieldIssue;
use cartwright_http::Problem;
use maud::{Markup, html};

use super::session::FormData;

/// The content of a form: the stored values, or a submission with its problem.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entry<'a> {
    sent: Option<&'a FormData>,
    problem: Option<&'a Problem>,
}

impl<'a> Entry<'a> {
    /// Creates a form that shows a rejected submission.
    pub(super) fn refused(sent: &'a FormData, problem: &'a Problem) -> Self {
        Self { sent: Some(sent), problem: Some(problem) }
    }

    /// Creates a form that shows the stored values and a problem of another submission: a file, or a button.
    pub(super) fn refused_without(problem: &'a Problem) -> Self {
        Self { sent: None, problem: Some(problem) }
    }

    /// Returns the text of a field: the submitted one, else the stored one.
    pub(super) fn text(&self, name: &str, stored: impl Display) -> String {
        self.sent.map_or_else(|| stored.to_string(), |sent| sent.raw(name))
    }

    /// Returns whether a box is checked, or a choice selected.
    pub(super) fn is_chosen(&self, name: &str, value: &str, stored: bool) -> bool {
        self.sent.map_or(stored, |sent| sent.texts(name).any(|text| text == value))
    }

    /// Returns the issues of a field.
    pub(super) fn issues(&self, name: &'a str) -> impl Iterator<Item = &'a FieldIssue> {
        self.problem.into_iter().flat_map(Problem::issues).filter(move |issue| issue.field == name)
    }

    /// Returns the value of `aria-invalid` for a field.
    pub(super) fn invalid(&self, name: &'a str) -> Option<&'static str> {
        self.issues(name).next().map(|_| "true")
    }

    /// Draws a field: its label, its input, its issues and its help text. The input's id is its name, and `{name}-help`
    /// describes it.
    pub(super) fn field(&self, name: &'a str, label: &str, help: &str, input: Markup) -> Markup {
        html! {
            div.field {
                label for=(name) { (label) }
                (input)
                div id=(format!("{name}-help")) {
                    (self.beside(name))
                    @if !help.is_empty() { p.help { (help) } }
                }
            }
        }
    }

    /// Draws the issues of a field.
    pub(super) fn beside(&self, name: &'a str) -> Markup {
        html! { @for issue in self.issues(name) { p.issue { (issue.message.text) } } }
    }

    /// Draws the summary of a form whose fields' ids are their names.
    pub(super) fn summary(&self) -> Markup {
        self.summary_of(|field| Some(field.to_owned()))
    }

    /// Draws the summary of a form; `id_of` returns the id of the input of a field, if the form has it.
    pub(super) fn summary_of(&self, id_of: impl Fn(&str) -> Option<String>) -> Markup {
        let Some(problem) = self.problem else { return html! {} };
        let issues = problem.issues();
        html! {
            div.refused #errors role="alert" tabindex="-1" autofocus {
                @if issues.is_empty() { p { (problem.detail()) } }
                @else {
                    p {
                        @if issues.len() == 1 { "1 field needs your attention." } @else { (issues.len()) " fields need your attention." }
                        " Nothing was saved."
                    }
                    ul {
                        @for issue in issues {
                            li {
                                @match id_of(&issue.field) {
                                    Some(id) => a href=(format!("#{id}")) { (issue.message.text) },
                                    None => { code { (issue.field) } ": " (issue.message.text) },
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Responds to a rejected submission with its page, drawn again.
pub(super) fn again(problem: &Problem, page: Markup) -> Response {
    let after = AppendHeaders(problem.retry_after().map(|seconds| (RETRY_AFTER, seconds)));
    (problem.status(), after, page).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issues::{Issues, wrong};

    #[test]
    fn a_summary_leads_to_each_field_that_the_form_has() {
        let mut issues = Issues::default();
        assert_eq!(issues.take(Ok::<_, Problem>(1)), Some(1));
        assert_eq!(issues.take(Err::<u8, _>(wrong("scale", "Enter <digits>."))), None);
        issues.take(Err::<u8, _>(wrong("elsewhere", "No.")));
        let problem = issues.end().expect_err("two are wrong");
        let entry = Entry::refused_without(&problem);
        let summary = entry.summary_of(|field| (field == "scale").then(|| field.to_owned())).into_string();
        for part in [
            "id=\"errors\"",
            "tabindex=\"-1\"",
            "2 fields need your attention.",
            "<a href=\"#scale\">Enter &lt;digits&gt;.</a>",
            "<code>elsewhere</code>: No.",
        ] {
            assert!(summary.contains(part), "{part}: {summary}");
        }
        assert_eq!(entry.invalid("scale"), Some("true"));
        assert_eq!(entry.invalid("currency"), None);
        assert_eq!(Entry::default().summary().into_string(), "");
    }
}
