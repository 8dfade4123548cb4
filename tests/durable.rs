//! What `quartermaster up` promises about its data, seen from outside: the program itself runs, is asked over HTTPS, killed,
//! backed up and restored.
//!
//! `ROUNDS=200 cargo test --test durable` kills more often; `make soak` does.

#![allow(
    unreachable_pub,
    reason = "what is shared with other test programs is public in its folder"
)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

#[path = "real/bed/evidence.rs"]
#[expect(dead_code, reason = "the real tests say more with it")]
mod evidence;
#[path = "real/bed/process.rs"]
#[expect(dead_code, reason = "the real tests do more with it")]
mod process;
#[path = "real/bed/scratch.rs"]
mod scratch;
#[path = "real/bed/wait.rs"]
mod wait;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use process::{Launch, Process};
use redb::{Database, TableDefinition};
use scratch::Scratch;
use serde_json::json;
use tokio::task::JoinHandle;
use wait::eventually;

const PROGRAM: &str = env!("CARGO_BIN_EXE_quartermaster");

/// `quartermaster up` with a folder of its own.
struct Up {
    process: Process,
    data: PathBuf,
}

impl Up {
    fn start(data: &Path, log: &Path) -> Self {
        fs::remove_file(log).ok();
        let process = Launch::new("quartermaster", PROGRAM)
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.display())
            .start(log);
        eventually("it is up", 120, || {
            assert!(process.is_alive(), "{}", process.last_words());
            process.log().contains("Quartermaster is up").then_some(())
        });
        let data = data.to_owned();
        Self { process, data }
    }

    async fn config_maps(&self) -> Api<ConfigMap> {
        Api::default_namespaced(client(&self.data.join("kubeconfig")).await)
    }
}

async fn client(kubeconfig: &Path) -> Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

/// Runs a command to its end.
fn quartermaster(arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    for name in ["QUARTERMASTER_DATA", "QUARTERMASTER_KUBECONFIG", "KUBECONFIG"] {
        command.env_remove(name);
    }
    command.args(arguments).output().unwrap()
}

/// It failed, with exit code 1 and this sentence.
#[track_caller]
fn refuses(arguments: &[&str], sentence: &str) {
    let Output {
        status,
        stdout,
        stderr,
    } = quartermaster(arguments);
    let said = String::from_utf8_lossy(&stderr);
    assert_eq!(
        (status.code(), said.trim_end()),
        (Some(1), sentence),
        "{}",
        String::from_utf8_lossy(&stdout)
    );
}

fn backup(data: &Path, file: &Path) -> u64 {
    let Output {
        status,
        stdout,
        stderr,
    } = quartermaster(&[
        "backup",
        &file.display().to_string(),
        "--data",
        &data.display().to_string(),
    ]);
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let said = String::from_utf8(stdout).unwrap();
    let revision = said.trim_end().rsplit(' ').next().unwrap();
    revision.parse().unwrap_or_else(|_| panic!("{said}"))
}

const WRITERS: usize = 6;

/// What each writer was answered: how often it had written, and the version.
type Answers = Arc<Mutex<BTreeMap<usize, Vec<(u64, u64)>>>>;

fn version(object: &ConfigMap) -> u64 {
    object.resource_version().unwrap().parse().unwrap()
}

fn count(object: &ConfigMap) -> u64 {
    object.data.as_ref().unwrap()["count"].parse().unwrap()
}

/// Each has an object of its own, and writes on until it is no longer answered.
async fn write(config_maps: &Api<ConfigMap>, answers: &Answers) -> Vec<JoinHandle<()>> {
    let writer = |writer: usize| {
        let (config_maps, answers) = (config_maps.clone(), Arc::clone(answers));
        async move {
            let name = format!("writer-{writer}");
            let last = answers
                .lock()
                .unwrap()
                .get(&writer)
                .and_then(|all| all.last().copied());
            let mut count = last.map_or(0, |(count, _)| count);
            loop {
                count += 1;
                let object = json!({
                    "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"count": count.to_string()},
                });
                let params = PatchParams::apply("writer").force();
                let Ok(written) = config_maps.patch(&name, &params, &Patch::Apply(object)).await else {
                    return;
                };
                let answer = (count, version(&written));
                answers.lock().unwrap().entry(writer).or_default().push(answer);
            }
        }
    };
    (0..WRITERS).map(|number| tokio::spawn(writer(number))).collect()
}

fn given(answers: &Answers) -> usize {
    answers.lock().unwrap().values().map(Vec::len).sum()
}

async fn until_given(answers: &Answers, many: usize, up: &Up) {
    wait::eventually_async("there are more answers", 120, async || {
        assert!(up.process.is_alive(), "{}", up.process.last_words());
        (given(answers) >= many).then_some(())
    })
    .await;
}

/// They take 16 s on two cores where nothing else runs, and three times as long beside builds.
const KILLS: usize = 30;

