//! Webhooks from the network to their answers: questions, notices, signatures and addresses, with a guest that does as it is told,
//! and Twikit's four. And what becomes of a vendor's secret when somebody changes the vendor's address.

mod desk;
mod notices;
mod pushed;
mod questions;
mod redirected;
mod said;
mod signed;
mod stored;
mod twikit;
