//! Entry points for the fuzz targets of this repository. Not an API.

use cartwright::Link;

use crate::serve::links_table;

/// Reads a table of product links (CSV).
///
/// # Errors
/// What is wrong with the table.
pub fn read_links(table: &[u8]) -> Result<Vec<Link>, String> {
    links_table::read(table).map_err(|problem| problem.detail().to_owned())
}

/// Writes product links as a table (CSV).
///
/// # Errors
/// When a link cannot be written.
pub fn write_links(links: &[Link]) -> Result<Vec<u8>, String> {
    links_table::write(links).map_err(|problem| problem.detail().to_owned())
}
