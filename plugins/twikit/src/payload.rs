//! The payloads for Twikit, with the hash over exactly the text that is sent (Rest API).
//!
//! A payload is serialized once; the same text is hashed and put into the envelope. "This is sent intentionally as a
//! string to ensure consistent hash generation on both sides."

use cartwright_plugin::types::Address;
use cartwright_plugin::{CallError, internal};
use serde::Serialize;

/// `IOrderPayload`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderPayload<'a> {
    /// The ordered items.
    pub items: Vec<OrderItem<'a>>,
    /// Our identifier of the order. "Twikit will only process an order once."
    pub identifier: &'a str,
    /// The billing address.
    pub billing_address: OrderAddress<'a>,
    /// The delivery address.
    pub delivery_address: OrderAddress<'a>,
    /// "Will be sent back for validation." Not marked optional, so it is always sent.
    pub data: Data<'a>,
}

/// `IOrderItem`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderItem<'a> {
    /// The id from the save function.
    pub configuration_id: u64,
    /// "The amount to be produced."
    pub amount: u32,
    /// Our identifier of the line.
    pub identifier: &'a str,
}

/// `IOrderAddress`. The four optional members are omitted if they are empty.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderAddress<'a> {
    first_name: &'a str,
    last_name: &'a str,
    email: &'a str,
    address_line1: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address_line2: Option<&'a str>,
    zip: &'a str,
    city: &'a str,
    country_iso: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    company_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    company_vat: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a str>,
}

impl<'a> OrderAddress<'a> {
    /// Converts an address into Twikit's terms. Twikit requires both parts of a name. A name that the platform gives only
    /// whole is divided after its first word: together the parts are the whole name again.
    ///
    /// # Errors
    /// The names of required members that are empty. An empty postal code is accepted: some countries have none, and
    /// Twikit rejects it itself (result code 8) where one is required.
    pub fn new(address: &'a Address) -> Result<Self, Vec<&'static str>> {
        let (first_name, last_name) = name_parts(address);
        let required = [
            ("first name", first_name),
            ("last name", last_name),
            ("e-mail address", address.email.as_deref().unwrap_or_default()),
            ("street", address.line1.as_str()),
            ("city", address.city.as_str()),
            ("country", address.country.as_str()),
        ];
        let missing: Vec<_> =
            required.iter().filter(|(_, value)| value.trim().is_empty()).map(|(name, _)| *name).collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let optional = |value: &'a Option<String>| value.as_deref().filter(|text| !text.trim().is_empty());
        Ok(Self {
            first_name,
            last_name,
            email: address.email.as_deref().unwrap_or_default(),
            address_line1: &address.line1,
            address_line2: optional(&address.line2),
            zip: &address.zip,
            city: &address.city,
            // The document does not state the ISO 3166-1 form; alpha-2 is the common one.
            country_iso: &address.country,
            company_name: optional(&address.company),
            company_vat: optional(&address.vat),
            phone: optional(&address.phone),
        })
    }
}

/// Returns the first and the last name of an address; one that is missing is empty.
fn name_parts<'a>(address: &'a Address) -> (&'a str, &'a str) {
    let trimmed = |text: &'a Option<String>| text.as_deref().map_or("", str::trim);
    let (first, last) = (trimmed(&address.first_name), trimmed(&address.last_name));
    if !first.is_empty() && !last.is_empty() {
        return (first, last);
    }
    match trimmed(&address.name).split_once(char::is_whitespace) {
        Some((first, rest)) => (first, rest.trim_start()),
        None => (first, last),
    }
}

/// The data that Twikit returns with its query. It identifies an order that has no identifier of ours (a file export).
#[derive(Debug, Serialize)]
pub struct Data<'a> {
    /// The identifier of the order, or of the line whose file is fetched.
    pub reference: &'a str,
}

/// `IConfigExportPayload`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportPayload<'a> {
    /// The id from the save function.
    pub configuration_id: u64,
    /// "The amount of items that will be produced based on the file."
    pub amount: u32,
    /// "May be used to send extra (third-party) data."
    pub data: Data<'a>,
}

/// Returns the body of `POST /orders/{integration-id}`.
pub fn order_body(payload: &OrderPayload<'_>, digest: Digest<'_>) -> Result<Vec<u8>, CallError> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Envelope<'a> {
        order_payload: &'a str,
        hash: &'a str,
    }
    let (payload, hash) = hashed(payload, digest)?;
    text(&Envelope { order_payload: &payload, hash: &hash }).map(String::into_bytes)
}

/// Returns the body of `POST /configuration/{integration-id}/export`, where the payload's member has another name.
pub fn export_body(payload: &ExportPayload<'_>, digest: Digest<'_>) -> Result<Vec<u8>, CallError> {
    #[derive(Serialize)]
    struct Envelope<'a> {
        payload: &'a str,
        hash: &'a str,
    }
    let (payload, hash) = hashed(payload, digest)?;
    text(&Envelope { payload: &payload, hash: &hash }).map(String::into_bytes)
}

