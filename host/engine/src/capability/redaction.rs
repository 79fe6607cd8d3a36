//! Removal of secrets from responses. A server that echoes a request would otherwise reveal its secrets to the guest, the
//! journal and the log.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cartwright_contract::settings::Secret;
use memchr::memmem;

/// What takes the place of a secret.
const MARK: &[u8] = b"(secret)";
/// Minimum length of a secret that is removed, in bytes. A shorter one may occur by chance, and its removal would damage
/// a response.
const MIN_SECRET_BYTES: usize = 8;

/// The secrets of a request, in the spellings in which a server may repeat them.
#[derive(Default)]
pub(super) struct Redaction {
    spellings: Vec<Secret>,
}

impl Redaction {
    /// Returns whether there is nothing to remove.
    pub(super) fn is_empty(&self) -> bool {
        self.spellings.is_empty()
    }

    /// Adds a secret.
    pub(super) fn add(&mut self, secret: &str) {
        if secret.len() < MIN_SECRET_BYTES {
            return;
        }
        let in_url = url_spellings(secret);
        // The URL of a request may itself be a parameter, such as of the address of a login.
        let twice = in_url.iter().flat_map(|spelling| url_spellings(spelling)).collect::<Vec<_>>();
        let spellings = std::iter::once(secret.to_owned()).chain(json_spellings(secret)).chain(in_url).chain(twice);
        for spelling in spellings.map(Secret::new) {
            if !self.spellings.contains(&spelling) {
                self.spellings.push(spelling);
            }
        }
        // One secret may contain another.
        self.spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.expose().len()));
    }

    /// Adds the user name and password of HTTP Basic authentication. Returns them as they are sent.
    pub(super) fn add_login(&mut self, user: &str, password: &str) -> String {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        self.add(password);
        self.add(&encoded);
        encoded
    }

    /// Replaces each secret in the bytes.
    pub(super) fn apply(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.spellings.iter().fold(bytes, |bytes, spelling| replace(bytes, spelling.expose()))
    }
}

#[allow(clippy::indexing_slicing, reason = "matches lie within the text, in order and without overlap")]
fn replace(bytes: Vec<u8>, secret: &[u8]) -> Vec<u8> {
    // The search takes time linear in the response, whatever the secret looks like.
    let finder = memmem::Finder::new(secret);
    if finder.find(&bytes).is_none() {
        return bytes;
    }
    let (mut clean, mut after) = (Vec::with_capacity(bytes.len()), 0);
    for at in finder.find_iter(&bytes) {
        clean.extend_from_slice(&bytes[after..at]);
        clean.extend_from_slice(MARK);
        after = at + secret.len();
    }
    clean.extend_from_slice(&bytes[after..]);
    clean
}

/// Returns the spellings in URLs and forms, which differ in what they escape and in the case of the digits.
fn url_spellings(text: &str) -> Vec<String> {
    let mut spellings = Vec::new();
    for is_upper in [true, false] {
        // `application/x-www-form-urlencoded`.
        spellings.push(percent_encoded(text, b"*-._", is_upper).replace("%20", "+"));
        // RFC 3986, and JavaScript's `encodeURIComponent`.
        spellings.push(percent_encoded(text, b"-._~", is_upper));
        spellings.push(percent_encoded(text, b"-._~!*'()", is_upper));
    }
    spellings
}

fn percent_encoded(text: &str, kept: &[u8], is_upper: bool) -> String {
    let escape = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || kept.contains(&byte) => char::from(byte).to_string(),
        byte if is_upper => format!("%{byte:02X}"),
        byte => format!("%{byte:02x}"),
    };
    text.bytes().map(escape).collect()
}

/// Returns the spellings in JSON texts, which differ in what they escape.
fn json_spellings(text: &str) -> [String; 5] {
    let is_html = |c: char| matches!(c, '<' | '>' | '&');
    [
        json_escaped(text, false, false, |_| false),
        // Python.
        json_escaped(text, false, false, |c| !c.is_ascii()),
        // PHP.
        json_escaped(text, true, false, |c| !c.is_ascii()),
        // Go.
        json_escaped(text, false, false, is_html),
        // .NET.
        json_escaped(text, false, true, |c| !c.is_ascii() || is_html(c) || matches!(c, '"' | '\'' | '+' | '`')),
    ]
}

/// Escapes a text for JSON. The characters that `as_code` selects are spelled by their code.
fn json_escaped(text: &str, escapes_slash: bool, is_upper: bool, as_code: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if as_code(c) || c.is_ascii_control() => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    escaped += &if is_upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
                }
            }
            '"' | '\\' => escaped.extend(['\\', c]),
            '/' if escapes_slash => escaped += "\\/",
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(secret: &str, text: &str) -> String {
        let mut redaction = Redaction::default();
        redaction.add(secret);
        String::from_utf8(redaction.apply(text.as_bytes().to_vec())).unwrap()
    }

    #[test]
    fn a_secret_that_a_server_echoes_is_taken_out() {
        assert_eq!(redacted("s3cr3t-1", "token=s3cr3t-1, again s3cr3t-1"), "token=(secret), again (secret)");
        assert_eq!(redacted("s3cr3t-1", "abc"), "abc");
        assert_eq!(redacted("s3cr3t-1", ""), "");
    }

    #[test]
    fn a_secret_is_taken_out_in_every_spelling_of_urls_and_json() {
        let secret = "a+b/c \"d\"=é~";
        for spelling in [
            secret,
            "a%2Bb%2Fc+%22d%22%3D%C3%A9%7E",
            "a%2bb%2fc+%22d%22%3d%c3%a9%7e",
            "a%2Bb%2Fc%20%22d%22%3D%C3%A9~",
            "a+b/c \\\"d\\\"=é~",
            "a%252Bb%252Fc%2B%2522d%2522%253D%25C3%25A9%257E",
            "a+b\\/c \\\"d\\\"=\\u00e9~",
            "a+b/c \\\"d\\\"=\\u00e9~",
            "a\\u002Bb/c \\u0022d\\u0022=\\u00E9~",
        ] {
            assert_eq!(redacted(secret, &format!("<{spelling}>")), "<(secret)>", "{spelling}");
        }
    }

    #[test]
    fn a_login_is_taken_out_as_it_is_sent_and_as_its_password() {
        let mut redaction = Redaction::default();
        let sent = redaction.add_login("shop", "open-sesame");
        let echo = format!("{sent} open-sesame");
        assert_eq!(redaction.apply(echo.into_bytes()), b"(secret) (secret)");
    }

    #[test]
    fn a_short_secret_stays_because_other_text_may_contain_it() {
        assert_eq!(redacted("1234567", "order 1234567"), "order 1234567");
        assert_eq!(redacted("12345678", "order 12345678"), "order (secret)");
    }

    #[test]
    fn of_two_secrets_the_longer_one_is_taken_out_whole() {
        let mut redaction = Redaction::default();
        redaction.add("abcdefgh");
        redaction.add("abcdefgh-and-more");
        assert_eq!(redaction.apply(b"abcdefgh-and-more".to_vec()), b"(secret)");
    }
}
