//! The rank, by example and by chance.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::*;
use crate::resource::BoardSpec;
use crate::resource::agent::{AgentStatus, Binding, Entry};

#[derive(Debug, Clone)]
struct Member {
    role: Role,
    lifecycle: Lifecycle,
    provisioned: bool,
    leaving: bool,
    second: i64,
}

impl Member {
    fn agent(&self, number: usize) -> Arc<Agent> {
        let mut agent = Agent::default();
        agent.metadata.name = Some(format!("agent-{number:02}"));
        // Not in the order of the names.
        agent.metadata.uid = Some(format!("{}", 97 - number));
        agent.metadata.creation_timestamp = Some(Time(at(self.second)));
        agent.metadata.deletion_timestamp = self.leaving.then(|| Time(at(50)));
        agent.spec.role = self.role;
        agent.spec.lifecycle = self.lifecycle;
        agent.status = self.provisioned.then(|| AgentStatus {
            binding: Some(Binding::default()),
            entry: Some(Entry::default()),
            ..AgentStatus::default()
        });
        Arc::new(agent)
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn board(max_agents: i32) -> Board {
    Board::new(
        "ops",
        BoardSpec {
            max_agents,
            ..BoardSpec::default()
        },
    )
}

fn member() -> impl Strategy<Value = Member> {
    let lifecycle = prop_oneof![
        5 => Just(Lifecycle::Active),
        1 => Just(Lifecycle::Paused),
        1 => Just(Lifecycle::Retired),
    ];
    let role = prop_oneof![3 => Just(Role::Worker), 1 => Just(Role::Lead)];
    (role, lifecycle, any::<bool>(), prop::bool::weighted(0.2), 0..4i64).prop_map(
        |(role, lifecycle, provisioned, leaving, second)| Member {
            role,
            lifecycle,
            provisioned,
            leaving,
            second,
        },
    )
}

fn team() -> impl Strategy<Value = Vec<Arc<Agent>>> {
    let members = prop::collection::vec(member(), 0..14);
    members.prop_map(|members| {
        members
            .iter()
            .enumerate()
            .map(|(number, member)| member.agent(number))
            .collect()
    })
}

fn name(agent: &Agent) -> String {
    agent.metadata.name.clone().unwrap()
}

proptest! {
    #[test]
    fn whoever_looks_finds_the_same((team, shuffled) in team().prop_flat_map(|team| (Just(team.clone()), Just(team).prop_shuffle())), room in 0..6i32) {
        prop_assert_eq!(of(&board(room), &team), of(&board(room), &shuffled));
    }

    #[test]
    fn who_is_there_stays_and_nobody_new_comes_in_over_the_room(team in team(), room in 0..6i32) {
        let roster = of(&board(room), &team);
        let workers = || team.iter().filter(|agent| agent.spec.role == Role::Worker && asks_for_a_place(agent));
        for agent in workers().filter(|agent| is_provisioned(agent)) {
            prop_assert!(roster.seated.contains(&name(agent)));
        }
        let there = workers().filter(|agent| is_provisioned(agent)).count();
        let new = roster.seated.len() - there;
        let free = usize::try_from(room).unwrap().saturating_sub(there);
        let wanting = workers().count() - there;
        prop_assert_eq!(new, free.min(wanting));
    }

    #[test]
    fn there_is_one_lead_where_anybody_would_be_and_everybody_is_told_something(team in team(), room in 0..6i32) {
        let roster = of(&board(room), &team);
        let asking: Vec<_> = team.iter().filter(|agent| asks_for_a_place(agent)).collect();
        prop_assert_eq!(roster.lead.is_some(), asking.iter().any(|agent| agent.spec.role == Role::Lead));
        for agent in &team {
            let name = name(agent);
            let places = [roster.lead.as_ref() == Some(&name), roster.seated.contains(&name), roster.waiting.contains_key(&name)];
            let told = places.into_iter().filter(|place| *place).count();
            prop_assert_eq!(told, usize::from(asks_for_a_place(agent)));
        }
    }

    /// Whoever gets a place in one pass keeps it in the next, whatever others do meanwhile: it is provisioned by then.
    #[test]
    fn a_place_that_was_given_is_kept(team in team(), room in 0..6i32, later in 0..6i32) {
        let first = of(&board(room), &team);
        let provisioned: Vec<Arc<Agent>> = team
            .iter()
            .map(|agent| {
                let mut agent = agent.as_ref().clone();
                if first.seated.contains(&name(&agent)) || first.lead.as_ref() == Some(&name(&agent)) {
                    agent.status = Some(AgentStatus { binding: Some(Binding::default()), entry: Some(Entry::default()), ..AgentStatus::default() });
                }
                Arc::new(agent)
            })
            .collect();
        let second = of(&board(later), &provisioned);
        prop_assert!(second.seated.is_superset(&first.seated));
    }
}

#[test]
fn provisioned_comes_before_older_and_older_before_a_smaller_uid() {
    let plain = Member {
        role: Role::Lead,
        lifecycle: Lifecycle::Active,
        provisioned: false,
        leaving: false,
        second: 5,
    };
    let lead = |members: &[Member]| {
        let team: Vec<_> = members
            .iter()
            .enumerate()
            .map(|(number, member)| member.agent(number))
            .collect();
        of(&board(1), &team).lead
    };
    let older = Member { second: 1, ..plain };
    let there = Member {
        provisioned: true,
        second: 9,
        ..plain
    };
    // The later number has the smaller uid.
    assert_eq!(lead(&[plain.clone(), plain.clone()]).as_deref(), Some("agent-01"));
    assert_eq!(lead(&[older.clone(), plain.clone()]).as_deref(), Some("agent-00"));
    assert_eq!(lead(&[older, plain, there]).as_deref(), Some("agent-02"));
}
