//! Webhooks from the network to their responses: queries, deliveries, signatures and URLs, with a guest that the body
//! controls, and Twikit's four webhooks. Also requests with secrets, the feed of a vendor that is polled, and the secrets of
//! a vendor whose URL is changed.

mod endpoints;
mod feed;
mod notices;
mod outcomes;
mod pushed;
mod queries;
mod redirected;
mod requests;
mod shop;
mod signed;
mod stored;
mod twikit;
