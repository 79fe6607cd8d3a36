//! Codes of currencies, countries, time zones and languages in carts and orders.

/// Maximum length in bytes of a shop's language tag. RFC 5646 recommends room for 35 characters.
pub(crate) const MAX_LOCALE_BYTES: usize = 35;

/// Returns whether a text has the form of a currency code (ISO 4217): three ASCII capitals.
pub fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Returns whether a text has the form of a country code (ISO 3166-1 alpha-2): two ASCII capitals.
pub fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Returns whether a text has the form of a time zone's name in the IANA database, such as `Europe/Amsterdam` or `UTC`: at
/// most three parts, separated by `/`, each of at most 14 ASCII letters, digits, `_`, `-` and `+`, and begun by a letter.
pub fn is_time_zone(text: &str) -> bool {
    let is_part = |part: &str| {
        (1..=14).contains(&part.len())
            && part.starts_with(|first: char| first.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-+".contains(&byte))
    };
    text.split('/').count() <= 3 && text.split('/').all(is_part)
}

/// Returns whether a text has the form of a language tag (BCP 47): subtags of at most 8 ASCII letters and digits,
/// separated by `-`. The first subtag names the language with at least 2 letters.
pub fn is_language_tag(text: &str) -> bool {
    let mut subtags = text.split('-');
    let is_language = |subtag: &str| subtag.len() >= 2 && subtag.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_subtag =
        |subtag: &str| (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.len() <= MAX_LOCALE_BYTES
        && subtags.next().is_some_and(|first| is_language(first) && is_subtag(first))
        && subtags.all(is_subtag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_zone_has_the_form_of_a_name_in_the_iana_database() {
        for name in ["UTC", "Europe/Amsterdam", "Etc/GMT+5", "America/Argentina/Buenos_Aires", "America/Port-au-Prince"]
        {
            assert!(is_time_zone(name), "{name}");
        }
        for name in
            ["", "Europe/", "/UTC", "a/b/c/d", "+01:00", "Europe/New Amsterdam", "Europe/Zürich", "Abcdefghijklmno"]
        {
            assert!(!is_time_zone(name), "{name}");
        }
    }
}
