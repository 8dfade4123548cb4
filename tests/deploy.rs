//! What is shipped to run it in a cluster, as far as it can be checked by reading: `deploy/`, `crds/Kustomization`, the
//! Dockerfile. A real API server has its say in `tests/real/deploy.rs`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn documents(path: &str) -> Vec<Value> {
    let text = text(path);
    let documents = text.split("\n---\n");
    documents
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect()
}

fn one(path: &str, kind: &str) -> Value {
    let found = documents(path)
        .into_iter()
        .find(|document| document["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {kind} in {path}"))
}

fn words(value: &Value) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.map(|word| word.as_str().unwrap().to_owned()).collect()
}

fn container() -> Value {
    let mut deployment = one("deploy/base/operator.yaml", "Deployment");
    deployment["spec"]["template"]["spec"]["containers"][0].take()
}

/// Instructions of the Dockerfile in order, comments left out and continued lines joined.
fn dockerfile() -> Vec<(String, String)> {
    let text = text("Dockerfile").replace("\\\n", " ");
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| line.split_once(' ').unwrap())
        .map(|(word, rest)| (word.to_owned(), rest.trim().to_owned()))
        .collect()
}

/// The arguments of each of these.
fn all(instruction: &str) -> Vec<String> {
    let found = dockerfile().into_iter().filter(|(word, _)| word == instruction);
    found.map(|(_, rest)| rest).collect()
}

/// What comes from the checkout into the builder.
fn copied() -> Vec<String> {
    let copies = all("COPY")
        .into_iter()
        .filter(|copy| !copy.starts_with("--from="));
    copies
        .flat_map(|copy| {
            let mut paths: Vec<String> = copy.split(' ').map(str::to_owned).collect();
            paths.pop();
            paths
        })
        .collect()
}

#[test]
fn every_definition_is_deployed() {
    let listed: BTreeSet<String> = words(&one("crds/Kustomization", "Kustomization")["resources"])
        .into_iter()
        .collect();
    let there: BTreeSet<String> = std::fs::read_dir(at("crds"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    assert_eq!(listed, there);
    let deployed = words(&one("deploy/kustomization.yaml", "Kustomization")["resources"]);
    assert!(deployed.contains(&"../crds".to_owned()), "{deployed:?}");
}

/// No wildcard, and nothing by which more could be granted, run or read than is written there.
#[test]
fn rights_are_named_one_by_one() {
    let mut verbs = 0;
    for role in documents("deploy/base/rbac.yaml") {
        for rule in role["rules"].as_array().into_iter().flatten() {
            for key in ["apiGroups", "resources", "verbs"] {
                for word in words(&rule[key]) {
                    assert!(!word.contains('*'), "{word} in {rule}");
                }
            }
            assert_eq!(rule["nonResourceURLs"], Value::Null);
            verbs += words(&rule["verbs"]).len();
            for resource in words(&rule["resources"]) {
                let ours = words(&rule["apiGroups"]) == ["quartermaster.dev"];
                let others = ["secrets", "configmaps", "events", "leases"].contains(&resource.as_str());
                assert!(ours || others, "{resource}");
            }
            for verb in words(&rule["verbs"]) {
                let known = ["get", "list", "watch", "create", "update", "patch", "delete"];
                assert!(known.contains(&verb.as_str()), "{verb} in {rule}");
            }
        }
    }
    assert!(verbs > 20, "{verbs}");
}

/// A kind that may not be listed is one that nobody ever becomes ready for.
#[test]
fn every_kind_of_ours_may_be_watched_and_told_of() {
    let mut granted = BTreeSet::new();
    for rule in one("deploy/base/rbac.yaml", "ClusterRole")["rules"]
        .as_array()
        .unwrap()
    {
        for resource in words(&rule["resources"]) {
            let verbs = words(&rule["verbs"]).into_iter();
            granted.extend(verbs.map(|verb| format!("{verb} {resource}")));
        }
    }
    for definition in quartermaster::resource::definitions() {
        let plural = definition.spec.names.plural;
        for needed in [
            format!("list {plural}"),
            format!("watch {plural}"),
            format!("patch {plural}/status"),
        ] {
            assert!(granted.contains(&needed), "{needed}");
        }
    }
    assert!(
        granted.contains("delete templatesyncs"),
        "ttlSecondsAfterFinished"
    );
}

#[test]
fn the_pod_runs_what_the_image_holds_as_whom_the_image_says() {
    let container = container();
    let entry: Vec<String> = serde_json::from_str(&all("ENTRYPOINT")[0]).unwrap();
    assert_eq!(words(&container["command"]), entry);
    let placed = all("COPY")
        .into_iter()
        .rfind(|copy| copy.starts_with("--from=build"));
    let placed = placed.unwrap();
    let mut paths = placed.split(' ').skip(1);
    let (built, program) = (paths.next().unwrap(), paths.next().unwrap());
    assert_eq!(program, entry[0]);
    let folder = all("WORKDIR")[0].clone();
    assert_eq!(
        built,
        format!("{folder}/target/release/{}", env!("CARGO_PKG_NAME"))
    );

    let [user] = &all("USER")[..] else {
        panic!("one USER, in the last stage");
    };
    let (user, group) = user.split_once(':').unwrap();
    assert_ne!(user.parse::<u32>().unwrap(), 0);
    let deployment = one("deploy/base/operator.yaml", "Deployment");
    let context = &deployment["spec"]["template"]["spec"]["securityContext"];
    assert_eq!(context["runAsUser"].to_string(), user);
    assert_eq!(context["runAsGroup"].to_string(), group);
    assert_eq!(context["runAsNonRoot"], true);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);

    let port = &container["ports"][0];
    assert_eq!(all("EXPOSE"), [port["containerPort"].to_string()]);
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], port["name"]);
    }
    let service = one("deploy/base/operator.yaml", "Service");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], port["name"]);
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    for selector in [
        &service["spec"]["selector"],
        &deployment["spec"]["selector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
}

/// The program takes the arguments of the pod: it goes on to look for a cluster.
#[test]
fn the_program_takes_the_arguments_of_the_pod() {
    let ran = Command::new(env!("CARGO_BIN_EXE_quartermaster"))
        .args(words(&container()["args"]))
        .args([
            "--kubeconfig",
            "/nowhere/kubeconfig",
            "--ops-listen",
            "127.0.0.1:0",
        ])
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(
        said.contains("cannot use kubeconfig /nowhere/kubeconfig"),
        "{said}"
    );
    let wrong = Command::new(env!("CARGO_BIN_EXE_quartermaster"))
        .args(words(&container()["args"]))
        .arg("--elect-a-leader")
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(2), "an unknown argument is noticed");
}

