//! What the tests of orders share: reading what a run said.

use axum::Router;
use cartwright::types::{BytesSource, Document, Error, Outcome, RememberedText};
use cartwright::{Blobs, Digest, Failure, HandleResult, MemoryBlobs, SetupError, ShopId};
pub use cartwright_e2e::orders::{event, order};
use tokio::net::TcpListener;

/// The contract's error that a plugin answered with.
pub fn plugin_error(error: &SetupError) -> &Error {
    let SetupError::Hook(hook) = error else { panic!("{error}") };
    let Failure::PluginError(plugin_error) = &hook.failure else { panic!("{error}") };
    plugin_error
}

pub fn is_unavailable(error: &SetupError) -> bool {
    matches!(plugin_error(error), Error::Unavailable(_))
}

/// What a person at the shop is asked about, by key.
pub fn merchant_questions(outcomes: &[Outcome]) -> Vec<&str> {
    let found = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::NeedsMerchant(message) => Some(message.key.as_str()),
        _ => None,
    });
    found.collect()
}

pub fn notes(outcomes: &[Outcome]) -> Vec<&str> {
    let found = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Note(message) => Some(message.key.as_str()),
        _ => None,
    });
    found.collect()
}

pub fn documents(outcomes: &[Outcome]) -> Vec<&Document> {
    let found = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Document(document) => Some(document),
        _ => None,
    });
    found.collect()
}

/// Ids of lines, with the vendor's ids for them.
pub fn references(outcomes: &[Outcome]) -> Vec<(Option<&str>, &str)> {
    let found = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::VendorReference(named) => Some((named.line.as_deref(), named.reference.as_str())),
        _ => None,
    });
    found.collect()
}

pub fn remembered<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Vec<RememberedText> {
    let memory = |outcome: &Outcome| match outcome {
        Outcome::Remember(memory) => Some(memory.clone()),
        _ => None,
    };
    outcomes.into_iter().filter_map(memory).collect()
}

pub fn was_created(outcomes: &[Outcome]) -> bool {
    outcomes.iter().any(|outcome| matches!(outcome, Outcome::Production(_) | Outcome::LineStatus(_)))
}

/// Everything that a run says, as it would be stored or printed.
pub fn all_texts(result: &Result<HandleResult, SetupError>) -> String {
    match result {
        Ok(handled) => {
            let outcomes = serde_json::to_string(&handled.outcomes).expect("JSON");
            let log = serde_json::to_string(&handled.log).expect("JSON");
            format!("{outcomes} {log} {handled:?}")
        }
        Err(error) => format!("{error} {error:?}"),
    }
}

pub async fn blob(blobs: &MemoryBlobs, shop: &ShopId, document: &Document) -> Vec<u8> {
    let BytesSource::Stored(digest) = &document.content else { panic!("{document:?}") };
    let digest: Digest = digest.parse().expect("a digest");
    blobs.get(shop, &digest).await.expect("a store").expect("the blob")
}

pub async fn listen(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}

/// An address at which nobody listens.
pub async fn unreachable_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    format!("http://{}/", listener.local_addr().expect("an address"))
}
