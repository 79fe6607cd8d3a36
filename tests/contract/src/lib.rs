//! The contract is checked by the tests of this crate.
