//! The table, row by row.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use quartermaster::resource::{Agent, Board, Gateway, TemplateSync};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ask::{Asker, Refusal};
use super::cluster::{asker, install};
use super::overlay::{lost, merged};
use super::samples::{Row, Table, tables};
use super::schemas::{kinds, messages, walk};
use crate::bed::{evidence, shared_cluster};

#[derive(Default)]
struct Seen {
    faults: Vec<String>,
    refusals: Vec<Refusal>,
    accepted: usize,
}

#[tokio::test]
async fn every_rule_refuses_what_it_should_and_nothing_beside_it() {
    let cluster = real!(shared_cluster());
    install(cluster);
    let namespace = cluster.namespace("table");
    let asker = asker(cluster, &namespace).await;

    let mut seen = Seen::default();
    for table in tables() {
        let rows = table
            .rules
            .iter()
            .enumerate()
            .map(|(number, row)| try_row(&asker, &table, number, row));
        // As many at once as an API server answers without a queue.
        for of_row in stream::iter(rows).buffer_unordered(8).collect::<Vec<_>>().await {
            seen.faults.extend(of_row.faults);
            seen.refusals.extend(of_row.refusals);
            seen.accepted += of_row.accepted;
        }
    }

    let said: String = seen
        .refusals
        .iter()
        .map(|refusal| refusal.message.as_str())
        .collect();
    let mut rules = BTreeSet::new();
    for kind in kinds() {
        walk("", &kind.schema, &mut |_, schema| rules.extend(messages(schema)));
    }
    for rule in &rules {
        if !said.contains(rule.as_str()) {
            seen.faults
                .push(format!("no illegal case meets the rule \"{rule}\""));
        }
    }
    assert!(seen.faults.is_empty(), "{}", seen.faults.join("\n"));
    let note = format!(
        "refused as written down, {} accepted beside them, {} rules",
        seen.accepted,
        rules.len()
    );
    evidence::record("schema", "illegal objects", seen.refusals.len() as u64, &note);
}

async fn try_row(asker: &Asker, table: &Table, number: usize, row: &Row) -> Seen {
    let mut seen = Seen::default();
    if row.illegal.is_empty() || row.legal.is_empty() {
        seen.faults.push(format!(
            "{} \"{}\": a rule has two sides, write a case for each",
            table.kind, row.name
        ));
    }
    let mut base = table.base(number);
    if let Some(before) = &row.before {
        base = asker
            .create(&merged(&base, before))
            .await
            .unwrap_or_else(|refusal| panic!("{}: {refusal:?}", row.name));
    }
    for (legal, case) in row
        .legal
        .iter()
        .map(|case| (true, case))
        .chain(row.illegal.iter().map(|case| (false, case)))
    {
        let object = merged(&base, case);
        let answer = match row.before {
            Some(_) => asker.could_replace(&object).await,
            None => asker.could_create(&object).await,
        };
        let place = format!("{} \"{}\" {case}", table.kind, row.name);
        match answer {
            Ok(kept) if legal => {
                seen.accepted += 1;
                let lost = lost("spec", &object["spec"], &kept["spec"]);
                if !lost.is_empty() {
                    seen.faults.push(format!("{place}: {}", lost.join(", ")));
                }
                seen.faults
                    .extend(misread(&kept).map(|fault| format!("{place}: {fault}")));
            }
            Ok(_) => seen.faults.push(format!("{place} was accepted")),
            Err(refusal) if legal => seen
                .faults
                .push(format!("{place} was refused: {}", refusal.message)),
            Err(refusal) => {
                if !refusal.says(row.field.as_deref(), &row.says) {
                    let (field, says) = (row.field.as_deref().unwrap_or("no field"), &row.says);
                    seen.faults.push(format!(
                        "{place} was not refused at {field} with \"{says}\": {refusal:?}"
                    ));
                }
                seen.refusals.push(refusal);
            }
        }
    }
    seen
}

/// What our types lose of an object that the API server keeps.
pub fn misread(kept: &Value) -> Option<String> {
    fn again<Kind: DeserializeOwned + serde::Serialize>(kept: &Value) -> Option<String> {
        let read: Kind = match serde_json::from_value(kept.clone()) {
            Ok(read) => read,
            Err(error) => return Some(format!("our types cannot read it: {error}")),
        };
        let written = serde_json::to_value(read).unwrap();
        ["spec", "status"]
            .iter()
            .find(|part| kept[**part] != written[**part])
            .map(|part| format!("our types read {} as {}", kept[*part], written[*part]))
    }
    match kept["kind"].as_str() {
        Some("Gateway") => again::<Gateway>(kept),
        Some("Board") => again::<Board>(kept),
        Some("Agent") => again::<Agent>(kept),
        Some("TemplateSync") => again::<TemplateSync>(kept),
        other => Some(format!("nobody knows the kind {other:?}")),
    }
}
