//! `apply`, `get` and `delete` against an `up` of one's own: what is said, and the exit codes 0, 1 and 2.

use std::io::Read;
use std::process::Stdio;

use crate::desk::{Desk, Ended, Running, normal};
use crate::evidence;

const BOARD: &str = "\
apiVersion: quartermaster.dev/v1alpha1
kind: Board
metadata:
  name: ops
  labels: {team: ferry}
spec:
  gatewayRef: {name: pier}
  type: general
";

/// A desk where `up` runs, with nothing in it.
fn desk() -> (Desk, Running) {
    let desk = Desk::new();
    let up = desk.up(&[]);
    (desk, up)
}

fn apply(desk: &Desk, text: &str) -> Ended {
    desk.run_with(&["apply", "-f", "-"], text)
}

#[test]
fn files_are_applied_and_each_object_says_what_came_of_it() {
    let (desk, up) = desk();
    apply(&desk, BOARD).is(0, "ocboard/ops created\n", "");
    apply(&desk, BOARD).is(0, "ocboard/ops as it was\n", "");
    let changed = BOARD.replace("general", "support")
        + "---\n# nothing\n---\n"
        + &BOARD.replace("name: ops", "name: docs");
    apply(&desk, &changed).is(0, "ocboard/ops changed\nocboard/docs created\n", "");

    // A folder: what is in it by name, what is below it only on request. And several -f.
    let map = |name: &str| format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}");
    desk.write("fleet/b.yml", &map("b"));
    desk.write("fleet/a.yaml", &map("a"));
    desk.write(
        "fleet/c.json",
        r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}"#,
    );
    desk.write("fleet/notes.txt", "no manifest");
    desk.write("fleet/below/d.yaml", &map("d"));
    desk.write("e.yaml", &map("e"));
    desk.run(&["apply", "-f", "fleet", "-f", "e.yaml"]).is(
        0,
        "cm/a created\ncm/b created\ncm/c created\ncm/e created\n",
        "",
    );
    desk.run(&["apply", "-R", "-f", "fleet"]).is(
        0,
        "cm/a as it was\ncm/b as it was\ncm/d created\ncm/c as it was\n",
        "",
    );
    desk.run(&["apply", "-f", "fleet/below", "-n", "kube-system"])
        .is(0, "cm/d created\n", "");
    assert_eq!(up.interrupt().code, Some(0));
    evidence::record("up", "apply, get and delete without kubectl", 3, "commands");
}

#[test]
fn what_cannot_be_applied_is_told_with_its_place_and_all_its_causes() {
    let (desk, up) = desk();
    // Nothing of a file is applied where a part of it cannot be read.
    let broken = format!(
        "{BOARD}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData:\n  token: \"sesame\n  b: [\n"
    );
    let broken = desk.run(&["apply", "-f", &desk.write("broken.yaml", &broken)]);
    assert_eq!(
        (broken.code, normal(&broken.err, &desk).as_str()),
        (
            Some(1),
            "quartermaster: DESK/broken.yaml, line 15, column 3: invalid indentation in multiline quoted scalar\n"
        )
    );
    desk.run(&["get", "ocboard"])
        .is(0, "", "Nothing found in namespace default.\n");

    apply(&desk, "apiVersion: example.org/v1\nkind: Fleet\nmetadata: {name: x}\n").is(
        1,
        "",
        "Fleet x (standard input, line 1) is of a kind that is not served here: example.org/v1 Fleet\nquartermaster: 1 of 1 \
         not applied\n",
    );
    apply(&desk, "kind: Board\n").is(
        1,
        "",
        "quartermaster: standard input, line 1: it does not say what it is; give apiVersion, kind and metadata.name\n",
    );
    apply(&desk, "# nothing\n").is(1, "", "quartermaster: there is no manifest in -\n");
    desk.run(&["apply", "-f", "nowhere.yaml"]).is(
        1,
        "",
        "quartermaster: cannot read nowhere.yaml: No such file or directory (os error 2)\n",
    );

    // What is good beside it is applied.
    let both = format!(
        "{BOARD}---\napiVersion: quartermaster.dev/v1alpha1\nkind: Board\nmetadata:\n  name: x\nspec:\n  type: ''\n  \
         maxAgents: -1\n"
    );
    let both = apply(&desk, &both);
    assert_eq!((both.code, both.out.as_str()), (Some(1), "ocboard/ops created\n"));
    let said = both.err.as_str();
    assert!(
        said.starts_with("Board x (standard input, line 10) is refused:\n  spec."),
        "{said}"
    );
    assert!(said.contains("\n  spec.maxAgents: Invalid value: -1: "), "{said}");
    assert!(said.ends_with("\nquartermaster: 1 of 2 not applied\n"), "{said}");
    assert_eq!(up.interrupt().code, Some(0));
}

