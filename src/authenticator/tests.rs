//! Who is let in, with what, and until when.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use proptest::prelude::*;

use super::*;
use crate::resource::AgentSpec;
use crate::resource::agent::{AgentStatus, TokenStatus};
use crate::resource::names;

const ONE: &str = "one-one-one-one-one-one-one-one-one-one-one";
const TWO: &str = "two-two-two-two-two-two-two-two-two-two-two";
const THREE: &str = "three_three_three_three_three_three_three";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn secret(agent: &str, tokens: &[(&str, &str)]) -> Secret {
    let mut secret = Secret::default();
    secret.metadata.name = Some(format!("ocagent-{agent}-token"));
    secret.metadata.namespace = Some("team".into());
    secret.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "quartermaster.dev/v1alpha1".into(),
        kind: "Agent".into(),
        name: agent.into(),
        uid: format!("uid-of-{agent}"),
        controller: Some(true),
        ..OwnerReference::default()
    }]);
    let data = tokens.iter();
    let data = data.map(|(key, token)| ((*key).to_owned(), ByteString(token.as_bytes().to_vec())));
    secret.data = Some(data.collect());
    secret
}

fn until(mut secret: Secret, moment: &str) -> Secret {
    let annotation = (names::TOKEN_PREVIOUS_UNTIL.to_owned(), moment.to_owned());
    secret.metadata.annotations = Some(BTreeMap::from([annotation]));
    secret
}

fn agent(name: &str) -> Agent {
    let mut agent = Agent::new(name, AgentSpec::default());
    agent.metadata.namespace = Some("team".into());
    agent.metadata.uid = Some(format!("uid-of-{name}"));
    agent
}

fn with_hash(mut agent: Agent, of: &str, hash: &str) -> Agent {
    let token = TokenStatus {
        hash: Some(hash.into()),
        fingerprint: Some(AgentToken::parse(of).unwrap().fingerprint()),
        ..TokenStatus::default()
    };
    agent.status = Some(AgentStatus {
        token: Some(token),
        ..AgentStatus::default()
    });
    agent
}

fn holding(secrets: &[Secret]) -> Authenticator {
    let authenticator = Authenticator::default();
    authenticator.replace(secrets.iter());
    authenticator
}

/// The agent's name and the place of its token.
async fn whose(
    authenticator: &Authenticator,
    presented: &str,
    second: i64,
) -> Result<(String, Which), Refused> {
    let found = authenticator
        .whose(presented, at(second), |owner| Some(Arc::new(agent(&owner.name))))
        .await?;
    Ok((found.agent.name_any(), found.which))
}

#[tokio::test]
async fn each_token_is_its_agents_and_the_one_before_for_a_while() {
    let triage = until(
        secret("triage", &[("token", ONE), ("next", TWO), ("previous", THREE)]),
        &at(60).to_string(),
    );
    let all = holding(&[triage]);
    let name = || "triage".to_owned();
    assert_eq!(whose(&all, ONE, 0).await, Ok((name(), Which::InForce)));
    assert_eq!(whose(&all, TWO, 0).await, Ok((name(), Which::Next)));
    assert_eq!(whose(&all, THREE, 59).await, Ok((name(), Which::Previous)));
    assert_eq!(whose(&all, THREE, 60).await, Err(Refused::Unknown));
    assert_eq!(whose(&all, ONE, 60).await, Ok((name(), Which::InForce)));
}

#[tokio::test]
async fn the_one_before_needs_a_moment_that_can_be_read() {
    for moment in ["", "tomorrow", "2027-01-15"] {
        let all = holding(&[until(secret("triage", &[("previous", ONE)]), moment)]);
        assert_eq!(whose(&all, ONE, 0).await, Err(Refused::Unknown), "{moment:?}");
    }
    let all = holding(&[secret("triage", &[("previous", ONE)])]);
    assert_eq!(whose(&all, ONE, 0).await, Err(Refused::Unknown));
}

/// As it stands between two steps of a rotation.
#[tokio::test]
async fn what_stands_in_two_places_counts_as_in_force() {
    let all = holding(&[secret(
        "triage",
        &[("token", ONE), ("next", ONE), ("previous", ONE)],
    )]);
    assert_eq!(
        whose(&all, ONE, 0).await,
        Ok(("triage".to_owned(), Which::InForce))
    );
}

#[tokio::test]
async fn the_index_follows_the_secrets() {
    let all = holding(&[secret("triage", &[("token", ONE)])]);
    all.put(&secret("scribe", &[("token", TWO)]));
    assert_eq!(whose(&all, TWO, 0).await.unwrap().0, "scribe");
    all.put(&secret("triage", &[("token", THREE)]));
    assert_eq!(whose(&all, ONE, 0).await, Err(Refused::Unknown));
    assert_eq!(whose(&all, THREE, 0).await.unwrap().0, "triage");
    all.take(&secret("triage", &[]));
    assert_eq!(whose(&all, THREE, 0).await, Err(Refused::Unknown));
    all.replace([secret("scribe", &[("token", ONE)])].iter());
    assert_eq!(whose(&all, TWO, 0).await, Err(Refused::Unknown));
    assert_eq!(whose(&all, ONE, 0).await.unwrap().0, "scribe");
}

#[tokio::test]
async fn a_token_of_two_agents_is_nobodys() {
    let all = holding(&[
        secret("triage", &[("token", ONE)]),
        secret("scribe", &[("next", ONE)]),
    ]);
    assert_eq!(whose(&all, ONE, 0).await, Err(Refused::Ambiguous));
    all.take(&secret("scribe", &[]));
    assert_eq!(whose(&all, ONE, 0).await.unwrap().0, "triage");
}

