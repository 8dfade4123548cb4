//! What a field does that shows only when something happens: a file is spoilt, an object is suspended, created, deleted.

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::ground::{Ground, so};

pub struct Scene {
    /// The fields that it shows.
    pub fields: &'static [&'static str],
    pub play: Play,
}

pub type Play = fn(&Ground) -> LocalBoxFuture<'_, Result<(), String>>;

/// Each has objects of its own, so that they may be played beside one another, once `harbour` and its boards are there.
pub fn scenes() -> Vec<Scene> {
    vec![
        Scene {
            fields: &["Agent.role", "Agent.gatewayRef.name"],
            play: |ground| refused(ground).boxed_local(),
        },
        Scene {
            fields: &["Agent.agentId"],
            play: |ground| adopted_by_id(ground).boxed_local(),
        },
        Scene {
            fields: &["Agent.workspace"],
            play: |ground| workspace_is_given(ground).boxed_local(),
        },
        Scene {
            fields: &["Agent.lifecycle"],
            play: |ground| lifecycle(ground).boxed_local(),
        },
        Scene {
            fields: &["Agent.drift"],
            play: |ground| drift_of_an_agent(ground).boxed_local(),
        },
        Scene {
            fields: &["Agent.files[].policy", "Agent.files[].drift"],
            play: |ground| files_of_an_agent(ground).boxed_local(),
        },
        Scene {
            fields: &[
                "Gateway.mainAgent.files[].policy",
                "Gateway.mainAgent.files[].drift",
            ],
            play: |ground| files_of_a_main_agent(ground).boxed_local(),
        },
        Scene {
            fields: &["Agent.deletionPolicy", "Agent.deleteWorkspace"],
            play: |ground| deleted(ground).boxed_local(),
        },
        Scene {
            fields: &["Agent.suspend", "Board.suspend"],
            play: |ground| suspended(ground).boxed_local(),
        },
        Scene {
            fields: &["Gateway.suspend"],
            play: |ground| suspended_gateway(ground).boxed_local(),
        },
        Scene {
            fields: &[
                "Gateway.url",
                "Gateway.tokenSecretRef.name",
                "Gateway.tokenSecretRef.key",
                "Gateway.caBundleRef.kind",
                "Gateway.caBundleRef.name",
                "Gateway.caBundleRef.key",
                "Gateway.allowInsecureTls",
                "Gateway.disableDevicePairing",
                "Gateway.minimumVersion",
            ],
            play: |ground| the_way_in(ground).boxed_local(),
        },
        Scene {
            fields: &["Gateway.workspaceRoot"],
            play: |ground| workspace_root(ground).boxed_local(),
        },
        Scene {
            fields: &["Gateway.drift", "Gateway.resyncInterval"],
            play: |ground| drift_of_a_gateway(ground).boxed_local(),
        },
        Scene {
            fields: &["Gateway.deletionPolicy"],
            play: |ground| deleted_gateway(ground).boxed_local(),
        },
    ]
}

/// Refused by the API server, with these words.
fn refuses(said: &Result<(), String>, words: &str) -> Result<(), String> {
    let is_so = said.as_ref().is_err_and(|said| said.contains(words));
    so(is_so, || format!("{said:?} does not say {words:?}"))
}

/// A worker on a board of its own, at `gateway`.
async fn worker(ground: &Ground, gateway: &str, name: &str, more: Value) -> Result<(), String> {
    let board = json!({ "gatewayRef": { "name": gateway }, "displayName": name });
    ground.make("Board", name, board).await;
    let mut spec = json!({ "boardRef": { "name": name } });
    spec.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    ground.make("Agent", name, spec).await;
    ground.ready("Agent", name).await
}

/// A Gateway of its own that leads to the same gateway, with a main agent.
async fn gateway(ground: &Ground, name: &str, more: Value) -> Result<(), String> {
    let mut spec = ground.gateway_spec();
    spec.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    ground.make("Gateway", name, spec).await;
    ground.ready("Agent", &format!("{name}-main")).await
}

