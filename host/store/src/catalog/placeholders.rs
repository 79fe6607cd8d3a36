//! Placeholders of statements about several rows.

/// Maximum number of rows or SKUs in one statement: SQLite accepts 32766 parameters.
pub(super) const MAX_ROWS_PER_STATEMENT: usize = 1_000;

/// Returns the placeholders of a row: `$7, $8, $9` for row 2 of three columns from `$4` on.
pub(super) fn places(row: usize, columns: usize, first: usize) -> String {
    let first = first + (row - 1) * columns;
    let places: Vec<String> = (first..first + columns).map(|place| format!("${place}")).collect();
    places.join(", ")
}

/// Returns the placeholders of rows: `($1, $2), ($3, $4)` for two rows of two columns.
pub(super) fn tuples(rows: usize, columns: usize, first: usize) -> String {
    let tuples: Vec<String> = (1..=rows).map(|row| format!("({})", places(row, columns, first))).collect();
    tuples.join(", ")
}
