//! The files of an agent's workspace that a gateway lets a client read and write.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::client::{Answer, Client};
use super::seen::Seen;
use super::subject::Subject;

/// Every name that somebody has hoped for.
const NAMES: [&str; 17] = [
    "AGENTS.md",
    "SOUL.md",
    "IDENTITY.md",
    "USER.md",
    "BOOTSTRAP.md",
    "MEMORY.md",
    "TOOLS.md",
    "HEARTBEAT.md",
    "memory.md",
    "BOOT.md",
    "BOARD.md",
    "ROLES.md",
    "APPROVALS.md",
    "LEARNINGS.md",
    "agents.md",
    "../AGENTS.md",
    "skills/a/SKILL.md",
];

async fn set(client: &mut Client, agent: &str, name: &str, content: &str) -> Answer {
    let params = json!({ "agentId": agent, "name": name, "content": content });
    client.call("agents.files.set", &params).await
}

async fn get(client: &mut Client, agent: &str, name: &str) -> Answer {
    let params = json!({ "agentId": agent, "name": name });
    client.call("agents.files.get", &params).await
}

pub async fn names_that_can_be_written(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    for name in NAMES {
        let answer = set(&mut client, bench, name, "written\n").await;
        seen.answer(
            name,
            &answer,
            &[
                "/ok",
                "/file/name",
                "/file/missing",
                "/file/size",
                "/file/content",
            ],
        );
    }
    seen
}

pub async fn names_that_can_be_read(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    for name in NAMES {
        let answer = get(&mut client, bench, name).await;
        // Its content is there when the case before has written it; whether it can be asked for is this one's.
        seen.answer(name, &answer, &["/file/name"]);
    }
    seen
}

pub async fn names_that_are_listed(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    // The list hides what was consumed and shows what is there.
    for name in [
        "AGENTS.md",
        "SOUL.md",
        "IDENTITY.md",
        "USER.md",
        "BOOTSTRAP.md",
        "MEMORY.md",
    ] {
        set(&mut client, bench, name, "listed").await.must();
    }
    let answer = client
        .call("agents.files.list", &json!({ "agentId": bench }))
        .await;
    seen.answer("list", &answer, &["/agentId", "/workspace"]);
    for file in answer.must()["files"].as_array().expect("files") {
        let has = |key: &str| file.get(key).is_some();
        let extra = format!(
            "hash {}, updatedAtMs {}, path {}",
            has("hash"),
            has("updatedAtMs"),
            has("path")
        );
        seen.line(
            file["name"].as_str().expect("a name"),
            format!(
                "missing={} size={} {extra}",
                file["missing"],
                file.get("size").unwrap_or(&Value::Null)
            ),
        );
    }
    seen
}

pub async fn what_is_written_is_read_back(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    let fields = [
        "/agentId",
        "/workspace",
        "/file/name",
        "/file/path",
        "/file/size",
        "/file/content",
        "/file/missing",
    ];
    for content in ["# Über\r\nzwei 🦊\n", "", "no newline at the end"] {
        let answer = set(&mut client, bench, "USER.md", content).await;
        seen.answer("set", &answer, &fields);
        let answer = get(&mut client, bench, "USER.md").await;
        seen.answer("get", &answer, &fields);
        let read = answer.must();
        seen.line("the same bytes", read["file"]["content"] == content);
        seen.line("updatedAtMs", read["file"]["updatedAtMs"].is_number());
    }
    seen
}

pub async fn a_hash_is_the_sha256_of_the_bytes(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    let content = "# Über\n";
    let own: String = Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let of = |answer: Answer| match answer.must()["file"].get("hash") {
        None => "absent".to_owned(),
        Some(hash) if *hash == own => "sha256 of the content".to_owned(),
        Some(other) => format!("something else: {other}"),
    };
    let answer = set(&mut client, bench, "SOUL.md", content).await;
    seen.line("set", of(answer));
    let answer = get(&mut client, bench, "SOUL.md").await;
    seen.line("get", of(answer));
    seen
}