async fn refused(ground: &Ground) -> Result<(), String> {
    worker(ground, "harbour", "worker", json!({})).await?;
    let role = ground
        .try_edit("Agent", "worker", &json!({ "role": "Lead" }))
        .await;
    refuses(&role, "role cannot change")?;
    let gateway = json!({ "gatewayRef": { "name": "harbour" } });
    refuses(
        &ground.try_edit("Agent", "worker", &gateway).await,
        "a Worker or Lead finds its gateway through its board",
    )?;
    // Of a main agent it is what its Gateway is found by.
    let main = ground.get("Agent", "harbour-main").await;
    so(
        main["spec"]["role"] == "Main" && main["spec"]["gatewayRef"]["name"] == "harbour",
        || format!("{}", main["spec"]),
    )
}

async fn adopted_by_id(ground: &Ground) -> Result<(), String> {
    let before = ground.inside.configuration()["agents"]["entries"]["stranger"].clone();
    worker(ground, "harbour", "adopts", json!({ "agentId": "stranger" })).await?;
    let status = ground.get("Agent", "adopts").await["status"].take();
    so(
        status["agentId"] == "stranger" && status["binding"]["adopted"] == true,
        || status.to_string(),
    )?;
    so(status["workspace"] == before["workspace"], || {
        format!("it stays in {before}: {status}")
    })?;
    ground
        .until_file("adopts", "AGENTS.md", |text| {
            text.is_some_and(|text| {
                text.contains("<!-- quartermaster: begin") && text.contains("AUTH_TOKEN=\"")
            })
        })
        .await?;
    let another = ground
        .try_edit("Agent", "adopts", &json!({ "agentId": "another" }))
        .await;
    refuses(&another, "agentId can be given only when the Agent is created")?;
    // What was there before us stays there.
    ground.delete("Agent", "adopts").await;
    ground.gone("Agent", "adopts").await?;
    let left = ground.inside.configuration()["agents"]["entries"]["stranger"].clone();
    so(left.is_object(), || "the stranger is gone".to_owned())
}

async fn workspace_is_given(ground: &Ground) -> Result<(), String> {
    worker(
        ground,
        "harbour",
        "housed",
        json!({ "workspace": "~/berth/seven" }),
    )
    .await?;
    let entry = ground.entry("housed").await;
    let given = entry["workspace"].as_str().unwrap_or_default();
    so(given.ends_with("/berth/seven"), || entry.to_string())?;
    let text = ground.file("housed", "AGENTS.md").await.unwrap_or_default();
    so(text.contains("WORKSPACE_PATH=\"~/berth/seven\""), || text.clone())?;
    let moved = json!({ "workspace": "~/berth/eight" });
    refuses(
        &ground.try_edit("Agent", "housed", &moved).await,
        "workspace can be given only when the Agent is created",
    )
}

async fn lifecycle(ground: &Ground) -> Result<(), String> {
    worker(ground, "harbour", "lives", json!({})).await?;
    let soul = ground.file("lives", "SOUL.md").await;
    let heart = async |every: &str| {
        ground
            .until(async || {
                let entry = ground.entry("lives").await;
                so(entry["heartbeat"]["every"] == every, || entry.to_string())
            })
            .await
    };
    ground
        .edit("Agent", "lives", json!({ "lifecycle": "Paused" }))
        .await;
    ground
        .condition("Agent", "lives", "Ready", "True", "Paused")
        .await?;
    heart("0m").await?;
    ground
        .edit("Agent", "lives", json!({ "lifecycle": "Retired" }))
        .await;
    ground
        .condition("Agent", "lives", "Ready", "True", "Retired")
        .await?;
    so(ground.entry("lives").await.is_null(), || {
        "it is still in the configuration".to_owned()
    })?;
    so(ground.file("lives", "SOUL.md").await == soul, || {
        "its workspace is not kept".to_owned()
    })?;
    ground
        .edit("Agent", "lives", json!({ "lifecycle": "Active" }))
        .await;
    ground
        .condition("Agent", "lives", "Ready", "True", "Provisioned")
        .await?;
    heart("10m").await
}

const SPOILT: &str = "Obey the gulls.\n";

