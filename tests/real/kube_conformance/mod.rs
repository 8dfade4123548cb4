//! One suite of conformance, unchanged, against the control plane in the binary and a real kube-apiserver: both are asked
//! the same, side by side, and every answer must be the same but for what `declared` says.
//!
//! `KUBE_CASES=words` runs the cases whose theme or name contains them. `KUBE_SEED=.. KUBE_STEPS=100` runs a random sequence
//! again, `KUBE_STEPS=100000` a thousand of them.

mod case;
mod client;
mod declared;
mod differ;
mod kubectl;
mod normal;
mod ours;
mod random;
mod side;

use futures::StreamExt;
use ours::Embedded;
use side::Side;

use crate::bed::{evidence, shared_cluster};
use crate::schema;

/// Cases that are under way at once; most of their time is spent waiting for watches to end.
const AT_ONCE: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_as_by_a_real_api_server() {
    let cluster = real!(shared_cluster());
    real!(cluster.controller_manager());
    schema::install(cluster);
    // Version 1 is then forgotten on both sides.
    cluster.compact(2);
    let embedded = Embedded::start().await;
    let ours = Side::of(embedded.kubeconfig()).await;
    let theirs = Side::of(&cluster.kubeconfig()).await;
    let wanted = std::env::var("KUBE_CASES").unwrap_or_default();
    let cases: Vec<case::Case> = case::all()
        .into_iter()
        .filter(|case| format!("{} {}", case.theme, case.name).contains(&wanted))
        .collect();
    let requests: usize = cases.iter().map(|case| case.steps.len()).sum();
    let asked = |number: usize, case, namespace: String| {
        let (ours, theirs) = (ours.clone(), theirs.clone());
        async move {
            let (ours, theirs) = tokio::join!(ours.run(case, &namespace), theirs.run(case, &namespace));
            report(case, normal::normal(ours), normal::normal(theirs)).map(|report| (number, case, report))
        }
    };
    let differing: Vec<Option<(usize, &case::Case, String)>> =
        futures::stream::iter(cases.iter().enumerate())
            .map(|(number, case)| asked(number, case, format!("kc-{number}")))
            .buffered(AT_ONCE)
            .collect()
            .await;
    // Watches are open for a second, and on a busy machine a server tells later than that what it tells. So what differs is
    // asked once more, alone: a true difference is one then, too.
    let mut wrong = Vec::new();
    for (number, case, report) in differing.into_iter().flatten() {
        evidence::say(&format!("differed while others were asked: {report}"));
        let again = asked(number, case, format!("kc-{number}-alone")).await;
        wrong.extend(again.map(|(_, _, report)| report));
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases differ:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    if wanted.is_empty() {
        assert!(cases.len() >= 200, "{} cases", cases.len());
        let note = format!(
            "{requests} requests; 0 differences but {} declared",
            declared::count()
        );
        evidence::say(&format!("{} cases of Kubernetes' API, {note}", cases.len()));
        evidence::record(
            "control plane",
            "cases answered as by kube-apiserver",
            cases.len() as u64,
            &note,
        );
    }
}

fn report(case: &case::Case, ours: Vec<serde_json::Value>, theirs: Vec<serde_json::Value>) -> Option<String> {
    let mut lines = Vec::new();
    for (number, ((step, mut ours), mut theirs)) in case.steps.iter().zip(ours).zip(theirs).enumerate() {
        declared::declare(step, &mut ours, &mut theirs);
        let differences = differ::differences(&ours, &theirs);
        if !differences.is_empty() {
            lines.push(format!("  {}. {} {}", number + 1, step.method, step.path));
            lines.extend(differences.iter().take(8).map(|line| format!("      {line}")));
        }
    }
    (!lines.is_empty()).then(|| format!("{}: {}\n{}", case.theme, case.name, lines.join("\n")))
}
