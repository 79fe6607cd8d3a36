//! Nodes of their own processes on one database, lost and started again.

mod lost;
mod several;
mod shops;
