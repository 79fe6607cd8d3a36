//! `cartwright demo`: the story holds.

use crate::cartwright;

#[test]
fn every_step_of_the_demo_holds() {
    let text = cartwright(["demo", "--check"]).succeeded();
    let held = text.lines().filter(|line| line.starts_with("  held    ")).count();
    assert!(held >= 40, "{held}: {text}");
    assert!(text.contains("  held    a node is killed while both orders are out"), "{text}");
    assert!(!text.contains("FAILED"), "{text}");
    assert_eq!(text.lines().last(), Some(format!("{held} steps held, 0 did not").as_str()), "{text}");
}
