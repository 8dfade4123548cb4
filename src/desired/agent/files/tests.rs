use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::*;
use crate::cluster::manifests;
use crate::command::fleet::Fleet;
use crate::desired::agent::{self, Place, Snapshot};
use crate::fact::Fact;
use crate::gateway::contract::{V2026_2_9, V2026_7_35, V2026_9_6};
use crate::resource::agent::Role;
use crate::resource::settings::AgentFile;
use crate::resource::{Agent, Board, Gateway};

const TOKEN: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
const CONTRACTS: [&Contract; 3] = [&V2026_9_6, &V2026_7_35, &V2026_2_9];

/// Read once: the schemas that they are checked against take their time.
static EXAMPLES: LazyLock<Fleet> = LazyLock::new(examples);

fn examples() -> Fleet {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut manifests = Vec::new();
    for name in ["gateway", "board-ops", "board-handbook", "souls"] {
        let text = std::fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
        manifests.extend(manifests::read(&text, name).unwrap());
    }
    Fleet::of(&manifests).unwrap().unwrap()
}

/// A snapshot of one of the examples, to be changed at will.
fn of(name: &str) -> Snapshot {
    let fleet = &*EXAMPLES;
    let member = fleet
        .members()
        .find(|member| member.agent.metadata.name.as_deref() == Some(name));
    let base_url = Some("http://quartermaster.local:8472/".to_owned());
    fleet.snapshot(&member.unwrap(), &V2026_9_6, base_url)
}

fn change_agent(snapshot: &mut Snapshot, change: impl FnOnce(&mut Agent)) {
    change(Arc::make_mut(&mut snapshot.agent));
}

fn change_board(snapshot: &mut Snapshot, change: impl FnOnce(&mut Board)) {
    let Fact::Known(board) = &mut snapshot.board else {
        panic!("no board")
    };
    change(Arc::make_mut(board));
}

fn change_gateway(snapshot: &mut Snapshot, change: impl FnOnce(&mut Gateway)) {
    let Fact::Known(gateway) = &mut snapshot.gateway else {
        panic!("no gateway")
    };
    change(Arc::make_mut(gateway));
}

fn place(snapshot: &Snapshot) -> Result<Place, Obstacle> {
    agent::of(snapshot).place
}

fn rendered(snapshot: &Snapshot, contract: &'static Contract) -> Result<Files, Obstacle> {
    super::of(Rendering {
        snapshot,
        place: &place(snapshot).unwrap(),
        contract,
        token: TOKEN,
    })
}

fn files(snapshot: &Snapshot, contract: &'static Contract) -> Files {
    rendered(snapshot, contract).unwrap()
}

fn text<'a>(files: &'a Files, name: &str) -> &'a str {
    files.files[name].text.ours()
}

fn file(name: &str, content: Option<&str>) -> AgentFile {
    AgentFile {
        name: name.to_owned(),
        content: content.map(str::to_owned),
        ..AgentFile::default()
    }
}

/// Names of the files whose text differs.
fn differ(before: &Files, after: &Files) -> Vec<String> {
    let names = before.files.keys().chain(after.files.keys());
    let mut names: Vec<String> = names
        .filter(|name| before.files.get(*name) != after.files.get(*name))
        .cloned()
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The marks of AGENTS.md, in their order.
fn marks(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("<!-- quartermaster: ")?.strip_suffix(" -->"))
        .map(str::to_owned)
        .collect()
}

fn in_full(files: &Files) -> String {
    let mut full = String::new();
    for (name, file) in &files.files {
        let File {
            text,
            policy,
            drift,
            consumed,
        } = file;
        let consumed = if *consumed { ", consumed" } else { "" };
        full.push_str(&format!("======== {name} ({policy:?}, {drift:?}{consumed})\n"));
        full.push_str(text.ours());
    }
    let Files {
        files: _,
        carried,
        unsupported,
        wake_content: _,
        wake_message,
        later_wake_message,
        heartbeat_prompt,
        warnings,
    } = files;
    full.push_str(&format!("======== carried {carried:?}\n"));
    full.push_str(&format!(
        "======== unsupported {unsupported:?}, warnings {warnings:?}\n"
    ));
    full.push_str(&format!(
        "======== first wake\n{wake_message}\n======== later wake\n{later_wake_message}\n"
    ));
    full.push_str(&format!(
        "======== heartbeat prompt\n{}",
        heartbeat_prompt.as_deref().unwrap_or("none")
    ));
    full
}

