//! The meaning of Twikit's responses (Rest API, Create Order: response).

use cartwright_plugin::types::Message;
use cartwright_plugin::{CallError, http, json, message, not_configured, outage, rejected, truncate};
use serde::Deserialize;
use serde_json::Value;

use crate::fields::{API_URL, INTEGRATION_ID, PAYLOAD_SECRET};

/// The defined result codes. "More resultcodes might be added but once defined they should never change."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// 0, "the catch all for not yet finer defined errors".
    Unexpected,
    /// 1.
    Created,
    /// 2, "created but could not be verified".
    CreatedUnhealthy,
    /// 3, "webhook verification declared the order invalid".
    VerificationFailed,
    /// 4.
    PayloadParsingFailed,
    /// 5.
    HashEmpty,
    /// 6.
    HashMismatch,
    /// 7.
    ParameterMissing,
    /// 8.
    ValidationFailed,
    /// 9, the identifier of the order or of an item "is already in use".
    IdentifierExists,
    /// 10.
    ConfigurationNotFound,
    /// A code that 1.1.2 does not define.
    Other(u64),
}

impl From<u64> for Code {
    fn from(code: u64) -> Self {
        match code {
            0 => Self::Unexpected,
            1 => Self::Created,
            2 => Self::CreatedUnhealthy,
            3 => Self::VerificationFailed,
            4 => Self::PayloadParsingFailed,
            5 => Self::HashEmpty,
            6 => Self::HashMismatch,
            7 => Self::ParameterMissing,
            8 => Self::ValidationFailed,
            9 => Self::IdentifierExists,
            10 => Self::ConfigurationNotFound,
            other => Self::Other(other),
        }
    }
}

/// A JSON response: `{ resultMessage, resultCode, resultCodeName }`.
#[derive(Debug, Clone, PartialEq)]
pub struct TwikitResponse {
    /// The result.
    pub code: Code,
    /// Code, name and message in Twikit's words, for people.
    pub text: String,
}

/// Maximum number of characters of Twikit's texts that messages quote.
pub const MAX_CHARACTERS: usize = 500;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    result_code: u64,
    /// For people only; decisions depend on the code.
    #[serde(default)]
    result_message: Value,
    #[serde(default)]
    result_code_name: Value,
}

impl TwikitResponse {
    /// Parses a body; `None` if it has no result code.
    pub fn read(body: &[u8]) -> Option<Self> {
        let body: Body = json::read(body).ok()?;
        let words = |value: &Value| truncate(value.as_str().unwrap_or(""), MAX_CHARACTERS);
        let (number, name) = (body.result_code, words(&body.result_code_name));
        let text = format!("result code {number} {name} {}", words(&body.result_message));
        Some(Self { code: Code::from(number), text: text.trim_end().to_owned() })
    }
}

/// The consequence of a response to `POST /orders`.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The order was created, now or by an earlier attempt whose response was lost.
    Created {
        /// Whether only an earlier response was lost.
        is_earlier: bool,
    },
    /// The order was created, and will not start on its own.
    Unhealthy(Message),
    /// The order was not created, and a person must act.
    Refused(Message),
    /// The order was not created, and the hook stops with this error.
    Fail(CallError),
    /// The result is unknown, and the request must be repeated. The identifier prevents a second order.
    Retry(CallError),
}

