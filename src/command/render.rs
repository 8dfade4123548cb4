//! `quartermaster render`: the files of each Agent, from manifests alone, or of the objects in a cluster. No gateway is asked.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use kube::ResourceExt;
use kube::core::{DynamicObject, GroupVersionKind, TypeMeta};
use serde_json::{Map, Value, json};

use super::files::Files as Named;
use super::fleet::{Fleet, Member};
use super::say::{complain, show};
use super::target::{ClusterArgs, block_on};
use crate::cluster::manifests::{self, Manifest, Wanted};
use crate::cluster::served::Served;
use crate::desired::agent::files::{self, Files, Rendering};
use crate::desired::agent::{self, Obstacle, Text};
use crate::gateway::Contract;
use crate::gateway::contract::{V2026_2_9, V2026_7_35, V2026_9_6};
use crate::resource::names::{GROUP, VERSION};

/// Ids and tokens that only a cluster could know are placeholders such as uid-of-agent-triage.
#[derive(Debug, Args)]
pub struct Render {
    #[command(flatten)]
    files: Named,
    /// Take the objects from the cluster instead, with their ids; tokens are masked.
    #[arg(long, conflicts_with = "files")]
    live: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// For which gateways: 2026.9.6 (from 2026.8.1 on), 2026.7.35 or 2026.2.9 [default: with --live what each gateway was last
    /// seen to be, else 2026.9.6].
    #[arg(
        long,
        env = "QUARTERMASTER_CONTRACT",
        value_parser = contract,
        value_name = "VERSION"
    )]
    contract: Option<&'static Contract>,
    /// What `run --base-url` would be given: where agents reach the HTTP API, for Gateways that say nothing.
    #[arg(long, env = "QUARTERMASTER_BASE_URL", value_name = "URL")]
    base_url: Option<String>,
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Write the files into this folder, one folder for each agent, instead of printing them.
    #[arg(long, value_name = "FOLDER", conflicts_with = "output")]
    write: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// One agent's files, or why there are none.
struct Rendered<'a> {
    member: Member<'a>,
    agent_id: String,
    workspace: String,
    contract: &'static Contract,
    files: Files,
}

impl Render {
    pub fn execute(self) -> anyhow::Result<()> {
        if self.files.is_empty() && !self.live {
            super::misuse(
                "render",
                "name the manifests with -f: a file, a folder, or - for standard input; or ask the cluster with --live",
            );
        }
        let manifests = if self.live {
            block_on(self.of_cluster())?
        } else {
            self.files.read()?
        };
        let fleet = match Fleet::of(&manifests)? {
            Ok(fleet) => fleet,
            Err(wrong) => {
                for line in &wrong {
                    complain(line);
                }
                bail!(
                    "nothing is rendered: the manifests have {}",
                    counted(wrong.len(), "mistake")
                );
            }
        };
        let looked = if self.live {
            "in this namespace"
        } else {
            "among the manifests"
        };
        let (mut rendered, mut failed, mut all) = (Vec::new(), 0, 0);
        for member in fleet.members() {
            all += 1;
            let named = format!("{}: Agent {}", member.origin, member.agent.name_any());
            match self.one(&fleet, member) {
                Ok(one) => {
                    for warning in &one.files.warnings {
                        complain(&format!("{named}: {warning}"));
                    }
                    for (file, why) in &one.files.unsupported {
                        complain(&format!("{named}: {file} is left out: {why}"));
                    }
                    rendered.push(one);
                }
                Err(obstacle) => {
                    failed += 1;
                    complain(&format!("{named}: {}", in_words(&obstacle, looked)));
                }
            }
        }
        if all == 0 {
            bail!(
                "there is no Gateway and no Agent in {}",
                counted(manifests.len(), "manifest")
            );
        }
        self.out(&rendered, &manifests)?;
        if failed > 0 {
            bail!("{failed} of {} cannot be rendered", counted(all, "agent"));
        }
        Ok(())
    }