#[test]
fn fields_of_others_are_taken_over_on_request_only() {
    let desk = Desk::new();
    let up = desk.up(&["--demo"]);
    up.until("Ready after");
    let mine = "{apiVersion: quartermaster.dev/v1alpha1, kind: Board, metadata: {name: ops}, spec: {displayName: Mine}}";
    apply(&desk, mine).is(
        1,
        "",
        "Board ops (standard input, line 1) is refused: others have set these fields (--force-conflicts takes them over):\n  \
         .spec.displayName: conflict with \"quartermaster-demo\"\nquartermaster: 1 of 1 not applied\n",
    );
    desk.run_with(&["apply", "-f", "-", "--force-conflicts"], mine)
        .is(0, "ocboard/ops changed\n", "");
    assert_eq!(up.interrupt().code, Some(0));
}

#[test]
fn waiting_ends_when_all_is_ready_or_says_what_is_missing() {
    let (desk, up) = desk();
    let mut command = desk.command(&["simulate-gateway"]);
    command.env("OPENCLAW_GATEWAY_TOKEN", "sesame");
    let simulated = Running::start(command);
    simulated.until("\n");
    let url = simulated.out().trim().to_owned();
    let fleet = |url: &str| {
        format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: t}}, stringData: {{token: sesame}}}}\n---\n\
             {{apiVersion: quartermaster.dev/v1alpha1, kind: Gateway, metadata: {{name: pier}}, \
             spec: {{url: '{url}', workspaceRoot: /w, tokenSecretRef: {{name: t}}}}}}\n"
        )
    };
    let waits = ["apply", "-f", "-", "--wait"];
    desk.run_with(&waits, &fleet(&url)).is(
        0,
        "secret/t created\nocgw/pier created\nocgw/pier is Ready: connected to OpenClaw 2026.9.6\nEverything is Ready.\n",
        "",
    );
    // In the object's own words, and as soon as the time is over.
    let late = [&waits[..], &["--timeout", "1s"]].concat();
    let late = desk.run_with(&late, &fleet("ws://127.0.0.1:9"));
    late.fails_with("quartermaster: not Ready after 1 s:\n  ocgw/pier: ");
    desk.run_with(&waits, BOARD).is(
        0,
        "ocboard/ops created\nocboard/ops is Ready: its Gateway is there\nEverything is Ready.\n",
        "",
    );
    // An errand ends: well, or so that nobody need wait any longer.
    let sync = "{apiVersion: quartermaster.dev/v1alpha1, kind: TemplateSync, metadata: {name: now}, \
                spec: {gatewayRef: {name: pier}}}\n";
    let done = desk.run_with(
        &waits,
        &sync.replace("{gatewayRef", "{includeMain: false, gatewayRef"),
    );
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{}", done.out);
    assert!(
        done.out
            .starts_with("ocsync/now created\nocsync/now is Ready: nothing to do: Gateway pier has no agent"),
        "{}",
        done.out
    );
    let late = sync.replace("name: now", "name: late");
    let late = late.replace("{gatewayRef", "{activeDeadlineSeconds: 1, gatewayRef");
    let late = desk.run_with(&waits, &late);
    late.fails_with("quartermaster: not Ready, and waiting is of no use:\n  ocsync/late: DeadlineExceeded: ");
    assert_eq!(up.interrupt().code, Some(0));
}

