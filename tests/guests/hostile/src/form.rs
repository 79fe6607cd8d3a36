//! Settings forms that no host should take. The locale says which.

use cartwright_plugin::message;
use cartwright_plugin::strategy::{Choices, Condition, Field};
use cartwright_plugin::types::SettingValue;

pub fn fields(locale: &str) -> Vec<Field> {
    match locale {
        "x-huge" => (0..1_000_000).map(|number| field(&format!("field-{number}"))).collect(),
        "x-same-name-twice" => vec![field("name"), field("name")],
        "x-bad-name" => vec![field("Näme with blanks")],
        "x-unknown-kind" => vec![Field { kind: "hologram".to_owned(), ..field("name") }],
        "x-bad-pattern" => vec![Field { pattern: Some("(".to_owned()), ..field("name") }],
        "x-huge-pattern" => vec![Field { pattern: Some("(a{1000}){1000}".to_owned()), ..field("name") }],
        "x-wrong-default" => vec![Field { default: Some(SettingValue::Integer(1)), ..field("name") }],
        "x-public-secret" => vec![Field { kind: "secret".to_owned(), public: true, ..field("name") }],
        "x-undeclared-host" => {
            vec![Field { kind: "secret".to_owned(), hosts: vec!["example.com".to_owned()], ..field("name") }]
        }
        "x-no-choices" => vec![Field { kind: "select".to_owned(), ..field("name") }],
        "x-enabled-by-itself" => {
            let enabled_when = Some(Condition { field: "name".to_owned(), equals: "on".to_owned() });
            vec![Field { enabled_when, ..field("name") }]
        }
        "x-minimum-above-maximum" => vec![Field { minimum: Some(2), maximum: Some(1), ..field("name") }],
        _ => Vec::new(),
    }
}

fn field(name: &str) -> Field {
    Field {
        name: name.to_owned(),
        kind: "text".to_owned(),
        label: message("field", "One more", &[]),
        help: None,
        group: None,
        required: false,
        public: false,
        pattern: None,
        minimum: None,
        maximum: None,
        default: None,
        choices: Choices::None,
        enabled_when: None,
        per_product: false,
        vendor_may_push: false,
        hosts: Vec::new(),
    }
}
