//! What the types look like as JSON: their schemas for an OpenAPI 3.1 document.
//!
//! `utoipa` reads what serde's attributes say. What they do not say stands here: ids, digests, moments and decimal numbers, which
//! are texts of a certain form, and how large an integer may be.

use std::borrow::Cow;

use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Components, RefOr};
use utoipa::{Number, PartialSchema, ToSchema};

use crate::hook::Hook;
use crate::ids::{AccountId, Digest, PluginId, ShopId};
use crate::settings::Secret;

/// Says what `utoipa` leaves out and `serde` insists on: the bounds of integers, which stand there as a mere `format`, and how many
/// elements a tuple has. Called once, when all schemas are there.
pub fn complete(components: &mut Components) {
    components.schemas.values_mut().for_each(bound);
}

fn bound(schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => {
            bound_object(object);
            object.properties.values_mut().for_each(bound);
            if let Some(additional) = &mut object.additional_properties
                && let AdditionalProperties::RefOr(schema) = &mut **additional
            {
                bound(schema);
            }
        }
        Schema::Array(array) => {
            if let utoipa::openapi::schema::ArrayItems::RefOrSchema(items) = &mut array.items {
                bound(items);
            }
            if !array.prefix_items.is_empty() {
                array.min_items = Some(array.prefix_items.len());
                array.max_items = Some(array.prefix_items.len());
            }
            for item in &mut array.prefix_items {
                // These are not behind a reference.
                let mut place = RefOr::T(std::mem::take(item));
                bound(&mut place);
                if let RefOr::T(bounded) = place {
                    *item = bounded;
                }
            }
        }
        Schema::OneOf(one_of) => one_of.items.iter_mut().for_each(bound),
        Schema::AllOf(all_of) => all_of.items.iter_mut().for_each(bound),
        Schema::AnyOf(any_of) => any_of.items.iter_mut().for_each(bound),
        _ => {}
    }
}

fn bound_object(object: &mut Object) {
    let Some(SchemaFormat::KnownFormat(format)) = &object.format else { return };
    let (least, most) = match format {
        KnownFormat::UInt8 => (Number::UInt(0), Number::UInt(u8::MAX.into())),
        KnownFormat::UInt16 => (Number::UInt(0), Number::UInt(u16::MAX.into())),
        KnownFormat::UInt32 => (Number::UInt(0), Number::UInt(u32::MAX as usize)),
        KnownFormat::UInt64 => (Number::UInt(0), Number::UInt(usize::MAX)),
        KnownFormat::Int64 => (Number::Int(isize::MIN), Number::Int(isize::MAX)),
        _ => return,
    };
    object.minimum.get_or_insert(least);
    object.maximum.get_or_insert(most);
}

/// The name of a type of the contract: the one that it has in [`records`](crate::records), where two interfaces use the same.
pub fn contract_name(module: &'static str, name: &'static str) -> Cow<'static, str> {
    let interface = module.rsplit("::").next().unwrap_or_default();
    Cow::Borrowed(match (interface, name) {
        ("cart", "Request") => "PlanRequest",
        ("http", "Request") => "HttpRequest",
        ("http", "Response") => "HttpResponse",
        ("orders", "Kind") => "EventKind",
        ("page", "Call") => "PageCall",
        ("page", "Event") => "PageEvent",
        ("webhooks", "Hmac") => "WebhookHmac",
        ("webhooks", "Request") => "WebhookRequest",
        ("webhooks", "Response") => "WebhookResponse",
        _ => name,
    })
}

/// What the contract says of a type in words, and its Rust form does not; and that a case has nothing beside it.
pub fn contract_schema(name: &str, mut schema: RefOr<Schema>) -> RefOr<Schema> {
    match &mut schema {
        RefOr::T(Schema::Object(object)) if matches!(name, "Money" | "Context") => currency_and_scale(object),
        RefOr::T(Schema::OneOf(cases)) => cases.items.iter_mut().for_each(alone),
        _ => {}
    }
    schema
}

fn alone(case: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(object)) = case
        && !object.properties.is_empty()
    {
        object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    }
}