/// Judges a response to `POST /orders`. `answered` is the number of earlier attempts that Twikit answered with a
/// rejection; the responses of all other earlier attempts were lost.
pub fn judge(response: &http::HttpResponse, answered: u32) -> Verdict {
    let status = response.status;
    let http::Body::Bytes(body) = &response.body else {
        return Verdict::Retry(outage("the host stored Twikit's response instead of returning it", None));
    };
    let Some(TwikitResponse { code, text }) = TwikitResponse::read(body) else { return judge_status(response) };
    let say = |key: &str, what: &str| message(key, format!("{what} Twikit says: {text}"), &[("answer", &text)]);
    match code {
        Code::Created => Verdict::Created { is_earlier: false },
        Code::CreatedUnhealthy => Verdict::Unhealthy(say(
            "order-unhealthy",
            "The order was created at Twikit's, but could not be verified: it does not start by itself. Twikit will contact \
             you. Check that the Payment Verification webhook is configured with this shop's address.",
        )),
        Code::VerificationFailed => Verdict::Refused(say(
            "verification-failed",
            "Twikit asked at the Payment Verification webhook and was told that the order is not valid, so it ignores the \
             order. Check that the webhook is configured with this shop's address.",
        )),
        Code::PayloadParsingFailed => {
            Verdict::Fail(rejected(say("payload-refused", "Twikit could not read the order.")))
        }
        Code::ParameterMissing => Verdict::Fail(rejected(say("payload-refused", "Twikit could not create the order."))),
        Code::ValidationFailed => {
            Verdict::Fail(rejected(say("payload-incomplete", "The order lacks data that Twikit requires.")))
        }
        Code::HashEmpty => Verdict::Fail(not_configured(
            PAYLOAD_SECRET,
            say("hash-refused", "Twikit found no hash. Check the payload secret."),
        )),
        Code::HashMismatch => Verdict::Fail(not_configured(
            PAYLOAD_SECRET,
            say("hash-refused", "The payload secret differs from Twikit's. Copy it from the publisher."),
        )),
        Code::IdentifierExists if response.attempts.saturating_sub(1) > answered => {
            Verdict::Created { is_earlier: true }
        }
        Code::IdentifierExists => Verdict::Refused(say(
            "identifier-exists",
            "Twikit already has an order with this identifier, and it was not created by this attempt. Ask Twikit which \
             order it is before anything is sent again.",
        )),
        Code::ConfigurationNotFound => {
            Verdict::Refused(say("configuration-not-found", "Twikit does not know a configuration of this order."))
        }
        Code::Unexpected if status >= 500 => {
            Verdict::Retry(outage(format!("Twikit responded with {status}: {text}"), None))
        }
        Code::Unexpected => Verdict::Refused(say("unexpected-error", "Twikit did not create the order.")),
        Code::Other(_) => Verdict::Refused(say(
            "unknown-result",
            "Twikit responded with a result that is unknown to this version. Ask Twikit whether the order was created.",
        )),
    }
}

/// Judges a response without a result code, which does not come from Twikit's application but from a proxy or gateway.
fn judge_status(response: &http::HttpResponse) -> Verdict {
    let status = response.status;
    let text = format!("Twikit responded with {status} without a result code");
    let parameters = [("status", status.to_string())];
    let say = |key: &str, hint: &str| {
        message(key, format!("{text}. {hint}"), &parameters.each_ref().map(|(name, value)| (*name, value.as_str())))
    };
    match status {
        // The order may exist although the response is broken; the identifier makes a repetition safe.
        200..=299 | 408 | 425 | 429 | 500.. => Verdict::Retry(outage(text, retry_after(response))),
        404 => {
            Verdict::Fail(not_configured(INTEGRATION_ID, say("not-found", "Check the integration ID and the API URL.")))
        }
        300..=399 => Verdict::Fail(not_configured(API_URL, say("redirected", "Check the API URL."))),
        _ => Verdict::Fail(rejected(say("refused", "Check the API URL and the integration ID."))),
    }
}

