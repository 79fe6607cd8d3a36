//! Starts the host of an installation on a node.

use std::path::PathBuf;
use std::sync::Arc;

use cartwright::health::Rules;
use cartwright::{Cartwright, Observer};
use cartwright_store::{Installation, Store};

/// Actor of the audit entries of a starting node.
const ACTOR: &str = "host";

/// Starts the host of an installation with everything that is stored, and installs the bundled plugins.
///
/// # Errors
/// Returns an error if the host cannot be started, the database cannot be read, or a bundled plugin cannot be
/// installed.
pub async fn start(
    installation: String,
    cache: Option<PathBuf>,
    store: Store,
    observer: Arc<dyn Observer>,
    health: Rules,
) -> anyhow::Result<Installation> {
    let (orders, blobs, catalog) = (Arc::new(store.clone()), Arc::new(store.clone()), Arc::new(store.clone()));
    let mut builder = Cartwright::builder()
        .order_book(orders)
        .blobs(blobs)
        .catalog(catalog)
        .installation(installation)
        .secret(store.host_secret().await?)
        .health(health)
        .observer(observer);
    if let Some(cache) = cache {
        builder = builder.cache(cache);
    }
    let (installation, faults) = Installation::open(Arc::new(builder.start()?), store).await?;
    for fault in faults {
        tracing::error!(%fault, "this node serves everything else");
    }
    for component in [cartwright_bundled::EXPIVI, cartwright_bundled::TWIKIT] {
        installation.install(component, None, ACTOR, std::time::SystemTime::now()).await?;
    }
    Ok(installation)
}
