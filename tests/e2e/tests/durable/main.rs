//! Orders, webhooks and what is stored of them. Order hooks survive: crashes at every point of both vendors' orders, and each rule of
//! replay, with an order hook and an ERP system of the tests' own.

mod away;
mod course;
mod crashes;
mod database;
mod erp;
mod gems;
mod health;
mod installation;
mod kept;
mod nodes;
mod orders;
mod quotations;
mod replay;
mod report;
mod restored;
mod retries;
mod test_orders;
mod waits;
mod webhooks;
mod worker;