fn retry_after(response: &http::HttpResponse) -> Option<u32> {
    let (_, value) = response.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{answer, response};

    fn refusal_message(response: &http::HttpResponse) -> Message {
        match judge(response, 0) {
            Verdict::Refused(message) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn code_0_is_tried_again_only_after_a_server_error() {
        assert!(matches!(judge(&answer(500, 0), 0), Verdict::Retry(CallError::Unavailable(_))));
        assert_eq!(refusal_message(&answer(400, 0)).key, "unexpected-error");
        assert_eq!(refusal_message(&answer(200, 0)).key, "unexpected-error");
    }

    #[test]
    fn code_1_is_created() {
        assert_eq!(judge(&answer(200, 1), 0), Verdict::Created { is_earlier: false });
    }

    #[test]
    fn code_2_is_created_and_needs_the_merchant() {
        assert!(matches!(judge(&answer(200, 2), 0), Verdict::Unhealthy(message) if message.key == "order-unhealthy"));
    }

    #[test]
    fn code_3_is_refused() {
        assert_eq!(refusal_message(&answer(400, 3)).key, "verification-failed");
    }

    #[test]
    fn codes_4_7_and_8_stop_as_rejected() {
        for code in [4, 7, 8] {
            let verdict = judge(&answer(400, code), 0);
            let Verdict::Fail(CallError::Rejected(message)) = verdict else { panic!("{verdict:?}") };
            assert!(message.text.contains(&format!("message of {code}")), "{}", message.text);
        }
    }

    #[test]
    fn codes_5_and_6_name_the_payload_secret() {
        for code in [5, 6] {
            let verdict = judge(&answer(400, code), 0);
            assert!(matches!(verdict, Verdict::Fail(CallError::NotConfigured(issue)) if issue.field == PAYLOAD_SECRET));
        }
    }

    #[test]
    fn code_9_is_ours_only_after_an_attempt_whose_answer_was_lost() {
        assert_eq!(refusal_message(&answer(400, 9)).key, "identifier-exists");
        let second = http::HttpResponse { attempts: 2, ..answer(400, 9) };
        assert_eq!(judge(&second, 0), Verdict::Created { is_earlier: true });
        // The first attempt was rejected and created nothing, so the identifier is taken by another order.
        assert!(matches!(judge(&second, 1), Verdict::Refused(_)));
        let third = http::HttpResponse { attempts: 3, ..answer(400, 9) };
        assert_eq!(judge(&third, 1), Verdict::Created { is_earlier: true });
    }

    #[test]
    fn code_10_is_refused() {
        assert_eq!(refusal_message(&answer(400, 10)).key, "configuration-not-found");
    }

    #[test]
    fn an_unknown_code_keeps_its_number_and_its_message() {
        let message = refusal_message(&answer(500, 42));
        assert_eq!(message.key, "unknown-result");
        assert!(message.text.contains("result code 42 Name42 message of 42"), "{}", message.text);
    }

    #[test]
    fn nonsense_is_asked_again_when_the_order_may_have_been_created() {
        for (status, body) in
            [(200, "<html>"), (200, ""), (200, "{}"), (200, r#"{"resultCode":"1"}"#), (502, "bad gateway")]
        {
            assert!(
                matches!(judge(&response(status, body), 0), Verdict::Retry(CallError::Unavailable(_))),
                "{status} {body}"
            );
        }
    }

    #[test]
    fn a_time_to_wait_is_kept() {
        let mut busy = response(429, "");
        busy.headers.push(("retry-after".into(), "120".into()));
        let verdict = judge(&busy, 0);
        assert!(
            matches!(verdict, Verdict::Retry(CallError::Unavailable(outage)) if outage.retry_after_seconds == Some(120))
        );
    }

    #[test]
    fn refusals_without_a_code_say_what_to_check() {
        for (status, field) in [(404, INTEGRATION_ID), (301, API_URL)] {
            let verdict = judge(&response(status, "<html>"), 0);
            assert!(
                matches!(verdict, Verdict::Fail(CallError::NotConfigured(issue)) if issue.field == field),
                "{status}"
            );
        }
        assert!(matches!(judge(&response(401, ""), 0), Verdict::Fail(CallError::Rejected(_))));
    }

    #[test]
    fn a_long_message_is_cut() {
        let body = format!(r#"{{"resultCode":0,"resultMessage":"{}"}}"#, "é".repeat(10_000));
        assert!(refusal_message(&response(400, &body)).text.chars().count() < 700);
    }
}
