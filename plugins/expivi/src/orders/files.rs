//! Print files: requests conversions, polls them at growing intervals, and stores the files.
//!
//! The format of an entry of `files` is not public. A text that is a URL, and an object that contains one, are fetched;
//! any other entry is preserved in a note.

use cartwright_plugin::json::{self, Optional, RawValue, Text};
use cartwright_plugin::types::{Audience, BytesSource, Document, OrderLine, Outcome};
use cartwright_plugin::{CallError, ContextExt, message, rejected, truncate};
use serde::Deserialize;

use super::{PendingConversion, Run};
use crate::api::{Api, Call, MAX_EXCERPT_CHARS, Token, parse_response};
use crate::host::Host;
use crate::page::origin;
use crate::settings;

/// Maximum number of conversions that are polled in one round.
const CONVERSIONS_PER_ROUND: usize = 30;
/// Maximum number of polls, about three hours, before the merchant is asked.
const MAX_POLLS: u32 = 40;
/// Maximum interval between two polls, in seconds.
const MAX_POLL_DELAY_SECONDS: u32 = 300;

/// The members of a conversion that this plugin reads.
#[derive(Deserialize)]
struct Conversion<'a> {
    #[serde(borrow, default)]
    hash: Optional<Text<'a>>,
    #[serde(borrow, default)]
    status: Optional<Text<'a>>,
    #[serde(borrow)]
    files: Option<&'a RawValue>,
}

fn read(reply: &[u8]) -> Result<Conversion<'_>, CallError> {
    parse_response(reply).map_err(|_| {
        let excerpt = truncate(&String::from_utf8_lossy(reply), MAX_EXCERPT_CHARS);
        let text = format!("Expivi's response about a print file is invalid: {excerpt}");
        rejected(message("conversion-unreadable", text, &[]))
    })
}

/// Returns the seconds until the next poll: 5, doubling up to five minutes.
pub(super) fn delay(pending: &[PendingConversion]) -> u32 {
    let polls = pending.first().map_or(0, |first| first.polls).min(8);
    (5 << polls).min(MAX_POLL_DELAY_SECONDS)
}

