//! Builders for the fields of a settings form.

use crate::constructors::message;
use crate::strategy::{Choice, ChoiceSource, Condition, Field};
use crate::types::SettingValue;

/// Returns a field of a kind (see `field.kind` in the WIT) with its English label: optional, private, the same for all
/// products, without a default. [`FieldExt`] adds to it.
pub fn field(name: &str, kind: &str, label: &str) -> Field {
    Field {
        name: name.to_owned(),
        kind: kind.to_owned(),
        label: message(&format!("field-{name}"), label, &[]),
        help: None,
        group: None,
        placeholder: None,
        advanced: false,
        required: false,
        shown_on_page: false,
        pattern: None,
        minimum: None,
        maximum: None,
        default_value: None,
        choices: ChoiceSource::None,
        enabled_when: None,
        per_product: false,
        vendor_can_change: false,
        outbound_hosts: Vec::new(),
        uses: Vec::new(),
        extra: Vec::new(),
    }
}

/// Returns a heading for the fields that follow.
pub fn heading(name: &str, label: &str) -> Field {
    field(name, "heading", label)
}

/// Returns a field of the kind "select": one of several values, each with its label.
pub fn select(name: &str, label: &str, choices: &[(&str, &str)]) -> Field {
    let as_choice = |(value, label): &(&str, &str)| Choice {
        value: (*value).to_owned(),
        label: message(&format!("choice-{name}-{value}"), *label, &[]),
        extra: Vec::new(),
    };
    Field { choices: ChoiceSource::Fixed(choices.iter().map(as_choice).collect()), ..field(name, "select", label) }
}

/// Adds properties to a field.
pub trait FieldExt: Sized {
    /// Sets the text that explains what to enter and where to find it.
    fn help(self, text: &str) -> Self;
    /// Sets the English title of the group that shows the field. Fields with the same title share a group.
    fn group(self, title: &str) -> Self;
    /// Sets an example that is shown while the field is empty.
    fn placeholder(self, text: &str) -> Self;
    /// Folds the field away until the merchant asks for it.
    fn advanced(self) -> Self;
    /// Requires a value while the field is enabled.
    fn required(self) -> Self;
    /// Shows the value on the shop's pages.
    fn shown_on_page(self) -> Self;
    /// Sets a regular expression that the whole text must match.
    fn pattern(self, pattern: &str) -> Self;
    /// Sets the minimum and maximum of a number, or of the count of characters or entries.
    fn range(self, minimum: i64, maximum: i64) -> Self;
    /// Sets the value that applies while none is set.
    fn default_value(self, value: SettingValue) -> Self;
    /// Sets the text that applies while none is set.
    fn default_text(self, text: &str) -> Self {
        self.default_value(SettingValue::Text(text.to_owned()))
    }
    /// Sets the value of a switch that applies while none is set.
    fn default_boolean(self, on: bool) -> Self {
        self.default_value(SettingValue::Boolean(on))
    }
    /// Enables the field only while another field has this value.
    fn enabled_when(self, field: &str, value: &str) -> Self;
    /// Lets a product override the value.
    fn per_product(self) -> Self;
    /// Lets the vendor change the value through a webhook.
    fn vendor_can_change(self) -> Self;
    /// Allows sending the secret to this host: a name, or `"setting:<field>"`.
    fn outbound_host(self, host: &str) -> Self;
    /// Declares what the secret is for, such as "bearer" (see `field.uses` in the WIT). A secret has at least one use.
    fn secret_use(self, word: &str) -> Self;
}

impl FieldExt for Field {
    fn help(mut self, text: &str) -> Self {
        self.help = Some(message(&format!("help-{}", self.name), text, &[]));
        self
    }

    fn group(mut self, title: &str) -> Self {
        let key = format!("group-{}", title.to_lowercase().replace(' ', "-"));
        self.group = Some(message(&key, title, &[]));
        self
    }

    fn placeholder(mut self, text: &str) -> Self {
        self.placeholder = Some(message(&format!("placeholder-{}", self.name), text, &[]));
        self
    }

    fn advanced(mut self) -> Self {
        self.advanced = true;
        self
    }

    fn required(mut self) -> Self {
        self.required = true;
        self
    }

    fn shown_on_page(mut self) -> Self {
        self.shown_on_page = true;
        self
    }

    fn pattern(mut self, pattern: &str) -> Self {
        self.pattern = Some(pattern.to_owned());
        self
    }

    fn range(mut self, minimum: i64, maximum: i64) -> Self {
        (self.minimum, self.maximum) = (Some(minimum.to_string()), Some(maximum.to_string()));
        self
    }

    fn default_value(mut self, value: SettingValue) -> Self {
        self.default_value = Some(value);
        self
    }

    fn enabled_when(mut self, field: &str, value: &str) -> Self {
        self.enabled_when = Some(Condition { field: field.to_owned(), one_of: vec![value.to_owned()] });
        self
    }

    fn per_product(mut self) -> Self {
        self.per_product = true;
        self
    }

    fn vendor_can_change(mut self) -> Self {
        self.vendor_can_change = true;
        self
    }

    fn outbound_host(mut self, host: &str) -> Self {
        self.outbound_hosts.push(host.to_owned());
        self
    }

    fn secret_use(mut self, word: &str) -> Self {
        self.uses.push(word.to_owned());
        self
    }
}
