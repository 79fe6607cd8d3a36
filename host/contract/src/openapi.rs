//! Schemas of the contract's types for an OpenAPI 3.1 document.
//!
//! `utoipa` derives schemas from serde's attributes. This module adds what the attributes do not express: the formats
//! of ids, digests, timestamps and decimal numbers, and the ranges of integers.

use std::borrow::Cow;

use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Components, RefOr};
use utoipa::{Number, PartialSchema, ToSchema};

use crate::hook::Hook;
use crate::ids::{AccountId, Digest, PluginId, ShopId};
use crate::settings::Secret;

/// Adds what `utoipa` leaves out and serde enforces: the bounds of integers, which `utoipa` describes by a `format`
/// only, and the lengths of tuples. Call it once, after all schemas are registered.
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
                // Tuple elements are inline schemas, not references.
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

/// Adds to a derived schema the descriptions of the contract, and the rule that a case has no further members.
pub fn contract_schema(name: &str, mut schema: RefOr<Schema>) -> RefOr<Schema> {
    match &mut schema {
        RefOr::T(Schema::Object(object)) if matches!(name, "Money" | "Currency") => currency_and_scale(object),
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
    for name in ["currency", "code"] {
        if let Some(RefOr::T(Schema::Object(currency))) = object.properties.get_mut(name) {
            currency.pattern = Some("^[A-Z]{3}$".to_owned());
        }
    }
    if let Some(RefOr::T(Schema::Object(scale))) = object.properties.get_mut("scale") {
        scale.maximum = Some(Number::UInt(9));
    }
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// Builds the schema of a name: 1 to 64 characters, and neither "." nor "..".
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

/// Schema of the contract's `decimal`.
pub struct DecimalText;
/// Schema of the contract's `timestamp`, and of other points in time in that format.
pub struct TimestampText;
/// Schema of [`ipnet::IpNet`].
pub struct Network;
/// Schema of [`std::time::Duration`] as serde serializes it.
pub struct Span;
/// Schema of [`std::time::SystemTime`] as serde serializes it.
pub struct ClockTime;
/// Schema of a JSON object with any members.
pub struct AnyObject;

schemas! {
    ShopId, "ShopId": name("A shop of the commerce platform.");
    AccountId, "AccountId": name("An account of a shop.");
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
        .description(Some("A secret; it is accepted and never returned."))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
        .write_only(Some(true));
    DecimalText, "Decimal": text()
        .description(Some(
            "An exact decimal number: digits with at most one point, no exponent, no leading zeros, at most 28 digits.",
        ))
        .max_length(Some(30))
        .pattern(Some("^-?(0|[1-9][0-9]*)(\\.[0-9]+)?$"));
    TimestampText, "Timestamp": text()
        .description(Some("A point in time in UTC to the second (RFC 3339)."))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    Network, "Network": AnyOfBuilder::new()
        .description(Some("A range of IP addresses, as address/prefix."))
        .item(text().pattern(Some(concat!(
            "^((25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})\\.){3}(25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})",
            "/(3[0-2]|[0-2]?[0-9])$"
        ))))
        .item(text().pattern(Some("^[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*/(12[0-8]|1[01][0-9]|0?[0-9]{1,2})$")));
    Span, "Duration": pair("A duration.", "secs", "nanos");
    ClockTime, "SystemTime": pair("A point in time, counted from 1970-01-01 00:00 UTC.", "secs_since_epoch", "nanos_since_epoch");
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