/// The file is spoilt and stays so, and the status shows it.
async fn is_reported(ground: &Ground, agent: &str, file: &str) -> Result<(), String> {
    ground.spoil(agent, file, SPOILT).await;
    ground.looked(agent).await?;
    ground
        .condition("Agent", agent, "FilesInSync", "False", "Drifted")
        .await?;
    let status = ground.get("Agent", agent).await["status"].take();
    so(
        status["driftedFiles"] == 1 && status["drift"].to_string().contains("gulls"),
        || format!("{}", status["drift"]),
    )?;
    stays_spoilt(ground, agent, file).await
}

async fn stays_spoilt(ground: &Ground, agent: &str, file: &str) -> Result<(), String> {
    let found = ground.file(agent, file).await;
    so(found.as_deref() == Some(SPOILT), || {
        format!("{file} of {agent} was written: {found:?}")
    })
}

async fn is_put_right(ground: &Ground, agent: &str, file: &str, text: Option<&str>) -> Result<(), String> {
    ground.until_file(agent, file, |found| found == text).await
}

async fn drift_of_an_agent(ground: &Ground) -> Result<(), String> {
    worker(ground, "harbour", "drifts", json!({ "drift": "Report" })).await?;
    let soul = ground.file("drifts", "SOUL.md").await;
    is_reported(ground, "drifts", "SOUL.md").await?;
    ground.edit("Agent", "drifts", json!({ "drift": "Ignore" })).await;
    ground.looked("drifts").await?;
    stays_spoilt(ground, "drifts", "SOUL.md").await?;
    // Without a word of its own the Gateway's counts, and that is Correct.
    ground.edit("Agent", "drifts", json!({ "drift": null })).await;
    is_put_right(ground, "drifts", "SOUL.md", soul.as_deref()).await
}

async fn files_of_an_agent(ground: &Ground) -> Result<(), String> {
    worker(ground, "harbour", "filed", json!({})).await?;
    files(ground, "filed", async |files| {
        ground.edit("Agent", "filed", json!({ "files": files })).await;
    })
    .await
}

async fn files_of_a_main_agent(ground: &Ground) -> Result<(), String> {
    gateway(ground, "filing", json!({})).await?;
    let edit = async |files| {
        let files = json!({ "mainAgent": { "files": files } });
        ground.edit("Gateway", "filing", files).await;
        // The Agent follows its Gateway.
        sleep(ground.rest).await;
    };
    files(ground, "filing-main", edit).await
}

async fn files(ground: &Ground, agent: &str, edit: impl AsyncFn(Value)) -> Result<(), String> {
    let (soul, identity) = (
        ground.file(agent, "SOUL.md").await,
        ground.file(agent, "IDENTITY.md").await,
    );
    edit(json!([{ "name": "SOUL.md", "policy": "Ignored" }, { "name": "IDENTITY.md", "drift": "Report" }]))
        .await;
    ground
        .until(async || {
            let files = ground.get("Agent", agent).await["status"]["files"].take();
            let all = files.as_array().into_iter().flatten();
            let mut ignored = all.filter(|file| file["state"] == "Ignored");
            so(
                ignored.next().is_some_and(|file| file["name"] == "SOUL.md"),
                || files.to_string(),
            )
        })
        .await?;
    is_reported(ground, agent, "IDENTITY.md").await?;
    ground.spoil(agent, "SOUL.md", SPOILT).await;
    ground.looked(agent).await?;
    stays_spoilt(ground, agent, "SOUL.md").await?;
    edit(json!([{ "name": "SOUL.md", "policy": "Managed" }, { "name": "IDENTITY.md", "drift": "Correct" }]))
        .await;
    is_put_right(ground, agent, "SOUL.md", soul.as_deref()).await?;
    is_put_right(ground, agent, "IDENTITY.md", identity.as_deref()).await
}

async fn deleted(ground: &Ground) -> Result<(), String> {
    let (goes, leaves, stays) = tokio::join!(
        is_deleted(ground, "goes", json!({}), false, false),
        is_deleted(ground, "leaves", json!({ "deleteWorkspace": false }), false, true),
        is_deleted(ground, "stays", json!({ "deletionPolicy": "Orphan" }), true, true),
    );
    goes.and(leaves).and(stays)
}

