//! Orders, webhooks and what is stored of them. Order hooks survive: crashes at every point of both vendors' orders, and each rule of
//! replay, with an order hook and an ERP system of the tests' own.

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
