//! Plays rows: makes the edit, waits for what shall come of it, lets everybody look once more, and compares all that was
//! written with what the row says.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};

use super::super::ground::{Ground, Picture, condition_of, is_of_now, shows};
use super::row::{Effect, Row};
use super::{agent, rows, scene::scenes};

/// The fleet that rows are played on.
pub async fn lay(ground: &Ground) {
    let token = json!({ "stringData": { "token": ground.token } });
    ground.apply("Secret", "harbour-token", token).await;
    for map in ["texts", "others"] {
        let text = |key: &str| format!("This is {key} of {map}, {{{{ agent_name }}}}.");
        let data = json!({ "data": { "one": text("one"), "two": text("two") } });
        ground.apply("ConfigMap", map, data).await;
    }
    let souls = json!({ "metadata": { "labels": { "quartermaster.dev/souls": "true" } },
        "data": { "site-reliability-engineer": "You keep the lights on." } });
    ground.apply("ConfigMap", "souls", souls).await;

    let mut gateway = ground.gateway_spec();
    gateway["mainAgent"] = agent::base();
    gateway["owner"] = json!({ "name": "Ada Keller" });
    ground.make("Gateway", "harbour", gateway).await;
    for (name, shown) in [("ops", "Operations"), ("docks", "Docks"), ("quay", "Quay")] {
        let spec = json!({ "gatewayRef": { "name": "harbour" }, "displayName": shown, "maxAgents": 3 });
        ground.make("Board", name, spec).await;
    }
    let on_ops = |more: Value| {
        let mut spec = json!({ "boardRef": { "name": "ops" } });
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        spec
    };
    ground
        .make("Agent", "boss", on_ops(json!({ "role": "Lead" })))
        .await;
    ground.make("Agent", "triage", on_ops(agent::base())).await;
    let keeps_user = json!({ "files": [{ "name": "USER.md", "policy": "Managed" }] });
    ground.make("Agent", "lookout", on_ops(keeps_user)).await;
    for name in ["boss", "triage", "lookout", "harbour-main"] {
        ground
            .ready("Agent", name)
            .await
            .unwrap_or_else(|why| panic!("{why}"));
    }
}

