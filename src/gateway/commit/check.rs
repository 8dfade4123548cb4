//! What the gateway's own schema says of a change, so that a setting that it would refuse costs no write.

use std::sync::{Arc, Weak};

use super::EntryChange;
use super::heartbeat::HEARTBEAT;
use crate::gateway::connection::{CallError, Connection};
use crate::gateway::contract::Roster;
use crate::gateway::names::AgentId;
use crate::gateway::refusal::Issue;
use crate::gateway::schema::EntrySchema;
use crate::gateway::session::Online;

/// The schema, read when it is first asked for, once a connection.
#[derive(Default)]
pub(super) struct Check {
    known: Option<(Weak<Connection>, Option<EntrySchema>)>,
}

impl Check {
    /// Who of them has settings that are certainly wrong.
    pub(super) async fn faults(
        &mut self,
        online: &Online,
        changes: &[EntryChange],
    ) -> Result<Vec<(AgentId, Vec<Issue>)>, CallError> {
        // What every agent has is known to be right; the schema is read when somebody wants more.
        let is_usual = |key: &str| ["name", "workspace", "model", "identity", HEARTBEAT].contains(&key);
        let unusual = |change: &EntryChange| change.fields.keys().any(|key| !is_usual(key));
        if !changes.iter().any(unusual) {
            return Ok(Vec::new());
        }
        let Online {
            connection, contract, ..
        } = online;
        let is_of = |of: &Weak<Connection>| std::ptr::eq(of.as_ptr(), Arc::as_ptr(connection));
        let schema = match &self.known {
            Some((of, schema)) if is_of(of) => schema,
            Some(_) | None => {
                let schema = connection.entry_schema(contract).await?;
                &self.known.insert((Arc::downgrade(connection), schema)).1
            }
        };
        let Some(schema) = schema else {
            return Ok(Vec::new());
        };
        let of = |EntryChange { agent, fields, .. }: &EntryChange| {
            let at = match contract.roster {
                Roster::Entries => format!("agents.entries.{agent}"),
                Roster::MergedList | Roster::ReplacedList => format!("agents.list[{agent}]"),
            };
            let mut fields = fields.clone();
            // Its unknown keys are left out and said.
            fields.remove(HEARTBEAT);
            let issues = schema.issues(&fields, &at);
            (!issues.is_empty()).then(|| (agent.clone(), issues))
        };
        Ok(changes.iter().filter_map(of).collect())
    }
}