    /// All that files are made of. Secrets are none of it.
    async fn of_cluster(&self) -> anyhow::Result<Vec<Manifest>> {
        let (client, namespace) = self.cluster.connect().await?;
        let served = Served::read(&client).await?;
        let wanted = Wanted {
            namespace: Some(namespace.clone()),
            ..Wanted::default()
        };
        let mut manifests = Vec::new();
        for (group, version, kind) in [
            (GROUP, VERSION, "Gateway"),
            (GROUP, VERSION, "Board"),
            (GROUP, VERSION, "Agent"),
            ("", "v1", "ConfigMap"),
        ] {
            let kind = GroupVersionKind::gvk(group, version, kind);
            let Some(there) = served.exactly(&kind) else {
                bail!(
                    "this cluster serves no {}: `quartermaster crds` prints its definition",
                    kind.kind
                );
            };
            let list = manifests::whole(&client, there, &wanted).await?;
            let items = list.get("items").and_then(Value::as_array);
            for item in items.into_iter().flatten() {
                let mut object: DynamicObject = serde_json::from_value(item.clone())?;
                // Those of a list do not say it each.
                object.types = Some(TypeMeta {
                    api_version: kind.api_version(),
                    kind: kind.kind.clone(),
                });
                let origin = format!("namespace {namespace}");
                manifests.push(Manifest { object, origin });
            }
        }
        Ok(manifests)
    }

    fn one<'a>(&self, fleet: &Fleet, member: Member<'a>) -> Result<Rendered<'a>, Obstacle> {
        let seen = fleet.contract(&member).and_then(|name| contract(name).ok());
        let contract = self.contract.or(seen).unwrap_or(&V2026_9_6);
        let snapshot = fleet.snapshot(&member, contract, self.base_url.clone());
        let place = agent::of(&snapshot).place?;
        let token = if self.live {
            "MASKED".to_owned()
        } else {
            format!("TOKEN-OF-{}", member.agent.name_any())
        };
        let files = files::of(Rendering {
            snapshot: &snapshot,
            place: &place,
            contract,
            token: &token,
        })?;
        Ok(Rendered {
            member,
            agent_id: place.agent.to_string(),
            workspace: place.workspace,
            contract,
            files,
        })
    }

    fn out(&self, rendered: &[Rendered<'_>], manifests: &[Manifest]) -> anyhow::Result<()> {
        if let Some(folder) = &self.write {
            let mut namespaces: Vec<_> = manifests
                .iter()
                .filter_map(|manifest| manifest.object.namespace())
                .collect();
            namespaces.sort();
            namespaces.dedup();
            for one in rendered {
                let folder = if namespaces.len() > 1 {
                    folder.join(one.member.namespace)
                } else {
                    folder.clone()
                };
                one.write(&folder.join(one.member.agent.name_any()))?;
            }
            return show(&format!(
                "The files of {} are in {}.",
                counted(rendered.len(), "agent"),
                folder.display()
            ));
        }
        match self.output {
            Output::Text => rendered.iter().try_for_each(|one| show(&one.as_text())),
            Output::Json => {
                let agents: Vec<Value> = rendered.iter().map(Rendered::as_json).collect();
                let all = json!({ "agents": agents });
                show(&serde_json::to_string_pretty(&all)?)
            }
        }
    }
}

