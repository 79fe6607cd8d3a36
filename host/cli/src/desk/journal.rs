//! A journal, entry by entry: the requests and what came of them.

use cartwright::durable::Record;
use cartwright_service::documents::moment;
use cartwright_service::words::shown;

pub(super) fn print(number: u32, records: &[Record]) {
    say!("journal {number}");
    for (position, record) in records.iter().enumerate() {
        let (what, about) = shown(&record.entry);
        say!("  {position:>3} {} {what}: {about}", moment(record.at));
    }
}
