//! The resources that users write: what each field means, which values are legal, and what a refusal says. A kind is
//! one file, its spec first, then its status; `settings` holds what two kinds share, `format` the forms of strings,
//! `names` every label and annotation. Nothing here acts, and nothing here knows the rest of the program. The
//! definitions in `crds/` are printed from these types, so the types' comments are what `kubectl explain` shows.

#![expect(
    unreachable_pub,
    reason = "KubeSchema repeats each struct, `pub` and all, inside a function"
)]

pub mod agent;
mod agent_status;
pub mod board;
pub mod condition;
mod definition;
mod format;
pub mod gateway;
pub mod names;
pub mod reference;
pub mod settings;
pub mod template_sync;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

pub use agent::{Agent, AgentSpec, AgentStatus};
pub use board::{Board, BoardSpec, BoardStatus};
pub use condition::Condition;
pub use gateway::{Gateway, GatewaySpec, GatewayStatus};
pub use template_sync::{TemplateSync, TemplateSyncSpec, TemplateSyncStatus};

/// A moment in a status, to the second: that is what the API server keeps, so compare what was read, not what was set.
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The definition of every kind, in the order in which a newcomer meets them.
///
/// This, and not a kind's own `crd()`, is what a cluster gets: see `definition`.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![
        definition::of::<Gateway>(),
        definition::of::<Board>(),
        definition::of::<Agent>(),
        definition::of::<TemplateSync>(),
    ]
}