impl Rendered<'_> {
    fn as_text(&self) -> String {
        let agent = &self.member.agent;
        let mut text = format!(
            "=== ocagent/{} ({:?}): {} in {}\n",
            agent.name_any(),
            agent.spec.role,
            counted(self.files.files.len(), "file"),
            self.workspace
        );
        for (name, file) in &self.files.files {
            let how = if matches!(file.text, Text::Section(_)) {
                "a section of what is there"
            } else {
                ""
            };
            let how = if how.is_empty() {
                String::new()
            } else {
                format!(", {how}")
            };
            text.push_str(&format!("\n--- {name} ({:?}{how})\n\n", file.policy));
            text.push_str(&file.text.wanted(None).unwrap_or_default());
        }
        text
    }

    fn as_json(&self) -> Value {
        let agent = &self.member.agent;
        let files: Map<String, Value> = self
            .files
            .files
            .iter()
            .map(|(name, file)| {
                let file = json!({
                    "content": file.text.wanted(None).unwrap_or_default(),
                    "isSection": matches!(file.text, Text::Section(_)),
                    "policy": file.policy,
                    "drift": file.drift,
                    "isConsumed": file.consumed,
                });
                (name.clone(), file)
            })
            .collect();
        json!({
            "namespace": self.member.namespace,
            "name": agent.name_any(),
            "role": agent.spec.role,
            "agentId": self.agent_id,
            "workspace": self.workspace,
            "contract": self.contract.name,
            "files": files,
            "carried": self.files.carried,
            "unsupported": self.files.unsupported,
            "warnings": self.files.warnings,
            "heartbeatPrompt": self.files.heartbeat_prompt,
            "wakeMessage": self.files.wake_message,
        })
    }

    fn write(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        for (name, file) in &self.files.files {
            let path = folder.join(name);
            let text = file.text.wanted(None).unwrap_or_default();
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

fn contract(version: &str) -> Result<&'static Contract, String> {
    let known = [&V2026_9_6, &V2026_7_35, &V2026_2_9];
    let found = known.into_iter().find(|contract| contract.name == version);
    found.ok_or_else(|| {
        let names = known.map(|contract| contract.name);
        format!("not known; known are {}", names.join(", "))
    })
}

/// For who looks at files: what is not there is not where we looked.
fn in_words(obstacle: &Obstacle, looked: &str) -> String {
    match obstacle {
        Obstacle::BoardNotFound { board } => format!("there is no Board {board} {looked}"),
        Obstacle::GatewayNotFound { gateway } => format!("there is no Gateway {gateway} {looked}"),
        Obstacle::ConfigMapNotFound { field, name } => {
            format!("{field}: there is no ConfigMap {name} {looked}")
        }
        Obstacle::ConfigMapKeyNotFound {
            field,
            name,
            key,
            keys,
        } => format!(
            "{field}: ConfigMap {name} has no key {key} (it has {}): add the key, or correct the reference",
            keys.join(", ")
        ),
        Obstacle::TextInvalid { field, why } => format!("{field}: {why}"),
        Obstacle::SoulNotFound { role, directories } => match directories.as_slice() {
            [] => format!(
                "spec.soul.role: there is no ConfigMap labelled quartermaster.dev/souls: \"true\" {looked}"
            ),
            _ if role.is_empty() => {
                "spec.soul.role: a soul is looked for by spec.identity.role: set it".to_owned()
            }
            directories => format!(
                "spec.soul.role: no soul fits the role {role:?}; looked in ConfigMap {}",
                directories.join(", ")
            ),
        },
        Obstacle::Template(error) => error.to_string(),
        Obstacle::FileTooLarge { file, size, limit } => {
            format!("{file} has {size} bytes as it is sent; at most {limit} are taken")
        }
        Obstacle::InvalidSpec { field, why } => format!("{field}: {why}"),
        Obstacle::UnsupportedFile { file, why } => format!("{file}: {why}"),
        // None of these comes of manifests alone.
        Obstacle::Unreadable { .. }
        | Obstacle::BoardTerminating { .. }
        | Obstacle::GatewayTerminating { .. }
        | Obstacle::LeadConflict { .. }
        | Obstacle::CapacityExceeded { .. }
        | Obstacle::AgentIdTaken { .. }
        | Obstacle::WorkspaceTaken { .. }
        | Obstacle::MoveNotSupported { .. }
        | Obstacle::GatewayReplaced { .. }
        | Obstacle::SecretConflict { .. }
        | Obstacle::TokenInvalid { .. } => format!("{obstacle:?}"),
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