#[test]
fn objects_are_shown_as_one_asks_for_them() {
    let (desk, up) = desk();
    // Suspended, or its main agent would be among them sooner or later.
    let gateway = "{apiVersion: quartermaster.dev/v1alpha1, kind: Gateway, metadata: {name: pier}, \
                   spec: {url: 'ws://127.0.0.1:9', workspaceRoot: /w, suspend: true}}\n---\n";
    apply(&desk, &format!("{gateway}{BOARD}")).done();
    desk.run(&[
        "apply",
        "-n",
        "kube-system",
        "-f",
        &desk.write("board.yaml", BOARD),
    ])
    .done();
    let get = |words: &[&str]| desk.run(&[&["get"], words].concat());
    let heads = |words: &[&str]| -> Vec<String> {
        let out = get(words).done();
        out.lines()
            .map(|line| line.split("  ").next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(heads(&["ocboard"]), ["NAME", "ops"]);
    assert_eq!(
        heads(&["openclaw"]),
        ["NAME", "ocboard/ops", "", "NAME", "ocgw/pier"]
    );
    assert_eq!(heads(&["boards", "-A"]), ["NAMESPACE", "default", "kube-system"]);
    assert_eq!(
        heads(&["Board", "-n", "kube-system", "-o", "wide"]),
        ["NAME", "ops"]
    );
    assert_eq!(
        heads(&["ocboard,ocgw", "-o", "name"]),
        ["ocboard/ops", "ocgw/pier"]
    );
    assert_eq!(heads(&["ocboard/ops", "-o", "name"]), ["ocboard/ops"]);
    assert_eq!(
        heads(&["ocboard", "-l", "team=ferry", "-o", "name"]),
        ["ocboard/ops"]
    );
    get(&["ocboard", "-l", "team=other"]).is(0, "", "Nothing found in namespace default.\n");
    get(&["ocagent", "-A"]).is(0, "", "Nothing found.\n");
    assert!(get(&["ocgw", "-o", "wide"]).done().contains("STATUS"));

    let yaml = get(&["ocboard", "ops", "-o", "yaml"]).done();
    assert!(
        yaml.starts_with("apiVersion: quartermaster.dev/v1alpha1\nkind: Board\nmetadata:\n"),
        "{yaml}"
    );
    assert!(!yaml.contains("managedFields"), "{yaml}");
    // What was shown can be applied.
    let again = yaml
        .lines()
        .filter(|line| !line.contains("resourceVersion"))
        .collect::<Vec<_>>()
        .join("\n");
    apply(&desk, &again).done();
    let list = get(&["openclaw", "-o", "json"]).done();
    assert!(
        list.contains("\"kind\": \"List\"") && list.contains("\"kind\": \"Gateway\""),
        "{list}"
    );

    get(&["ocboard", "none"]).is(
        1,
        "",
        "quartermaster: the API server refused: boards.quartermaster.dev \"none\" not found\n",
    );
    get(&["ships"]).fails_with(
        "quartermaster: no kind is called ships here; ours are ocgw, ocboard, ocagent and ocsync",
    );
    assert_eq!(get(&[]).code, Some(2));
    assert_eq!(get(&["ocgw", "-o", "pdf"]).code, Some(2));
    assert_eq!(up.interrupt().code, Some(0));
}

/// What is on a screen is soon in a log or in a ticket.
#[test]
fn no_value_of_a_secret_is_ever_shown() {
    let (desk, up) = desk();
    let secret = "{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {token: sesame}}";
    assert_eq!(apply(&desk, secret).done(), "secret/s created\n");
    for output in ["yaml", "json", "wide"] {
        let shown = desk.run(&["get", "secret", "s", "-o", output]).done();
        assert!(
            !shown.contains("sesame") && !shown.contains("c2VzYW1l"),
            "{shown}"
        );
        let list = desk.run(&["get", "secrets", "-A", "-o", output]).done();
        assert!(!list.contains("sesame") && !list.contains("c2VzYW1l"), "{list}");
    }
    // Nor can what was shown be put in the value's place.
    let yaml = desk.run(&["get", "secret", "s", "-o", "yaml"]).done();
    assert!(yaml.contains("token: (not shown)"), "{yaml}");
    let yaml = yaml
        .lines()
        .filter(|line| !line.contains("resourceVersion"))
        .collect::<Vec<_>>()
        .join("\n");
    assert_eq!(apply(&desk, &yaml).code, Some(1));
    assert_eq!(up.interrupt().code, Some(0));
}

#[test]
fn a_watch_prints_what_changes() {
    let (desk, up) = desk();
    apply(&desk, BOARD).done();
    let watch = Running::start(desk.command(&["get", "ocboard", "-w"]));
    watch.until("\nops ");
    apply(&desk, &BOARD.replace("name: ops", "name: docs")).done();
    watch.until("\ndocs ");
    assert_eq!(watch.out().matches("NAME").count(), 1);
    assert_eq!(watch.err(), "");
    drop(watch);
    desk.run(&["get", "openclaw", "-w"])
        .fails_with("--watch looks at one kind");
    assert_eq!(up.interrupt().code, Some(0));
}

/// `quartermaster get ocboard | head -0`: enough is no failure.
#[test]
fn who_closes_the_pipe_has_read_enough() {
    let (desk, up) = desk();
    apply(&desk, BOARD).done();
    let mut command = desk.command(&["get", "ocboard"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
    assert_eq!(up.interrupt().code, Some(0));
}

#[test]
fn objects_are_deleted_by_name_or_as_files_have_them() {
    let (desk, up) = desk();
    let boards = format!("{BOARD}---\n{}", BOARD.replace("name: ops", "name: docs"));
    let file = desk.write("boards.yaml", &boards);
    desk.run(&["apply", "-f", &file]).done();
    // What was applied last goes first.
    desk.run(&["delete", "-f", &file])
        .is(0, "ocboard/docs deleted\nocboard/ops deleted\n", "");
    desk.run(&["delete", "-f", &file])
        .is(0, "ocboard/docs was not there\nocboard/ops was not there\n", "");

    desk.run(&["apply", "-f", &file]).done();
    desk.run(&["delete", "ocboard", "ops", "none"]).is(
        1,
        "ocboard/ops deleted\n",
        "ocboard/none was not there\nquartermaster: 1 of 2 not deleted\n",
    );
    desk.run(&["delete", "board/docs", "--wait=false"])
        .is(0, "ocboard/docs goes\n", "");
    desk.run(&["delete", "board/docs", "--ignore-not-found"])
        .is(0, "ocboard/docs was not there\n", "");

    // It stays until somebody lets go; what holds it is named.
    let held = BOARD.replace("  name: ops\n", "  name: ops\n  finalizers: [example.org/held]\n");
    apply(&desk, &held).done();
    desk.run(&["delete", "ocboard", "ops", "--timeout", "1"]).is(
        1,
        "",
        "quartermaster: still there after 1 s:\n  ocboard/ops: Deleting: being deleted (kept by finalizer example.org/held)\n",
    );
    for words in [
        &["delete"][..],
        &["delete", "ocboard"],
        &["apply"],
        &["delete", "ocboard", "a", "-f", "x"],
    ] {
        let ended = desk.run(words);
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (Some(2), ""),
            "{words:?}: {}",
            ended.err
        );
    }
    assert_eq!(up.interrupt().code, Some(0));
}

#[test]
fn without_an_up_it_says_where_it_looked() {
    let desk = Desk::new();
    let up = desk.up(&[]);
    assert_eq!(up.interrupt().code, Some(0));
    let ended = desk.run(&["get", "openclaw"]);
    ended.fails_with("quartermaster: the API server at https://127.0.0.1:");
    ended.fails_with(
        "kubeconfig, which `quartermaster up` wrote: is that running? --kubeconfig names another.",
    );
    let elsewhere = Desk::new();
    elsewhere
        .run(&["get", "openclaw"])
        .fails_with("quartermaster: no cluster to talk to: ");
}

#[test]
fn a_kubeconfig_that_is_set_to_nothing_is_not_set() {
    let (desk, up) = desk();
    let mut command = desk.command(&["get", "ns", "default", "-o", "name"]);
    command.env("KUBECONFIG", "");
    Running::start(command).end().is(0, "ns/default\n", "");
    assert_eq!(up.interrupt().code, Some(0));
}