/// All scenes beside one another, on that fleet.
pub async fn play_scenes(ground: &Ground) -> Result<(), Vec<String>> {
    let played = join_all(scenes().into_iter().map(async |scene| {
        let played = (scene.play)(ground).await;
        played.map_err(|why| format!("{:?}: {why}", scene.fields)).err()
    }));
    let faults: Vec<String> = played.await.into_iter().flatten().collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// Each row by itself: what it changes, nothing else does.
pub async fn play_one_by_one(ground: &Ground) -> Result<(), Vec<String>> {
    lay(ground).await;
    ground.settled().await.map_err(|why| vec![why])?;
    let mut faults = Vec::new();
    for round in rounds() {
        for row in &round {
            let played = play(ground, std::slice::from_ref(row)).await;
            faults.extend(played.into_iter().map(|fault| format!("{}: {fault}", row.field)));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// All rows of a round at once: what they change, nothing else does.
pub async fn play_together(ground: &Ground) -> Result<(), Vec<String>> {
    lay(ground).await;
    ground.settled().await.map_err(|why| vec![why])?;
    let mut faults = Vec::new();
    for (number, round) in rounds().iter().enumerate() {
        let played = play(ground, round).await;
        faults.extend(played.into_iter().map(|fault| format!("round {number}: {fault}")));
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn rounds() -> Vec<Vec<Row>> {
    let mut all = rows();
    all.sort_by_key(|row| row.round);
    let rounds: BTreeSet<u8> = all.iter().map(|row| row.round).collect();
    let of = |round: u8| all.iter().filter(|row| row.round == round).cloned().collect();
    rounds.into_iter().map(of).collect()
}

async fn play(ground: &Ground, rows: &[Row]) -> Vec<String> {
    let before = ground.picture().await;
    for (on, edit) in merged(rows) {
        if let Err(why) = ground.try_edit(on.0, &on.1, &edit).await {
            return vec![format!("{} {} {edit}: {why}", on.0, on.1)];
        }
    }
    let shown = ground
        .until(async || {
            let now = ground.picture().await;
            for effect in rows.iter().flat_map(|row| &row.effects) {
                shown(ground, effect, &before, &now).await?;
            }
            Ok(())
        })
        .await;
    let settled = match shown {
        Ok(()) => ground.settled().await,
        Err(why) => Err(why),
    };
    let mut faults: Vec<String> = settled.err().into_iter().collect();
    faults.extend(beyond(rows, &before, &ground.picture().await));
    faults
}

/// Edits of one object as one.
fn merged(rows: &[Row]) -> Vec<((&'static str, String), Value)> {
    let mut edits: Vec<((&'static str, String), Value)> = Vec::new();
    for row in rows {
        match edits.iter_mut().find(|(on, _)| *on == row.on) {
            Some((_, edit)) => lay_over(edit, &row.edit),
            None => edits.push((row.on.clone(), row.edit.clone())),
        }
    }
    edits
}

fn lay_over(base: &mut Value, more: &Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            for (key, value) in more {
                lay_over(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, more) => *base = more.clone(),
    }
}

async fn shown(ground: &Ground, effect: &Effect, before: &Picture, now: &Picture) -> Result<(), String> {
    match effect {
        Effect::Shows { agent, file, words } => {
            if shows(before.file(agent, file), words) {
                Err(format!("{file} of {agent} showed {words:?} before the edit"))
            } else if shows(now.file(agent, file), words) {
                Ok(())
            } else {
                Err(format!(
                    "{file} of {agent} does not show {words:?}:\n{}",
                    now.file(agent, file)
                ))
            }
        }
        Effect::Lacks { agent, file, words } => {
            if !shows(before.file(agent, file), words) {
                Err(format!(
                    "{file} of {agent} did not show {words:?} before the edit"
                ))
            } else if shows(now.file(agent, file), words) {
                Err(format!("{file} of {agent} still shows {words:?}"))
            } else {
                Ok(())
            }
        }
        Effect::Rewritten { agent, file } => {
            if now.file(agent, file) == before.file(agent, file) {
                Err(format!("{file} of {agent} is as it was"))
            } else {
                Ok(())
            }
        }
        Effect::Spans { on, from, to, hours } => {
            let object = ground.get(on.0, &on.1).await;
            let at = |pointer: &str| -> Option<jiff::Timestamp> {
                object.pointer(pointer)?.as_str()?.parse().ok()
            };
            let span = at(from)
                .zip(at(to))
                .map(|(from, to)| to.duration_since(from).as_hours());
            if span.is_some_and(|span| hours.contains(&span)) && is_of_now(&object) {
                Ok(())
            } else {
                Err(format!(
                    "from {from} to {to} of {} it is {span:?} hours, not {hours:?}",
                    on.1
                ))
            }
        }
        Effect::Entry {
            agent,
            pointer,
            value,
        } => {
            let at = |picture: &Picture| {
                let seen = picture.agents.get(agent);
                seen.and_then(|seen| seen.entry.pointer(pointer).cloned())
            };
            if at(before).as_ref() == Some(value) {
                Err(format!("{pointer} of {agent} was {value} before the edit"))
            } else if at(now).as_ref() == Some(value) {
                Ok(())
            } else {
                Err(format!("{pointer} of {agent} is {:?}, not {value}", at(now)))
            }
        }
        Effect::Bound { agent, matches } => {
            let id = now
                .agents
                .get(agent)
                .map(|seen| seen.id.as_str())
                .unwrap_or_default();
            let items = now.bindings.as_array().into_iter().flatten();
            let found = items.filter(|item| item["agentId"] == id && item["match"] == *matches);
            match found.count() {
                1 => Ok(()),
                _ => Err(format!(
                    "{matches} is not bound to {agent} ({id}): {}",
                    now.bindings
                )),
            }
        }
        Effect::Holds { on, pointer, value } => {
            let object = ground.get(on.0, &on.1).await;
            let found = object.pointer(pointer);
            let holds = found.is_some_and(|found| match found.as_array() {
                Some(items) => items.contains(value),
                None => found == value,
            });
            if holds && is_of_now(&object) {
                Ok(())
            } else {
                Err(format!(
                    "{pointer} of {} is {found:?} and does not hold {value}",
                    on.1
                ))
            }
        }
        Effect::Condition {
            on,
            kind,
            status,
            reason,
        } => {
            let object = ground.get(on.0, &on.1).await;
            let found = condition_of(&object, kind);
            if found["status"] == *status && found["reason"] == *reason && is_of_now(&object) {
                Ok(())
            } else {
                Err(format!("{kind} of {} is {found}, not {status}/{reason}", on.1))
            }
        }
    }
}

/// What was written that no row speaks of, and what was written without a change to show for it.
fn beyond(rows: &[Row], before: &Picture, after: &Picture) -> Vec<String> {
    let (mut files, mut entries, mut bindings) = (BTreeSet::new(), BTreeSet::new(), false);
    for effect in rows.iter().flat_map(|row| &row.effects) {
        match effect {
            Effect::Shows { agent, file, .. }
            | Effect::Lacks { agent, file, .. }
            | Effect::Rewritten { agent, file } => {
                files.insert((agent.clone(), (*file).to_owned()));
            }
            Effect::Entry { agent, .. } => {
                entries.insert(agent.clone());
            }
            Effect::Bound { .. } => bindings = true,
            Effect::Holds { .. } | Effect::Spans { .. } | Effect::Condition { .. } => {}
        }
    }
    let mut faults = Vec::new();
    let written = after.written_since(before);
    if written != files {
        let (more, less) = (written.difference(&files), files.difference(&written));
        faults.push(format!(
            "files: written and not said: {:?}, said and not written: {:?}",
            more.collect::<Vec<_>>(),
            less.collect::<Vec<_>>()
        ));
    }
    let changed = after.entries_changed_since(before);
    if changed != entries {
        faults.push(format!("entries: {changed:?} are others, {entries:?} should be"));
    }
    if (after.bindings != before.bindings) != bindings {
        faults.push(format!("bindings: {} became {}", before.bindings, after.bindings));
    }
    let is_written = after.configuration_stamp != before.configuration_stamp;
    if is_written != (!entries.is_empty() || bindings) {
        faults.push(format!("the configuration was written: {is_written}"));
    }
    faults
}