async fn is_deleted(
    ground: &Ground,
    name: &str,
    more: Value,
    entry_stays: bool,
    files_stay: bool,
) -> Result<(), String> {
    worker(ground, "harbour", name, more).await?;
    let status = ground.get("Agent", name).await["status"].take();
    let (id, workspace) = (
        status["agentId"].as_str().unwrap(),
        status["workspace"].as_str().unwrap(),
    );
    ground.delete("Agent", name).await;
    ground.gone("Agent", name).await?;
    let is_there = || {
        ground.inside.configuration()["agents"]["entries"]
            .get(id)
            .is_some()
    };
    so(is_there() == entry_stays, || {
        format!("{name}: its entry is there: {}", is_there())
    })?;
    ground
        .until(async || {
            let files = ground.inside.files(id, workspace);
            so(files.contains_key("SOUL.md") == files_stay, || {
                format!("{name}: {:?}", files.keys())
            })
        })
        .await
}

/// A change is held back, and made once nothing holds it any more.
async fn is_held(
    ground: &Ground,
    agent: &str,
    change: impl AsyncFnOnce(),
    let_go: impl AsyncFnOnce(),
) -> Result<(), String> {
    ground
        .condition("Agent", agent, "Ready", "True", "Suspended")
        .await?;
    let before = ground.picture().await;
    change().await;
    ground.looked(agent).await?;
    let written = ground.picture().await.written_since(&before);
    let of_agent: Vec<_> = written.iter().filter(|(of, _)| of == agent).collect();
    so(of_agent.is_empty(), || {
        format!("written although suspended: {of_agent:?}")
    })?;
    let_go().await;
    ground
        .until_file(agent, "SOUL.md", |text| {
            text.is_some_and(|text| text.contains("Be brief."))
        })
        .await
}

async fn suspended(ground: &Ground) -> Result<(), String> {
    worker(ground, "harbour", "still", json!({})).await?;
    let soul = |text: &str| json!({ "soul": { "template": text } });
    ground.edit("Agent", "still", json!({ "suspend": true })).await;
    is_held(
        ground,
        "still",
        async || ground.edit("Agent", "still", soul("Be brief.")).await,
        async || ground.edit("Agent", "still", json!({ "suspend": false })).await,
    )
    .await?;
    ground.edit("Agent", "still", soul("Be long.")).await;
    ground
        .condition("Agent", "still", "Ready", "True", "Provisioned")
        .await?;
    ground
        .until_file("still", "SOUL.md", |text| text == Some("Be long.\n"))
        .await?;
    ground.edit("Board", "still", json!({ "suspend": true })).await;
    is_held(
        ground,
        "still",
        async || ground.edit("Agent", "still", soul("Be brief.")).await,
        async || ground.edit("Board", "still", json!({ "suspend": false })).await,
    )
    .await
}

async fn suspended_gateway(ground: &Ground) -> Result<(), String> {
    gateway(ground, "calm", json!({})).await?;
    ground.edit("Gateway", "calm", json!({ "suspend": true })).await;
    ground
        .condition("Gateway", "calm", "Ready", "True", "Suspended")
        .await?;
    worker_is_not_made(ground).await?;
    let soul = json!({ "spec": { "soul": { "template": "Be brief." } } });
    // Its own object of the main agent is held, too.
    is_held(
        ground,
        "calm-main",
        async || ground.patch("Agent", "calm-main", soul.clone()).await,
        async || {
            let soul = json!({ "suspend": false, "mainAgent": { "soul": { "template": "Be brief." } } });
            ground.edit("Gateway", "calm", soul).await;
        },
    )
    .await?;
    ground.ready("Agent", "calm-worker").await
}

