//! The settings form.

use cartwright_plugin::exports::settings::{Choice, ChoiceSource, Field, Guest};
use cartwright_plugin::types::*;
use cartwright_plugin::{ContextExt, Error, FieldExt, field, heading};

use crate::{Markup, issue, mark, told};

pub fn choice(name: &str) -> Choice {
    Choice { value: mark(&format!("{name}-value")), label: told(&format!("{name}-choice")) }
}

/// A field whose texts are all markup.
fn marked(name: &str, kind: &str) -> Field {
    Field {
        label: told(&format!("{name}-label")),
        help: Some(told(&format!("{name}-help"))),
        group: Some(mark("group")),
        ..field(name, kind, "")
    }
}

impl Guest for Markup {
    fn fields(_locale: String) -> Vec<Field> {
        let title = Field { label: told("heading"), ..heading("title", "") };
        let fixed = ChoiceSource::Fixed(vec![choice("fixed")]);
        vec![
            title,
            marked("mood", "text").default_text(&mark("default")),
            marked("key", "secret"),
            Field { choices: fixed.clone(), ..marked("fixed", "select") }.per_product(),
            Field { choices: fixed, ..marked("boxes", "multi-select") },
            Field { choices: ChoiceSource::Dynamic, ..marked("asked", "select") }.per_product(),
            marked("on", "yes-no"),
            marked("long", "text-area"),
            // What is shown on a page and pushed waits for approval.
            marked("pushed", "text").public().vendor_may_push(),
        ]
    }

    fn validate(context: Context) -> Vec<FieldIssue> {
        match context.text("mood") {
            Some("impossible") => {
                vec![issue("long", "issue", true), issue(&mark("issue-field"), "issue-elsewhere", true)]
            }
            _ => Vec::new(),
        }
    }

    fn migrate(_from_version: String, values: Vec<Setting>) -> Result<Vec<Setting>, Error> {
        Ok(values)
    }
}
