//! A shop that sells in several currencies, and visitors who see prices in one of them.

use cartwright::types::Currency;
use cartwright::{
    AccountSetup, AddToCart, CartError, Currencies, Grants, LineState, SetupError, Shop, StrategyChoice, Visitor,
};
use cartwright_e2e::{HOSTILE, World, added_lines, members, shop};
use cartwright_fake_vendors::samples;
use serde_json::{Value, json};

/// Returns a world whose shop sells in euros and dollars.
async fn world() -> World {
    let currencies = ["EUR", "USD"].map(|code| Currency { code: code.to_owned(), scale: 2 });
    let currencies = Currencies::try_from(currencies.to_vec()).expect("two currencies");
    World::new().await.with_shop(Shop { currencies, ..shop("two") }).await
}

fn visitor(currency: &str) -> Visitor {
    Visitor { currency: Some(currency.to_owned()), ..Visitor::default() }
}

/// Changes the currency of every price in the catalog.
fn sell_in(world: &World, currency: &str) {
    world.catalog.change(|variants| {
        let prices = variants.iter_mut().filter_map(|variant| variant.price.as_mut());
        prices.for_each(|price| price.currency = currency.to_owned());
    });
}

#[tokio::test]
async fn the_catalog_is_asked_in_the_visitors_currency_and_no_number_is_relabelled() {
    let world = world().await;
    let in_dollars = || AddToCart { visitor: visitor("USD"), ..world.request("ring", samples::EXPIVI_SIMPLE, 1, &[]) };
    let error = world.host.add_to_cart(&world.shop, in_dollars()).await.expect_err("there are prices in euros only");
    assert!(matches!(&error, CartError::Price { reason, .. } if reason.contains("no price in USD")), "{error}");

    sell_in(&world, "USD");
    let cart = added_lines(&world.host.add_to_cart(&world.shop, in_dollars()).await.expect("a line"));
    assert_eq!(cart[0].price.total.currency, "USD");
    let check =
        async |visitor: &Visitor| world.host.check_cart(&world.shop, &cart, visitor).await.expect("checked").remove(0);
    assert_eq!(check(&visitor("USD")).await.state, LineState::Ok);

    sell_in(&world, "EUR");
    let checked = check(&visitor("EUR")).await;
    let LineState::PriceChanged { old, new } = &checked.state else { panic!("{checked:?}") };
    assert_eq!((old.currency.as_str(), new.currency.as_str()), ("USD", "EUR"));
    let refused = world.host.check_cart(&world.shop, &cart, &visitor("JPY")).await.expect_err("it is not sold in yen");
    assert!(refused.to_string().contains("visitor.currency"), "{refused}");
}

#[tokio::test]
async fn a_plugin_receives_the_shop_the_visitor_and_the_contracts_version() {
    let world = world().await;
    let account = world.strategy(HOSTILE).await;
    sell_in(&world, "USD");
    let request = AddToCart {
        strategy: Some(StrategyChoice { account: Some(account), name: Some("tell-context".to_owned()) }),
        visitor: Visitor {
            country: Some("NL".to_owned()),
            region: Some("NB".to_owned()),
            customer_groups: vec!["vip".to_owned(), "b2b".to_owned()].into(),
            ..visitor("USD")
        },
        ..world.request("ring", samples::EXPIVI_SIMPLE, 1, &[])
    };
    let text = world.host.add_to_cart(&world.shop, request).await.expect_err("it tells its context").to_string();
    for part in [
        "currencies: [Currency { code: \"EUR\", scale: 2 }, Currency { code: \"USD\", scale: 2 }]",
        "currency: Currency { code: \"USD\", scale: 2 }",
        "country: Some(\"NL\")",
        "region: Some(\"NB\")",
        "[\"b2b\", \"vip\"]",
        "NamedJson { name: \"contract\", json: \"\\\"0.1.0\\\"\" }",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn a_money_setting_in_a_currency_that_the_shop_does_not_sell_in_is_refused_with_those_it_does() {
    let world = world().await;
    let digest = world.host.install(HOSTILE, None).await.expect("the strategy").digest();
    let set = async |amount: Value| {
        let settings = members(json!({ "surcharge": amount }));
        let setup = AccountSetup { id: "hostile".parse().expect("an id"), settings, grants: Grants::default() };
        world.host.set_account(&world.shop, digest, setup).await
    };
    for wrong in
        [json!({ "minor": 500, "scale": 2, "currency": "JPY" }), json!({ "minor": 500, "scale": 3, "currency": "EUR" })]
    {
        let Err(SetupError::Invalid(issues)) = set(wrong.clone()).await else { panic!("{wrong} was taken") };
        assert_eq!((issues[0].field.as_str(), issues[0].message.key.as_str()), ("surcharge", "setting-currency"));
        let text = &issues[0].message.text;
        assert!(text.contains("EUR with 2 decimals or USD with 2 decimals"), "{text}");
    }
    set(json!({ "minor": 500, "scale": 2, "currency": "EUR" })).await.expect("euros");

    // The shop cannot give up the currency while the setting needs it.
    let state = world.host.shop_state(&world.shop).expect("the shop");
    let dollars = Shop { currencies: Currencies::one("USD", 2), ..shop("two") };
    let Err(SetupError::Invalid(issues)) = state.with_shop(dollars) else { panic!("the currency went") };
    let text = &issues[0].message.text;
    assert_eq!(issues[0].field, "currencies");
    assert!(text.contains("surcharge") && text.contains("hostile"), "{text}");
}
