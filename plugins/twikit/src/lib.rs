//! cartwright-twikit
