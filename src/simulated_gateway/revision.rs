//! What `config.patch`, `config.set` and `config.apply` make of the configuration, and what no write may do to it.

use serde_json::Value;

use super::contract::Contract;
use super::issues;
use super::methods::Call;
use super::refusal::Refusal;
use super::world::State;
use super::writes::Write;
use super::{clock, config, json5, merge, roster};

/// The document after a patch.
pub(super) fn patched(state: &State, call: &Call<'_>) -> Result<Value, Refusal> {
    let contract = call.contract();
    // 2026.9.6 asks for the hash only where something changes.
    if contract != Contract::V2026_9_6 {
        base_hash_is_ours(state, call)?;
    }
    let mut patch = read(&call.text("raw"))?;
    if !patch.is_object() {
        return Err(Refusal::invalid("config.patch raw must be an object"));
    }
    let old = state.config.document();
    config::restore(&mut patch, old);
    let replaced: Vec<String> = call
        .params
        .get("replacePaths")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let mut document = old.clone();
    merge::merge(&mut document, &patch, contract, &replaced);
    if contract == Contract::V2026_9_6 {
        match call.params.get("baseHash").and_then(Value::as_str) {
            Some(hash) if hash != state.config.hash(contract) => return Err(stale()),
            None if document != *old => {
                let source = |document| config::source(document, contract);
                let paths = merge::changed(&source(old), &source(&document), &|_| true).join(", ");
                return Err(Refusal::invalid(format!(
                    "config base hash required for {paths}; re-run config.get and retry with baseHash"
                )));
            }
            Some(_) | None => {}
        }
    }
    takes_nothing_from_lists(old, &patch, &document, contract, &replaced)?;
    issues::valid(&document, contract)?;
    keeps_the_roster(old, &document, contract, Write::Patch)?;
    Ok(document)
}

/// The document that takes the old one's place.
pub(super) fn replaced(state: &State, call: &Call<'_>, write: Write) -> Result<Value, Refusal> {
    base_hash_is_ours(state, call)?;
    let mut document = read(&call.text("raw"))?;
    // Newer gateways put hidden secrets back first, and give up on what could not hold one.
    if !document.is_object() && !document.is_array() && call.contract() != Contract::V2026_2_9 {
        return Err(Refusal::invalid("invalid config"));
    }
    let old = state.config.document();
    config::restore(&mut document, old);
    issues::valid(&document, call.contract())?;
    keeps_the_roster(old, &document, call.contract(), write)?;
    Ok(document)
}

fn read(raw: &str) -> Result<Value, Refusal> {
    json5::parse(raw).map_err(Refusal::invalid)
}

fn stale() -> Refusal {
    Refusal::invalid("config changed since last load; re-run config.get and retry")
}

fn base_hash_is_ours(state: &State, call: &Call<'_>) -> Result<(), Refusal> {
    match call.params.get("baseHash").and_then(Value::as_str) {
        None => Err(Refusal::invalid(
            "config base hash required; re-run config.get and retry",
        )),
        Some(hash) if hash != state.config.hash(call.contract()) => Err(stale()),
        Some(_) => Ok(()),
    }
}

/// Since 2026.4.29 a patch takes items out of a list only where `replacePaths` says so.
fn takes_nothing_from_lists(
    old: &Value,
    patch: &Value,
    new: &Value,
    contract: Contract,
    replaced: &[String],
) -> Result<(), Refusal> {
    if !contract.merges_arrays() {
        return Ok(());
    }
    let mut paths = merge::shortened(old, patch, new);
    paths.retain(|path| !replaced.contains(path));
    if paths.is_empty() {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "config.patch would remove entries from array path(s): {}. Pass replacePaths with the exact path(s) when this is \
         intentional, or use config.apply for full-config replacement.",
        paths.join(", ")
    )))
}

/// Since 2026.8 agents are deleted by `agents.delete` alone.
fn keeps_the_roster(old: &Value, new: &Value, contract: Contract, write: Write) -> Result<(), Refusal> {
    if !contract.has_entries() {
        return Ok(());
    }
    let after = roster::entries(new, contract);
    let dropped: Vec<String> = roster::entries(old, contract)
        .into_keys()
        .filter(|id| !after.contains_key(id))
        .collect();
    if dropped.is_empty() {
        return Ok(());
    }
    let dropped = dropped.join(", ");
    Err(if write == Write::Set {
        Refusal::invalid(format!(
            "config.set would remove existing agent entries: {dropped}. Use the agents.delete RPC or `openclaw agents delete \
             <id>` for intentional deletion."
        ))
    } else {
        Refusal::unavailable(format!(
            "Error: Config write would drop agent roster entries without an explicit deletion: {dropped}."
        ))
    })
}

/// A write that leaves less than half of the file is taken for an accident, whoever writes. 2026.2.9 does not look.
pub(super) fn keeps_its_size(old: &Value, new: &Value, call: &Call<'_>) -> Result<(), Refusal> {
    /// Below that many bytes nothing is refused.
    const LEAST: usize = 512;
    match call.contract() {
        Contract::V2026_2_9 => return Ok(()),
        Contract::V2026_7_35 | Contract::V2026_9_6 => {}
    }
    let (before, after) = (config::text(old).len(), config::text(new).len());
    if before < LEAST || after >= before / 2 {
        return Ok(());
    }
    let path = call.world.places.config_path();
    let at = clock::iso(call.now_ms()).replace([':', '.'], "-");
    Err(Refusal::unavailable(format!(
        "Error: Config write rejected: {path} (size-drop:{before}->{after}). Rejected payload saved to {path}.rejected.{at}."
    )))
}
