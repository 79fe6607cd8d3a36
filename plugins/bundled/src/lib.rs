//! cartwright-bundled
