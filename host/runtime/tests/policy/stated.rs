//! The limits that the contract and LIMITS.md state are those that the host enforces.

use std::path::Path;
use std::time::Duration;

use cartwright::durable::{MAX_CONTINUATIONS, MAX_JOURNAL_ENTRIES, MAX_STATE_BYTES, MAX_WAIT_SECONDS};
use cartwright::{Limits, MAX_DOCUMENT_NAME_BYTES, MAX_MEMO_BYTES, MAX_MEMOS, MAX_STATUS_BYTES};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const SECONDS_OF_A_DAY: u32 = 24 * 3600;

/// Reads a file of the repository.
fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads the comments of a WIT file as one line of text.
fn comments(file: &str) -> String {
    let text = read(&format!("wit/0.1/{file}"));
    let comments = text.lines().filter_map(|line| line.trim_start().strip_prefix("///"));
    comments.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_contract_states_the_limits_of_outcomes_journals_and_waits() {
    let days = MAX_WAIT_SECONDS / SECONDS_OF_A_DAY;
    for (file, sentence) in [
        ("orders.wit", format!("A journal holds at most {MAX_JOURNAL_ENTRIES} entries")),
        ("orders.wit", format!("at most {MAX_CONTINUATIONS} times for one event")),
        ("orders.wit", format!("0 is at once, at most {days} days")),
        ("orders.wit", format!("Handed to the next call, at most {} kB", MAX_STATE_BYTES / KIB)),
        ("imports.wit", format!("Fails with `limit-exceeded` for more than {days} days")),
        ("types.wit", format!("The text, at most {} kB", MAX_MEMO_BYTES / KIB)),
        ("types.wit", format!("A file name without folders, at most {MAX_DOCUMENT_NAME_BYTES} bytes")),
    ] {
        assert!(comments(file).contains(&sentence), "{file} does not say {sentence:?}");
    }
}

#[test]
fn the_page_of_limits_lists_what_a_plugin_must_design_for() {
    let Limits {
        guest_cpu,
        guest_cpu_per_line,
        deadline,
        network_deadline,
        durable_request,
        durable_hold: _,
        memory,
        table_elements: _,
        host_calls,
        host_calls_per_line,
        bytes_out,
        bytes_out_per_line,
        bytes_in,
        stored_bytes,
        log_bytes,
    } = Limits::default();
    let millis = |duration: Duration| duration.as_millis();
    let stored_mib = stored_bytes / MIB as u64;
    let page = read("host/LIMITS.md");
    for (what, limit) in [
        (
            "computing time of a call",
            format!("{} ms, and {} ms for each line or item", millis(guest_cpu), millis(guest_cpu_per_line)),
        ),
        (
            "duration of a call",
            format!("{} s; {} s where `http` answers", deadline.as_secs(), network_deadline.as_secs()),
        ),
        ("duration of a request in `orders.handle`", format!("{} s", durable_request.as_secs())),
        ("memory of a call", format!("{} MiB", memory / MIB)),
        ("imports called in a call", format!("{host_calls}, and {host_calls_per_line} for each line")),
        (
            "bytes from the plugin in a call",
            format!("{} MiB, and {} KiB for each line", bytes_out / MIB, bytes_out_per_line / KIB),
        ),
        ("a configuration, webhook or response to the plugin", format!("{} MiB", bytes_in / MIB)),
        (
            "result of `resolving.resolve`; all responses that one call of it stores",
            format!("{} MiB each", bytes_in / MIB),
        ),
        ("a response that is stored", format!("{stored_mib} MiB in `orders.handle`, else {} MiB", bytes_in / MIB)),
        ("plugin log of a call", format!("{} KiB", log_bytes / KIB)),
        ("journal entries", format!("{MAX_JOURNAL_ENTRIES}")),
        ("continuations of one event", format!("{MAX_CONTINUATIONS}")),
        ("state of a continuation", format!("{} KiB", MAX_STATE_BYTES / KIB)),
        ("one wait", format!("{} days", MAX_WAIT_SECONDS / SECONDS_OF_A_DAY)),
        ("a memo", format!("{} KiB; {MAX_MEMOS} of an account for one order", MAX_MEMO_BYTES / KIB)),
        ("file name of a document", format!("{MAX_DOCUMENT_NAME_BYTES} bytes")),
        ("status of a line", format!("{MAX_STATUS_BYTES} bytes")),
    ] {
        let row = format!("| {what} | {limit} |");
        assert!(page.contains(&row), "LIMITS.md has no row {row:?}");
    }
}
