//! Fields for tests of forms.

use crate::records::{ChoiceSource, Field};

/// Returns a field that has only a name and a kind, and as a secret also uses.
pub(crate) fn field(name: &str, kind: &str) -> Field {
    Field {
        name: name.to_owned(),
        kind: kind.to_owned(),
        label: super::message("label", "Label".to_owned()),
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
        uses: if kind == "secret" { vec!["bearer".to_owned(), "webhook".to_owned()] } else { Vec::new() },
        extra: Vec::new(),
    }
}
