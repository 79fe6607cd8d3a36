//! Nodes in their own processes on one database, lost and started again.

mod faults;
mod lost;
mod several;
mod shops;
