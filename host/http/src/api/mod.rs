//! The HTTP API, and its description, which is made from the same code.

mod accounts;
pub mod audit_log;
mod cart;
mod catalog;
mod health;
pub mod jobs;
pub mod keys;
pub mod links;
pub mod notifications;
mod order_list;
mod orders;
mod page;
pub mod plugins;
mod quotes;
pub mod shops;
pub mod webhooks;

use axum::middleware;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;

use super::idempotency;
use super::node::Node;
use super::problem::Problem;

const ABOUT: &str = "\
A platform that is not written in Rust runs this beside itself. It keeps its own carts and orders: each request about a cart brings \
the lines as they are, and gets back what is to change; each event of an order brings the order as it is now.

Send an access key as `Authorization: Bearer`. Writes take an `Idempotency-Key`: the same request with the same key is answered as \
before, for a day, if it was done. A secret is shown once all the same: asked again, what made it is answered with 409 and the problem \
`shown-once`, which says how to make another. What is asked about a cart writes nothing, and takes no such key. What can be changed by several people has an `ETag`, and takes `If-Match`. A cart's \
line has its `key` instead: one that changed has another, and a key that the cart does not hold is refused. A catalogue is the \
platform's own: what it sent last holds. Money is an \
amount in minor units with its scale; times are RFC 3339 in UTC. What goes wrong is told as RFC 9457 says, with the media type \
`application/problem+json`.";

/// The operations, and the document that describes them.
pub(crate) fn routes(node: &Node) -> (axum::Router<Node>, OpenApi) {
    let mut schemas = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut schemas);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An access key.")).build();
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme("access_key", SecurityScheme::Http(bearer))
        .build();
    let licence = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("Cartwright")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(format!("{ABOUT}\n\n{}", node.limits().settings())))
        .license(Some(licence))
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
        // What a shopper wrote is in the answers, and nothing is written for carts.
        .merge(cart::routes())
        .split_for_parts();
    if let Some(components) = &mut document.components {
        cartwright::openapi::complete(components);
    }
    (router, document)
}
