//! Fetches production files, for shops that produce themselves (Rest API, Order Production File).
//!
//! "Twikit will automatically create an internal order when this happens", and the request has no identifier by which
//! Twikit could recognize a repetition. So each line's file is requested once, and if the result is unknown the
//! merchant is asked.

use cartwright_plugin::exports::orders::{Next, OrderEvent};
use cartwright_plugin::types::{Audience, BytesSource, Context, Document, Outcome};
use cartwright_plugin::{CallError, http, message, not_configured};

use crate::fields::PAYLOAD_SECRET;
use crate::host::Host;
use crate::identifiers::Configured;
use crate::ledger::{self, Ledger};
use crate::payload::{Data, ExportPayload, export_body};
use crate::release::{is_still_wanted, request};
use crate::responses::{Code, TwikitResponse};
use crate::settings::Settings;

/// Twikit makes the files during the request.
const TIMEOUT_MS: u32 = 300_000;
/// Maximum size of a response with a result code. Shorter bodies are checked before they count as a file; longer ones
/// are not read, so that a file of any size bypasses the plugin's memory.
const MAX_RESPONSE_BYTES: u64 = 64 << 10;

/// Fetches the file of each line.
pub fn fetch(
    host: &mut dyn Host,
    context: &Context,
    event: &OrderEvent,
    ledger: &Ledger,
    lines: &[Configured<'_>],
) -> Result<Next, CallError> {
    let settings = Settings(context);
    let url = format!("{}/configuration/{}/export", settings.api_url()?, settings.integration_id()?);
    for Configured { line, configuration } in lines {
        let say = |key: &str, text: String| {
            message(
                key,
                format!("{}, configuration {configuration}: {text}", line.reference),
                &[("line", &line.reference)],
            )
        };
        // Another event must not repeat the request. A repetition of the same event is a merchant's restart, and thus a
        // decision.
        if ledger.unknown_export(&line.id).is_some_and(|unsure| unsure != event.id) {
            let text = "not requested again, because it is unknown whether Twikit created an order the last time.";
            host.emit(Outcome::Note(say("export-unsure", text.to_owned())))?;
            continue;
        }
        let payload = ExportPayload {
            configuration_id: *configuration,
            amount: line.cart_line.quantity,
            data: Data { reference: &line.reference },
        };
        let body = export_body(&payload, &mut |bytes| host.digest(bytes))?;
        if !is_still_wanted(host, &event.order, &[Configured { line, configuration: *configuration }])? {
            host.emit(Outcome::Note(say(
                "no-longer-released",
                "no file was requested: it must no longer be produced.".to_owned(),
            )))?;
            continue;
        }
        let response = host.send(request(url.clone(), body, TIMEOUT_MS, http::RetrySafety::NonIdempotent, true))?;
        match judge(host, response)? {
            ExportResult::File(digest) => {
                host.emit(Outcome::Document(Document {
                    line: Some(line.id.clone()),
                    kind: "production-file".to_owned(),
                    name: format!("twikit-{configuration}.zip"),
                    media_type: "application/zip".to_owned(),
                    content: BytesSource::Stored(digest),
                    // It is what the shop produces from.
                    audience: Audience::Merchant,
                    extra: Vec::new(),
                }))?;
                ledger::remember_exported(host, line)?;
            }
            ExportResult::WrongSecret(text) => {
                return Err(not_configured(
                    PAYLOAD_SECRET,
                    say("hash-refused", format!("Check the payload secret. {text}")),
                ));
            }
            ExportResult::Refused(text) => {
                host.emit(Outcome::NeedsMerchant(say(
                    "export-refused",
                    format!("Twikit returned no production file. {text}"),
                )))?;
            }
            ExportResult::Unknown(text) => {
                ledger::remember_unknown_export(host, &line.id, &event.id)?;
                let text = format!(
                    "no production file came, and Twikit may have created an order for it. {text}. Ask Twikit before it is \
                     tried again."
                );
                host.emit(Outcome::NeedsMerchant(say("export-unsure", text)))?;
            }
        }
    }
    Ok(Next::Done)
}

enum ExportResult {
    File(String),
    WrongSecret(String),
    Refused(String),
    Unknown(String),
}

/// Judges a response. "If all goes well, you will receive a response with http status 200. The body of the response
/// will contain a ZIP file. For all other failure paths the http status code will not be 200."
fn judge(host: &mut dyn Host, response: http::HttpResponse) -> Result<ExportResult, CallError> {
    let status = response.status;
    let body = match response.body {
        http::Body::Stored(stored) if status == 200 => {
            let kind = stored.media_type.as_deref().unwrap_or("").to_ascii_lowercase();
            let is_text = kind.starts_with("text/") || kind.contains("json");
            if stored.size > MAX_RESPONSE_BYTES && !is_text {
                return Ok(ExportResult::File(stored.digest));
            }
            let bytes = host.read(&stored.digest)?;
            // A ZIP file begins with the signature of its first entry, or of its end if it is empty.
            if bytes.starts_with(b"PK\x03\x04") {
                return Ok(ExportResult::File(stored.digest));
            }
            bytes
        }
        http::Body::Stored(stored) => host.read(&stored.digest)?,
        http::Body::Bytes(bytes) => bytes,
    };
    Ok(match TwikitResponse::read(&body) {
        Some(TwikitResponse { code: Code::HashEmpty | Code::HashMismatch, text }) => ExportResult::WrongSecret(text),
        // Code 0 leaves it open; with 1 and 2 an order exists, and yet there is no file.
        Some(TwikitResponse { code: Code::Created | Code::CreatedUnhealthy, text }) => ExportResult::Unknown(text),
        Some(TwikitResponse { code: Code::Unexpected | Code::Other(_), text }) if status >= 500 || status == 200 => {
            ExportResult::Unknown(format!("It responded with {status}, {text}"))
        }
        Some(TwikitResponse { text, .. }) => ExportResult::Refused(text),
        None if (400..500).contains(&status) && status != 408 => {
            ExportResult::Refused(format!("It responded with {status}"))
        }
        None => ExportResult::Unknown(format!("It responded with {status} and another body")),
    })
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
