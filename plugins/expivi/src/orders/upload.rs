//! Uploads a configuration: `POST configured_product/bundle`, which returns a number for each configured product.

use std::collections::BTreeMap;

use cartwright_plugin::json::{self, Code, RawValue};
use cartwright_plugin::types::OrderLine;
use cartwright_plugin::{CallError, message, rejected, truncate};

use super::Run;
use crate::api::{Api, Call, MAX_EXCERPT_CHARS, Token, parse_response};
use crate::host::Host;
use crate::raw::{bundle_uuid, json_string, raw_products};
use crate::saved::{Saved, whole};

/// The uploads of this run by the digest of the configuration, which several lines may share.
#[derive(Default)]
pub(super) struct Uploads(BTreeMap<String, Ids>);

/// The numbers of configured products, by uuid.
#[derive(Clone)]
pub(super) struct Ids {
    by_uuid: BTreeMap<String, String>,
    response_excerpt: String,
}

impl Ids {
    /// Returns the number of a configured product.
    pub(super) fn get(&self, uuid: &str) -> Option<&str> {
        self.by_uuid.get(uuid).map(String::as_str)
    }

    /// Returns the beginning of the response.
    pub(super) fn response_excerpt(&self) -> &str {
        &self.response_excerpt
    }
}

impl Uploads {
    /// Uploads a configuration, once per run.
    pub(super) fn get<H: Host>(&mut self, run: &mut Run<'_, H>, digest: &str, raw: &[u8]) -> Result<Ids, CallError> {
        if let Some(ids) = self.0.get(digest) {
            return Ok(ids.clone());
        }
        let products = raw_products(raw)?;
        // Null rather than "": Expivi rejects an empty text here.
        let bundle = bundle_uuid(raw, &products)?.map_or_else(|| "null".to_owned(), |uuid| json_string(&uuid));
        let products: Vec<&str> = products.iter().map(|product| product.get()).collect();
        let body = format!("{{\"bundle_uuid\":{bundle},\"configured_products\":[{}]}}", products.join(","));
        run.calls += 1;
        let call = Call::post("configured_product/bundle", body, Token::Server);
        let reply = Api { host: &mut *run.host, context: run.context }.call(call)?;
        let ids = read(&reply)?;
        self.0.insert(digest.to_owned(), ids.clone());
        Ok(ids)
    }
}

/// Parses the response. It is documented by an example that is not valid JSON: an object from uuid to number. Other
/// members are ignored.
fn read(reply: &[u8]) -> Result<Ids, CallError> {
    let response_excerpt = truncate(&String::from_utf8_lossy(reply), MAX_EXCERPT_CHARS);
    let members: BTreeMap<String, &RawValue> = parse_response(reply).map_err(|_| {
        let text = format!("Expivi's response to the upload is invalid: {response_excerpt}");
        rejected(message("upload-unreadable", text, &[]))
    })?;
    let by_uuid = members.into_iter().filter_map(|(uuid, member)| {
        let id: Code<'_> = json::read_part(member).ok()?;
        whole(id.as_str()).map(|id| (uuid, id.to_string()))
    });
    Ok(Ids { by_uuid: by_uuid.collect(), response_excerpt })
}

/// Returns the root that an order line stands for: the one with the id of the line's item; else the only root, or the
/// only root of the item's product.
pub(super) fn root_index(saved: &Saved<'_>, line: &OrderLine) -> Option<usize> {
    let item = line.cart_line.item.as_ref();
    if let Some(id) = item.and_then(|item| item.id.as_deref()) {
        return saved.products.iter().position(|product| product.uuid.as_str() == Some(id));
    }
    let roots = saved.products.iter().enumerate().filter(|(_, product)| product.parent_uuid.as_str().is_none());
    let product = item.map(|item| item.vendor_product.as_str());
    let all: Vec<usize> = roots.clone().map(|(place, _)| place).collect();
    if let [only] = all[..] {
        return Some(only);
    }
    let same: Vec<usize> = roots
        .filter(|(_, root)| product.is_some_and(|product| root.catalogue_id.to_string() == product))
        .map(|(place, _)| place)
        .collect();
    match same[..] {
        [only] => Some(only),
        _ => None,
    }
}
