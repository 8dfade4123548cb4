//! What users declare, and what comes of it: each field of the schemas has its effect and no other (`effects`), and what is
//! wrong although the schema lets it pass is told in words that help, and heals (`mistakes`).
//!
//! Played here on a control plane in memory and a simulated gateway; `tests/real/declared.rs` plays the same tables on a real
//! API server and a real gateway.

#![allow(
    unreachable_pub,
    reason = "what is shared with the real tests is public in its folder"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

mod bed;
mod effects;
#[path = "../real/bed/evidence.rs"]
#[expect(dead_code, reason = "the real tests say more with it")]
mod evidence;
mod ground;
#[expect(dead_code, reason = "a real gateway is asked for its own word")]
mod mistakes;

#[tokio::test(start_paused = true)]
async fn every_mistake_is_told_with_its_remedy_and_heals() {
    let (ground, _gateway) = bed::ground().await;
    match mistakes::play(&ground, mistakes::Bed::Simulated).await {
        Ok(count) => evidence::record(
            "declared",
            "mistakes that pass the schema: told with the remedy, and healed",
            count as u64,
            "nobody else held up",
        ),
        Err(faults) => panic!("{}", faults.join("\n")),
    }
}

#[tokio::test(start_paused = true)]
async fn what_only_looks_like_trouble_is_none() {
    let (ground, _gateway) = bed::ground().await;
    match mistakes::play_harmless(&ground).await {
        Ok(count) => evidence::record(
            "declared",
            "hostile texts and settings that do nothing",
            count as u64,
            "",
        ),
        Err(faults) => panic!("{}", faults.join("\n")),
    }
}

#[tokio::test(start_paused = true)]
async fn every_edit_of_a_field_has_its_effect_and_no_other() {
    let (ground, _gateway) = bed::ground().await;
    let played = effects::play_one_by_one(&ground).await;
    played.unwrap_or_else(|faults| panic!("{}", faults.join("\n")));
}

/// As a real gateway is played them on, for which each by itself would take too long.
#[tokio::test(start_paused = true)]
async fn rows_of_one_round_do_not_disturb_each_other() {
    let (ground, _gateway) = bed::ground().await;
    let played = effects::play_together(&ground).await;
    played.unwrap_or_else(|faults| panic!("{}", faults.join("\n")));
}

#[tokio::test(start_paused = true)]
async fn every_field_that_takes_more_than_an_edit_has_its_effect() {
    let (ground, _gateway) = bed::ground().await;
    effects::lay(&ground).await;
    let played = effects::play_scenes(&ground).await;
    played.unwrap_or_else(|faults| panic!("{}", faults.join("\n")));
}

#[test]
fn every_field_of_the_schemas_has_its_row() {
    let covered = effects::covered().unwrap_or_else(|faults| panic!("{}", faults.join("\n")));
    evidence::record(
        "declared",
        "fields of the schemas with their effect shown",
        covered.shown as u64,
        &covered.note,
    );
}
