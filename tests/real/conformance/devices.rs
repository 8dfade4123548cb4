//! A device's signature, on the gateway's own loopback: what is taken, and what is said to a wrong one.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Answer, Client};
use super::device::Device;
use super::seen::Seen;
use super::subject::Subject;

/// Signs as the change wants it and writes down what the gateway says.
async fn signed(s: &mut Subject, version: u8, change: impl Fn(&mut Value)) -> Seen {
    let mut seen = s.seen();
    let (mut client, challenge) = Client::open(&s.url).await.expect("a challenge");
    let mut greeting = Device::new().signed(version, &s.greeting(), &challenge);
    change(&mut greeting["device"]);
    let answer = client.greet(&greeting).await;
    seen.answer("connect", &answer, &["/type"]);
    if !answer.is_ok() {
        seen.end("then", client.closed(Duration::from_secs(10)).await.as_ref());
    }
    seen
}

fn remove(device: &mut Value, key: &str) {
    device.as_object_mut().expect("a block").remove(key);
}

pub async fn version_1_of_the_signature(s: &mut Subject) -> Seen {
    signed(s, 1, |_| {}).await
}

pub async fn version_2_of_the_signature(s: &mut Subject) -> Seen {
    signed(s, 2, |_| {}).await
}

pub async fn version_3_of_the_signature(s: &mut Subject) -> Seen {
    signed(s, 3, |_| {}).await
}

pub async fn a_signature_of_something_else(s: &mut Subject) -> Seen {
    signed(s, 2, |device| {
        let other = Device::new();
        device["publicKey"] = json!(other.public_key());
        device["id"] = json!(other.id);
    })
    .await
}

pub async fn a_signature_that_is_none(s: &mut Subject) -> Seen {
    signed(s, 2, |device| device["signature"] = json!("x")).await
}

pub async fn another_nonce(s: &mut Subject) -> Seen {
    signed(s, 2, |device| {
        device["nonce"] = json!("00000000-0000-0000-0000-000000000000");
    })
    .await
}

pub async fn no_nonce(s: &mut Subject) -> Seen {
    signed(s, 2, |device| remove(device, "nonce")).await
}

pub async fn signed_too_long_ago(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let (mut client, challenge) = Client::open(&s.url).await.expect("a challenge");
    // Older gateways allow ten minutes, newer ones two; an hour is too long for all.
    let mut old = challenge.clone();
    // 2026.2.9 gives no time with its challenge of old; then now counts.
    old["ts"] = json!(challenge["ts"].as_u64().expect("a time") - 3_600_000);
    let greeting = Device::new().greeting(&s.greeting(), &old);
    seen.answer("connect", &client.greet(&greeting).await, &["/type"]);
    seen.end("then", client.closed(Duration::from_secs(10)).await.as_ref());
    seen
}

pub async fn an_id_that_is_not_the_keys(s: &mut Subject) -> Seen {
    signed(s, 2, |device| device["id"] = json!("0".repeat(64))).await
}

pub async fn a_public_key_that_is_none(s: &mut Subject) -> Seen {
    signed(s, 2, |device| device["publicKey"] = json!("x")).await
}

pub async fn a_block_without_a_signature(s: &mut Subject) -> Seen {
    signed(s, 2, |device| remove(device, "signature")).await
}

pub async fn an_unknown_property_of_the_block(s: &mut Subject) -> Seen {
    signed(s, 2, |device| device["colour"] = json!("red")).await
}

/// A backend on loopback is let in with its device and leaves no record; a command line's is approved silently.
pub async fn loopback_needs_no_approval(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut owner = s.client().await;
    for (id, mode) in [("gateway-client", "backend"), ("cli", "cli")] {
        let device = Device::new();
        let mut greeting = s.greeting();
        greeting["client"]["id"] = json!(id);
        greeting["client"]["mode"] = json!(mode);
        let (mut client, challenge) = Client::open(&s.url).await.expect("a challenge");
        let answer = client.greet(&device.greeting(&greeting, &challenge)).await;
        seen.answer(&format!("{id}/{mode}"), &answer, &["/auth/scopes"]);
        let token = matches!(&answer, Answer::Ok(hello) if hello["auth"]["deviceToken"].is_string());
        seen.line("  is given a device token", token);
        let list = owner.call("device.pair.list", &json!({})).await.must();
        seen.line("  is on record", list["paired"].to_string().contains(&device.id));
        owner
            .call("device.pair.remove", &json!({ "deviceId": device.id }))
            .await;
    }
    seen
}
