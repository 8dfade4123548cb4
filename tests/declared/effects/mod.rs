//! Every field of Gateway, Board and Agent, and what a user sees when it is changed.
//!
//! Most fields are a **row**: an edit, what comes of it, and nothing else. Some take a **scene**: what they do shows only when
//! something is spoilt, suspended, created or deleted. A field that may not be changed is a **refusal**. What has no effect yet
//! is a row that says so. `covered` walks the schemas and complains of a field without any of these, so that none is forgotten.

mod agent;
mod board;
mod gateway;
mod play;
mod row;
mod scene;
mod schema;

pub use play::{lay, play_one_by_one, play_scenes, play_together};
pub use schema::covered;

use row::Row;

fn rows() -> Vec<Row> {
    let of_agents = agent::rows();
    let of_main_agents = gateway::of_the_main_agent(&of_agents);
    [board::rows(), of_agents, gateway::rows(), of_main_agents].concat()
}
