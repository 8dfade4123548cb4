//! Whatever a pass may want to say, the API server takes it: a status that is refused fails the pass for ever.

use proptest::prelude::*;
use quartermaster::control_plane::Object;
use quartermaster::control_plane::schema::Schema;
use quartermaster::gateway::Contract;
use quartermaster::resource::{self, Agent};

use crate::deed::Deed;
use crate::model::{Model, Origin};
use crate::outside::OrderEnds;
use crate::{PASSES, cases, contracts, deeds, hardship, last_deed, origins};

fn schema() -> Schema {
    let definitions = resource::definitions();
    let of_agents = definitions
        .iter()
        .find(|it| it.spec.names.kind == "Agent")
        .unwrap();
    let version = &of_agents.spec.versions[0];
    let schema = version
        .schema
        .as_ref()
        .unwrap()
        .open_api_v3_schema
        .as_ref()
        .unwrap();
    Schema::compile(&serde_json::to_value(schema).unwrap()).unwrap()
}

/// What an API server would say to an Agent with this status, after one without.
fn refused(schema: &Schema, agent: &Agent) -> Vec<String> {
    let object = |agent: &Agent| Object::of(serde_json::to_value(agent).unwrap()).unwrap();
    let mut now = object(agent);
    let stored = object(&Agent {
        status: None,
        ..agent.clone()
    });
    let unknown = schema.prune(&mut now);
    let causes = schema.validate_status(Vec::new(), &now, &stored);
    let unknown = unknown.iter().map(|path| format!("unknown field {path}"));
    unknown
        .chain(causes.iter().map(|cause| format!("{cause:?}")))
        .collect()
}

/// Chance rarely comes to what a status holds most of: long differences of many files, and a long refusal.
fn in_a_life_of_drift(schema: &Schema) -> usize {
    let mut seen = 0;
    for contract in Contract::ALL {
        let mut model = Model::new(contract, Origin::Ours);
        model.statuses = Some(Vec::new());
        model.outside.orders_to_come = [OrderEnds::Rejected(1)].into();
        let edits = (0..8).map(Deed::SomebodyEditsFile);
        for deed in [Deed::Drift(2)]
            .into_iter()
            .chain(edits)
            .chain([Deed::SomebodyEditsEntry])
        {
            model.rest(PASSES);
            model.happen(&deed);
        }
        model.rest(PASSES);
        for agent in model.statuses.iter().flatten() {
            let refused = refused(schema, agent);
            assert!(refused.is_empty(), "{refused:?}\n{:#?}", agent.status);
            seen += 1;
        }
    }
    seen
}

#[test]
fn the_schema_takes_every_status() {
    let schema = schema();
    let config = ProptestConfig {
        cases: (cases() / 4).max(60),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut seen = in_a_life_of_drift(&schema);
    let told = std::cell::RefCell::new(&mut seen);
    let all = (
        contracts(),
        origins(),
        deeds(),
        last_deed(),
        prop::collection::vec(hardship(), 1..8),
    );
    let result = proptest::test_runner::TestRunner::new(config).run(
        &all,
        |(contract, origin, deeds, last, hardships)| {
            let mut model = Model::new(contract, origin);
            model.statuses = Some(Vec::new());
            let mut hardships = hardships.iter();
            for deed in deeds.iter().chain(&last) {
                if let Some(hardship) = hardships.next() {
                    hardship.befalls(&mut model);
                }
                model.rest(PASSES);
                model.happen(deed);
            }
            model.rest(PASSES);
            for agent in model.statuses.iter().flatten() {
                let refused = refused(&schema, agent);
                prop_assert!(refused.is_empty(), "{refused:?}\n{:#?}", agent.status);
                **told.borrow_mut() += 1;
            }
            Ok(())
        },
    );
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(seen > 100, "{seen} statuses");
    println!("[beds] passes: statuses that the schema of Agents takes: {seen}");
}
