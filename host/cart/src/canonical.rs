//! The canonical form of JSON text. Two texts have the same form exactly when they mean the same.
//!
//! The form is RFC 8785 without null members. RFC 8785 requires that numbers are doubles and texts are Unicode, but
//! browsers send more. The form is therefore extended: a number that a double does not represent exactly keeps its
//! decimal digits, and an unpaired surrogate stays an escape. `serde_json` reads neither, so this module has its own
//! reader. The work is linear in the length of the text.

#![allow(
    clippy::indexing_slicing,
    reason = "the position passes the end of the text only on an error; each range was just read or written"
)]

use std::ops::Range;

use cartwright_contract::ids::Digest;
use serde::Serialize;

/// Below this, a double represents every integer exactly (IEEE 754, as quoted in RFC 8785).
const MAX_EXACT_DOUBLE: f64 = 9_007_199_254_740_992.0;
/// Maximum nesting depth of arrays and objects.
const MAX_DEPTH: usize = 100;
/// Maximum number of digits of an exponent.
const MAX_EXPONENT_DIGITS: usize = 15;

/// The error of a JSON text that has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the JSON is ambiguous or invalid: {0}")]
pub(crate) struct NotCanonical(String);

impl From<serde_json::Error> for NotCanonical {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Returns the canonical form of a JSON text, or `None` for the text `null`.
///
/// # Errors
/// Returns an error if the text is not JSON, has a duplicate member, or is nested deeper than [`MAX_DEPTH`].
pub(crate) fn canonical(text: &str) -> Result<Option<Vec<u8>>, NotCanonical> {
    let mut reader =
        Reader { text: text.as_bytes(), at: 0, written: Vec::with_capacity(text.len()), scratch: Vec::new() };
    let is_null = reader.value(0)?;
    reader.skip_blanks();
    if reader.at < reader.text.len() {
        return Err(reader.unexpected("the end"));
    }
    Ok((!is_null).then_some(reader.written))
}

/// Returns the digest of a value's JSON text. The text is canonical without sorting if the value's structs declare their
/// members in canonical order, as those of the identity of lines do; a test checks them.
pub(crate) fn digest(value: &impl Serialize) -> Result<Digest, NotCanonical> {
    Ok(Digest::of(&serde_json::to_vec(value)?))
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    written: Vec<u8>,
    /// Buffer in which the members of an object are sorted.
    scratch: Vec<u8>,
}

/// A member of an object: its name in UTF-16, the order that RFC 8785 sorts by, and the position of its canonical form
/// in the output.
struct Member {
    name: Vec<u16>,
    written: Range<usize>,
}

impl Reader<'_> {
    fn unexpected(&self, wanted: &str) -> NotCanonical {
        NotCanonical(format!("at byte {}: expected {wanted}", self.at))
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Reads a value and writes its canonical form. Returns whether the value is null.
    fn value(&mut self, depth: usize) -> Result<bool, NotCanonical> {
        if depth > MAX_DEPTH {
            return Err(NotCanonical(format!("it is nested deeper than {MAX_DEPTH} levels (limit state_depth)")));
        }
        self.skip_blanks();
        match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => {
                let name = self.string()?;
                write_text(&name, &mut self.written);
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => {
                let word = ["true", "false", "null"]
                    .into_iter()
                    .find(|word| self.text[self.at..].starts_with(word.as_bytes()));
                let word = word.ok_or_else(|| self.unexpected("a value"))?;
                self.at += word.len();
                self.written.extend_from_slice(word.as_bytes());
                return Ok(word == "null");
            }
        }
        Ok(false)
    }

    fn array(&mut self, depth: usize) -> Result<(), NotCanonical> {
        self.at += 1;
        self.written.push(b'[');
        self.skip_blanks();
        if !self.take(b']') {
            loop {
                self.value(depth + 1)?;
                self.skip_blanks();
                if self.take(b']') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.unexpected("`,` or `]`"));
                }
                self.written.push(b',');
            }
        }
        self.written.push(b']');
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), NotCanonical> {
        self.at += 1;
        let start = self.written.len();
        let mut members: Vec<Member> = Vec::new();
        self.skip_blanks();
        if !self.take(b'}') {
            loop {
                self.skip_blanks();
                if self.peek() != Some(b'"') {
                    return Err(self.unexpected("a name"));
                }
                let name = self.string()?;
                self.skip_blanks();
                if !self.take(b':') {
                    return Err(self.unexpected("`:`"));
                }
                let from = self.written.len();
                write_text(&name, &mut self.written);
                self.written.push(b':');
                if self.value(depth + 1)? {
                    self.written.truncate(from);
                }
                members.push(Member { name, written: from..self.written.len() });
                self.skip_blanks();
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.unexpected("`,` or `}`"));
                }
            }
        }
        members.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = members.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(NotCanonical(format!("duplicate member {:?}", String::from_utf16_lossy(&pair[0].name))));
        }
        self.scratch.clear();
        self.scratch.push(b'{');
        for Member { written, .. } in members.into_iter().filter(|member| !member.written.is_empty()) {
            if self.scratch.len() > 1 {
                self.scratch.push(b',');
            }
            self.scratch.extend_from_slice(&self.written[written]);
        }
        self.scratch.push(b'}');
        self.written.truncate(start);
        self.written.append(&mut self.scratch);
        Ok(())
    }

    /// Reads a string as UTF-16, which can represent an unpaired surrogate.
    fn string(&mut self) -> Result<Vec<u16>, NotCanonical> {
        self.at += 1;
        let mut units = Vec::new();
        loop {
            let plain = self.text[self.at..].iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count();
            // The run ends before an ASCII character, so it ends on a character boundary.
            let run =
                std::str::from_utf8(&self.text[self.at..self.at + plain]).map_err(|_| self.unexpected("UTF-8"))?;
            units.extend(run.encode_utf16());
            self.at += plain;
            if self.take(b'"') {
                return Ok(units);
            }
            if !self.take(b'\\') {
                return Err(self.unexpected("`\"`"));
            }
            let escaped = self.peek().ok_or_else(|| self.unexpected("an escape"))?;
            self.at += 1;
            units.push(match escaped {
                b'"' | b'\\' | b'/' => escaped.into(),
                b'b' => 0x8,
                b't' => 0x9,
                b'n' => 0xa,
                b'f' => 0xc,
                b'r' => 0xd,
                b'u' => self.four_digits()?,
                _ => return Err(self.unexpected("an escape")),
            });
        }
    }

    fn four_digits(&mut self) -> Result<u16, NotCanonical> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let unit = digits.and_then(|digits| u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        self.at += 4;
        unit.ok_or_else(|| self.unexpected("four hexadecimal digits"))
    }

    fn digits(&mut self) -> Result<Range<usize>, NotCanonical> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if from == self.at { Err(self.unexpected("a digit")) } else { Ok(from..self.at) }
    }

    fn number(&mut self) -> Result<(), NotCanonical> {
        let from = self.at;
        let is_negative = self.take(b'-');
        let integer_digits = self.digits()?;
        if integer_digits.len() > 1 && self.text[integer_digits.start] == b'0' {
            return Err(self.unexpected("a number without leading zeros"));
        }
        let fraction = if self.take(b'.') { self.digits()? } else { self.at..self.at };
        let mut exponent = 0i64;
        if self.take(b'e') || self.take(b'E') {
            let is_small = self.take(b'-');
            if !is_small {
                self.take(b'+');
            }
            let digits = self.digits()?;
            let digits = trimmed(&self.text[digits]);
            if digits.len() > MAX_EXPONENT_DIGITS {
                return Err(NotCanonical(format!(
                    "a number has an exponent of more than {MAX_EXPONENT_DIGITS} digits"
                )));
            }
            let read = digits.iter().fold(0i64, |read, digit| read * 10 + i64::from(digit - b'0'));
            exponent = if is_small { -read } else { read };
        }
        let all = [&self.text[integer_digits], &self.text[fraction.clone()]].concat();
        let digits = trimmed(&all);
        let token = std::str::from_utf8(&self.text[from..self.at]).map_err(|_| self.unexpected("a number"))?;
        let double: f64 = token.parse().map_err(|_| self.unexpected("a number"))?;
        if digits.is_empty() {
            self.written.push(b'0');
        } else if double != 0.0 && double.abs() < MAX_EXACT_DOUBLE {
            self.written.extend(serde_json_canonicalizer::to_vec(&double)?);
        } else {
            let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
            // The text is shorter than 2^63 bytes.
            let exponent = exponent + zeros as i64 - fraction.len() as i64;
            if is_negative {
                self.written.push(b'-');
            }
            self.written.extend_from_slice(&digits[..digits.len() - zeros]);
            self.written.extend_from_slice(format!("e{exponent}").as_bytes());
        }
        Ok(())
    }
}