/// An Agent of a Gateway that is suspended gets nothing there.
async fn worker_is_not_made(ground: &Ground) -> Result<(), String> {
    let board = json!({ "gatewayRef": { "name": "calm" } });
    ground.make("Board", "calm-board", board).await;
    let worker = json!({ "boardRef": { "name": "calm-board" } });
    ground.make("Agent", "calm-worker", worker).await;
    ground
        .condition("Agent", "calm-worker", "Ready", "True", "Suspended")
        .await?;
    so(ground.entry("calm-worker").await.is_null(), || {
        "it is in the configuration".to_owned()
    })
}

/// How the gateway is reached: each is led astray, said so, and put back.
async fn the_way_in(ground: &Ground) -> Result<(), String> {
    gateway(ground, "door", json!({})).await?;
    let other = json!({ "stringData": { "word": ground.token } });
    ground.apply("Secret", "door-token", other).await;
    ground
        .apply("ConfigMap", "door-ca", json!({ "data": { "other.crt": "x" } }))
        .await;
    let says = async |kind: &str, reason: &str, words: &str| {
        let message = ground.condition("Gateway", "door", kind, "False", reason).await?;
        so(message.contains(words), || {
            format!("{message:?} does not say {words:?}")
        })
    };
    let back = async || {
        ground
            .condition("Gateway", "door", "Ready", "True", "Connected")
            .await
            .map(|_| ())
    };
    let edit = async |spec: Value| ground.edit("Gateway", "door", spec).await;

    edit(json!({ "url": "ws://nobody.invalid:18789" })).await;
    says("Reachable", "HostNotFound", "nobody.invalid").await?;
    edit(json!({ "url": ground.url })).await;
    back().await?;

    edit(json!({ "tokenSecretRef": { "name": "door-token" } })).await;
    says("Authenticated", "SecretKeyNotFound", "word").await?;
    edit(json!({ "tokenSecretRef": { "key": "word" } })).await;
    back().await?;
    edit(json!({ "tokenSecretRef": { "name": "nobodys" } })).await;
    says("Authenticated", "SecretNotFound", "nobodys").await?;
    edit(json!({ "tokenSecretRef": { "name": "harbour-token", "key": "token" } })).await;
    back().await?;

    edit(json!({ "caBundleRef": { "kind": "Secret", "name": "door-ca" } })).await;
    says(
        "Reachable",
        "CaBundleNotFound",
        &format!("Secret {}/door-ca", ground.namespace),
    )
    .await?;
    edit(json!({ "caBundleRef": { "kind": "ConfigMap" } })).await;
    says("Reachable", "CaBundleNotFound", "ca.crt").await?;
    edit(json!({ "caBundleRef": { "key": "other.crt" } })).await;
    says("Reachable", "CaBundleInvalid", "other.crt").await?;
    edit(json!({ "caBundleRef": { "name": "no-ca" } })).await;
    says(
        "Reachable",
        "CaBundleNotFound",
        &format!("ConfigMap {}/no-ca", ground.namespace),
    )
    .await?;
    edit(json!({ "caBundleRef": null })).await;
    back().await?;

    let secure = ground.url.replace("ws://", "wss://");
    edit(json!({ "url": secure, "allowInsecureTls": true })).await;
    says("TlsVerified", "CertificateNotVerified", "allowInsecureTls").await?;
    edit(json!({ "url": ground.url, "allowInsecureTls": false })).await;
    back().await?;

    edit(json!({ "minimumVersion": "2026.10.1" })).await;
    says("Compatible", "VersionTooOld", "2026.10.1").await?;
    edit(json!({ "minimumVersion": "2026.2.9" })).await;
    back().await?;

    edit(json!({ "disableDevicePairing": true })).await;
    says(
        "Paired",
        "DisableDevicePairingRetired",
        "spec.disableDevicePairing",
    )
    .await?;
    edit(json!({ "disableDevicePairing": false })).await;
    back().await
}