fn currency_and_scale(object: &mut Object) {
    if let Some(RefOr::T(Schema::Object(currency))) = object.properties.get_mut("currency") {
        currency.pattern = Some("^[A-Z]{3}$".to_owned());
    }
    if let Some(RefOr::T(Schema::Object(scale))) = object.properties.get_mut("scale") {
        scale.maximum = Some(Number::UInt(9));
    }
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// 1 to 64 characters, and neither "." nor "..".
fn name(description: &str) -> ObjectBuilder {
    const PATTERN: &str = "^([A-Za-z0-9_-][A-Za-z0-9._-]*|\\.[A-Za-z0-9_-][A-Za-z0-9._-]*|\\.\\.[A-Za-z0-9._-]+)$";
    text().description(Some(description)).min_length(Some(1)).max_length(Some(64)).pattern(Some(PATTERN))
}

macro_rules! schemas {
    ($($type:ty, $name:literal: $schema:expr;)*) => {
        $(
            impl PartialSchema for $type {
                fn schema() -> RefOr<Schema> {
                    $schema.into()
                }
            }

            impl ToSchema for $type {
                fn name() -> Cow<'static, str> {
                    Cow::Borrowed($name)
                }
            }
        )*
    };
}

/// Stands for the contract's `decimal`.
pub struct DecimalText;
/// Stands for the contract's `timestamp`, and for moments that are written as one.
pub struct Moment;
/// Stands for [`ipnet::IpNet`].
pub struct Network;
/// Stands for [`std::time::Duration`] as serde writes it.
pub struct Span;
/// Stands for [`std::time::SystemTime`] as serde writes it.
pub struct ClockTime;
/// Stands for a JSON object of any members.
pub struct AnyObject;

schemas! {
    ShopId, "ShopId": name("A shop of the commerce platform.");
    AccountId, "AccountId": name("A vendor account of a shop.");
    PluginId, "PluginId": name("A plugin, the same for all its versions.");
    Digest, "Digest": text()
        .description(Some("SHA-256 in lower-case hex."))
        .min_length(Some(64))
        .max_length(Some(64))
        .pattern(Some("^[0-9a-f]{64}$"));
    Hook, "Hook": text()
        .description(Some("A function of the contract that the host calls."))
        .enum_values(Some(Hook::ALL.iter().map(|hook| hook.name())));
    Secret, "Secret": text()
        .description(Some("A secret: it is taken and never given back."))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
        .write_only(Some(true));
    DecimalText, "Decimal": text()
        .description(Some("An exact decimal number: digits with at most one point, no exponent, at most 28 digits."))
        .max_length(Some(30))
        .pattern(Some("^-?[0-9]+(\\.[0-9]+)?$"));
    Moment, "Timestamp": text()
        .description(Some("A moment in UTC, RFC 3339."))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    Network, "Network": AnyOfBuilder::new()
        .description(Some("Addresses as address/prefix."))
        .item(text().pattern(Some(concat!(
            "^((25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})\\.){3}(25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})",
            "/(3[0-2]|[0-2]?[0-9])$"
        ))))
        .item(text().pattern(Some("^[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*/(12[0-8]|1[01][0-9]|0?[0-9]{1,2})$")));
    Span, "Duration": pair("A span of time.", "secs", "nanos");
    ClockTime, "SystemTime": pair("A moment, from 1970 in UTC on.", "secs_since_epoch", "nanos_since_epoch");
    AnyObject, "AnyObject": ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::FreeForm(true)));
}

fn pair(description: &str, seconds: &str, nanos: &str) -> ObjectBuilder {
    let integer = |format, most| {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Integer))
            .format(Some(SchemaFormat::KnownFormat(format)))
            .minimum(Some(Number::UInt(0)))
            .maximum(most)
    };
    ObjectBuilder::new()
        .description(Some(description))
        .property(seconds, integer(KnownFormat::UInt64, None))
        .required(seconds)
        .property(nanos, integer(KnownFormat::UInt32, Some(Number::UInt(999_999_999))))
        .required(nanos)
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
}