/// The first thing that a watch says.
async fn first_of_watch(config_maps: &Api<ConfigMap>, version: &str) -> WatchEvent<ConfigMap> {
    let params = WatchParams::default().timeout(60).disable_bookmarks();
    let mut watch = config_maps.watch(&params, version).await.unwrap().boxed();
    watch.next().await.expect("the watch says something").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_there_after_kills() {
    let kills = std::env::var("ROUNDS").map_or(KILLS, |rounds| rounds.parse().unwrap());
    let folder = Scratch::new("killed");
    let (data, log) = (folder.join("data"), folder.join("log"));
    let answers = Answers::default();
    let mut first: Option<String> = None;
    for kill in 0..kills {
        let up = Up::start(&data, &log);
        let config_maps = up.config_maps().await;
        check(&config_maps, &answers).await;
        if let Some(first) = &first {
            // A restart is a compaction: what was before it is gone, and who watches lists anew.
            let gone = first_of_watch(&config_maps, first).await;
            assert!(
                matches!(&gone, WatchEvent::Error(status) if status.code == 410),
                "{gone:?}"
            );
        }
        // Who has seen everything goes on.
        let seen = config_maps.list(&ListParams::default()).await.unwrap();
        let seen: String = seen.metadata.resource_version.unwrap();
        let begun = given(&answers);
        let writers = write(&config_maps, &answers).await;
        let next = first_of_watch(&config_maps, &seen).await;
        assert!(
            matches!(&next, WatchEvent::Added(next) | WatchEvent::Modified(next) if version(next) > seen.parse().unwrap()),
            "{next:?}"
        );
        until_given(&answers, begun + 20 + 17 * (kill % 4), &up).await;
        up.process.kill();
        for writer in writers {
            writer.await.unwrap();
        }
        first.get_or_insert(seen);
    }
    let up = Up::start(&data, &log);
    check(&up.config_maps().await, &answers).await;
    let told = u64::try_from(given(&answers)).unwrap();
    evidence::record(
        "embedded",
        "writes answered by a process that was killed, all there",
        told,
        &format!("{kills} kills"),
    );
}

/// Each writer's object is as it was answered last, or as the write made it that was not answered. Versions go on upward.
async fn check(config_maps: &Api<ConfigMap>, answers: &Answers) {
    let found = config_maps.list(&ListParams::default()).await.unwrap();
    let now: u64 = found.metadata.resource_version.unwrap().parse().unwrap();
    let mut answers = answers.lock().unwrap();
    for (writer, given) in answers.iter_mut() {
        assert!(given.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1), "{given:?}");
        let (answered, at) = *given.last().unwrap();
        let name = format!("writer-{writer}");
        let object = found.items.iter().find(|object| object.name_any() == name);
        let object =
            object.unwrap_or_else(|| panic!("{name} was answered for {answered} writes, and is not there"));
        let (count, version) = (count(object), version(object));
        match count - answered {
            0 => assert_eq!(version, at),
            1 => {
                assert!(version > at);
                given.push((count, version));
            }
            _ => panic!("{name} was answered for {answered} writes, and has {count}"),
        }
        assert!(now >= version);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_made_while_writes_go_on_and_can_be_gone_back_to() {
    let folder = Scratch::new("backup");
    let (data, log) = (folder.join("data"), folder.join("log"));
    let answers = Answers::default();
    let up = Up::start(&data, &log);
    let writers = write(&up.config_maps().await, &answers).await;
    until_given(&answers, 50, &up).await;
    let copy = folder.join("copy.redb");
    let revision = backup(&data, &copy);
    let then = given(&answers);
    until_given(&answers, then + 20, &up).await;
    let mode = fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "there are Secrets in it");

    // What is there is not replaced, and nothing is left beside it.
    let before = fs::read(&copy).unwrap();
    let (copy_text, data_text) = (copy.display().to_string(), data.display().to_string());
    let exists = format!("quartermaster: {copy_text} exists already: name a file that does not");
    refuses(&["backup", &copy_text, "--data", &data_text], &exists);
    assert!(fs::read(&copy).unwrap() == before);
    assert_eq!(up.process.end().0, 0, "{}", up.process.last_words());
    for writer in writers {
        writer.await.unwrap();
    }
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["copy.redb", "data", "log"]);
    let mut names: Vec<_> = fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["identity.json", "kubeconfig", "state.redb"]);

    // Where nobody runs, it is made all the same, and is later.
    let later = folder.join("later.redb");
    assert!(backup(&data, &later) > revision);
    refuses(&["backup", &copy_text, "--data", &data_text], &exists);

    // Back to it: every write up to its revision is there, and none after.
    fs::copy(&copy, data.join("state.redb")).unwrap();
    let up = Up::start(&data, &log);
    let config_maps = up.config_maps().await;
    let answers = answers.lock().unwrap().clone();
    for (writer, given) in answers {
        let then = given.iter().rfind(|(_, version)| *version <= revision);
        let found = config_maps.get_opt(&format!("writer-{writer}")).await.unwrap();
        let found = found.map(|object| (count(&object), version(&object)));
        assert_eq!(found, then.copied(), "writer-{writer} at {revision}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_for_who_may_read_everything() {
    let folder = Scratch::new("access");
    let up = Up::start(&folder.join("data"), &folder.join("log"));
    let admin = client(&up.data.join("kubeconfig")).await;
    let accounts: Api<ServiceAccount> = Api::default_namespaced(admin.clone());
    let account = serde_json::from_value(json!({"metadata": {"name": "reader"}})).unwrap();
    accounts.create(&PostParams::default(), &account).await.unwrap();
    let request = TokenRequest {
        spec: TokenRequestSpec::default(),
        ..TokenRequest::default()
    };
    let token = accounts
        .create_token_request("reader", &PostParams::default(), &request)
        .await
        .unwrap();
    let token = token.status.unwrap().token;

    let mut kubeconfig: serde_json::Value =
        serde_saphyr::from_str(&fs::read_to_string(up.data.join("kubeconfig")).unwrap()).unwrap();
    kubeconfig["users"][0]["user"]["token"] = json!(token);
    let theirs = folder
        .file("kubeconfig", &kubeconfig.to_string())
        .display()
        .to_string();
    let copy = folder.join("copy.redb");
    let (copy_text, data) = (copy.display().to_string(), up.data.display().to_string());
    let arguments = [
        "backup",
        copy_text.as_str(),
        "--data",
        &data,
        "--kubeconfig",
        &theirs,
    ];
    refuses(
        &arguments,
        "quartermaster: no backup was given: forbidden: User \"system:serviceaccount:default:reader\" cannot post path \
         \"/quartermaster/backup\"",
    );
    assert!(!copy.exists());
    let asked = axum::http::Request::get("/quartermaster/backup")
        .body(Vec::new())
        .unwrap();
    let said = admin.request_text(asked).await.unwrap_err();
    assert!(
        matches!(&said, kube::Error::Api(status) if status.code == 405),
        "{said}"
    );

    // It is a path like any other.
    let role: ClusterRole = serde_json::from_value(json!({
        "metadata": {"name": "backup"}, "rules": [{"nonResourceURLs": ["/quartermaster/backup"], "verbs": ["post"]}],
    }))
    .unwrap();
    let binding: ClusterRoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "backup"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "backup"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}],
    }))
    .unwrap();
    Api::all(admin.clone())
        .create(&PostParams::default(), &role)
        .await
        .unwrap();
    Api::all(admin)
        .create(&PostParams::default(), &binding)
        .await
        .unwrap();
    let Output { status, stderr, .. } = quartermaster(&arguments);
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    assert!(copy.exists());
}

