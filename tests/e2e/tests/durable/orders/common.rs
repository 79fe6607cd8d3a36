//! Helpers of the tests of orders, which read the outcomes of a run.

use axum::Router;
use cartwright::types::{BytesSource, CallError, Document, Memo, Outcome};
use cartwright::{Blobs, Digest, Failure, HandleResult, MemoryBlobs, SetupError, ShopId};
pub use cartwright_e2e::orders::{event, order, put};
use tokio::net::TcpListener;

/// Returns the contract's error that a plugin returned.
pub fn plugin_error(error: &SetupError) -> &CallError {
    let SetupError::Hook(hook) = error else { panic!("{error}") };
    let Failure::PluginError(plugin_error) = &hook.failure else { panic!("{error}") };
    plugin_error
}

pub fn is_unavailable(error: &SetupError) -> bool {
    matches!(plugin_error(error), CallError::Unavailable(_))
}

/// Returns the questions to the merchant, by key.
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

/// Returns ids of lines, with their vendor references.
pub fn references(outcomes: &[Outcome]) -> Vec<(Option<&str>, &str)> {
    let found = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::VendorReference(named) => Some((named.line.as_deref(), named.reference.as_str())),
        _ => None,
    });
    found.collect()
}

pub fn memos<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Vec<Memo> {
    let memo = |outcome: &Outcome| match outcome {
        Outcome::SetMemo(memo) => Some(memo.clone()),
        _ => None,
    };
    outcomes.into_iter().filter_map(memo).collect()
}

pub fn was_created(outcomes: &[Outcome]) -> bool {
    outcomes.iter().any(|outcome| matches!(outcome, Outcome::Production(_) | Outcome::LineStatus(_)))
}

/// Returns all texts of a run's result, as they would be stored or printed.
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

/// Returns a URL without a listener.
pub async fn unreachable_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    format!("http://{}/", listener.local_addr().expect("an address"))
}
