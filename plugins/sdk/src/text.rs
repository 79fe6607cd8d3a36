//! Prepares texts of other systems for messages and pages.

use unicode_segmentation::UnicodeSegmentation;

/// Returns a foreign text on one line, shortened to a length that a person reads. Control characters and line ends
/// become a single space, so that words stay separate. A shortened text ends with `…`, and never inside a character as
/// readers see it.
///
/// ```
/// # use cartwright_plugin::truncate;
/// assert_eq!(truncate("mesh is open\r\n  at part 7", 100), "mesh is open at part 7");
/// assert_eq!(truncate("👨‍👩‍👧‍👦👨‍👩‍👧‍👦", 1), "👨‍👩‍👧‍👦…");
/// ```
pub fn truncate(text: &str, max_characters: usize) -> String {
    let words = text.split(|character: char| character.is_whitespace() || character.is_control());
    let mut line = String::new();
    for word in words.filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if let Some((end, _)) = line.grapheme_indices(true).nth(max_characters) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// Returns a URL, as pages and scripts write it, in a form that can be fetched: `//host/…` gets the scheme https, and
/// characters that a URL cannot contain (a space, an umlaut, `|`) are percent-encoded. Returns `None` for anything that
/// is not an http or https URL. The result is not more trustworthy than the input.
///
/// ```
/// # use cartwright_plugin::normalize_url;
/// assert_eq!(normalize_url("//cdn.example/a.png").as_deref(), Some("https://cdn.example/a.png"));
/// assert_eq!(normalize_url("https://cdn.example/größe 1.png").as_deref(), Some("https://cdn.example/gr%C3%B6%C3%9Fe%201.png"));
/// assert_eq!(normalize_url("data:image/png;base64,AAAA"), None);
/// ```
pub fn normalize_url(text: &str) -> Option<String> {
    let text = text.trim();
    if text.chars().any(char::is_control) {
        return None;
    }
    let (scheme, rest) = match text.strip_prefix("//") {
        Some(rest) => ("https", rest),
        None => text.split_once("://")?,
    };
    if rest.is_empty() || !(scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")) {
        return None;
    }
    let mut address = format!("{scheme}://");
    for byte in rest.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            address.push(char::from(byte));
        } else {
            address.push_str(&format!("%{byte:02X}"));
        }
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_two_characters_and_says_so() {
        assert_eq!(truncate("abc", 3), "abc");
        assert_eq!(truncate("abcd", 3), "abc…");
        // A flag, a letter with its accent and a line end are one character each.
        assert_eq!(truncate("🇧🇪🇧🇪", 1), "🇧🇪…");
        assert_eq!(truncate("e\u{301}e\u{301}", 1), "e\u{301}…");
        assert_eq!(truncate("a\0b\tc\r\nd", 9), "a b c d");
    }

    #[test]
    fn an_address_is_mended_or_refused() {
        for (text, address) in [
            ("https://cdn.example/a.png?x=1#y", Some("https://cdn.example/a.png?x=1#y")),
            (" HTTP://cdn.example/ ", Some("HTTP://cdn.example/")),
            ("https://cdn.example/a%20b|c", Some("https://cdn.example/a%20b%7Cc")),
            ("https://", None),
            ("//", None),
            ("/a.png", None),
            ("javascript:alert(1)", None),
            ("ftp://cdn.example/a", None),
            ("https://cdn.example/a\nb", None),
            ("", None),
        ] {
            assert_eq!(normalize_url(text).as_deref(), address, "{text:?}");
        }
    }
}
