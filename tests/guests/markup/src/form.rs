//! The settings form.

use cartwright_plugin::exports::settings::{Choice, ChoiceSource, Field, Guest};
use cartwright_plugin::types::*;
use cartwright_plugin::{CallError, ContextExt, FieldExt, field, heading};

use crate::{Markup, issue, markup_message, markup_text};

pub fn choice(name: &str) -> Choice {
    Choice {
        value: markup_text(&format!("{name}-value")),
        label: markup_message(&format!("{name}-choice")),
        extra: Vec::new(),
    }
}

/// Returns a field whose texts are all markup.
fn marked(name: &str, kind: &str) -> Field {
    Field {
        label: markup_message(&format!("{name}-label")),
        help: Some(markup_message(&format!("{name}-help"))),
        group: Some(markup_message("group")),
        placeholder: Some(markup_message(&format!("{name}-placeholder"))),
        ..field(name, kind, "")
    }
}

impl Guest for Markup {
    fn fields(_locale: String) -> Vec<Field> {
        let title = Field { label: markup_message("heading"), ..heading("title", "") };
        let fixed = ChoiceSource::Fixed(vec![choice("fixed")]);
        vec![
            title,
            marked("mood", "text").default_text(&markup_text("default")),
            marked("key", "secret").secret_use("bearer"),
            Field { choices: fixed.clone(), ..marked("fixed", "select") }.per_product(),
            Field { choices: fixed, ..marked("boxes", "multi-select") },
            Field { choices: ChoiceSource::Dynamic, ..marked("asked", "select") }.per_product(),
            marked("on", "boolean"),
            marked("long", "text-area").advanced(),
            // A pushed value that pages show waits for approval.
            marked("pushed", "text").shown_on_page().vendor_can_change(),
        ]
    }

    fn validate(context: Context) -> Result<Vec<FieldIssue>, CallError> {
        Ok(match context.text("mood") {
            Some("impossible") => {
                vec![issue("long", "issue", true), issue(&markup_text("issue-field"), "issue-elsewhere", true)]
            }
            _ => Vec::new(),
        })
    }

    fn migrate(_from_version: String, values: Vec<Setting>) -> Result<Vec<Setting>, CallError> {
        Ok(values)
    }
}
