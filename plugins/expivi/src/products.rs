//! Expivi's products, and the connection test: `GET catalogue`.

use cartwright_plugin::exports::account::{Diagnosis, Verdict};
use cartwright_plugin::exports::products::{Product, ProductList};
use cartwright_plugin::json::{Code, Optional, Text};
use cartwright_plugin::types::Context;
use cartwright_plugin::{CallError, ContextExt, message, rejected};
use serde::Deserialize;

use crate::api::{Api, Call, Token, parse_response, reading_token};
use crate::host::Host;
use crate::settings::{SERVER_TOKEN, VIEWER_TOKEN};

/// Maximum number of results of a search.
const MAX_SEARCH_RESULTS: usize = 200;

/// A JSON:API list.
#[derive(Deserialize)]
struct Catalog<'a> {
    #[serde(borrow)]
    data: Vec<Resource<'a>>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow)]
    id: Code<'a>,
    #[serde(borrow)]
    attributes: Option<Named<'a>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    name: Optional<Text<'a>>,
}

/// Finds products by a part of their name or id. Expivi documents neither a search nor pages, so this reads and filters
/// the whole list.
pub(crate) fn search<H: Host>(host: &mut H, context: &Context, text: &str) -> Result<ProductList, CallError> {
    let reply = Api { host, context }.call(Call::get("catalogue", reading_token(context)))?;
    let needle = text.trim().to_lowercase();
    let products = read(&reply)?
        .into_iter()
        .filter(|product| product.id.contains(&needle) || product.title.to_lowercase().contains(&needle));
    Ok(ProductList { products: products.take(MAX_SEARCH_RESULTS).collect(), cursor: None })
}

fn read(reply: &[u8]) -> Result<Vec<Product>, CallError> {
    let catalog: Catalog<'_> = parse_response(reply).map_err(|error| {
        rejected(message("catalogue-unreadable", format!("Expivi's catalog response is invalid: {error}."), &[]))
    })?;
    let products = catalog.data.into_iter().map(|resource| {
        let id = resource.id.to_string();
        let name = resource.attributes.and_then(|attributes| attributes.name.0).map(|name| name.to_string());
        Product { title: name.unwrap_or_else(|| id.clone()), id, thumbnail: None, extra: Vec::new() }
    });
    Ok(products.collect())
}

/// Tests the tokens by reading the catalog, which changes nothing. Write access of the server token cannot be tested
/// without writing, and is reported as untested.
pub(crate) fn diagnose<H: Host>(host: &mut H, context: &Context) -> Result<Vec<Diagnosis>, CallError> {
    let mut found = vec![try_token(host, context, Token::Viewer)?];
    if context.secret_is_set(SERVER_TOKEN) {
        found.push(try_token(host, context, Token::Server)?);
    } else {
        found.push(Diagnosis {
            check: message("check-server-token", "Server token", &[]),
            verdict: Verdict::NotTried,
            detail: Some(message(
                "server-token-absent",
                "It is not set: nothing is uploaded, and there are no print files.",
                &[],
            )),
        });
    }
    Ok(found)
}

fn try_token<H: Host>(host: &mut H, context: &Context, token: Token) -> Result<Diagnosis, CallError> {
    let (name, title) = match token {
        Token::Viewer => (VIEWER_TOKEN, "Read the catalog with the viewer's token"),
        Token::Server => (SERVER_TOKEN, "Read the catalog with the server token"),
    };
    let check = message(&format!("check-{name}"), title, &[]);
    let answer = Api { host, context }.call(Call::get("catalogue", token)).and_then(|reply| read(&reply));
    let (verdict, detail) = match answer {
        Ok(products) => {
            let count = products.len().to_string();
            let untried = match token {
                Token::Viewer => "",
                Token::Server => " Its write access cannot be tested without writing; the first upload will show it.",
            };
            (Verdict::Passed, message("catalogue-read", format!("{count} products.{untried}"), &[("count", &count)]))
        }
        Err(CallError::NotConfigured(issue)) | Err(CallError::InvalidInput(issue)) => (Verdict::Failed, issue.message),
        Err(CallError::Rejected(message)) => (Verdict::Failed, message),
        Err(CallError::Unavailable(outage)) => (Verdict::Failed, message("vendor-unreachable", outage.detail, &[])),
        Err(CallError::Denied(refusal)) => (Verdict::Failed, message("host-denied", refusal.text, &[])),
        Err(error) => return Err(error),
    };
    Ok(Diagnosis { check, verdict, detail: Some(detail) })
}

#[cfg(test)]
mod tests;