#[test]
fn each_role_on_a_new_and_on_an_old_gateway() {
    for (name, contract, count) in [
        ("triage", &V2026_9_6, 6),
        ("triage", &V2026_7_35, 8),
        ("ops-lead", &V2026_9_6, 6),
        ("ops-lead", &V2026_7_35, 8),
        ("harbour-main", &V2026_9_6, 5),
        ("harbour-main", &V2026_7_35, 7),
    ] {
        let files = files(&of(name), contract);
        assert_eq!(files.files.len(), count, "{name} on {contract}");
        assert_eq!(files.warnings, Vec::<String>::new());
        insta::assert_snapshot!(format!("{name}-{contract}"), in_full(&files));
    }
}

#[test]
fn all_of_an_agents_files_fit_into_a_prompt() {
    for (name, most) in [("triage", 14_000), ("ops-lead", 18_000), ("harbour-main", 12_000)] {
        for contract in CONTRACTS {
            let files = files(&of(name), contract);
            let sizes: Vec<(&str, usize)> = files
                .files
                .iter()
                .map(|(name, file)| (name.as_str(), file.text.ours().chars().count()))
                .collect();
            let all: usize = sizes.iter().map(|(_, size)| size).sum();
            println!("{name} on {contract}: {all} characters, {sizes:?}");
            assert!(all < most, "{name} on {contract}: {all} characters");
            for (file, size) in sizes {
                assert!(
                    size < if file == "USER.md" { 4_000 } else { 20_000 },
                    "{file}: {size}"
                );
            }
        }
    }
}

#[test]
fn the_wake_names_bootstrap_first_and_carries_it() {
    let worker = files(&of("triage"), &V2026_9_6);
    let first = worker.wake_message(true);
    assert!(first.find("BOOTSTRAP.md").unwrap() < first.find("AGENTS.md").unwrap());
    assert!(first.contains(text(&worker, "BOOTSTRAP.md").trim()));
    assert!(!worker.wake_message(false).contains("BOOTSTRAP"));
    let main = files(&of("harbour-main"), &V2026_9_6);
    assert!(!main.wake_message(true).contains("BOOTSTRAP"));
}

