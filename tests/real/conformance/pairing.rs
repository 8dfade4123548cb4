//! A device of another machine: it asks, waits, is approved, gets a token of its own, and loses it again.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Answer, Client};
use super::device::Device;
use super::seen::Seen;
use super::subject::Subject;

const CLOSES: Duration = Duration::from_secs(10);

/// Who is let in: granted scopes, and whether a device token came along. The token itself is nobody's business.
const LET_IN: [&str; 3] = ["/type", "/auth/role", "/auth/scopes"];

fn remote(s: &Subject) -> String {
    s.remote.clone().expect("these cases run across a network")
}

/// The operator's own greeting: three scopes, asked from another machine.
fn greeting(s: &Subject) -> Value {
    let mut greeting = s.greeting();
    greeting["scopes"] = json!(["operator.read", "operator.write", "operator.admin"]);
    greeting
}

async fn connect(s: &Subject, device: &Device, greeting: &Value) -> (Client, Answer) {
    let (mut client, challenge) = Client::open(&remote(s)).await.expect("a challenge");
    let answer = client.greet(&device.greeting(greeting, &challenge)).await;
    (client, answer)
}

fn request_id(answer: &Answer) -> String {
    match answer {
        Answer::Refused { error, .. } => error["details"]["requestId"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        Answer::Ok(_) | Answer::Closed(..) | Answer::Silent => panic!("no request: {answer:?}"),
    }
}

/// A device that has asked and been approved, and the hello that it got then.
async fn paired(s: &Subject) -> (Device, Value) {
    let device = Device::new();
    let greeting = greeting(s);
    let (_client, refused) = connect(s, &device, &greeting).await;
    let mut owner = s.client().await;
    let request = json!({ "requestId": request_id(&refused) });
    owner.call("device.pair.approve", &request).await.must();
    let (_client, hello) = connect(s, &device, &greeting).await;
    (device, hello.must())
}

async fn pending(owner: &mut Client, device: &Device) -> Value {
    let list = owner.call("device.pair.list", &json!({})).await.must();
    let pending = list["pending"].as_array().cloned().unwrap_or_default();
    pending
        .into_iter()
        .find(|request| request["deviceId"] == device.id)
        .unwrap_or(Value::Null)
}

pub async fn a_remote_token_alone(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let (mut client, _) = Client::open(&remote(s)).await.expect("a challenge");
    seen.answer("connect", &client.greet(&greeting(s)).await, &LET_IN);
    for method in ["health", "agents.list", "status"] {
        seen.answer(method, &client.call(method, &json!({})).await, &[]);
    }
    let mut loopback = s.client().await;
    seen.answer(
        "on loopback",
        &loopback.call("agents.list", &json!({})).await,
        &["/defaultId"],
    );
    seen
}

pub async fn a_remote_command_line(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut greeting = greeting(s);
    greeting["client"]["id"] = json!("cli");
    greeting["client"]["mode"] = json!("cli");
    let (mut client, _) = Client::open(&remote(s)).await.expect("a challenge");
    seen.answer("connect", &client.greet(&greeting).await, &LET_IN);
    seen.answer("agents.list", &client.call("agents.list", &json!({})).await, &[]);
    seen
}

pub async fn a_remote_wrong_token(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut greeting = greeting(s);
    greeting["auth"]["token"] = json!("wrong");
    let (mut client, _) = Client::open(&remote(s)).await.expect("a challenge");
    seen.answer("connect", &client.greet(&greeting).await, &[]);
    seen.end("then", client.closed(CLOSES).await.as_ref());
    // A right one makes the wrong one forgotten.
    let (mut client, _) = Client::open(&remote(s)).await.expect("a challenge");
    seen.answer("a right one", &client.greet(&self::greeting(s)).await, &["/type"]);
    seen
}

pub async fn an_unknown_device_waits(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut owner = s.client().await;
    let device = Device::new();
    let (mut client, first) = connect(s, &device, &greeting(s)).await;
    seen.answer("connect", &first, &[]);
    seen.end("then", client.closed(CLOSES).await.as_ref());
    let told = owner
        .event("device.pair.requested", CLOSES)
        .await
        .unwrap_or(Value::Null);
    seen.line(
        "the owner is told of it",
        told["payload"]["requestId"] == request_id(&first),
    );
    let (_client, second) = connect(s, &device, &greeting(s)).await;
    seen.line(
        "the same request again",
        request_id(&first) == request_id(&second),
    );
    let waits = pending(&mut owner, &device).await;
    seen.line(
        "it is listed by this request",
        waits["requestId"] == request_id(&first),
    );
    let fields = [
        "/platform",
        "/clientId",
        "/clientMode",
        "/role",
        "/scopes",
        "/remoteIp",
        "/silent",
        "/isRepair",
    ];
    seen.answer("as", &Answer::Ok(waits.clone()), &fields);
    seen.line("its key is listed", waits["publicKey"] == device.public_key());
    owner
        .call("device.pair.reject", &json!({ "requestId": request_id(&first) }))
        .await
        .must();
    seen
}

pub async fn other_scopes_are_another_request(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut owner = s.client().await;
    let device = Device::new();
    let (_client, first) = connect(s, &device, &greeting(s)).await;
    let mut less = greeting(s);
    less["scopes"] = json!(["operator.read"]);
    let (_client, second) = connect(s, &device, &less).await;
    seen.answer("with fewer scopes", &second, &[]);
    seen.line("the same request", request_id(&first) == request_id(&second));
    let waits = pending(&mut owner, &device).await;
    seen.answer("listed", &Answer::Ok(waits.clone()), &["/scopes"]);
    let answer = owner
        .call("device.pair.approve", &json!({ "requestId": request_id(&first) }))
        .await;
    seen.answer("the first approved", &answer, &[]);
    seen
}

pub async fn it_is_approved(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut owner = s.client().await;
    let device = Device::new();
    let (_client, refused) = connect(s, &device, &greeting(s)).await;
    let request = json!({ "requestId": request_id(&refused) });
    let approved = owner.call("device.pair.approve", &request).await;
    let fields = [
        "/device/platform",
        "/device/clientId",
        "/device/role",
        "/device/roles",
        "/device/scopes",
        "/device/remoteIp",
    ];
    seen.answer("approve", &approved, &fields);
    let approved = approved.must();
    seen.line("of this device", approved["device"]["deviceId"] == device.id);
    let told = owner
        .event("device.pair.resolved", CLOSES)
        .await
        .unwrap_or(Value::Null);
    seen.answer(
        "event device.pair.resolved",
        &Answer::Ok(told["payload"].clone()),
        &["/decision"],
    );
    seen.answer(
        "approve again",
        &owner.call("device.pair.approve", &request).await,
        &[],
    );
    let (mut client, hello) = connect(s, &device, &greeting(s)).await;
    seen.answer("connect", &hello, &LET_IN);
    let token = hello.must()["auth"]["deviceToken"].as_str().map(str::len);
    seen.line("the length of its token", format!("{token:?}"));
    seen.answer(
        "agents.list",
        &client.call("agents.list", &json!({})).await,
        &["/defaultId"],
    );
    let answer = client.call("device.pair.list", &json!({})).await;
    seen.answer("device.pair.list with its scopes", &answer, &[]);
    let list = owner.call("device.pair.list", &json!({})).await.must();
    let record = list["paired"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|record| record["deviceId"] == device.id);
    let record = record.cloned().unwrap_or(Value::Null);
    seen.answer(
        "on record",
        &Answer::Ok(record),
        &["/clientId", "/role", "/scopes"],
    );
    seen
}

pub async fn approvals_that_are_refused(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut owner = s.client().await;
    let unknown = json!({ "requestId": "00000000-0000-0000-0000-000000000000" });
    for method in ["device.pair.approve", "device.pair.reject"] {
        seen.answer(method, &owner.call(method, &unknown).await, &[]);
        seen.answer(
            &format!("{method} {{}}"),
            &owner.call(method, &json!({})).await,
            &[],
        );
    }
    let unknown = json!({ "deviceId": "0".repeat(64) });
    seen.answer(
        "device.pair.remove",
        &owner.call("device.pair.remove", &unknown).await,
        &[],
    );
    let unknown = json!({ "deviceId": "0".repeat(64), "role": "operator" });
    seen.answer(
        "device.token.rotate",
        &owner.call("device.token.rotate", &unknown).await,
        &[],
    );
    seen.answer(
        "device.token.revoke",
        &owner.call("device.token.revoke", &unknown).await,
        &[],
    );
    seen
}

pub async fn it_is_rejected(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut owner = s.client().await;
    let device = Device::new();
    let (_client, first) = connect(s, &device, &greeting(s)).await;
    let request = json!({ "requestId": request_id(&first) });
    let rejected = owner.call("device.pair.reject", &request).await;
    seen.answer("reject", &rejected, &[]);
    seen.line("of this device", rejected.must()["deviceId"] == device.id);
    let told = owner
        .event("device.pair.resolved", CLOSES)
        .await
        .unwrap_or(Value::Null);
    seen.answer(
        "event device.pair.resolved",
        &Answer::Ok(told["payload"].clone()),
        &["/decision"],
    );
    let (_client, second) = connect(s, &device, &greeting(s)).await;
    seen.answer("connect", &second, &[]);
    seen.line("the same request", request_id(&first) == request_id(&second));
    seen
}

pub async fn a_device_token_is_enough(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let (device, hello) = paired(s).await;
    let token = hello["auth"]["deviceToken"].clone();
    let mut with = greeting(s);
    with["auth"] = json!({ "token": token });
    let (mut client, answer) = connect(s, &device, &with).await;
    seen.answer("as auth.token", &answer, &LET_IN);
    seen.answer(
        "agents.list",
        &client.call("agents.list", &json!({})).await,
        &["/defaultId"],
    );
    with["auth"] = json!({ "deviceToken": token });
    seen.answer(
        "as auth.deviceToken",
        &connect(s, &device, &with).await.1,
        &LET_IN,
    );
    with["scopes"] = json!(["operator.read"]);
    seen.answer("for fewer scopes", &connect(s, &device, &with).await.1, &LET_IN);
    with["scopes"] = json!([
        "operator.read",
        "operator.write",
        "operator.admin",
        "operator.pairing"
    ]);
    seen.answer("for more scopes", &connect(s, &device, &with).await.1, &LET_IN);
    seen
}

/// Each of these counts as a wrong credential of this address; the right ones between make them forgotten.
pub async fn a_device_token_is_that_devices_own(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let (device, hello) = paired(s).await;
    let mut with = greeting(s);
    with["auth"] = json!({ "token": hello["auth"]["deviceToken"] });
    let (mut client, _) = Client::open(&remote(s)).await.expect("a challenge");
    seen.answer("without the device", &client.greet(&with).await, &[]);
    seen.answer(
        "with another device",
        &connect(s, &Device::new(), &with).await.1,
        &[],
    );
    seen.answer("with the device", &connect(s, &device, &with).await.1, &["/type"]);
    seen
}

/// The platform is pinned at approval; the client's id and mode are not.
pub async fn what_a_device_may_change(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let (device, _) = paired(s).await;
    let mut other = greeting(s);
    other["client"]["version"] = json!("9.9.9");
    seen.answer("its version", &connect(s, &device, &other).await.1, &LET_IN);
    let mut other = greeting(s);
    other["client"]["mode"] = json!("cli");
    other["client"]["id"] = json!("cli");
    seen.answer("its client", &connect(s, &device, &other).await.1, &LET_IN);
    let mut other = greeting(s);
    other["client"]["platform"] = json!("darwin");
    seen.answer("its platform", &connect(s, &device, &other).await.1, &LET_IN);
    let mut owner = s.client().await;
    let waits = pending(&mut owner, &device).await;
    if let Some(request) = waits["requestId"].as_str() {
        owner
            .call("device.pair.reject", &json!({ "requestId": request }))
            .await;
    }
    seen.answer("as it was", &connect(s, &device, &greeting(s)).await.1, &LET_IN);
    seen
}

pub async fn its_token_is_rotated(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let (device, hello) = paired(s).await;
    let old = hello["auth"]["deviceToken"].clone();
    let (mut client, _) = connect(s, &device, &greeting(s)).await;
    let mut owner = s.client().await;
    let rotate = json!({ "deviceId": device.id, "role": "operator" });
    let answer = owner.call("device.token.rotate", &rotate).await;
    seen.answer("rotate", &answer, &["/role", "/scopes", "/tokenDelivery"]);
    if let Answer::Ok(rotated) = &answer {
        seen.line("the token is in the answer", rotated["token"].is_string());
    }
    seen.end(
        "its open connection",
        client.closed(Duration::from_secs(3)).await.as_ref(),
    );
    let mut with = greeting(s);
    with["auth"] = json!({ "token": old });
    seen.answer("the old token", &connect(s, &device, &with).await.1, &["/type"]);
    let hello = connect(s, &device, &greeting(s)).await.1;
    seen.answer("the shared token", &hello, &LET_IN);
    let new = hello.must()["auth"]["deviceToken"].clone();
    seen.line("brings another device token", new.is_string() && new != old);
    seen
}

pub async fn its_token_is_revoked(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let (device, _) = paired(s).await;
    let (mut client, _) = connect(s, &device, &greeting(s)).await;
    let mut owner = s.client().await;
    let revoke = json!({ "deviceId": device.id, "role": "operator" });
    seen.answer(
        "revoke",
        &owner.call("device.token.revoke", &revoke).await,
        &["/role"],
    );
    seen.end(
        "its open connection",
        client.closed(Duration::from_secs(3)).await.as_ref(),
    );
    seen.answer(
        "the shared token",
        &connect(s, &device, &greeting(s)).await.1,
        &LET_IN,
    );
    seen
}

pub async fn it_is_removed(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let (device, _) = paired(s).await;
    let (mut client, _) = connect(s, &device, &greeting(s)).await;
    let mut owner = s.client().await;
    let remove = json!({ "deviceId": device.id });
    let removed = owner.call("device.pair.remove", &remove).await;
    seen.answer("remove", &removed, &[]);
    seen.end(
        "its open connection",
        client.closed(Duration::from_secs(3)).await.as_ref(),
    );
    seen.answer(
        "the shared token",
        &connect(s, &device, &greeting(s)).await.1,
        &LET_IN,
    );
    seen.answer(
        "remove again",
        &owner.call("device.pair.remove", &remove).await,
        &[],
    );
    seen
}
