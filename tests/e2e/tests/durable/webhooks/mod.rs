//! Webhooks from the network to their answers: questions, notices, signatures and addresses, with a guest that does as it is told,
//! and Twikit's four. And what becomes of a vendor's secret when somebody changes the vendor's address.

mod notices;
mod outcomes;
mod pushed;
mod queries;
mod redirected;
mod shop;
mod signed;
mod stored;
mod twikit;