#[test]
fn a_change_rewrites_the_files_that_show_it_and_no_others() {
    type Change = fn(&mut Snapshot);
    let cases: [(&str, &str, Change, &[&str], bool); 14] = [
        (
            "an objective",
            "triage",
            |s| change_board(s, |b| b.spec.objective = Some("x".into())),
            &["AGENTS.md"],
            true,
        ),
        (
            "an objective",
            "ops-lead",
            |s| change_board(s, |b| b.spec.objective = Some("x".into())),
            &["BOARD.md"],
            false,
        ),
        (
            "a rule",
            "triage",
            |s| change_board(s, |b| b.spec.rules.require_approval_for_done = false),
            &["AGENTS.md"],
            true,
        ),
        (
            "a rule",
            "ops-lead",
            |s| change_board(s, |b| b.spec.rules.require_approval_for_done = false),
            &["AGENTS.md"],
            true,
        ),
        (
            "the room",
            "triage",
            |s| change_board(s, |b| b.spec.max_agents = 7),
            &[],
            false,
        ),
        (
            "the room",
            "ops-lead",
            |s| change_board(s, |b| b.spec.max_agents = 7),
            &["BOARD.md"],
            false,
        ),
        (
            "the group",
            "ops-lead",
            |s| change_board(s, |b| b.spec.group = None),
            &[],
            false,
        ),
        (
            "the owner",
            "triage",
            |s| change_gateway(s, |g| g.spec.owner = None),
            &["USER.md"],
            false,
        ),
        (
            "the base url",
            "triage",
            |s| change_gateway(s, |g| g.spec.base_url = Some("http://b".into())),
            &["TOOLS.md"],
            false,
        ),
        (
            "a purpose",
            "triage",
            |s| change_agent(s, |a| a.spec.identity.as_mut().unwrap().purpose = None),
            &["IDENTITY.md"],
            true,
        ),
        (
            "a name",
            "triage",
            |s| change_agent(s, |a| a.spec.display_name = Some("x".into())),
            &["IDENTITY.md", "RUNBOOK.md"],
            true,
        ),
        (
            "a team",
            "ops-lead",
            |s| {
                s.team.pop();
            },
            &["AGENTS.md"],
            false,
        ),
        (
            "a team",
            "triage",
            |s| {
                s.team.clear();
            },
            &[],
            false,
        ),
        (
            "a board",
            "harbour-main",
            |s| {
                s.boards.pop();
            },
            &["AGENTS.md"],
            false,
        ),
    ];
    // As a gateway would take all of them: what is carried elsewhere is a file here.
    static ALL: Contract = Contract {
        documents: &[
            "AGENTS.md",
            "SOUL.md",
            "IDENTITY.md",
            "USER.md",
            "BOOTSTRAP.md",
            "MEMORY.md",
            "TOOLS.md",
            "HEARTBEAT.md",
            "BOARD.md",
            "APPROVALS.md",
            "ROLES.md",
            "RUNBOOK.md",
        ],
        ..V2026_7_35_COPY
    };
    for (what, name, change, expected, wakes) in cases {
        let before = of(name);
        let mut after = before.clone();
        change(&mut after);
        let (before, after) = (files(&before, &ALL), files(&after, &ALL));
        assert_eq!(differ(&before, &after), expected, "{what} of {name}");
        assert_eq!(
            before.wake_content != after.wake_content,
            wakes,
            "{what} of {name}"
        );
    }
}

const V2026_7_35_COPY: Contract = Contract {
    name: "all",
    roster: V2026_7_35.roster,
    documents: &[],
    heartbeat_keys: &[],
    write_budget: None,
    restarts_on_write: false,
    tells_of_changes: false,
    watches_size: false,
    keeps_failed_turns: false,
};

#[test]
fn neither_a_token_nor_another_folding_wakes_anybody() {
    for name in ["triage", "ops-lead", "harbour-main"] {
        let snapshot = of(name);
        let contents = CONTRACTS.map(|contract| files(&snapshot, contract).wake_content);
        assert_eq!(contents[0], contents[1]);
        assert_eq!(contents[0], contents[2]);
        let other = super::of(Rendering {
            snapshot: &snapshot,
            place: &place(&snapshot).unwrap(),
            contract: &V2026_9_6,
            token: "another",
        });
        assert_eq!(other.unwrap().wake_content, contents[0]);
    }
}

#[test]
fn the_users_own_text_comes_before_the_gateways_and_that_before_ours() {
    use crate::resource::gateway::NamedTemplate;
    use crate::resource::settings::Soul;
    let mut snapshot = of("triage");
    let soul = |snapshot: &Snapshot| text(&files(snapshot, &V2026_9_6), "SOUL.md").to_owned();
    assert!(soul(&snapshot).contains("finish it"));
    change_gateway(&mut snapshot, |gateway| {
        gateway.spec.templates = vec![NamedTemplate {
            name: "SOUL.md".to_owned(),
            inline: Some("the gateway's, {{ agent_name }}".to_owned()),
            config_map_key_ref: None,
        }];
    });
    assert_eq!(soul(&snapshot), "the gateway's, Incident Triage\n");
    change_agent(&mut snapshot, |agent| {
        agent.spec.soul = Some(Soul {
            template: Some("the agent's".to_owned()),
            ..Soul::default()
        });
    });
    assert_eq!(soul(&snapshot), "the agent's\n");
    change_agent(&mut snapshot, |agent| {
        agent.spec.files.push(file("SOUL.md", Some("the file's")));
    });
    assert_eq!(soul(&snapshot), "the file's\n");
}