impl<H: Host> Run<'_, H> {
    /// Requests the print file of one configured product.
    pub(super) fn request_files(
        &mut self,
        line: &OrderLine,
        configured_product: &str,
        media: u64,
        pending: &mut Vec<PendingConversion>,
    ) -> Result<(), CallError> {
        let context = self.context;
        let format = context.text("print-format").unwrap_or("pdf");
        let payload = context.text("print-attributes").unwrap_or("visible");
        let mut body = format!(
            "{{\"configured_product_id\":{configured_product},\"media_id\":{media},\"hide_print_marks\":{},\
             \"hide_placeholders\":{},\"attribute_payload\":\"{payload}\"",
            settings::is_enabled(context, "hide-print-marks"),
            settings::is_enabled(context, "hide-placeholders"),
        );
        for (name, setting) in [("dpi", "print-dpi"), ("resolution", "print-resolution")] {
            if let Some(number) = context.integer(setting) {
                body.push_str(&format!(",\"{name}\":{number}"));
            }
        }
        body.push('}');
        let call = Call::post(format!("svg/conversion/request/{format}"), body, Token::Server);
        self.calls += 1;
        let reply = Api { host: &mut *self.host, context }.call(call);
        let conversion = reply.as_deref().map_err(Clone::clone).and_then(read);
        match conversion {
            Err(error) => self.line_failed(line, error),
            Ok(Conversion { hash: Optional(Some(hash)), .. }) if is_hash(hash.as_str()) => {
                pending.push(PendingConversion { line: line.id.clone(), hash: hash.to_string(), polls: 0 });
                Ok(())
            }
            Ok(_) => {
                let text =
                    format!("Expivi accepted the request for the print file of the line {} without an id.", line.id);
                self.needs_merchant(message("conversion-unnamed", text, &[("line", &line.id)]))
            }
        }
    }

    /// Polls some of the conversions. Finished ones are fetched and leave the list; the others move to its end.
    pub(super) fn poll_conversions(&mut self, pending: &mut Vec<PendingConversion>) -> Result<(), CallError> {
        for mut conversion in pending.drain(..pending.len().min(CONVERSIONS_PER_ROUND)).collect::<Vec<_>>() {
            self.calls += 1;
            conversion.polls += 1;
            let call = Call::get(format!("svg/conversion/check/{}", conversion.hash), Token::Server);
            let reply = Api { host: &mut *self.host, context: self.context }.call(call);
            let parsed = reply.as_deref().map_err(Clone::clone).and_then(read);
            let (status, files) = match parsed {
                Ok(Conversion { status, files, .. }) => (status, files),
                Err(CallError::Rejected(why)) => {
                    self.conversion_failed(&conversion, &why.text)?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let status = status.as_str().unwrap_or_default();
            match status {
                "complete" => self.keep_files(&conversion, files)?,
                "failed" | "not_processing" => {
                    self.conversion_failed(&conversion, &format!("Expivi reports {status:?}."))?
                }
                _ if conversion.polls >= MAX_POLLS => {
                    self.conversion_failed(&conversion, &format!("It is still {status:?} after three hours."))?;
                }
                _ => pending.push(conversion),
            }
        }
        Ok(())
    }

    fn conversion_failed(&mut self, conversion: &PendingConversion, why: &str) -> Result<(), CallError> {
        let text = format!("There is no print file for the line {}. {why}", conversion.line);
        let words = [("line", conversion.line.as_str()), ("hash", conversion.hash.as_str())];
        // The next release of the line requests the files again.
        self.remember_requested_conversions(&conversion.line, "")?;
        self.needs_merchant(message("print-file-failed", text, &words))
    }

    fn keep_files(&mut self, conversion: &PendingConversion, files: Option<&RawValue>) -> Result<(), CallError> {
        // A value other than a list may be a single file.
        let entries = files.map_or_else(Vec::new, |files| json::read_part(files).unwrap_or_else(|_| vec![files]));
        if entries.is_empty() {
            return self.conversion_failed(conversion, "Expivi reports it as complete, without a file.");
        }
        for (index, entry) in entries.iter().enumerate() {
            match self.address(entry.get()) {
                Some((url, name)) => self.keep_file(conversion, index, &url, name)?,
                None => {
                    let shown = truncate(entry.get(), 2000);
                    let text = format!(
                        "Expivi describes a print file of the line {} in an unknown format: {shown}",
                        conversion.line
                    );
                    self.needs_merchant(message(
                        "print-file-unknown",
                        text,
                        &[("line", &conversion.line), ("file", &shown)],
                    ))?;
                }
            }
        }
        Ok(())
    }

    /// Returns the URL in an entry of `files`, and the name beside it.
    fn address(&self, entry: &str) -> Option<(String, Option<String>)> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Named {
            url: Option<String>,
            file: Option<String>,
            path: Option<String>,
            link: Option<String>,
            name: Option<String>,
        }
        let (text, name) = match serde_json::from_str::<String>(entry) {
            Ok(text) => (text, None),
            Err(_) => {
                let named: Named = serde_json::from_str(entry).ok()?;
                (named.url.or(named.file).or(named.link).or(named.path)?, named.name)
            }
        };
        if text.starts_with('/') && !text.starts_with("//") {
            return Some((format!("{}{text}", origin(&settings::api_url(self.context))?), name));
        }
        (text.starts_with("https://") || text.starts_with("http://")).then_some((text, name))
    }

    fn keep_file(
        &mut self,
        conversion: &PendingConversion,
        index: usize,
        url: &str,
        name: Option<String>,
    ) -> Result<(), CallError> {
        self.calls += 1;
        let why = match (Api { host: &mut *self.host, context: self.context }).fetch(url) {
            Ok(stored) => {
                let format = self.context.text("print-format").unwrap_or("pdf");
                let media_type = stored.media_type.unwrap_or_else(|| media_type(format).to_owned());
                return self.emit(Outcome::Document(Document {
                    line: Some(conversion.line.clone()),
                    kind: "print-file".to_owned(),
                    name: file_name(name.as_deref().unwrap_or(url), index, format),
                    media_type,
                    content: BytesSource::Stored(stored.digest),
                    // It is what the shop produces from.
                    audience: Audience::Merchant,
                    extra: Vec::new(),
                }));
            }
            Err(CallError::Rejected(why)) => why.text,
            Err(CallError::Denied(refusal) | CallError::LimitExceeded(refusal)) => refusal.text,
            Err(error) => return Err(error),
        };
        let text = format!(
            "The print file of the line {} is finished, but could not be fetched from {url}: {why}",
            conversion.line
        );
        self.needs_merchant(message("print-file-not-fetched", text, &[("line", &conversion.line), ("url", url)]))
    }
}

/// Returns whether a conversion's name is safe as a path segment.
fn is_hash(hash: &str) -> bool {
    (1..=200).contains(&hash.len()) && hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Returns a file name without folders, from a name or a URL.
fn file_name(text: &str, index: usize, format: &str) -> String {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let last = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe: String = last.chars().filter(|c| c.is_alphanumeric() || "-_. ".contains(*c)).take(100).collect();
    match safe.trim_matches(['.', ' ']) {
        "" => format!("print-{}.{format}", index + 1),
        name => name.to_owned(),
    }
}

fn media_type(format: &str) -> &'static str {
    match format {
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" => "image/jpeg",
        "webp" => "image/webp",
        "tiff" => "image/tiff",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
