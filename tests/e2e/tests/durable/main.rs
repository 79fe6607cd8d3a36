//! Order hooks that survive: crashes at every point of both vendors' orders, and each rule of replay, with an order hook and an
//! ERP system of the tests' own.

mod away;
mod course;
mod crashes;
mod database;
mod erp;
mod gems;
mod health;
mod kept;
mod quotations;
mod replay;
mod report;
mod retries;
mod test_orders;
mod waits;
mod worker;
