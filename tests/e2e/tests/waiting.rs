//! Orders that wait for a slow vendor are rows in a database, and take nothing else.

use cartwright_e2e::load::waiting_orders;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_times_as_many_waiting_orders_take_no_instance_and_hardly_more_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let [fewer, more] = waiting_orders(folder.path(), 400, 2_000).await;
    println!("{fewer:?}\n{more:?}");
    assert!([fewer, more].iter().all(|held| held.instances.unwrap_or(0) == 0));
    if let (Some(fewer), Some(more)) = (fewer.resident_kb, more.resident_kb) {
        assert!(more * 10 <= fewer * 11, "{more} kB for 2,000 orders, {fewer} kB for 400");
    }
}