pub async fn a_write_may_expect_a_hash(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    let content = "before";
    set(&mut client, bench, "SOUL.md", content).await.must();
    let right: String = Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let wrong = "0".repeat(64);
    for (what, hash) in [
        ("wrong", wrong.as_str()),
        ("right", &right),
        ("no longer right", &right),
        ("no hash", "x"),
    ] {
        let params = json!({ "agentId": bench, "name": "SOUL.md", "content": what, "expectedHash": hash });
        let answer = client.call("agents.files.set", &params).await;
        seen.answer(what, &answer, &["/ok", "/file/content"]);
    }
    let answer = get(&mut client, bench, "SOUL.md").await;
    seen.answer("in the end", &answer, &["/file/content"]);
    seen
}

pub async fn a_file_that_is_not_there(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    // A real gateway consumes files only in a turn; the shared bench has MEMORY.md by now, so main is asked.
    let answer = get(&mut client, "main", "MEMORY.md").await;
    let fields = [
        "/agentId",
        "/file/name",
        "/file/missing",
        "/file/content",
        "/file/size",
        "/file/hash",
    ];
    seen.answer("get", &answer, &fields);
    let params =
        json!({ "agentId": "main", "name": "MEMORY.md", "content": "x", "expectedHash": "0".repeat(64) });
    let answer = client.call("agents.files.set", &params).await;
    seen.answer("set with an expected hash", &answer, &["/ok"]);
    seen
}

pub async fn files_of_nobody(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let answer = client
        .call("agents.files.list", &json!({ "agentId": "nobody" }))
        .await;
    seen.answer("list", &answer, &[]);
    seen.answer("get", &get(&mut client, "nobody", "SOUL.md").await, &[]);
    seen.answer("set", &set(&mut client, "nobody", "SOUL.md", "x").await, &[]);
    seen.answer(
        "a name that there is not",
        &get(&mut client, "nobody", "BOARD.md").await,
        &[],
    );
    seen
}

pub async fn an_agent_id_in_another_spelling(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    s.bench(&mut client).await;
    for id in ["BENCH", " bench ", "bench!"] {
        seen.answer(id, &get(&mut client, id, "SOUL.md").await, &["/agentId"]);
    }
    seen
}

pub async fn params_that_files_refuse(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let tries = [
        (
            "agents.files.set",
            json!({ "agentId": "main", "name": "USER.md" }),
        ),
        (
            "agents.files.set",
            json!({ "agentId": "main", "name": "USER.md", "content": 7 }),
        ),
        (
            "agents.files.set",
            json!({ "agentId": "main", "name": "USER.md", "content": "", "mode": 1 }),
        ),
        (
            "agents.files.set",
            json!({ "agentId": "main", "name": "", "content": "" }),
        ),
        (
            "agents.files.set",
            json!({ "agentId": "", "name": "USER.md", "content": "" }),
        ),
        ("agents.files.get", json!({ "agentId": "main" })),
        ("agents.files.get", json!({ "name": "USER.md" })),
        ("agents.files.list", json!({})),
        ("agents.files.list", json!({ "agentId": "main", "path": "." })),
    ];
    for (method, params) in tries {
        let answer = client.call(method, &params).await;
        seen.answer(&format!("{method} {params}"), &answer, &["/ok"]);
    }
    seen
}

/// The prompt takes 20,000 characters of a file; the gateway takes much more.
pub async fn a_big_file(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    // 2026.2.9 takes frames of 512 kB.
    for size in [60_000, 400_000] {
        let answer = set(&mut client, bench, "MEMORY.md", &"x".repeat(size)).await;
        seen.answer("set", &answer, &["/ok", "/file/size"]);
        let answer = get(&mut client, bench, "MEMORY.md").await;
        seen.answer("get", &answer, &["/file/size"]);
    }
    set(&mut client, bench, "MEMORY.md", "").await.must();
    seen
}

