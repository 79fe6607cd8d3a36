//! cartwright-server