/// Returns MD5 of a text followed by the payload secret.
pub type Digest<'a> = &'a mut dyn FnMut(&[u8]) -> Result<Vec<u8>, CallError>;

fn hashed(payload: &impl Serialize, digest: Digest<'_>) -> Result<(String, String), CallError> {
    let payload = text(payload)?;
    // The document shows no hash; lower-case hex is MD5's common form.
    let hash = digest(payload.as_bytes())?.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((payload, hash))
}

fn text(value: &impl Serialize) -> Result<String, CallError> {
    serde_json::to_string(value).map_err(|error| internal(format!("cannot serialize a payload: {error}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::address;
    use serde_json::{Value, json};

    fn payload(address: &Address) -> OrderPayload<'_> {
        OrderPayload {
            items: vec![OrderItem { configuration_id: 7, amount: 2, identifier: "i:s:1:a" }],
            identifier: "i:s:1",
            billing_address: OrderAddress::new(address).unwrap(),
            delivery_address: OrderAddress::new(address).unwrap(),
            data: Data { reference: "i:s:1" },
        }
    }

    #[test]
    fn the_hash_is_over_exactly_the_text_that_is_sent() {
        let address = Address { first_name: Some("Zoë \"Z\" \u{1F48D}/".into()), ..address("") };
        let mut signed = Vec::new();
        let body = order_body(&payload(&address), &mut |bytes| {
            signed = bytes.to_vec();
            Ok(vec![0x00, 0x0F, 0xF0, 0xFF])
        })
        .unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["orderPayload"].as_str().unwrap().as_bytes(), signed);
        assert_eq!(body["hash"], "000ff0ff");
        assert_eq!(body.as_object().unwrap().len(), 2);
    }

    #[test]
    fn an_order_is_written_as_documented_and_leaves_out_what_is_optional() {
        let text = text(&payload(&address("An"))).unwrap();
        let person = json!({
            "firstName": "An", "lastName": "Peeters", "email": "x@shop.example", "addressLine1": "Kerkstraat 1",
            "zip": "2000", "city": "Antwerpen", "countryIso": "BE",
        });
        let expected = json!({
            "items": [{ "configurationId": 7, "amount": 2, "identifier": "i:s:1:a" }],
            "identifier": "i:s:1",
            "billingAddress": person,
            "deliveryAddress": person,
            "data": { "reference": "i:s:1" },
        });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    }

    #[test]
    fn optional_members_of_an_address_are_sent_when_there() {
        let full = Address {
            line2: Some("bus 3".into()),
            company: Some("Peeters bv".into()),
            vat: Some("BE0123456789".into()),
            phone: Some("+32 3 000 00 00".into()),
            ..address("An")
        };
        let value = serde_json::to_value(OrderAddress::new(&full).unwrap()).unwrap();
        assert_eq!(value["addressLine2"], "bus 3");
        assert_eq!(value["companyName"], "Peeters bv");
        assert_eq!(value["companyVat"], "BE0123456789");
        assert_eq!(value["phone"], "+32 3 000 00 00");
        let blank = Address { phone: Some(" ".into()), ..address("An") };
        assert!(serde_json::to_value(OrderAddress::new(&blank).unwrap()).unwrap().get("phone").is_none());
    }

    #[test]
    fn an_export_names_its_payload_otherwise() {
        let payload = ExportPayload { configuration_id: 7, amount: 1, data: Data { reference: "i:s:1:a" } };
        let mut signed = Vec::new();
        let body = export_body(&payload, &mut |bytes| {
            signed = bytes.to_vec();
            Ok(vec![1; 16])
        })
        .unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["payload"].as_str().unwrap().as_bytes(), signed);
        assert!(body.get("orderPayload").is_none());
    }

    #[test]
    fn a_whole_name_is_divided_after_its_first_word_where_its_parts_are_missing() {
        for ([name, first_name, last_name], expected) in [
            (["Jan van der Berg", "", ""], ["Jan", "van der Berg"]),
            (["  Anna\u{a0} Lee ", "", ""], ["Anna", "Lee"]),
            (["Jan Berg", "Jan", ""], ["Jan", "Berg"]),
            // The platform's parts count.
            (["Berg Jan", "Jan", "Berg"], ["Jan", "Berg"]),
            (["", " Jan ", "Berg"], ["Jan", "Berg"]),
        ] {
            let [name, first_name, last_name] = [name, first_name, last_name].map(|text| Some(text.to_owned()));
            let address = Address { name, first_name, last_name, ..address("") };
            let value = serde_json::to_value(OrderAddress::new(&address).unwrap()).unwrap();
            assert_eq!([&value["firstName"], &value["lastName"]], expected);
        }
        let one_word = Address { name: Some("Madonna".into()), first_name: None, last_name: None, ..address("") };
        assert_eq!(OrderAddress::new(&one_word).unwrap_err(), ["first name", "last name"]);
    }

    #[test]
    fn an_incomplete_address_names_what_is_missing() {
        let bare = Address { email: None, city: " ".into(), zip: String::new(), ..address("An") };
        assert_eq!(OrderAddress::new(&bare).unwrap_err(), ["e-mail address", "city"]);
    }
}
