//! Settings of another version.

use cartwright_plugin::exports::settings::ChoiceSource;
use cartwright_plugin::types::{Setting, SettingValue};
use cartwright_plugin::{Error, invalid_input, message};

/// Brings another version's settings into this form. 0.1 is the first form, so nothing has been renamed yet.
///
/// A field of a newer version that is rolled back is left out, since this version does not do what it asks for. The same from
/// an older version is an error, as is a choice that this form does not have: to go on with a default could sell at another
/// price or hold nothing back.
pub(crate) fn migrate(from_version: &str, values: Vec<Setting>) -> Result<Vec<Setting>, Error> {
    let form = super::fields();
    let from_newer = version(from_version) > version(env!("CARGO_PKG_VERSION"));
    let mut kept = Vec::with_capacity(values.len());
    for setting in values {
        let Some(field) = form.iter().find(|field| field.name == setting.name) else {
            if from_newer {
                continue;
            }
            let text =
                format!("Version {from_version} has the setting {:?}, which this version does not know.", setting.name);
            return Err(invalid_input(setting.name, message("setting-unknown", text, &[("version", from_version)])));
        };
        if let (ChoiceSource::Fixed(choices), SettingValue::Text(value)) = (&field.choices, &setting.value)
            && !choices.iter().any(|choice| choice.value == *value)
        {
            let text = format!(
                "Version {from_version} has {value:?} here, which this version does not know. Choose again first."
            );
            return Err(invalid_input(setting.name, message("choice-unknown", text, &[("value", value)])));
        }
        kept.push(setting);
    }
    Ok(kept)
}

/// Major, minor and patch; what cannot be read counts as old.
fn version(text: &str) -> [u64; 3] {
    let mut numbers = text.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}
