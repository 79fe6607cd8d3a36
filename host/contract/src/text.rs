//! The rules for texts from outside the host: from plugins, vendors, shoppers, integrators and platforms.
//!
//! A text for people may be changed so that it can be displayed: [`display_text`] and [`message`]. A text that names
//! something is refused instead ([`check_name`]), because the changed name may belong to something else. Every stored
//! text is bounded in bytes and contains no NUL, which PostgreSQL cannot store. A name, such as an id, a SKU or a
//! title, is a single line and contains no other control characters and no bidirectional overrides: in a table, a log
//! or a header they would end or hide the surrounding text.

use std::cmp::Ordering;

use jiff::Timestamp;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::records::{FieldIssue, Message};

/// Maximum length of a name in bytes: an id, a reference, a SKU, a title, a file's name.
pub const MAX_NAME_BYTES: usize = 1_000;
/// Maximum length of a URL in bytes.
pub const MAX_URL_BYTES: usize = 4_000;
/// Maximum length in bytes of a text for people, such as a note or a vendor's remark about a piece.
pub const MAX_TEXT_BYTES: usize = 16 << 10;
/// Maximum length of data in bytes: a setting's value, or JSON that one call of a plugin passes to another.
pub const MAX_DATA_BYTES: usize = 64 << 10;

/// Maximum number of characters of a text that a cart shows. A longer text is truncated with a mark, and the merchant
/// is warned.
pub const MAX_SHOWN_CHARS: usize = 1_000;
/// Maximum number of characters of a plugin's message, and of each of its parameters.
pub const MAX_MESSAGE_CHARS: usize = 4_000;
/// Maximum number of parameters of a plugin's message.
pub const MAX_MESSAGE_PARAMETERS: usize = 50;

/// Maximum length of an error's text in characters: a plugin's message with the host's own text around it.
pub const MAX_ERROR_CHARS: usize = 5_000;
/// The share of [`MAX_ERROR_CHARS`] that is reserved for the end of an error's text.
const ERROR_END_CHARS: usize = 1_000;

/// Why a text cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// The text is too long.
    #[error("it has {bytes} bytes; at most {allowed} are allowed")]
    TooLong {
        /// Length of the text in bytes.
        bytes: usize,
        /// The limit in bytes.
        allowed: usize,
    },
    /// The text contains a NUL (U+0000).
    #[error("it contains a NUL (U+0000)")]
    Nul,
    /// The text is a name and contains a control character, such as a line break.
    #[error("it contains the control character U+{:04X}", u32::from(*.0))]
    Control(char),
}

/// Checks a text for people, or data. Line breaks are allowed.
///
/// # Errors
/// Returns [`TextFault::TooLong`] or [`TextFault::Nul`].
pub fn check_text(text: &str, allowed: usize) -> Result<(), TextFault> {
    if text.len() > allowed {
        return Err(TextFault::TooLong { bytes: text.len(), allowed });
    }
    if text.contains('\0') { Err(TextFault::Nul) } else { Ok(()) }
}

/// Checks a name, which has at most [`MAX_NAME_BYTES`] and contains no control character.
///
/// # Errors
/// Returns any [`TextFault`].
pub fn check_name(name: &str) -> Result<(), TextFault> {
    check_line(name, MAX_NAME_BYTES)
}

/// Checks a text that must be a single line.
///
/// # Errors
/// Returns any [`TextFault`].
pub fn check_line(line: &str, allowed: usize) -> Result<(), TextFault> {
    check_text(line, allowed)?;
    match line.chars().find(|character| is_control(*character)) {
        Some(character) => Err(TextFault::Control(character)),
        None => Ok(()),
    }
}

/// Returns whether a character is a control character, a line or paragraph separator, or a bidirectional control.
fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Maximum number of digits of a decimal number.
const MAX_DECIMAL_DIGITS: usize = 28;

/// Returns whether a text is a `decimal` of the contract: an optional minus, digits, and optionally a point with more
/// digits. At most 28 digits, and no leading zero but one before the point.
pub fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let count = digits.bytes().filter(u8::is_ascii_digit).count();
    all_digits(whole)
        && all_digits(fraction)
        && (whole == "0" || !whole.starts_with('0'))
        && count <= MAX_DECIMAL_DIGITS
}

/// Compares two `decimal`s of the contract as numbers. `None` if one of them is not a decimal.
pub fn compare_decimals(one: &str, other: &str) -> Option<Ordering> {
    let number = |text: &str| is_decimal(text).then(|| rust_decimal::Decimal::from_str_exact(text).ok()).flatten();
    Some(number(one)?.cmp(&number(other)?))
}

/// Parses a `timestamp` of the contract: an instant in UTC to the second, exactly 20 characters, such as
/// `2026-03-01T09:30:00Z`. The order of such texts is the order of the instants.
pub fn parse_timestamp(text: &str) -> Option<Timestamp> {
    const SHAPE: &[u8; 20] = b"0000-00-00T00:00:00Z";
    let fits = |(byte, shape): (u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == *shape };
    // jiff reads a leap second as the second before it, which would break the order of the texts.
    let is_shaped = text.len() == SHAPE.len() && text.bytes().zip(SHAPE).all(fits) && !text.ends_with(":60Z");
    if is_shaped { text.parse().ok() } else { None }
}

