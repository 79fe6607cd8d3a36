//! Formats a journal: one line for each request with its response.

use cartwright::durable::Record;
use cartwright::timestamp;
use cartwright_service::words::describe_entry;

pub(super) fn print(number: u32, records: &[Record]) {
    print_line!("journal {number}");
    for (position, record) in records.iter().enumerate() {
        let (what, about) = describe_entry(&record.entry);
        print_line!("  {position:>3} {} {what}: {about}", timestamp(record.at));
    }
}