#[test]
fn policies_and_drift_are_what_the_nearest_says() {
    use crate::resource::settings::{Drift, FilePolicy};
    let mut snapshot = of("triage");
    let of_file = |snapshot: &Snapshot, name: &str| {
        let file = files(snapshot, &V2026_9_6).files[name].clone();
        (file.policy, file.drift)
    };
    assert_eq!(
        of_file(&snapshot, "SOUL.md"),
        (FilePolicy::Managed, Drift::Correct)
    );
    assert_eq!(of_file(&snapshot, "USER.md").0, FilePolicy::SeedOnce);
    change_gateway(&mut snapshot, |gateway| gateway.spec.drift = Drift::Report);
    assert_eq!(of_file(&snapshot, "SOUL.md").1, Drift::Report);
    change_agent(&mut snapshot, |agent| agent.spec.drift = Some(Drift::Ignore));
    assert_eq!(of_file(&snapshot, "SOUL.md").1, Drift::Ignore);
    change_agent(&mut snapshot, |agent| {
        agent.spec.files.push(AgentFile {
            policy: Some(FilePolicy::Ignored),
            drift: Some(Drift::Correct),
            ..file("SOUL.md", None)
        });
    });
    assert_eq!(
        of_file(&snapshot, "SOUL.md"),
        (FilePolicy::Ignored, Drift::Correct)
    );
}

#[test]
fn an_adopted_agent_keeps_its_files_and_gets_a_section() {
    use crate::resource::settings::FilePolicy;
    let mut snapshot = of("triage");
    change_agent(&mut snapshot, |agent| {
        agent.spec.agent_id = Some("old-hand".to_owned());
    });
    for contract in CONTRACTS {
        let files = files(&snapshot, contract);
        assert!(!files.files.contains_key("BOOTSTRAP.md"));
        let section = &files.files["AGENTS.md"];
        assert!(matches!(&section.text, Text::Section(text) if text.contains(TOKEN)));
        assert_eq!(section.policy, FilePolicy::Managed);
        for (name, file) in &files.files {
            if name != "AGENTS.md" {
                assert_eq!(file.policy, FilePolicy::SeedOnce, "{name}");
                assert!(!file.text.ours().contains(TOKEN), "{name}");
            }
        }
        let theirs = "# Mine\r\n\tall of it";
        let wanted = section.text.wanted(Some(theirs)).unwrap();
        assert!(wanted.ends_with(theirs));
        assert_eq!(section.text.wanted(Some(&wanted)), None);
    }
}

#[test]
fn names_that_nothing_can_carry_are_left_out_with_the_reason() {
    let mut snapshot = of("triage");
    change_agent(&mut snapshot, |agent| {
        for name in [
            "LEARNINGS.md",
            "learnings.md",
            "agents.md",
            "../x.md",
            "x.txt",
            "RUNBOOK.MD",
            "a b.md",
        ] {
            agent.spec.files.push(file(name, Some("x")));
        }
        agent.spec.files.push(file("BOARD.md", None));
        agent.spec.files.push(file("ROLES.md", Some("mine")));
    });
    let files = files(&snapshot, &V2026_9_6);
    let left_out: Vec<&str> = files.unsupported.keys().map(String::as_str).collect();
    assert_eq!(
        left_out,
        [
            "../x.md",
            "BOARD.md",
            "LEARNINGS.md",
            "RUNBOOK.MD",
            "a b.md",
            "agents.md",
            "learnings.md",
            "x.txt"
        ]
    );
    assert!(files.carried.contains_key("ROLES.md"));
    assert!(!text(&files, "AGENTS.md").contains("LEARNINGS"));
}