#[tokio::test]
async fn a_secret_that_no_agent_controls_lets_nobody_in() {
    let good = || secret("triage", &[("token", ONE)]);
    let owner = |change: fn(&mut OwnerReference)| {
        let mut secret = good();
        change(&mut secret.metadata.owner_references.as_mut().unwrap()[0]);
        secret
    };
    let mut named = good();
    named.metadata.name = Some("ocagent-scribe-token".into());
    let mut without = good();
    without.metadata.owner_references = None;
    for wrong in [
        owner(|owner| owner.kind = "Gateway".into()),
        owner(|owner| owner.api_version = "example.com/v1".into()),
        owner(|owner| owner.controller = None),
        owner(|owner| owner.name = "scribe".into()),
        named,
        without,
    ] {
        let all = holding(&[wrong]);
        assert_eq!(whose(&all, ONE, 0).await, Err(Refused::Unknown));
    }
}

#[tokio::test]
async fn an_agent_of_that_name_that_came_later_is_another() {
    let all = holding(&[secret("triage", &[("token", ONE)])]);
    let mut other = agent("triage");
    other.metadata.uid = Some("another".into());
    for found in [None, Some(Arc::new(other))] {
        let refused = all.whose(ONE, at(0), |_| found).await;
        assert_eq!(refused.unwrap_err(), Refused::AgentGone);
    }
}

#[tokio::test]
async fn the_hash_of_the_status_is_checked_once_for_each_token() {
    let all = holding(&[secret("triage", &[("token", ONE), ("next", TWO)])]);
    let ask = async |presented: &str, agent: Agent| {
        let found = all.whose(presented, at(0), |_| Some(Arc::new(agent))).await;
        found.map(|found| found.which)
    };
    let good = bcrypt::hash(ONE, 4).unwrap();
    let known = |token: &str, hash: &str| {
        let fingerprint = AgentToken::parse(token).unwrap().fingerprint();
        all.known(&fingerprint, hash)
    };
    assert_eq!(known(ONE, &good), None);
    let triage = || with_hash(agent("triage"), ONE, &good);
    assert_eq!(ask(ONE, triage()).await, Ok(Which::InForce));
    assert_eq!(known(ONE, &good), Some(Ok(())));
    // Of the next one there is no hash yet.
    assert_eq!(ask(TWO, triage()).await, Ok(Which::Next));
    assert_eq!(known(TWO, &good), None);

    // Another hash is checked anew, and what is none is nobody's.
    for wrong in [bcrypt::hash(TWO, 4).unwrap(), "no hash".to_owned()] {
        let triage = with_hash(agent("triage"), ONE, &wrong);
        assert_eq!(ask(ONE, triage).await, Err(Refused::WrongHash));
        assert_eq!(known(ONE, &wrong), Some(Err(Refused::WrongHash)));
    }
    assert_eq!(ask(ONE, triage()).await, Ok(Which::InForce));
    // What is remembered goes with the token.
    all.put(&secret("triage", &[("token", TWO)]));
    assert_eq!(known(ONE, &good), None);
}

/// A hash of cost 31 takes hours: whoever is remembered does not wait for it.
#[tokio::test]
async fn who_was_checked_once_is_not_checked_again() {
    let all = holding(&[secret("triage", &[("token", ONE)])]);
    let hours = bcrypt::hash(ONE, 4).unwrap().replacen("$04$", "$31$", 1);
    let fingerprint = AgentToken::parse(ONE).unwrap().fingerprint();
    let checked = Checked {
        hash: hours.clone(),
        is_of_it: true,
    };
    all.0.checked.lock().unwrap().insert(fingerprint, checked);
    let triage = with_hash(agent("triage"), ONE, &hours);
    let found = all.whose(ONE, at(0), |_| Some(Arc::new(triage))).await;
    assert_eq!(found.unwrap().which, Which::InForce);
}

#[tokio::test]
async fn what_is_no_token_is_refused_before_anything_is_done_with_it() {
    let padded = format!(" {ONE}");
    let all = holding(&[secret(
        "triage",
        &[("token", &padded), ("next", "short"), ("previous", "")],
    )]);
    assert_eq!(whose(&all, ONE, 0).await.unwrap().0, "triage");
    let long = "a".repeat(129);
    let huge = "a".repeat(1 << 20);
    for wrong in [
        "",
        "short",
        &padded,
        &long,
        &huge,
        "ö".repeat(20).as_str(),
        "\0\0\0",
        &format!("{ONE}\n"),
        &format!("{ONE}'"),
    ] {
        assert_eq!(
            whose(&all, wrong, 0).await,
            Err(Refused::Malformed),
            "{wrong:.40}"
        );
    }
}

#[test]
fn nothing_that_is_printed_has_a_token() {
    let all = holding(&[secret("triage", &[("token", ONE)])]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let found = runtime.block_on(all.whose(ONE, at(0), |_| Some(Arc::new(agent("triage")))));
    assert!(found.is_ok());
    let refused = runtime.block_on(all.whose(TWO, at(0), |_| None)).unwrap_err();
    for said in [
        format!("{all:?}"),
        format!("{found:?}"),
        format!("{refused:?} {refused}"),
    ] {
        assert!(!said.contains(ONE) && !said.contains(TWO), "{said}");
    }
}

proptest! {
    #[test]
    fn no_words_of_a_stranger_let_anybody_in(presented in ".{0,200}", near in 0..ONE.len(), sign in "[a-zA-Z0-9_-]") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let all = holding(&[secret("triage", &[("token", ONE)])]);
        let mut almost = ONE.to_owned();
        almost.replace_range(near..=near, &sign);
        for presented in [presented, almost] {
            let found = runtime.block_on(whose(&all, &presented, 0));
            prop_assert_eq!(found.is_ok(), presented == ONE);
        }
    }
}
