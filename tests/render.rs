//! `quartermaster render` as somebody meets it: the real program, manifests in a folder, and no cluster.

#![expect(
    clippy::unwrap_used,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Exit code, standard output, standard error.
fn render(arguments: &[&str]) -> (i32, String, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_quartermaster"))
        .arg("render")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("QUARTERMASTER_CONTRACT")
        .env_remove("QUARTERMASTER_BASE_URL")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (ran.status.code().unwrap(), text(&ran.stdout), text(&ran.stderr))
}

/// A folder of its own, with that file in it; gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn with(name: &str, manifests: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("quartermaster-render-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("fleet.yaml"), manifests).unwrap();
        Self(folder)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

const GATEWAY_AND_BOARD: &str = "
apiVersion: quartermaster.dev/v1alpha1
kind: Gateway
metadata: { name: harbour }
spec: { url: ws://gateway.local:18789, workspaceRoot: ~/.openclaw }
---
apiVersion: quartermaster.dev/v1alpha1
kind: Board
metadata: { name: ops }
spec: { gatewayRef: { name: harbour }, type: general }
---
";

fn agent(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: quartermaster.dev/v1alpha1\nkind: Agent\nmetadata: {{ name: {name} }}\nspec: {{ boardRef: {{ name: ops }}{spec} }}\n---\n"
    )
}

#[test]
fn the_examples_are_rendered_for_each_contract() {
    for (contract, worker, main) in [("2026.9.6", 6, 5), ("2026.7.35", 8, 7), ("2026.2.9", 8, 7)] {
        let (code, out, err) = render(&["-f", "examples", "--contract", contract, "-o", "json"]);
        assert_eq!((code, err.as_str()), (0, ""));
        let all: serde_json::Value = serde_json::from_str(&out).unwrap();
        let agents = all["agents"].as_array().unwrap();
        assert_eq!(agents.len(), 8);
        for agent in agents {
            assert_eq!(agent["contract"], contract);
            let count = if agent["role"] == "Main" { main } else { worker };
            assert_eq!(
                agent["files"].as_object().unwrap().len(),
                count,
                "{}",
                agent["name"]
            );
        }
        let twice = render(&["-f", "examples", "--contract", contract, "-o", "json"]);
        assert_eq!(twice.1, out);
    }
}

#[test]
fn files_are_written_where_one_asks_for_them() {
    let folder = Folder::with("written", &format!("{GATEWAY_AND_BOARD}{}", agent("triage", "")));
    let out = folder.0.join("out");
    let (code, said, _) = render(&["-f", folder.path(), "--write", out.to_str().unwrap()]);
    assert_eq!(code, 0);
    assert!(said.starts_with("The files of 2 agents are in "), "{said}");
    let mut names: Vec<String> = fs::read_dir(out.join("triage"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "AGENTS.md",
            "BOOTSTRAP.md",
            "IDENTITY.md",
            "MEMORY.md",
            "SOUL.md",
            "USER.md"
        ]
    );
    let text = fs::read_to_string(out.join("triage/AGENTS.md")).unwrap();
    assert!(text.contains("AUTH_TOKEN=\"TOKEN-OF-triage\""), "{text}");
    assert!(out.join("harbour-main/AGENTS.md").exists());
}

#[test]
fn one_agent_with_a_mistake_does_not_hide_the_others() {
    let manifests = format!(
        "{GATEWAY_AND_BOARD}{}{}{}",
        agent("good", ""),
        agent("bad", ", soul: { template: \"a\\n{{ identity_rol }}\" }"),
        agent(
            "lost",
            ", files: [ { name: X.md, configMapKeyRef: { name: texts, key: x } } ]"
        ),
    );
    let folder = Folder::with("mistake", &manifests);
    let (code, out, err) = render(&["-f", folder.path()]);
    assert_eq!(code, 1);
    assert!(
        out.contains("=== ocagent/good (Worker): 6 files in ~/.openclaw/workspace-mc-uid-of-agent-good"),
        "{out}"
    );
    assert!(!out.contains("ocagent/bad"), "{out}");
    let expected = format!(
        "{0}/fleet.yaml, line 17: Agent bad: SOUL.md, line 2 of spec.soul.template: variable \"identity_rol\" is not defined. Did you \
         mean \"identity_role\"?\n{0}/fleet.yaml, line 22: Agent lost: spec.files[X.md].configMapKeyRef: there is no ConfigMap texts \
         among the manifests\nquartermaster: 2 of 4 agents cannot be rendered\n",
        folder.path()
    );
    assert_eq!(err, expected);
}

#[test]
fn manifests_are_checked_like_an_api_server_would() {
    let manifests = format!(
        "{GATEWAY_AND_BOARD}{}{}",
        agent("typo", ", identiy: { role: x }"),
        agent("main", ", role: Main"),
    );
    let folder = Folder::with("checked", &manifests);
    let (code, out, err) = render(&["-f", folder.path()]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        err.contains("line 12: Agent typo: unknown field spec.identiy\n"),
        "{err}"
    );
    assert!(err.contains("line 17: Agent main: spec.gatewayRef: "), "{err}");
    assert!(
        err.ends_with("quartermaster: nothing is rendered: the manifests have 3 mistakes\n"),
        "{err}"
    );
}

#[test]
fn a_wrong_command_line_is_two() {
    assert_eq!(render(&[]).0, 2);
    let (code, _, err) = render(&["-f", "examples", "--contract", "2026.1.1"]);
    assert_eq!(code, 2);
    assert!(err.contains("known are 2026.9.6, 2026.7.35, 2026.2.9"), "{err}");
}