/// A text in the form in which it is displayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayText {
    /// The text.
    pub text: String,
    /// Whether the text was too long and ends with `…`.
    pub is_truncated: bool,
}

/// Returns a text as a cart displays it, in at most [`MAX_SHOWN_CHARS`] characters.
///
/// # Errors
/// Returns [`TextFault::Nul`] for a NUL: no database stores one, and no keyboard enters one.
pub fn display_text(text: &str) -> Result<DisplayText, TextFault> {
    if text.contains('\0') {
        return Err(TextFault::Nul);
    }
    Ok(sanitize(text, MAX_SHOWN_CHARS))
}

/// Sanitizes and shortens a plugin's message, so that it can be displayed and stored.
pub fn message(message: Message) -> Message {
    let Message { key, mut parameters, text } = message;
    let short = |text: &str| sanitize(text, MAX_MESSAGE_CHARS).text;
    parameters.truncate(MAX_MESSAGE_PARAMETERS);
    let parameters = parameters.iter().map(|(name, value)| (short(name), short(value))).collect();
    Message { key: short(&key), parameters, text: short(&text) }
}

/// Sanitizes and shortens a plugin's issue with a field, so that it can be displayed and stored.
pub fn issue(issue: FieldIssue) -> FieldIssue {
    let field = sanitize(&issue.field, MAX_MESSAGE_CHARS).text;
    FieldIssue { field, message: message(issue.message), blocking: issue.blocking }
}

/// Removes characters that would control the display: line breaks and tabs become one space, other control characters
/// and bidirectional overrides are removed. A text longer than `max_chars` is cut between two grapheme clusters, and
/// marked with `…`.
pub fn sanitize(text: &str, max_chars: usize) -> DisplayText {
    let text = if text.chars().any(is_control) { strip_control_characters(text) } else { text.to_owned() };
    if text.chars().nth(max_chars).is_none() {
        return DisplayText { text, is_truncated: false };
    }
    let (mut chars, mut end) = (0, 0);
    for (at, sign) in text.grapheme_indices(true) {
        chars += sign.chars().count();
        // One character is reserved for the mark.
        if chars >= max_chars {
            break;
        }
        end = at + sign.len();
    }
    DisplayText { text: format!("{}…", &text[..end]), is_truncated: true }
}

/// Reads the value of an HTTP header: as UTF-8 if it is UTF-8, otherwise as Latin-1, in which each byte is a character.
pub fn header_text(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.iter().copied().map(char::from).collect(),
    }
}

/// Shortens an error's text, which may repeat input, to at most [`MAX_ERROR_CHARS`]. The middle is left out, because
/// the beginning says what is wrong and the end says what to do.
pub fn abridge(text: String) -> String {
    if text.chars().nth(MAX_ERROR_CHARS).is_none() {
        return text;
    }
    let beginning = text.char_indices().nth(MAX_ERROR_CHARS - ERROR_END_CHARS - 1).map_or(text.len(), |(at, _)| at);
    let end = text.char_indices().rev().nth(ERROR_END_CHARS - 1).map_or(0, |(at, _)| at);
    format!("{}…{}", &text[..beginning], &text[end..])
}

fn strip_control_characters(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        if separates(character) || (character == ' ' && rest.peek().copied().is_some_and(separates)) {
            while rest.next_if(|next| separates(*next) || *next == ' ').is_some() {}
            if !plain.is_empty() && !plain.ends_with(' ') && rest.peek().is_some() {
                plain.push(' ');
            }
        } else if !is_control(character) {
            plain.push(character);
        }
    }
    plain
}

