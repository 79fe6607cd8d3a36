//! The operations of the HTTP API, and its OpenAPI description, which is generated from the same code.

mod accounts;
mod audit_log;
mod cart;
mod catalog;
mod health;
mod jobs;
mod keys;
mod links;
mod notifications;
mod order_list;
mod orders;
mod page;
mod personal_data;
mod plugins;
mod quotes;
mod shops;
mod webhooks;

use axum::middleware;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;

use super::idempotency;
use super::node::Node;
use super::problem::Problem;

const ABOUT: &str = "\
A platform that is not written in Rust runs Cartwright as a server. The platform stores its own carts and orders: each request about a \
cart sends the current lines, and its response says how to change them; each order event contains the current order.

Send an access key as `Authorization: Bearer`. Writes accept an `Idempotency-Key`: within a day, a repeated request with the same key \
gets the first response, if the request succeeded. Secrets are an exception, because each is shown once: a repeated request gets 409 \
with the problem `shown-once`, which says how to create another. Requests about a cart write nothing and accept no such key. \
Resources that several people can change have an `ETag` and accept `If-Match`. A cart line has its `key` instead: a line that \
changed has another key, and a key that the cart does not contain is refused. The platform owns its catalog: the last write \
wins. Money is an amount in minor units with its scale; times are RFC 3339 in UTC. Errors are problem details (RFC 9457) with the \
media type \
`application/problem+json`.";

/// Returns the operations, and the OpenAPI document that describes them.
pub(crate) fn routes(node: &Node) -> (axum::Router<Node>, OpenApi) {
    let mut schemas = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut schemas);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An access key.")).build();
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme("access_key", SecurityScheme::Http(bearer))
        .build();
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("Cartwright")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(format!("{ABOUT}\n\n{}", node.limits().settings())))
        .license(Some(license))
        .build();
    let document = OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new::<_, [&str; 0], _>("access_key", [])]))
        .build();
    let mut writing = OpenApiRouter::new()
        .merge(plugins::routes())
        .merge(shops::routes())
        .merge(accounts::routes())
        .merge(links::routes())
        .merge(catalog::routes())
        .merge(orders::routes())
        .merge(order_list::routes())
        .merge(personal_data::routes())
        .merge(jobs::routes())
        .merge(webhooks::routes())
        .merge(notifications::routes())
        .merge(audit_log::routes())
        .merge(health::routes())
        .merge(keys::routes())
        .merge(quotes::routes());
    idempotency::describe(writing.get_openapi_mut());
    let state = (node.clone(), idempotency::Bodies::of(writing.get_openapi()));
    let (router, mut document) = OpenApiRouter::with_openapi(document)
        .merge(writing.layer(middleware::from_fn_with_state(state, idempotency::idempotent)))
        // The responses contain what a shopper wrote, and carts are never stored here.
        .merge(cart::routes())
        .split_for_parts();
    if let Some(components) = &mut document.components {
        cartwright::openapi::complete(components);
    }
    (router, document)
}
