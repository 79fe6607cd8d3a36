//! Orders, webhooks, and what the store keeps of them. Order hooks survive crashes at every point of both vendors'
//! orders; each rule of replay is tested with an order hook and an ERP system of the tests' own.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

mod away;
mod crash_run;
mod crashes;
mod database;
mod erp;
mod gems;
mod health;
mod installation;
mod nodes;
mod orders;
mod quotes;
mod replay;
mod report;
mod restored;
mod retries;
mod stored_journal;
mod test_orders;
mod waits;
mod webhooks;
mod worker;
