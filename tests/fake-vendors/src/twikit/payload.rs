//! Reads requests: the signed parameter, then the payload in it, by the document's types.
//!
//! Required texts must not be empty, and optional ones must be omitted rather than null: the document's types say text,
//! and the stricter reading is the one that is safe to build on.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use md5::{Digest, Md5};
use serde_json::{Map, Value};

use super::codes::{Outcome, ResultCode};
use super::orders::OrderItem;

/// Returns `md5(payload + payload-secret)` over the exact bytes, in lower-case hex.
pub fn payload_hash(payload: &str, payload_secret: &str) -> String {
    hex::encode(Md5::new().chain_update(payload).chain_update(payload_secret).finalize())
}

/// Returns the payload string under `name`, after its hash was verified.
pub(super) fn signed(
    headers: &HeaderMap,
    body: &[u8],
    name: &str,
    secret: &str,
) -> Result<Map<String, Value>, Outcome> {
    let json = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let request = match serde_json::from_slice(body) {
        Ok(Value::Object(request)) if json.split(';').next() == Some("application/json") => request,
        _ => {
            let outcome = Outcome::new(ResultCode::UnexpectedError, "The request body is not a JSON object.");
            return Err(outcome.with_status(StatusCode::BAD_REQUEST));
        }
    };
    // An object in place of the string has no exact bytes to hash, so it counts as missing.
    let payload = request.get(name).and_then(Value::as_str).filter(|payload| !payload.is_empty());
    let payload = payload.ok_or_else(|| {
        Outcome::new(ResultCode::OrderPayloadParameterMissing, format!("`{name}` must be a string with the payload."))
    })?;
    let hash = request.get("hash").and_then(Value::as_str).unwrap_or_default();
    if hash.is_empty() {
        return Err(Outcome::new(ResultCode::HashParameterEmpty, "`hash` is empty."));
    }
    if hash != payload_hash(payload, secret) {
        return Err(Outcome::new(ResultCode::Md5HashMismatch, format!("`hash` does not match `{name}`.")));
    }
    match serde_json::from_str(payload) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(Outcome::new(ResultCode::OrderPayloadParsingFailed, format!("`{name}` holds no JSON object."))),
    }
}

/// `IOrderPayload`, as far as this fake needs it.
pub(super) struct OrderPayload {
    pub(super) identifier: String,
    pub(super) items: Vec<OrderItem>,
}

impl OrderPayload {
    pub(super) fn read(fields: &Map<String, Value>) -> Result<Self, Outcome> {
        let top = Fields { at: "", fields };
        let identifier = top.text("identifier")?;
        let items = fields.get("items").and_then(Value::as_array).filter(|items| !items.is_empty());
        let items = items.ok_or_else(|| top.wrong("items", "a list with items"))?;
        let items = items.iter().enumerate().map(|(index, item)| {
            let at = format!("items[{index}].");
            let item = Fields::of(&at, item)?;
            Ok(OrderItem {
                configuration_id: item.count("configurationId")?,
                amount: item.count("amount")?,
                identifier: item.text("identifier")?,
            })
        });
        let items = items.collect::<Result<_, Outcome>>()?;
        for name in ["billingAddress", "deliveryAddress"] {
            let at = format!("{name}.");
            Fields::of(&at, fields.get(name).unwrap_or(&Value::Null))?.address()?;
        }
        // "data: any" is not marked optional, unlike other fields: null is any, but absent is not.
        if !fields.contains_key("data") {
            return Err(top.wrong("data", "there, if only as null"));
        }
        Ok(Self { identifier, items })
    }
}

/// `IConfigExportPayload`.
pub(super) struct ExportPayload {
    pub(super) configuration_id: u64,
    pub(super) amount: u64,
}

impl ExportPayload {
    pub(super) fn read(fields: &Map<String, Value>) -> Result<Self, Outcome> {
        let top = Fields { at: "", fields };
        match fields.get("data") {
            None | Some(Value::Object(_) | Value::String(_)) => {}
            Some(_) => return Err(top.wrong("data", "an object or a string, or absent")),
        }
        Ok(Self { configuration_id: top.count("configurationId")?, amount: top.count("amount")? })
    }
}

/// One object of the payload, and its path for messages.
struct Fields<'a> {
    at: &'a str,
    fields: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    fn of(at: &'a str, value: &'a Value) -> Result<Self, Outcome> {
        let name = at.trim_end_matches('.');
        let message = format!("`{name}` must be an object.");
        let fields =
            value.as_object().ok_or_else(|| Outcome::new(ResultCode::OrderPayloadValidationFailed, message))?;
        Ok(Self { at, fields })
    }

    fn wrong(&self, name: &str, what: &str) -> Outcome {
        let message = format!("`{}{name}` must be {what}.", self.at);
        Outcome::new(ResultCode::OrderPayloadValidationFailed, message)
    }

    fn text(&self, name: &str) -> Result<String, Outcome> {
        let text = self.fields.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
        text.map(str::to_owned).ok_or_else(|| self.wrong(name, "a text that is not empty"))
    }

    /// Returns a positive whole number, written as a JSON number.
    fn count(&self, name: &str) -> Result<u64, Outcome> {
        let number = self.fields.get(name).and_then(Value::as_u64).filter(|number| *number > 0);
        number.ok_or_else(|| self.wrong(name, "a whole number above zero"))
    }

    fn address(&self) -> Result<(), Outcome> {
        for name in ["firstName", "lastName", "email", "addressLine1", "zip", "city", "countryIso"] {
            self.text(name)?;
        }
        for name in ["addressLine2", "companyName", "companyVat", "phone"] {
            if self.fields.get(name).is_some_and(|value| !value.is_string()) {
                return Err(self.wrong(name, "a text, or absent"));
            }
        }
        // The document does not state the ISO code: two and three letters both pass, a country's name does not.
        let country = self.text("countryIso")?;
        if !(2..=3).contains(&country.len()) || !country.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(self.wrong("countryIso", "an ISO country code"));
        }
        Ok(())
    }
}
