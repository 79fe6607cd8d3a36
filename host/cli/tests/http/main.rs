//! `cartwright serve` as a platform uses it: the built command, a real database and fake vendors, over HTTP. One file
//! for each subject; each test has its own shop, most of them on one shared server.
//!
//! The fake vendors' client sends the requests: it sends paths, headers and bodies exactly as a test writes them.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

mod access;
mod attacks;
mod audit;
mod document;
mod edge;
mod hostile;
mod isolation;
mod limits;
mod node;
mod nodes;
mod observability;
mod orders;
mod pages;
mod quotes;
mod reply;
mod seals;
mod server;
mod shop;
mod traces;
mod walkthrough;
mod writes;

pub use reply::ReplyAssertions;
