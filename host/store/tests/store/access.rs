//! Access keys, and the sessions of people who log in with one.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use cartwright::Secret;
use cartwright_store::{Access, AccessError, NewAccessKey, Retention, Role, Store, StoreError};

use crate::database::{Database, MINUTE, at, on_each_database, shop};
use crate::setup::{open_with_shop, rings};

on_each_database!(
    a_key_lets_in_whom_it_was_made_for_and_no_other_text_does,
    only_who_holds_the_secret_learns_why_a_key_lets_nobody_in,
    a_key_is_exchanged_while_both_let_in,
    a_key_of_another_shop_is_neither_seen_nor_changed,
    when_a_key_was_used_is_written_once_a_minute,
    who_made_and_ended_a_key_is_logged_and_no_secret_is_kept,
    a_session_ends_when_it_is_idle_or_old,
    a_session_ends_with_its_key,
    nobody_logs_in_with_a_servers_key_or_a_pages,
    a_forms_token_is_of_one_session,
);

const HOUR: u64 = 3600;

fn new_key(role: Role) -> NewAccessKey {
    NewAccessKey { role, label: "Ann's key".into(), networks: Vec::new(), expires: None }
}

fn backend() -> NewAccessKey {
    new_key(Role::Backend { shop: Some(shop()) })
}

fn text(secret: &Secret) -> String {
    String::from_utf8(secret.expose().to_vec()).unwrap()
}

async fn create_key(store: &Store, key: &NewAccessKey) -> (String, String) {
    let (id, secret) = store.access().create_access_key(key, "ann", at(0)).await.unwrap();
    (id, text(&secret))
}

async fn used(store: &Store, key: &str, now: SystemTime) -> Result<Access, AccessError> {
    store.access().access_key(key, None, now).await
}

async fn a_key_lets_in_whom_it_was_made_for_and_no_other_text_does(database: Database) {
    let store = open_with_shop(&database).await;
    let roles = [
        Role::Storefront { shop: shop() },
        Role::Backend { shop: Some(shop()) },
        Role::Backend { shop: None },
        Role::Integrator { shop: shop() },
        Role::Admin,
    ];
    for role in roles {
        let (id, key) = create_key(&store, &new_key(role.clone())).await;
        let access = used(&store, &key, at(1)).await.unwrap();
        assert_eq!(access, Access { key: id.clone(), role: role.clone(), label: "Ann's key".into() });
        let parts: Vec<&str> = key.split('_').collect();
        assert_eq!((parts[0], parts[1], parts[2], parts[3].len()), ("cw", role.name(), id.as_str(), 48));
        let changed = key.replacen(parts[1], if role == Role::Admin { "backend" } else { "admin" }, 1);
        let (_, other) = create_key(&store, &new_key(role)).await;
        let swapped = format!("cw_{}_{}_{}", parts[1], parts[2], other.split('_').nth(3).unwrap());
        let session = key.replacen(parts[1], "session", 1);
        for wrong in
            [&changed, &swapped, &session, &key[..key.len() - 1], &key.to_uppercase(), "", "cw_", "cw_admin_x_y"]
        {
            assert!(matches!(used(&store, wrong, at(1)).await, Err(AccessError::Unknown)), "{wrong}");
            assert!(matches!(store.access().session(wrong, None, at(1)).await, Err(AccessError::Unknown)), "{wrong}");
        }
    }
    let nowhere = new_key(Role::Integrator { shop: "nowhere".parse().unwrap() });
    assert!(matches!(store.access().create_access_key(&nowhere, "ann", at(0)).await, Err(StoreError::NotFound { .. })));
}

async fn only_who_holds_the_secret_learns_why_a_key_lets_nobody_in(database: Database) {
    let store = open_with_shop(&database).await;
    let networks = vec!["10.0.0.0/8".parse().unwrap()];
    let (id, key) = create_key(&store, &NewAccessKey { networks, expires: Some(at(100)), ..backend() }).await;
    let from = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    let wrong = format!("{}{}", &key[..key.len() - 48], "0".repeat(48));
    let authenticate =
        async |key: &str, from: Option<IpAddr>, seconds: u64| store.access().access_key(key, from, at(seconds)).await;
    assert!(authenticate(&key, from("10.1.2.3"), 1).await.is_ok());
    assert!(authenticate(&key, from("::ffff:10.1.2.3"), 1).await.is_ok());
    for elsewhere in [from("11.1.2.3"), from("::1"), None] {
        assert!(matches!(authenticate(&key, elsewhere, 1).await, Err(AccessError::Address { .. })));
        assert!(matches!(authenticate(&wrong, elsewhere, 1).await, Err(AccessError::Unknown)));
    }
    assert!(authenticate(&key, from("10.1.2.3"), 99).await.is_ok());
    assert!(matches!(authenticate(&key, from("10.1.2.3"), 100).await, Err(AccessError::Expired(_))));
    store.access().revoke_access_key(None, &id, "ann", at(50)).await.unwrap();
    assert!(matches!(authenticate(&key, from("10.1.2.3"), 50).await, Err(AccessError::Revoked(_))));
    assert!(matches!(authenticate(&wrong, from("10.1.2.3"), 50).await, Err(AccessError::Unknown)));
}

