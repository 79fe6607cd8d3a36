use super::*;
use crate::testing::{FakeHost, context, response};
use cartwright_plugin::types::SettingValue;

const CATALOGUE: &str = r#"{"data":[{"type":"catalogue","id":"1001","attributes":{"name":"Ring"}},
    {"id":1002,"attributes":{"name":"Shirt","more":{}}},{"id":"1003"}],"meta":{}}"#;

fn found(text: &str) -> Vec<String> {
    let mut host = FakeHost::new(|_| response(200, CATALOGUE));
    let page = search(&mut host, &context(&[]), text).unwrap();
    assert_eq!(host.calls(), ["GET https://expivi.net/api/catalogue"]);
    assert_eq!(page.cursor, None);
    page.products.into_iter().map(|product| format!("{} {}", product.id, product.title)).collect()
}

#[test]
fn products_are_found_by_a_part_of_name_or_id() {
    assert_eq!(found(""), ["1001 Ring", "1002 Shirt", "1003 1003"]);
    assert_eq!(found(" sHi"), ["1002 Shirt"]);
    assert_eq!(found("1003"), ["1003 1003"]);
    assert!(found("sofa").is_empty());
}

#[test]
fn each_token_is_tried_by_reading() {
    let mut host = FakeHost::new(|_| response(200, CATALOGUE));
    let both = diagnose(&mut host, &context(&[("server-token", SettingValue::SecretIsSet)])).unwrap();
    assert_eq!(both.iter().map(|one| one.verdict).collect::<Vec<_>>(), [Verdict::Passed, Verdict::Passed]);
    assert!(both[1].detail.as_ref().unwrap().text.contains("cannot be tested without writing"));
    assert!(host.requests.iter().all(|request| request.method == "GET"), "nothing is changed");

    let mut host = FakeHost::new(|_| response(401, ""));
    let one = diagnose(&mut host, &context(&[])).unwrap();
    assert_eq!(one[0].verdict, Verdict::Failed);
    assert_eq!(one[0].detail.as_ref().unwrap().key, "token-refused");
    assert_eq!(one[1].verdict, Verdict::NotTried);
    assert_eq!(one[1].detail.as_ref().unwrap().key, "server-token-absent");
}