#[test]
fn the_image_is_built_by_our_compiler_from_public_places() {
    let stages = all("FROM");
    let [build, last] = &stages[..] else {
        panic!("two stages: {stages:?}");
    };
    let toolchain = text("rust-toolchain.toml");
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = "));
    let channel = channel.unwrap().trim_matches('"');
    assert!(
        build.starts_with(&format!("rust:{channel}-")) && build.ends_with(" AS build"),
        "{build}: the compiler is {channel}"
    );
    assert!(last.starts_with("gcr.io/distroless/"), "{last}");
    let debian = |image: &str| -> Option<&str> {
        let names = [
            ("bookworm", "12"),
            ("debian12", "12"),
            ("trixie", "13"),
            ("debian13", "13"),
        ];
        names
            .iter()
            .find(|(name, _)| image.contains(name))
            .map(|(_, number)| *number)
    };
    assert!(debian(build).is_some());
    assert_eq!(debian(build), debian(last), "both stages have the same C library");
    assert!(all("RUN").iter().any(|run| run.contains("--locked")));
    assert_eq!(all("ARG"), [] as [&str; 0]);
    assert_eq!(all("ENV"), [] as [&str; 0]);
    assert_eq!(all("ADD"), [] as [&str; 0]);
}

/// The builder is given what the program is made of, and nothing else of the checkout.
#[test]
fn what_the_builder_gets_is_there_and_is_enough() {
    let copied = copied();
    for path in &copied {
        assert!(at(path).exists(), "COPY {path}");
    }
    let ignore = text(".dockerignore");
    let let_in: BTreeSet<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignore.lines().any(|line| line == "*"), "nothing else is sent");
    assert_eq!(let_in, copied.iter().map(String::as_str).collect());

    let (mut folders, mut included) = (vec![at("src")], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                included += includes(&path, &copied);
            }
        }
    }
    assert!(included > 5, "{included}");
}

/// How many files this source includes; each must be among what is copied. What tests include is not in the program.
fn includes(source: &Path, copied: &[String]) -> usize {
    let text = std::fs::read_to_string(source).unwrap();
    let program = text.split("#[cfg(test)]").next().unwrap();
    let of_tests =
        |part: std::path::Component<'_>| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs";
    if source.components().any(of_tests) {
        return 0;
    }
    let mut count = 0;
    for part in program.split("include_str!(").skip(1) {
        let name = part.split('"').nth(1).unwrap();
        let path = source.parent().unwrap().join(name).canonicalize().unwrap();
        let inside = copied
            .iter()
            .any(|copied| path.starts_with(at(copied).canonicalize().unwrap()));
        assert!(
            inside,
            "{} includes {name}, which the Dockerfile does not copy",
            source.display()
        );
        count += 1;
    }
    count
}