async fn a_key_is_exchanged_while_both_let_in(database: Database) {
    let store = open_with_shop(&database).await;
    let (id, old) = create_key(&store, &backend()).await;
    let new = text(&store.access().rotate_access_key(None, &id, MINUTE, "ann", at(10)).await.unwrap());
    assert!(new.contains(&id) && new != old);
    for seconds in [10, 69] {
        assert!(used(&store, &old, at(seconds)).await.is_ok() && used(&store, &new, at(seconds)).await.is_ok());
    }
    assert!(matches!(used(&store, &old, at(70)).await, Err(AccessError::Unknown)));
    // The secret ends at once, and only the previous one stays valid.
    let newest = text(&store.access().rotate_access_key(None, &id, Duration::ZERO, "ann", at(80)).await.unwrap());
    assert!(matches!(used(&store, &new, at(80)).await, Err(AccessError::Unknown)));
    assert!(used(&store, &newest, at(80)).await.is_ok());
    store.access().revoke_access_key(None, &id, "ann", at(90)).await.unwrap();
    let again = store.access().rotate_access_key(None, &id, MINUTE, "ann", at(91)).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))));
}

async fn a_key_of_another_shop_is_neither_seen_nor_changed(database: Database) {
    let store = open_with_shop(&database).await;
    let other = cartwright::Shop { id: "other".parse().unwrap(), ..rings() };
    store.shops().save_shop(&other, at(0)).await.unwrap();
    let (id, key) = create_key(&store, &backend()).await;
    create_key(&store, &new_key(Role::Admin)).await;
    assert_eq!(store.access().access_keys(Some(&shop()), None, 100).await.unwrap().len(), 1);
    assert!(store.access().access_keys(Some(&other.id), None, 100).await.unwrap().is_empty());
    assert_eq!(store.access().access_keys(None, None, 100).await.unwrap().len(), 2);
    let revoked = store.access().revoke_access_key(Some(&other.id), &id, "eve", at(1)).await;
    assert!(matches!(revoked, Err(StoreError::NotFound { .. })));
    let rotated = store.access().rotate_access_key(Some(&other.id), &id, MINUTE, "eve", at(1)).await;
    assert!(matches!(rotated, Err(StoreError::NotFound { .. })));
    assert!(used(&store, &key, at(2)).await.is_ok());
}

async fn when_a_key_was_used_is_written_once_a_minute(database: Database) {
    let store = open_with_shop(&database).await;
    let (_, key) = create_key(&store, &backend()).await;
    let last = async || store.access().access_keys(None, None, 100).await.unwrap()[0].last_used;
    assert_eq!(last().await, None);
    for (seconds, noted) in [(10, 10), (69, 10), (70, 70), (200, 200)] {
        used(&store, &key, at(seconds)).await.unwrap();
        assert_eq!(last().await, Some(at(noted)));
    }
}

async fn who_made_and_ended_a_key_is_logged_and_no_secret_is_kept(database: Database) {
    let store = open_with_shop(&database).await;
    let (id, key) = create_key(&store, &new_key(Role::Integrator { shop: shop() })).await;
    let new = text(&store.access().rotate_access_key(Some(&shop()), &id, MINUTE, "bob", at(1)).await.unwrap());
    let session = text(&store.access().begin_session(&id, None, at(2)).await.unwrap());
    store.access().end_session(&session, at(3)).await.unwrap();
    store.access().revoke_access_key(Some(&shop()), &id, "cid", at(4)).await.unwrap();
    let entries = store.audit().entries(Some(&shop()), None, 10).await.unwrap();
    let actions: Vec<_> = entries.iter().rev().map(|entry| (entry.actor.as_str(), entry.action.as_str())).collect();
    assert_eq!(
        actions,
        [
            ("ann", "create-access-key"),
            ("bob", "rotate-access-key"),
            ("Ann's key", "begin-session"),
            ("Ann's key", "end-session"),
            ("cid", "revoke-access-key"),
        ]
    );
    assert!(entries.iter().all(|entry| entry.subject == id));
    // A file can be searched for stored secrets.
    let Some(path) = database.url.strip_prefix("sqlite:") else { return };
    store.close().await;
    let bytes = std::fs::read(path).unwrap();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(&id));
    for text in [key, new, session] {
        assert!(!holds(text.split('_').nth(3).unwrap()));
    }
}

