//! How an agent leaves a gateway: for good, or until it is wanted again.

use serde_json::Value;

use super::{Action, Farewell, Plan, Promise, Waits, entry};
use crate::deposits::{Answer, Order};
use crate::desired::agent::{Departure, Desired, Place};
use crate::fact::Fact;
use crate::gateway::commit::Removal;
use crate::gateway::configuration::Configuration;
use crate::observed::agent::{Line, Observed};
use crate::resource::settings::DeletionPolicy;

/// The object is being deleted.
pub(super) fn gone(plan: &mut Plan, desired: &Desired, observed: &Observed, departure: &Departure) {
    let Departure {
        policy,
        with_workspace,
        forced,
        after,
        gateway_is_gone,
        gateway_is_away,
        taken_over,
    } = departure;
    if !desired.promises.held {
        return;
    }
    // Without a binding nothing of it was ever in a gateway.
    let (Ok(place), Some(_)) = (&desired.place, &desired.promises.binding) else {
        return let_go(plan, Farewell::Clean);
    };
    if let Some(hold) = desired.hold {
        plan.waits = Some(Waits::Hold(hold));
        return;
    }
    // A gateway that is still being connected is not away.
    let is_away = match observed.line {
        Line::Up(_) => false,
        Line::Down(_) => true,
        Line::NotTried => *gateway_is_away,
    };
    match (policy, taken_over, gateway_is_gone) {
        (DeletionPolicy::Orphan, _, _) => return let_go(plan, Farewell::Orphaned),
        (DeletionPolicy::Delete, true, _) => return let_go(plan, Farewell::TakenOver),
        (DeletionPolicy::Delete, false, true) => return let_go(plan, Farewell::NoGateway),
        (DeletionPolicy::Delete, false, false) => {}
    }
    if !desired.promises.entered {
        return let_go(plan, Farewell::Clean);
    }
    if *forced && is_away {
        return let_go(plan, Farewell::Forced);
    }
    if !after.is_empty() && !forced {
        plan.waits = Some(Waits::Ahead(after.clone()));
        return;
    }
    take_out(plan, desired, observed, place, *with_workspace);
    let is_stuck = match plan.waits {
        Some(Waits::NotCommitted { .. } | Waits::Rejected(_) | Waits::Configuration) => true,
        Some(
            Waits::Hold(_)
            | Waits::Gateway
            | Waits::Files(_)
            | Waits::Seeds
            | Waits::Commit
            | Waits::TokenLost
            | Waits::Ahead(_)
            | Waits::Wake(_)
            | Waits::WakeUnknown,
        )
        | None => false,
    };
    if *forced && is_stuck {
        plan.waits = None;
        return let_go(plan, Farewell::Forced);
    }
    if plan.is_empty() {
        let_go(plan, Farewell::Clean);
    }
}

/// Out of the gateway, with workspace and token kept.
pub(super) fn retired(plan: &mut Plan, desired: &Desired, observed: &Observed) {
    let Ok(place) = &desired.place else { return };
    if !desired.promises.entered {
        return;
    }
    if desired.taken_over {
        // What is there by now is another one's.
        plan.stages.push(vec![Action::Promise(Promise::Disown)]);
        return;
    }
    if desired.is_elsewhere {
        return;
    }
    take_out(plan, desired, observed, place, false);
    if plan.is_empty() {
        plan.stages.push(vec![Action::Promise(Promise::Disown)]);
    }
}

/// Nothing is planned where it is gone already.
fn take_out(plan: &mut Plan, desired: &Desired, observed: &Observed, place: &Place, with_files: bool) {
    if !observed.line.is_up() {
        plan.waits = Some(Waits::Gateway);
        return;
    }
    let Fact::Known(configuration) = &observed.configuration else {
        plan.waits = Some(Waits::Configuration);
        return;
    };
    let is_coming = observed
        .deposit
        .as_ref()
        .is_some_and(|deposit| matches!(deposit.order, Order::Put(_)) && deposit.answer == Answer::UnderWay);
    if is_coming {
        // Not there yet, and on its way: gone would be said of what comes a moment later.
        plan.waits = Some(Waits::Commit);
        return;
    }
    if configuration.entries.contains_key(&place.agent) {
        let removal = Removal {
            agent: place.agent.clone(),
            with_files: with_files && !is_shared(configuration, place),
            preserved: entry::preserved(desired),
        };
        entry::deposit(plan, desired, observed, Order::TakeOut(removal));
    }
}

/// Whether another agent works in the same folder, below it or above it.
fn is_shared(configuration: &Configuration, place: &Place) -> bool {
    let folder = |path: &str| format!("{}/", path.trim_end_matches('/'));
    let workspace =
        |entry: &serde_json::Map<String, Value>| entry.get("workspace").and_then(Value::as_str).map(folder);
    // Who names no folder works in one that the gateway chooses; only a folder that bears this agent's id is none of these.
    let is_its_own = place.workspace.ends_with(&format!("/workspace-{}", place.agent));
    let mut others = configuration.entries.iter().filter(|(id, _)| **id != place.agent);
    if !is_its_own && others.any(|(_, entry)| workspace(entry).is_none()) {
        return true;
    }
    // As the gateway uses it: `~` in our words is a path in its.
    let own = configuration.entries.get(&place.agent).and_then(workspace);
    let ours = [Some(folder(&place.workspace)), own];
    let others = configuration.entries.iter().filter(|(id, _)| **id != place.agent);
    others.filter_map(|(_, entry)| workspace(entry)).any(|other| {
        ours.iter()
            .flatten()
            .any(|ours| ours.starts_with(&other) || other.starts_with(ours))
    })
}

fn let_go(plan: &mut Plan, farewell: Farewell) {
    plan.stages.push(vec![Action::LetGo(farewell)]);
}