/// Returns whether a character ends a line, a paragraph or a column.
fn separates(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::clock::timestamp;

    fn plain(text: &str) -> String {
        display_text(text).unwrap().text
    }

    #[test]
    fn a_header_is_utf_8_or_else_latin_1() {
        assert_eq!(header_text("Mâcon".as_bytes()), "Mâcon");
        assert_eq!(header_text(b"M\xe2con"), "Mâcon");
        assert_eq!(header_text(b""), "");
    }

    #[test]
    fn line_ends_and_tabs_become_one_blank() {
        assert_eq!(plain("Anna\nTom\r\n12-06-2026\tfor ever"), "Anna Tom 12-06-2026 for ever");
        assert_eq!(plain("\n Anna \n\n\t Tom\u{2028}and\u{85}Bo \n"), "Anna Tom and Bo");
        assert_eq!(plain("two  blanks stay"), "two  blanks stay");
    }

    #[test]
    fn invisible_characters_are_removed_and_a_nul_is_refused() {
        assert_eq!(plain("a\u{7}b\u{202e}c\u{2069}d\u{7f}"), "abcd");
        assert_eq!(display_text("a\0b"), Err(TextFault::Nul));
        assert_eq!(sanitize("a\0b", 10).text, "ab");
    }

    #[test]
    fn a_long_text_is_cut_between_two_signs_and_marked() {
        let family = "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}\u{200D}\u{1F466}";
        let abridged = display_text(&format!("{}{family}", "x".repeat(997))).unwrap();
        assert_eq!((abridged.text, abridged.is_truncated), (format!("{}…", "x".repeat(997)), true));
        let fits = format!("{}{family}", "x".repeat(993));
        assert_eq!(display_text(&fits).unwrap(), DisplayText { text: fits, is_truncated: false });
        let accents = display_text(&format!("e{}", "\u{301}".repeat(5000))).unwrap();
        assert_eq!(accents.text, "…");
        assert_eq!(display_text(&"é".repeat(1001)).unwrap().text.chars().count(), 1000);
    }

    #[test]
    fn a_long_error_keeps_its_beginning_and_its_end() {
        let abridged = abridge(format!("the product {:?} is not linked; link it", "é".repeat(1 << 20)));
        assert_eq!(abridged.chars().count(), MAX_ERROR_CHARS);
        assert!(
            abridged.starts_with("the product \"éé")
                && abridged.ends_with("éé\" is not linked; link it")
                && abridged.contains('…')
        );
        let fits = "é".repeat(MAX_ERROR_CHARS);
        assert_eq!(abridge(fits.clone()), fits);
    }

    #[test]
    fn a_message_is_bounded_as_a_whole() {
        let parameters = vec![("n".repeat(9000), "v\0".to_owned()); 100];
        let sanitized = message(Message { key: "k\n".into(), parameters, text: "t".repeat(9000) });
        assert_eq!((sanitized.key.as_str(), sanitized.parameters.len()), ("k", MAX_MESSAGE_PARAMETERS));
        assert_eq!(sanitized.parameters[0].1, "v");
        assert_eq!(sanitized.text.chars().count(), MAX_MESSAGE_CHARS);
    }

    #[test]
    fn a_name_is_one_bounded_line_without_control_characters() {
        check_name("").unwrap();
        check_name("Größe 5, 3/4\" · 戒指 👍🏽").unwrap();
        check_name(&"x".repeat(MAX_NAME_BYTES)).unwrap();
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        assert_eq!(check_name(&long), Err(TextFault::TooLong { bytes: 1_001, allowed: 1_000 }));
        assert_eq!(check_name("a\0b"), Err(TextFault::Nul));
        for (name, found) in
            [("a\nb", '\n'), ("\t", '\t'), ("a\u{7f}", '\u{7f}'), ("\u{85}", '\u{85}'), ("a\u{202e}b", '\u{202e}')]
        {
            assert_eq!(check_name(name), Err(TextFault::Control(found)), "{name:?}");
        }
        assert_eq!(check_name("a\nb").unwrap_err().to_string(), "it contains the control character U+000A");
    }

    #[test]
    fn a_decimal_has_one_grammar_and_is_equal_as_a_number() {
        let long = "1".repeat(MAX_DECIMAL_DIGITS);
        let fraction = format!("-0.{}", "3".repeat(MAX_DECIMAL_DIGITS - 1));
        for text in ["0", "-3", "12.345", "0.50", "-0", &long, &fraction] {
            assert!(is_decimal(text), "{text}");
        }
        for text in ["", "-", "+1", "1.", ".5", "01", "-00.5", "1e3", "1,5", " 1", "1.2.3", "٣", &format!("{long}1")] {
            assert!(!is_decimal(text), "{text}");
        }
        assert_eq!(compare_decimals("1.50", "1.5"), Some(Ordering::Equal));
        assert_eq!(compare_decimals("-2", "1.5"), Some(Ordering::Less));
        assert_eq!(compare_decimals("1.5", "1.5.0"), None);
    }

    #[test]
    fn a_timestamp_has_20_characters_in_utc_to_the_second() {
        let at = parse_timestamp("2026-03-01T09:30:00Z").unwrap();
        assert_eq!(timestamp((at + jiff::SignedDuration::from_millis(999)).into()), "2026-03-01T09:30:00Z");
        assert_eq!(timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 50)), "9999-12-30T22:00:00Z");
        for text in [
            "",
            "2026-03-01",
            "2026-03-01T09:30Z",
            "2026-03-01T09:30:00",
            "2026-03-01T09:30:00.5Z",
            "2026-03-01T10:30:00+01:00",
            "2026-03-01t09:30:00z",
            "2026-03-01 09:30:00Z",
            "2026-02-30T09:30:00Z",
            "2026-03-01T24:00:00Z",
            "2016-12-31T23:59:60Z",
            "2026-03-01T093000.1Z",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_may_have_lines_and_is_bounded() {
        check_text("one\r\ntwo\tthree", 20).unwrap();
        assert_eq!(check_text("12345", 4), Err(TextFault::TooLong { bytes: 5, allowed: 4 }));
        assert_eq!(check_text("a\0", 20), Err(TextFault::Nul));
    }
}