#[test]
fn what_stands_in_the_way_is_said() {
    use crate::resource::reference::ConfigMapKeyRef;
    use crate::resource::settings::Soul;
    let from = |name: &str, key: &str| {
        let mut snapshot = of("triage");
        change_agent(&mut snapshot, |agent| {
            agent.spec.soul = Some(Soul {
                config_map_key_ref: Some(ConfigMapKeyRef {
                    name: name.to_owned(),
                    key: key.to_owned(),
                }),
                ..Soul::default()
            });
        });
        snapshot
    };
    let mut snapshot = from("souls", "nobody");
    let unread = Obstacle::Unreadable {
        what: "ConfigMap souls".to_owned(),
    };
    assert_eq!(rendered(&snapshot, &V2026_9_6), Err(unread.clone()));
    snapshot
        .texts
        .config_maps
        .insert("souls".to_owned(), Fact::Unknown);
    assert_eq!(rendered(&snapshot, &V2026_9_6), Err(unread));
    snapshot
        .texts
        .config_maps
        .insert("souls".to_owned(), Fact::Absent);
    assert_eq!(
        rendered(&snapshot, &V2026_9_6),
        Err(Obstacle::ConfigMapNotFound {
            field: "spec.soul.configMapKeyRef".to_owned(),
            name: "souls".to_owned()
        })
    );
    let Fact::Known(souls) = snapshot.texts.souls.clone() else {
        panic!("no souls")
    };
    snapshot
        .texts
        .config_maps
        .insert("souls".to_owned(), Fact::Known(souls["souls"].clone()));
    let Err(Obstacle::ConfigMapKeyNotFound { keys, .. }) = rendered(&snapshot, &V2026_9_6) else {
        panic!("a key that is not there")
    };
    assert_eq!(keys, ["incident-commander", "technical-editor"]);

    let mut snapshot = of("triage");
    change_agent(&mut snapshot, |agent| {
        agent.spec.soul = Some(Soul {
            role: Some(true),
            ..Soul::default()
        });
    });
    assert!(matches!(
        rendered(&snapshot, &V2026_9_6),
        Err(Obstacle::SoulNotFound { .. })
    ));
    snapshot.texts.souls = Fact::Unknown;
    assert!(matches!(
        rendered(&snapshot, &V2026_9_6),
        Err(Obstacle::Unreadable { .. })
    ));

    let mut snapshot = of("triage");
    change_agent(&mut snapshot, |agent| {
        agent.spec.files = vec![file("RUNBOOK.md", Some("# Title\n\n{{ identity_expertize }}\n"))];
    });
    let Err(Obstacle::Template(error)) = rendered(&snapshot, &V2026_9_6) else {
        panic!("a variable that is not there")
    };
    assert_eq!(
        error.to_string(),
        "RUNBOOK.md, line 3 of spec.files[RUNBOOK.md].content: variable \"identity_expertize\" is not defined. Did you mean \
         \"identity_expertise\"?"
    );
}

#[test]
fn what_is_too_long_is_refused_or_said() {
    let mut snapshot = of("triage");
    change_agent(&mut snapshot, |agent| {
        agent.spec.files = vec![file("RUNBOOK.md", Some(&"x".repeat(30_000)))];
    });
    let said = files(&snapshot, &V2026_9_6).warnings;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("AGENTS.md has 3") && said[0].contains("20000"),
        "{said:?}"
    );
    change_agent(&mut snapshot, |agent| {
        let long = "x".repeat(60_000);
        agent.spec.files = (0..9)
            .map(|n| file(&format!("RUNBOOK{n}.md"), Some(&long)))
            .collect();
    });
    assert!(matches!(
        rendered(&snapshot, &V2026_9_6),
        Err(Obstacle::FileTooLarge { file, limit: 500_000, .. }) if file == "AGENTS.md"
    ));
}

#[test]
fn a_heartbeat_prompt_of_the_users_own_stays() {
    let mut snapshot = of("triage");
    assert!(files(&snapshot, &V2026_7_35).heartbeat_prompt.is_none());
    let ours = files(&snapshot, &V2026_9_6).heartbeat_prompt.unwrap();
    assert!(ours.contains("HEARTBEAT_OK") && !ours.contains(TOKEN));
    change_agent(&mut snapshot, |agent| {
        agent.spec.heartbeat.prompt = Some("mine".to_owned());
    });
    assert!(files(&snapshot, &V2026_9_6).heartbeat_prompt.is_none());
}

