//! Orders that wait for a slow vendor are rows in a database, and take no other resources.

use std::process::Command;

use cartwright_e2e::load::waiting_orders;

/// The test's name, as this program knows it.
const NAME: &str = "waiting::five_times_as_many_waiting_orders_take_no_instance_and_hardly_more_memory";
/// Set in the process that measures.
const OWN_PROCESS: &str = "CARTWRIGHT_TEST_OWN_PROCESS";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_times_as_many_waiting_orders_take_no_instance_and_hardly_more_memory() {
    if std::env::var_os(OWN_PROCESS).is_none() {
        let _running = crate::RUNNING.lock().await;
        measure_in_another_process();
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let [fewer, more] = waiting_orders(folder.path(), 400, 2_000).await;
    println!("{fewer:?}\n{more:?}");
    assert!([fewer, more].iter().all(|held| held.instances.unwrap_or(0) == 0));
    if let (Some(fewer), Some(more)) = (fewer.resident_kb, more.resident_kb) {
        assert!(more * 10 <= fewer * 11, "{more} kB for 2,000 orders, {fewer} kB for 400");
    }
}

/// Runs the test in a process in which no other test ran, because memory that another test freed would hide what the
/// orders take.
fn measure_in_another_process() {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let ended = command.args(["--exact", NAME, "--nocapture"]).env(OWN_PROCESS, "1").output().expect("it runs");
    let [printed, said] = [&ended.stdout, &ended.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    println!("{printed}");
    assert!(ended.status.success() && printed.contains("1 passed"), "{}: {said}", ended.status);
}
