//! Settings forms that no host should take. The locale says which.

use cartwright_plugin::field;
use cartwright_plugin::strategy::{Condition, Field};
use cartwright_plugin::types::SettingValue;

pub fn fields(locale: &str) -> Vec<Field> {
    match locale {
        "x-huge" => (0..1_000_000).map(|number| text(&format!("field-{number}"))).collect(),
        "x-same-name-twice" => vec![text("name"), text("name")],
        "x-bad-name" => vec![text("Näme with blanks")],
        "x-unknown-kind" => vec![Field { kind: "hologram".to_owned(), ..text("name") }],
        "x-bad-pattern" => vec![Field { pattern: Some("(".to_owned()), ..text("name") }],
        "x-huge-pattern" => vec![Field { pattern: Some("(a{1000}){1000}".to_owned()), ..text("name") }],
        "x-wrong-default" => vec![Field { default: Some(SettingValue::Integer(1)), ..text("name") }],
        "x-public-secret" => vec![Field { kind: "secret".to_owned(), public: true, ..text("name") }],
        "x-undeclared-host" => {
            vec![Field { kind: "secret".to_owned(), hosts: vec!["example.com".to_owned()], ..text("name") }]
        }
        "x-no-choices" => vec![Field { kind: "select".to_owned(), ..text("name") }],
        "x-enabled-by-itself" => {
            let enabled_when = Some(Condition { field: "name".to_owned(), one_of: vec!["on".to_owned()] });
            vec![Field { enabled_when, ..text("name") }]
        }
        "x-minimum-above-maximum" => {
            vec![Field { minimum: Some("2".to_owned()), maximum: Some("1".to_owned()), ..text("name") }]
        }
        _ => Vec::new(),
    }
}

fn text(name: &str) -> Field {
    field(name, "text", "One more")
}