#[test]
fn a_second_process_is_told_what_to_do() {
    let folder = Scratch::new("second");
    let (data, log) = (folder.join("data"), folder.join("log"));
    let up = Up::start(&data, &log);
    let data_text = data.display().to_string();
    let kubeconfig = fs::read_to_string(data.join("kubeconfig")).unwrap();
    refuses(
        &["up", "--listen", "127.0.0.1:0", "--data", &data_text],
        &format!(
            "quartermaster: another `quartermaster up` runs with what is in {data_text}: use that one, or name another \
             folder with --data"
        ),
    );
    let after = fs::read_to_string(data.join("kubeconfig")).unwrap();
    assert_eq!(after, kubeconfig, "the way to the first one is as it was");
    assert!(up.process.is_alive());
}

#[test]
fn what_cannot_be_opened_is_left_alone_and_said() {
    let folder = Scratch::new("newer");
    let data = folder.join("data");
    fs::create_dir(&data).unwrap();
    let (data_text, state) = (data.display().to_string(), data.join("state.redb"));
    let state_text = state.display().to_string();
    let copy = folder.join("copy").display().to_string();
    let up = ["up", "--listen", "127.0.0.1:0", "--data", &data_text];
    let backup = ["backup", copy.as_str(), "--data", &data_text];
    refuses(
        &backup,
        &format!(
            "quartermaster: {state_text} does not exist: name with --data the folder that `quartermaster up` uses"
        ),
    );
    assert!(!state.exists());

    let database = Database::create(&state).unwrap();
    let transaction = database.begin_write().unwrap();
    let about: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
    transaction
        .open_table(about)
        .unwrap()
        .insert("format", 2)
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let newer = format!(
        "quartermaster: {state_text} was written by a newer quartermaster (format 2, this one knows 1): use the newer one"
    );
    refuses(&up, &newer);
    refuses(&backup, &newer);

    fs::write(&state, "notes").unwrap();
    let foreign = format!("quartermaster: {state_text} is no store of quartermaster: name another file");
    refuses(&up, &foreign);
    refuses(&backup, &foreign);
    assert_eq!(fs::read_to_string(&state).unwrap(), "notes");
}
