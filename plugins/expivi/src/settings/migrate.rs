//! Migration of another version's settings.

use cartwright_plugin::exports::settings::ChoiceSource;
use cartwright_plugin::types::{Setting, SettingValue};
use cartwright_plugin::{CallError, invalid_input, message};

/// Converts another version's settings into this form. 0.1 is the first form, so nothing has been renamed yet.
///
/// A field of a newer version is dropped on a rollback, because this version lacks its feature. A field of an older
/// version that is missing here is an error, and so is an unknown choice: continuing with a default could sell at
/// another price or not put lines on hold.
pub(crate) fn migrate(from_version: &str, values: Vec<Setting>) -> Result<Vec<Setting>, CallError> {
    let form = super::fields();
    let from_newer = version(from_version) > version(env!("CARGO_PKG_VERSION"));
    let mut kept = Vec::with_capacity(values.len());
    for setting in values {
        let Some(field) = form.iter().find(|field| field.name == setting.name) else {
            if from_newer {
                continue;
            }
            let text =
                format!("Version {from_version} has the setting {:?}, which is unknown to this version.", setting.name);
            return Err(invalid_input(setting.name, message("setting-unknown", text, &[("version", from_version)])));
        };
        if let (ChoiceSource::Fixed(choices), SettingValue::Text(value)) = (&field.choices, &setting.value)
            && !choices.iter().any(|choice| choice.value == *value)
        {
            let text = format!(
                "Version {from_version} has {value:?} here, which is unknown to this version. Choose another value first."
            );
            return Err(invalid_input(setting.name, message("choice-unknown", text, &[("value", value)])));
        }
        kept.push(setting);
    }
    Ok(kept)
}

/// Parses major, minor and patch; an invalid version counts as old.
fn version(text: &str) -> [u64; 3] {
    let mut numbers = text.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}
