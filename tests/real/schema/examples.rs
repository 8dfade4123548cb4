//! The examples are what a newcomer applies first: the API server takes them as they are.

use std::path::Path;

use super::cluster::install;
use crate::bed::shared_cluster;

#[test]
fn the_examples_apply_as_the_readme_says() {
    let cluster = real!(shared_cluster());
    install(cluster);
    for (folder, kinds) in [
        ("examples", [("ocgw", 1), ("ocboard", 2), ("ocagent", 7)]),
        ("examples/minimal", [("ocgw", 1), ("ocboard", 1), ("ocagent", 1)]),
    ] {
        let namespace = cluster.namespace(&folder.replace('/', "-"));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let applied = cluster.kubectl(&["-n", namespace.name(), "apply", "-f", &path.display().to_string()]);
        assert!(applied.ok, "kubectl apply -f {folder}/: {}", applied.stderr);
        assert_eq!(applied.stderr, "", "kubectl apply -f {folder}/ warns");
        for (kind, count) in kinds {
            let listed = cluster.kubectl(&["-n", namespace.name(), "get", kind, "-o", "name"]);
            assert_eq!(
                listed.stdout.lines().count(),
                count,
                "{folder}: {kind}\n{}",
                listed.stdout
            );
        }
        let again = cluster.kubectl(&["-n", namespace.name(), "apply", "-f", &path.display().to_string()]);
        // kubectl calls a Secret with stringData "configured" each time, changed or not.
        let unchanged = again
            .stdout
            .lines()
            .all(|line| line.ends_with(" unchanged") || line.starts_with("secret/"));
        assert!(
            unchanged,
            "a second apply of {folder}/ changes something:\n{}",
            again.stdout
        );
    }
}