/// Above 16 MiB a file can be written and no longer be read.
pub async fn a_file_that_is_too_big_to_be_read(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    let answer = set(&mut client, bench, "MEMORY.md", &"x".repeat(16 * 1024 * 1024 + 1)).await;
    seen.answer("set", &answer, &["/ok", "/file/size"]);
    let answer = get(&mut client, bench, "MEMORY.md").await;
    seen.answer("get", &answer, &["/file/size"]);
    let answer = set(&mut client, bench, "MEMORY.md", "").await;
    seen.answer("set to nothing", &answer, &["/ok", "/file/size"]);
    seen
}

/// Only a real workspace has links; the simulated one is told by `--workspace` where its files are.
pub async fn a_link_is_refused(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    let file = format!("{}/USER.md", s.workspace(bench));
    set(&mut client, bench, "USER.md", "x").await.must();
    std::fs::remove_file(&file).expect("the workspace is on this machine");
    std::os::unix::fs::symlink("/etc/hostname", &file).expect("a link");
    seen.answer(
        "get",
        &get(&mut client, bench, "USER.md").await,
        &["/file/missing"],
    );
    seen.answer("set", &set(&mut client, bench, "USER.md", "y").await, &["/ok"]);
    std::fs::remove_file(&file).expect("our own link");
    seen.answer(
        "set without it",
        &set(&mut client, bench, "USER.md", "y").await,
        &["/ok"],
    );
    seen
}

pub async fn many_at_once(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    let mut asked = Vec::new();
    for n in 0..64 {
        let params = json!({ "agentId": bench, "name": "USER.md", "content": format!("{n}") });
        asked.push(client.send("agents.files.set", &params).await);
    }
    let mut answered = 0;
    for id in asked {
        answered += u32::from(client.answer(&id).await.is_ok());
    }
    seen.line("of 64 writes of one file are ok", answered);
    let content = get(&mut client, bench, "USER.md").await.must();
    let whole = content["file"]["content"]
        .as_str()
        .is_some_and(|text| text.parse::<u32>().is_ok_and(|n| n < 64));
    seen.line("the file is one of them", whole);
    seen
}

/// What `main` has in its workspace on a new gateway. Asked early: within two minutes of its start 2026.7.35 seeds it
/// unasked.
pub async fn a_new_workspace_is_seeded(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let answer = client
        .call("agents.files.list", &json!({ "agentId": "main" }))
        .await
        .must();
    for file in answer["files"].as_array().expect("files") {
        let name = file["name"].as_str().expect("a name");
        if name != "MEMORY.md" {
            seen.line(&format!("main {name}"), format!("missing={}", file["missing"]));
        }
    }
    seen
}

pub async fn the_workspace_can_be_looked_at(s: &mut Subject) -> Seen {
    let mut seen = s.seen();
    let mut client = s.client().await;
    let bench = s.bench(&mut client).await;
    set(&mut client, bench, "IDENTITY.md", "i am").await.must();
    let answer = client
        .call("agents.workspace.list", &json!({ "agentId": bench }))
        .await;
    seen.answer("list", &answer, &["/agentId", "/path"]);
    let Answer::Ok(list) = answer else { return seen };
    let entries = list["entries"].as_array().expect("entries");
    let one = entries.iter().find(|entry| entry["name"] == "IDENTITY.md");
    seen.answer(
        "IDENTITY.md",
        &Answer::Ok(one.cloned().unwrap_or(Value::Null)),
        &["/path", "/name", "/kind", "/size"],
    );
    for path in ["IDENTITY.md", "NOT-THERE.md", "../outside"] {
        let params = json!({ "agentId": bench, "path": path });
        let answer = client.call("agents.workspace.get", &params).await;
        seen.answer(path, &answer, &["/file/path", "/file/encoding", "/file/content"]);
    }
    seen
}
