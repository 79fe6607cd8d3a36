//! A plan that fails reports its stages until then, and the plugin's log.

use std::sync::mpsc::channel;

use cartwright::{CartError, Stage, StrategyChoice};
use cartwright_e2e::{HOSTILE, World};
use cartwright_fake_vendors::samples;

/// Returns the error of a misbehaving strategy's plan, and its stages.
async fn failed(misdeed: &str) -> (CartError, Vec<Stage>) {
    let world = World::new().await;
    let account = world.strategy(HOSTILE).await;
    let (told, stages) = channel();
    let mut request = world.request("ring", samples::EXPIVI_SIMPLE, 1, &[]);
    request.strategy = Some(StrategyChoice { account: Some(account), name: Some(misdeed.to_owned()) });
    request.stages = Some(told);
    let error = world.host.add_to_cart(&world.shop, request).await.expect_err(misdeed);
    (error, stages.iter().collect())
}

#[tokio::test]
async fn the_stage_that_failed_is_the_last_and_holds_what_the_plugin_logged() {
    for (misdeed, result, logged) in [
        ("loud-refusal", "failed: It is sold out.", "it is sold out"),
        ("long-trace", "failed: hostile failed in cart.plan: the guest trapped", "planning"),
        ("unknown-sku", "failed: 0 variants have the SKU \"NO-SUCH-SKU\"", ""),
    ] {
        let (error, stages) = failed(misdeed).await;
        let names: Vec<&str> = stages.iter().map(|stage| stage.stage.as_str()).collect();
        let until = if logged.is_empty() { &["plan", "check"][..] } else { &["plan"] };
        assert_eq!(names, [&["decode", "products", "identify"], until].concat(), "{misdeed}");
        let last = stages.last().expect("a stage");
        assert!(last.result.starts_with(result) && last.result.ends_with(&error.to_string()), "{last:?}");
        assert_eq!(last.log.iter().any(|line| line.text == logged), !logged.is_empty(), "{last:?}");
    }
}

#[tokio::test]
async fn a_traps_last_words_hold_what_was_thrown_and_where_it_ended() {
    let (error, _) = failed("long-trace").await;
    let text = error.to_string();
    assert!(text.contains("last output: Exception while calling plan: TypeError: item is undefined"), "{text}");
    assert!(text.contains("at step 39 of a long way"), "{text}");
    assert!(!text.contains("at step 20") && !text.contains("planning"), "{text}");
    let (error, _) = failed("panic").await;
    assert!(error.to_string().contains("panicked at"), "{error}");
    assert!(error.to_string().ends_with("as it was asked to"), "{error}");
}

#[tokio::test]
async fn what_is_wrong_with_a_plan_is_said_of_the_line_that_it_is_about() {
    for (misdeed, says) in [
        ("quantity-overflow", "the quantity 4294967295 of RING is not allowed"),
        ("child-quantity-zero", "the quantity 0 of \"Part\" of the bundle RING is not allowed"),
        ("reduction", "RING: it adjusts a price; to allow it: grants.adjust_prices = true"),
        ("text-parent", "\"For nothing\": it contains a bundle without children"),
    ] {
        let (error, _) = failed(misdeed).await;
        assert!(error.to_string().contains(says), "{misdeed}: {error}");
    }
}
