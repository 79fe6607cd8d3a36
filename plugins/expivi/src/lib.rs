//! cartwright-expivi