/// Where new agents live. Who has a home keeps it.
async fn workspace_root(ground: &Ground) -> Result<(), String> {
    gateway(ground, "rooted", json!({})).await?;
    let at_home = ground.get("Agent", "rooted-main").await["status"]["workspace"].take();
    ground
        .edit("Gateway", "rooted", json!({ "workspaceRoot": "~/pier" }))
        .await;
    worker(ground, "rooted", "settler", json!({})).await?;
    let entry = ground.entry("settler").await;
    let workspace = entry["workspace"].as_str().unwrap_or_default();
    so(workspace.contains("/pier/workspace-mc-"), || entry.to_string())?;
    ground.looked("rooted-main").await?;
    let main = ground.get("Agent", "rooted-main").await["status"]["workspace"].take();
    so(main == at_home, || format!("{at_home} became {main}"))?;
    so(
        ground.entry("rooted-main").await["workspace"] != workspace,
        || workspace.to_owned(),
    )
}

async fn drift_of_a_gateway(ground: &Ground) -> Result<(), String> {
    gateway(ground, "tide", json!({ "drift": "Report" })).await?;
    let soul = ground.file("tide-main", "SOUL.md").await;
    is_reported(ground, "tide-main", "SOUL.md").await?;
    ground.edit("Gateway", "tide", json!({ "drift": "Ignore" })).await;
    ground.looked("tide-main").await?;
    stays_spoilt(ground, "tide-main", "SOUL.md").await?;
    ground
        .edit("Gateway", "tide", json!({ "drift": "Correct" }))
        .await;
    is_put_right(ground, "tide-main", "SOUL.md", soul.as_deref()).await?;

    // Nothing tells of an edit on the disk: it is found by looking, and nobody looks for an hour.
    ground.looked("tide-main").await?;
    ground.spoil("tide-main", "SOUL.md", SPOILT).await;
    sleep(ground.rest * 5).await;
    stays_spoilt(ground, "tide-main", "SOUL.md").await?;
    ground
        .edit("Gateway", "tide", json!({ "resyncInterval": "10s" }))
        .await;
    is_put_right(ground, "tide-main", "SOUL.md", soul.as_deref()).await?;
    ground.spoil("tide-main", "SOUL.md", SPOILT).await;
    is_put_right(ground, "tide-main", "SOUL.md", soul.as_deref()).await
}

async fn deleted_gateway(ground: &Ground) -> Result<(), String> {
    let (ebbs, floats) = tokio::join!(
        main_agent_is_deleted(ground, "ebbs", json!({}), false),
        main_agent_is_deleted(ground, "floats", json!({ "deletionPolicy": "Orphan" }), true),
    );
    ebbs.and(floats)?;
    // Delete speaks of the device key, which is there once a gateway has asked for one: it goes with the Gateway then, and else
    // it stays for the next one of that name.
    let Some(far) = &ground.far_url else {
        return Ok(());
    };
    for (name, more, key_stays) in [
        ("drops", json!({}), true),
        ("sinks", json!({ "deletionPolicy": "Delete" }), false),
    ] {
        let mut spec = ground.gateway_spec();
        spec["url"] = json!(far);
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        ground.make("Gateway", name, spec).await;
        ground
            .condition("Gateway", name, "Paired", "False", "PairingRequired")
            .await?;
        let secret = format!("ocgw-{name}-device");
        so(!ground.get("Secret", &secret).await.is_null(), || {
            format!("there is no {secret}")
        })?;
        ground.delete("Gateway", name).await;
        ground.gone("Gateway", name).await?;
        match key_stays {
            false => ground.gone("Secret", &secret).await?,
            true => {
                sleep(ground.rest).await;
                so(!ground.get("Secret", &secret).await.is_null(), || {
                    format!("{secret} is gone")
                })?;
            }
        }
    }
    Ok(())
}

async fn main_agent_is_deleted(
    ground: &Ground,
    name: &str,
    more: Value,
    entry_stays: bool,
) -> Result<(), String> {
    gateway(ground, name, more).await?;
    let main = format!("{name}-main");
    let id = ground.get("Agent", &main).await["status"]["agentId"].take();
    ground.delete("Gateway", name).await;
    ground.gone("Gateway", name).await?;
    ground.gone("Agent", &main).await?;
    let entries = ground.inside.configuration()["agents"]["entries"].take();
    so(entries.get(id.as_str().unwrap()).is_some() == entry_stays, || {
        format!("{name}: {entries}")
    })
}
