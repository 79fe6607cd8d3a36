//! The rule for texts that somebody else gives and the host stores: a vendor through a plugin, an integrator, a platform.
//!
//! A text is bounded in bytes and holds no NUL, which PostgreSQL cannot store. A name, such as an id, a SKU or a title, stands in one
//! line and holds no other control character either, nor one that turns the direction of writing: in a table, a log or a header it would end
//! or hide what it stands in.

/// Maximum length of a name in bytes: an id, a reference, a SKU, a title, a file's name.
pub const MAX_NAME_BYTES: usize = 1_000;
/// Maximum length of an address (URL) in bytes.
pub const MAX_URL_BYTES: usize = 4_000;
/// Maximum length of a text for people in bytes: a note, what a vendor said of a piece.
pub const MAX_TEXT_BYTES: usize = 16 << 10;
/// Maximum length of data in bytes: JSON that one call of a plugin leaves to another, a setting's value.
pub const MAX_DATA_BYTES: usize = 64 << 10;

/// Why a text cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// It is too long.
    #[error("it has {bytes} bytes, at most {allowed} are allowed")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
        /// The limit in bytes.
        allowed: usize,
    },
    /// It holds U+0000.
    #[error("it holds a NUL (U+0000)")]
    Nul,
    /// It is a name and holds a control character, such as a line break.
    #[error("it holds the control character U+{:04X}", u32::from(*.0))]
    Control(char),
}

/// Checks a text for people or data: line breaks are allowed.
///
/// # Errors
/// [`TextFault::TooLong`] and [`TextFault::Nul`].
pub fn check_text(text: &str, allowed: usize) -> Result<(), TextFault> {
    if text.len() > allowed {
        return Err(TextFault::TooLong { bytes: text.len(), allowed });
    }
    if text.contains('\0') { Err(TextFault::Nul) } else { Ok(()) }
}

/// Checks a name, which has at most [`MAX_NAME_BYTES`] and holds no control character.
///
/// # Errors
/// Each [`TextFault`].
pub fn check_name(name: &str) -> Result<(), TextFault> {
    check_line(name, MAX_NAME_BYTES)
}

/// Checks a text that stands in one line.
///
/// # Errors
/// Each [`TextFault`].
pub fn check_line(line: &str, allowed: usize) -> Result<(), TextFault> {
    check_text(line, allowed)?;
    match line.chars().find(|character| is_control(*character)) {
        Some(character) => Err(TextFault::Control(character)),
        None => Ok(()),
    }
}

/// Is it a control character, the end of a line, or a change of the direction in which other text is written?
fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(check_name("a\nb").unwrap_err().to_string(), "it holds the control character U+000A");
    }

    #[test]
    fn a_text_may_have_lines_and_is_bounded() {
        check_text("one\r\ntwo\tthree", 20).unwrap();
        assert_eq!(check_text("12345", 4), Err(TextFault::TooLong { bytes: 5, allowed: 4 }));
        assert_eq!(check_text("a\0", 20), Err(TextFault::Nul));
    }
}