/// Lines that somebody could write, marks of ours among them.
fn hostile_text() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "[ -z~äß🧭]{0,20}",
        Just("<!-- quartermaster: end -->".to_owned()),
        Just(
            "<!-- quartermaster: begin; kept by Quartermaster, what you change up to the end is put back -->"
                .to_owned()
        ),
        Just("  <!-- quartermaster: end of TOOLS.md -->\r".to_owned()),
        Just("<!-- quartermaster: TOOLS.md -->".to_owned()),
        Just("<!--<!-- Quartermaster: AGENTS.md -->".to_owned()),
        Just("AUTH_TOKEN=\"forged\"".to_owned()),
    ];
    proptest::collection::vec(line, 0..8).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_document_is_carried_once_and_in_order(
        role in 0..3_usize, contract in 0..3_usize, adopted: bool,
        texts in proptest::collection::vec(hostile_text(), 4),
    ) {
        let contract = CONTRACTS[contract];
        let name = ["triage", "ops-lead", "harbour-main"][role];
        let mut snapshot = of(name);
        let plain = |text: &str, n: usize| format!("word-{n}-\n{text}").replace('{', "(");
        change_agent(&mut snapshot, |agent| {
            agent.spec.agent_id = adopted.then(|| "old-hand".to_owned());
            agent.spec.files = vec![
                file("Z.md", Some(&plain(&texts[0], 0))),
                file("A.md", Some(&plain(&texts[1], 1))),
                file("AGENTS.md", Some(&plain(&texts[2], 2))),
                file("HEARTBEAT.md", Some(&plain(&texts[3], 3))),
            ];
        });
        let files = files(&snapshot, contract);
        let all: Vec<&str> = files.files.values().map(|file| file.text.ours()).collect();
        prop_assert_eq!(all.concat().matches(TOKEN).count(), 1);
        for n in 0..4 {
            prop_assert_eq!(all.concat().matches(&format!("word-{n}-")).count(), 1);
        }
        let said = [files.wake_message.as_str(), &files.later_wake_message, files.heartbeat_prompt.as_deref().unwrap_or_default()];
        prop_assert!(!said.concat().contains(TOKEN));

        let lead = snapshot.agent.spec.role == Role::Lead;
        let is_file = |name: &str| contract.documents.contains(&name) && !(adopted && name == "TOOLS.md");
        let expected: Vec<&str> = ["TOOLS.md", "HEARTBEAT.md"]
            .into_iter()
            .chain(["BOARD.md", "APPROVALS.md", "ROLES.md"].into_iter().filter(|_| lead))
            .chain(["Z.md", "A.md"])
            .filter(|name| !is_file(name))
            .collect();
        let expected_marks: Vec<String> = expected.iter().flat_map(|name| [(*name).to_owned(), format!("end of {name}")]).collect();
        prop_assert_eq!(marks(text(&files, "AGENTS.md")), expected_marks);
        let mut carried: Vec<&str> = files.carried.keys().map(String::as_str).collect();
        carried.sort_unstable();
        let mut expected = expected;
        expected.sort_unstable();
        prop_assert_eq!(carried, expected);
    }

    #[test]
    fn our_section_is_put_in_once_and_the_rest_stays(ours in hostile_text(), next in hostile_text(), theirs in hostile_text()) {
        let section = |text: &str| Text::Section(section::spoiled(text));
        let first = section(&ours).wanted(Some(&theirs)).unwrap_or(theirs.clone());
        prop_assert_eq!(section(&ours).wanted(Some(&first)), None);
        let second = section(&next).wanted(Some(&first)).unwrap_or(first.clone());
        prop_assert_eq!(section(&next).wanted(Some(&second)), None);
        let again = section(&ours).wanted(Some(&second)).unwrap_or(second);
        prop_assert_eq!(&again, &first);
        let outside = |file: &str| {
            let mut rest = file.to_owned();
            for range in section::sections(file).into_iter().rev() {
                rest.replace_range(range, "");
            }
            rest
        };
        let there_before = !section::sections(&theirs).is_empty();
        let expected = if there_before || theirs.is_empty() { outside(&theirs) } else { format!("\n{theirs}") };
        prop_assert_eq!(outside(&first), expected);
    }
}