/// Returns the digits without leading zeros.
fn trimmed(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    &digits[zeros..]
}

/// Writes a string as RFC 8785 does, and an unpaired surrogate as its escape.
fn write_text(units: &[u16], to: &mut Vec<u8>) {
    to.push(b'"');
    for character in char::decode_utf16(units.iter().copied()) {
        match character {
            Ok('"') => to.extend_from_slice(b"\\\""),
            Ok('\\') => to.extend_from_slice(b"\\\\"),
            Ok('\u{8}') => to.extend_from_slice(b"\\b"),
            Ok('\t') => to.extend_from_slice(b"\\t"),
            Ok('\n') => to.extend_from_slice(b"\\n"),
            Ok('\u{c}') => to.extend_from_slice(b"\\f"),
            Ok('\r') => to.extend_from_slice(b"\\r"),
            Ok(control @ ..'\u{20}') => to.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes()),
            Ok(character) => to.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(half) => to.extend_from_slice(format!("\\u{:04x}", half.unpaired_surrogate()).as_bytes()),
        }
    }
    to.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn form(text: &str) -> String {
        String::from_utf8(canonical(text).unwrap().unwrap()).unwrap()
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            (-9_007_199_254_740_991i64..=9_007_199_254_740_991).prop_map(Value::from),
            any::<f64>().prop_filter("beyond RFC 8785", |double| double.abs() < MAX_EXACT_DOUBLE).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_the_form_of_rfc_8785(value in values()) {
            let expected = serde_json_canonicalizer::to_string(&value).unwrap();
            prop_assert_eq!(form(&value.to_string()), expected.clone());
            prop_assert_eq!(form(&serde_json::to_string_pretty(&value).unwrap()), expected);
        }

        #[test]
        fn it_is_the_same_when_it_is_read_again(value in values()) {
            let once = form(&value.to_string());
            prop_assert_eq!(form(&once), once);
        }

        #[test]
        fn whole_numbers_are_the_same_exactly_when_their_digits_are(a in any::<i128>(), b in any::<i128>(), near in -3i128..3) {
            let c = a.saturating_add(near);
            prop_assert_eq!(form(&a.to_string()) == form(&b.to_string()), a == b);
            prop_assert_eq!(form(&a.to_string()) == form(&c.to_string()), a == c);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]{}\":,\\\\ut0-9eE.+\\-a-f\u{0}é ]{0,40}") {
            // This reader accepts what serde_json accepts, except for duplicate members.
            let read = canonical(&text);
            if let (Ok(_), Err(NotCanonical(reason))) = (serde_json::from_str::<Value>(&text), &read) {
                prop_assert!(reason.contains("duplicate member"), "{reason}");
            }
        }
    }

    #[test]
    fn absent_null_and_spelling_make_no_difference() {
        assert_eq!(
            form(r#"{"b": 1.0, "a": null, "c": [1e1, null], "\u0064": -0.0}"#),
            r#"{"b":1,"c":[10,null],"d":0}"#
        );
        assert_eq!(form(r#" "\u00e9\/\ud83d\ude00" "#), "\"é/😀\"");
        assert_eq!(canonical(" null "), Ok(None));
    }

    #[test]
    fn numbers_beyond_a_double_keep_their_digits() {
        for (text, expected) in [
            ("3.4028234663852886e38", "34028234663852886e22"),
            ("3.40282346638528860E+38", "34028234663852886e22"),
            ("1.7976931348623157e308", "17976931348623157e292"),
            ("-1770000000123456789", "-1770000000123456789e0"),
            ("1770000000123456800", "17700000001234568e2"),
            ("9007199254740991", "9007199254740991"),
            ("9007199254740992", "9007199254740992e0"),
            ("9007199254740993", "9007199254740993e0"),
            ("9007199254740995", "9007199254740995e0"),
            ("1e400", "1e400"),
            ("1e-400", "1e-400"),
            ("0e999999999", "0"),
        ] {
            assert_eq!(form(text), expected, "{text}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_stays_what_it_is() {
        assert_eq!(form(r#""a\uD83Db""#), r#""a\ud83db""#);
        assert_ne!(form(r#""\ud83d""#), form(r#""\ud83e""#));
        assert_ne!(form(r#""\ud83d""#), form(r#""\\ud83d""#));
    }

    #[test]
    fn ambiguous_and_invalid_json_is_refused() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":null,"\u0061":1}"#,
            "[1] 2",
            "{\"a\":",
            "",
            "01",
            "1.",
            ".5",
            "+1",
            "[1,]",
            "{,}",
            "tru",
            "\"\t\"",
            r#""\x""#,
            r#""\u12"#,
            "[",
            "\"",
            "-",
            "1e",
            "{\"a\" 1}",
            "nul",
            "1e1000000000000000000000",
        ] {
            assert!(canonical(text).is_err(), "{text}");
        }
        assert!(canonical(&"[".repeat(100_000)).unwrap_err().to_string().contains("limit state_depth"));
        assert!(canonical(&format!("{}1{}", "[".repeat(100), "]".repeat(100))).is_ok());
    }

    #[test]
    fn members_are_sorted_as_rfc_8785_sorts_them() {
        assert_eq!(
            form(r#"{"\ufb33":1,"😀":2,"é":3,"1":4}"#),
            r#"{"1":4,"é":3,"😀":2,"דּ":1}"#.replace("דּ", "\u{fb33}")
        );
        let value = json!({ "z": { "b": [1, 2], "a": {} }, "a": "x" });
        assert_eq!(form(&value.to_string()), r#"{"a":"x","z":{"a":{},"b":[1,2]}}"#);
    }
}
