//! Limits on request bodies: the size of each, and the memory of all together.
//!
//! Every body passes through [`meter()`], which counts the bytes as they arrive, and fails a body that is larger than its
//! operation allows or that exceeds the node's budget. The bytes count until the response is ready, because the values
//! that were read from them live as long. A large response to a sender without a secret key counts instead of them until
//! it is sent, because a client that reads it slowly makes the node keep it.

mod budget;
mod guard;
mod meter;

pub use budget::mark_trusted;
pub(crate) use budget::{BodyBudget, BodyError, mark_storefront};
pub(crate) use guard::GuardedBody;
pub(crate) use meter::{UncountedBody, no_room, read};
pub use meter::{allow, meter};
