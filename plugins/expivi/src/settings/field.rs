//! A short way to write the fields of the form.

use cartwright_plugin::exports::settings::{Choice, Choices, Condition, Field};
use cartwright_plugin::message;
use cartwright_plugin::types::SettingValue;

/// A field that is being written.
pub(super) struct Draft(Field);

/// A field of a kind, with a label.
pub(super) fn field(name: &str, kind: &str, label: &str) -> Draft {
    Draft(Field {
        name: name.to_owned(),
        kind: kind.to_owned(),
        label: message(&format!("field-{name}"), label, &[]),
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
    })
}

/// One of several values, with its label.
pub(super) fn select(name: &str, label: &str, choices: &[(&str, &str)]) -> Draft {
    let mut draft = field(name, "select", label);
    let as_choice = |(value, label): &(&str, &str)| Choice {
        value: (*value).to_owned(),
        label: message(&format!("choice-{name}-{value}"), *label, &[]),
    };
    draft.0.choices = Choices::Fixed(choices.iter().map(as_choice).collect());
    draft
}

impl Draft {
    pub(super) fn help(mut self, text: &str) -> Self {
        self.0.help = Some(message(&format!("help-{}", self.0.name), text, &[]));
        self
    }

    pub(super) fn required(mut self) -> Self {
        self.0.required = true;
        self
    }

    pub(super) fn public(mut self) -> Self {
        self.0.public = true;
        self
    }

    pub(super) fn pattern(mut self, pattern: &str) -> Self {
        self.0.pattern = Some(pattern.to_owned());
        self
    }

    pub(super) fn range(mut self, minimum: i64, maximum: i64) -> Self {
        (self.0.minimum, self.0.maximum) = (Some(minimum), Some(maximum));
        self
    }

    pub(super) fn text(mut self, text: &str) -> Self {
        self.0.default = Some(SettingValue::Text(text.to_owned()));
        self
    }

    pub(super) fn on(mut self, on: bool) -> Self {
        self.0.default = Some(SettingValue::YesNo(on));
        self
    }

    pub(super) fn value(mut self, value: SettingValue) -> Self {
        self.0.default = Some(value);
        self
    }

    pub(super) fn when(mut self, field: &str, equals: &str) -> Self {
        self.0.enabled_when = Some(Condition { field: field.to_owned(), equals: equals.to_owned() });
        self
    }

    pub(super) fn per_product(mut self) -> Self {
        self.0.per_product = true;
        self
    }

    pub(super) fn sent_to(mut self, host: &str) -> Self {
        self.0.hosts.push(host.to_owned());
        self
    }

    /// The finished field, in its group.
    pub(super) fn of(mut self, group: &str) -> Field {
        self.0.group = Some(group.to_owned());
        self.0
    }
}
