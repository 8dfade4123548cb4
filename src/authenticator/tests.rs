//! Who is let in, with what, and until when.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use proptest::prelude::*;
use tokio::join;
use tokio::time::{Instant, sleep, timeout};

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
    listed(authenticator, presented, second, async { Some(Vec::new()) }).await
}

/// The same, with what the API server says.
async fn listed(
    authenticator: &Authenticator,
    presented: &str,
    second: i64,
    secrets: impl Future<Output = Option<Vec<Secret>>>,
) -> Result<(String, Which), Refused> {
    let known = |owner: &Owner| Fact::Known(Arc::new(agent(&owner.name)));
    let found = authenticator.whose(presented, at(second), known, secrets).await?;
    Ok((found.agent.name_any(), found.which))
}

async fn nobody() -> Option<Vec<Secret>> {
    panic!("the index knows it: nothing is listed")
}

#[tokio::test(start_paused = true)]
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

#[tokio::test(start_paused = true)]
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

#[tokio::test(start_paused = true)]
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

#[tokio::test(start_paused = true)]
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
    for found in [Fact::Absent, Fact::Known(Arc::new(other))] {
        let refused = all.whose(ONE, at(0), |_| found, nobody()).await;
        assert_eq!(refused.unwrap_err(), Refused::AgentGone);
    }
    // Before the Agents were read nobody can say so.
    let refused = all.whose(ONE, at(0), |_| Fact::Unknown, nobody()).await;
    assert_eq!(refused.unwrap_err(), Refused::NotYet);
}

#[tokio::test]
async fn the_hash_of_the_status_is_checked_once_for_each_token() {
    let all = holding(&[secret("triage", &[("token", ONE), ("next", TWO)])]);
    let ask = async |presented: &str, agent: Agent| {
        let known = Fact::Known(Arc::new(agent));
        let found = all.whose(presented, at(0), |_| known, nobody()).await;
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
    let known = Fact::Known(Arc::new(triage));
    let found = all.whose(ONE, at(0), |_| known, nobody()).await;
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

/// Its Secret is read before it is refused; what is read so is nothing that the index follows.
#[tokio::test(start_paused = true)]
async fn what_the_watch_has_not_told_yet_is_listed() {
    let all = holding(&[secret("triage", &[("token", ONE)])]);
    let now = || async { Some(vec![secret("triage", &[("token", ONE), ("next", TWO)])]) };
    let name = || "triage".to_owned();
    assert_eq!(listed(&all, TWO, 0, now()).await, Ok((name(), Which::Next)));
    assert_eq!(listed(&all, ONE, 0, nobody()).await, Ok((name(), Which::InForce)));
    a_moment_later().await;
    assert_eq!(whose(&all, TWO, 0).await, Err(Refused::Unknown));
    // Nothing was told yet at all.
    let start = Authenticator::default();
    assert_eq!(listed(&start, ONE, 0, now()).await, Ok((name(), Which::InForce)));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_refused_because_the_api_server_does_not_answer() {
    let all = Authenticator::default();
    assert_eq!(listed(&all, ONE, 0, async { None }).await, Err(Refused::NotYet));
    a_moment_later().await;
    assert_eq!(whose(&all, ONE, 0).await, Err(Refused::Unknown));
}

/// A thousand guesses of one moment and a thousand that come while they wait: two lists. Whoever hangs up changes nothing.
#[tokio::test(start_paused = true)]
async fn a_flood_of_guesses_is_a_list_every_five_seconds() {
    let all = holding(&[secret("triage", &[("token", ONE)])]);
    let lists = AtomicUsize::new(0);
    let slow = || async {
        lists.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(100)).await;
        Some(Vec::new())
    };
    let begin = Instant::now();
    let guess = |after: u64| {
        let (all, slow) = (&all, &slow);
        async move {
            sleep(Duration::from_millis(after)).await;
            listed(all, TWO, 0, slow()).await
        }
    };
    let guesses = (0..2000).map(|n| guess(if n < 1000 { 0 } else { 50 }));
    let refused = join_all(guesses).await;
    assert!(refused.iter().all(|refused| *refused == Err(Refused::Unknown)));
    assert_eq!(lists.load(Ordering::Relaxed), 2);
    assert_eq!(begin.elapsed(), Duration::from_millis(5100));

    for _ in 0..100 {
        let hangs_up = timeout(Duration::from_millis(50), guess(0));
        assert!(hangs_up.await.is_err());
    }
    assert_eq!(lists.load(Ordering::Relaxed), 3);
}

/// The list that is due then is not needed any more.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_list_hears_the_watch_first() {
    let all = holding(&[secret("triage", &[("token", ONE)])]);
    assert_eq!(whose(&all, THREE, 0).await, Err(Refused::Unknown));
    a_moment_later().await;
    let (found, ()) = join!(listed(&all, TWO, 0, nobody()), async {
        sleep(Duration::from_secs(1)).await;
        all.put(&secret("triage", &[("token", ONE), ("next", TWO)]));
    });
    assert_eq!(found, Ok(("triage".to_owned(), Which::Next)));
}

#[test]
fn nothing_that_is_printed_has_a_token() {
    let all = holding(&[secret("triage", &[("token", ONE)])]);
    let runtime = paused();
    let triage = Fact::Known(Arc::new(agent("triage")));
    let found = runtime.block_on(all.whose(ONE, at(0), |_| triage, nobody()));
    assert!(found.is_ok());
    let nothing = async { Some(Vec::new()) };
    let refused = runtime
        .block_on(all.whose(TWO, at(0), |_| Fact::Absent, nothing))
        .unwrap_err();
    for said in [
        format!("{all:?}"),
        format!("{found:?}"),
        format!("{refused:?} {refused}"),
    ] {
        assert!(!said.contains(ONE) && !said.contains(TWO), "{said}");
    }
}

/// A clock that stands still makes one moment of all that is asked.
async fn a_moment_later() {
    sleep(Duration::from_millis(1)).await;
}

/// Whoever is refused may have waited.
fn paused() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

proptest! {
    #[test]
    fn no_words_of_a_stranger_let_anybody_in(presented in ".{0,200}", near in 0..ONE.len(), sign in "[a-zA-Z0-9_-]") {
        let runtime = paused();
        let all = holding(&[secret("triage", &[("token", ONE)])]);
        let mut almost = ONE.to_owned();
        almost.replace_range(near..=near, &sign);
        for presented in [presented, almost] {
            let found = runtime.block_on(whose(&all, &presented, 0));
            prop_assert_eq!(found.is_ok(), presented == ONE);
        }
    }
}
