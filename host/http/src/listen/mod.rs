//! Accepts connections and serves requests on them. `axum::serve` does nearly the same, but it waits without end for a
//! request that is never complete and for a client that never reads its response, and it does not limit the number of
//! connections.

mod accept;
mod connections;
mod stream;

pub(crate) use accept::serve;
pub(crate) use connections::{ConnectionLimit, Connections};