async fn a_session_ends_when_it_is_idle_or_old(database: Database) {
    let store = open_with_shop(&database).await;
    let (id, _) = create_key(&store, &new_key(Role::Admin)).await;
    let session = text(&store.access().begin_session(&id, None, at(0)).await.unwrap());
    let idle = text(&store.access().begin_session(&id, None, at(0)).await.unwrap());
    let authenticate = async |session: &str, seconds: u64| store.access().session(session, None, at(seconds)).await;
    assert_eq!(authenticate(&session, 1).await.unwrap().access.role, Role::Admin);
    assert!(authenticate(&idle, 12 * HOUR - 1).await.is_ok());
    let mut seconds = 0;
    while seconds < 7 * 24 * HOUR {
        assert!(authenticate(&session, seconds).await.is_ok(), "{seconds}");
        seconds += 11 * HOUR;
    }
    assert!(authenticate(&session, 7 * 24 * HOUR - 1).await.is_ok());
    assert!(matches!(authenticate(&session, 7 * 24 * HOUR).await, Err(AccessError::Expired(_))));
    assert!(matches!(authenticate(&idle, 25 * HOUR).await, Err(AccessError::Expired(_))));
    // The key is unknown, so that it is not valid.
    assert!(matches!(used(&store, &session, at(1)).await, Err(AccessError::Unknown)));
    assert_eq!(store.sweep(&Retention::default(), at(25 * HOUR)).await.unwrap().sessions, 1);
    assert_eq!(store.sweep(&Retention::default(), at(7 * 24 * HOUR)).await.unwrap().sessions, 1);
    assert!(matches!(authenticate(&session, 1).await, Err(AccessError::Unknown)));
}

async fn a_session_ends_with_its_key(database: Database) {
    let store = open_with_shop(&database).await;
    let networks = vec!["10.0.0.0/8".parse().unwrap()];
    let limited = NewAccessKey { networks, expires: Some(at(100)), ..new_key(Role::Admin) };
    let (id, _) = create_key(&store, &limited).await;
    let here = Some("10.0.0.1".parse().unwrap());
    let begin = async |seconds: u64| text(&store.access().begin_session(&id, here, at(seconds)).await.unwrap());
    let authenticate =
        async |session: &str, from, seconds: u64| store.access().session(session, from, at(seconds)).await;
    let session = begin(1).await;
    assert!(authenticate(&session, here, 2).await.is_ok());
    let stolen = authenticate(&session, Some("11.0.0.1".parse().unwrap()), 2).await;
    assert!(matches!(stolen, Err(AccessError::Address { .. })));
    assert!(matches!(authenticate(&session, here, 100).await, Err(AccessError::Expired(_))));
    store.access().rotate_access_key(None, &id, MINUTE, "ann", at(3)).await.unwrap();
    assert!(matches!(authenticate(&session, here, 4).await, Err(AccessError::Unknown)));
    let (session, other) = (begin(5).await, begin(5).await);
    store.access().end_session(&session, at(6)).await.unwrap();
    store.access().end_session(&session, at(6)).await.unwrap();
    assert!(matches!(authenticate(&session, here, 6).await, Err(AccessError::Unknown)));
    assert!(authenticate(&other, here, 6).await.is_ok());
    store.access().revoke_access_key(None, &id, "ann", at(7)).await.unwrap();
    assert!(matches!(authenticate(&other, here, 7).await, Err(AccessError::Unknown)));
    assert!(matches!(store.access().begin_session(&id, here, at(8)).await, Err(AccessError::Revoked(_))));
    assert!(matches!(store.access().begin_session("nobody", here, at(8)).await, Err(AccessError::Unknown)));
}

async fn nobody_logs_in_with_a_servers_key_or_a_pages(database: Database) {
    let store = open_with_shop(&database).await;
    for role in [Role::Storefront { shop: shop() }, Role::Backend { shop: None }] {
        let (id, _) = create_key(&store, &new_key(role)).await;
        assert!(matches!(store.access().begin_session(&id, None, at(1)).await, Err(AccessError::Role { .. })));
    }
    let (id, _) = create_key(&store, &new_key(Role::Integrator { shop: shop() })).await;
    assert!(store.access().begin_session(&id, None, at(1)).await.is_ok());
}

async fn a_forms_token_is_of_one_session(database: Database) {
    let store = open_with_shop(&database).await;
    let (id, _) = create_key(&store, &new_key(Role::Admin)).await;
    let (one, other) = (
        store.access().begin_session(&id, None, at(0)).await.unwrap(),
        store.access().begin_session(&id, None, at(0)).await.unwrap(),
    );
    let session = async |secret: &Secret| store.access().session(&text(secret), None, at(1)).await.unwrap();
    let token = session(&one).await.csrf_token().to_owned();
    assert!(session(&one).await.is_csrf_token(&token));
    assert!(!session(&other).await.is_csrf_token(&token));
    assert!(!session(&one).await.is_csrf_token("") && !text(&one).contains(&token));
}
