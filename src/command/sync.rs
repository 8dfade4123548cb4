//! `quartermaster sync`: creates a TemplateSync and follows it to its end. What it does is done by the agents' own passes:
//! whoever stops looking stops nothing.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum};
use kube::ResourceExt;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::progress::Progress;
use super::refused::told;
use super::say::{complain, show};
use super::screen::one_line;
use super::target::{ClusterArgs, block_on, patience};
use crate::cluster::Error;
use crate::cluster::template_sync::TemplateSyncs;
use crate::resource::condition;
use crate::resource::reference::ObjectRef;
use crate::resource::template_sync::{SyncPhase, TemplateSyncStatus};
use crate::resource::{TemplateSync, TemplateSyncSpec};

/// Who creates by this command.
const MANAGER: &str = "quartermaster-sync";

/// Exit codes: 0 every agent is done, 1 it could not be created or followed (standard error says why), 2 the command line is
/// wrong, 3 some agents failed or were not done in time, 4 nobody has ended it, 130 interrupted: it goes on by itself.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Sync {
    /// The Gateway whose agents are brought up to date.
    gateway: String,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Only the agents of this Board, beside the gateway's main agent.
    #[arg(long, value_name = "NAME")]
    board: Option<String>,
    /// Only Leads of the boards, no Workers.
    #[arg(long)]
    lead_only: bool,
    /// Without the gateway's main agent.
    #[arg(long)]
    no_main: bool,
    /// Also reset the agents' sessions: each begins its next turn without the conversation so far.
    #[arg(long)]
    reset_sessions: bool,
    /// Also give each agent a new token. The one before is accepted for its overlap (spec.token.overlap), so that nothing
    /// under way fails.
    #[arg(long)]
    rotate_tokens: bool,
    /// Also write BOOTSTRAP.md again, which each agent reads and deletes at its next turn.
    #[arg(long)]
    force_bootstrap: bool,
    /// Also replace what belongs to the agents once it exists: MEMORY.md, USER.md and every file with policy SeedOnce. What
    /// the agents wrote there is lost.
    #[arg(long)]
    overwrite: bool,
    /// Say what would change in each agent, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// After that, an agent that is not done counts as an error: 90, 90s, 2m, at most 24h.
    #[arg(long, env = "QUARTERMASTER_TIMEOUT", default_value = "10m", value_parser = deadline, value_name = "TIME")]
    timeout: Deadline,
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
    Yaml,
}

/// spec.activeDeadlineSeconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Deadline(i32);

const AGENTS_FAILED: u8 = 3;
const NOT_ENDED: u8 = 4;
const INTERRUPTED: u8 = 130;

/// How it was followed to the end, or not.
enum Followed {
    Ended(Box<TemplateSyncStatus>),
    NotEnded,
    Interrupted,
}

impl Sync {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        block_on(self.run())
    }

    async fn run(self) -> anyhow::Result<ExitCode> {
        let (client, namespace) = self.cluster.connect().await?;
        let syncs = TemplateSyncs::within(client, namespace.clone());
        self.look_first(&syncs, &namespace).await?;
        self.warn();
        let created = syncs
            .create(&self.wanted(), MANAGER)
            .await
            .map_err(|error| anyhow!("the TemplateSync {}", told(&error)))?;
        let name = created.name_any();
        complain(&format!("ocsync/{name} created"));
        let look = format!("quartermaster get ocsync {name} -n {namespace} -o yaml");
        match self.follow(&syncs, &created).await? {
            Followed::Ended(status) => {
                self.print(&name, &namespace, &status)?;
                Ok(match status.phase {
                    Some(SyncPhase::Complete) => ExitCode::SUCCESS,
                    Some(SyncPhase::Failed | SyncPhase::Pending | SyncPhase::Running) | None => {
                        ExitCode::from(AGENTS_FAILED)
                    }
                })
            }
            Followed::NotEnded => {
                complain(&format!(
                    "quartermaster: nobody has ended ocsync/{name}: does the controller run (`quartermaster up`, or \
                     `quartermaster run` in the cluster)? What it came to: {look}"
                ));
                Ok(ExitCode::from(NOT_ENDED))
            }
            Followed::Interrupted => {
                complain(&format!(
                    "ocsync/{name} goes on by itself. What it comes to: {look}\nTo stop what has not begun yet: quartermaster \
                     delete ocsync {name} -n {namespace}"
                ));
                Ok(ExitCode::from(INTERRUPTED))
            }
        }
    }

    /// A TemplateSync would wait for what is not there, and whoever mistypes a name would wait with it. Who may not read these
    /// may create one all the same.
    async fn look_first(&self, syncs: &TemplateSyncs, namespace: &str) -> anyhow::Result<()> {
        let missing = |kind: &str, short: &str, name: &str| {
            anyhow!(
                "there is no {kind} {name} in namespace {namespace}: `quartermaster get {short} -A` lists those there are"
            )
        };
        let allowed = |error: &Error| error.code() != Some(403);
        match syncs.gateway(&self.gateway).await {
            Ok(Some(_)) => {}
            Ok(None) => return Err(missing("Gateway", "ocgw", &self.gateway)),
            Err(error) if allowed(&error) => return Err(error.into()),
            Err(_) => {}
        }
        let Some(board) = &self.board else {
            return Ok(());
        };
        match syncs.board(board).await {
            Ok(Some(found)) if found.spec.gateway_ref.name != self.gateway => bail!(
                "Board {board} is one of Gateway {}, not of Gateway {}",
                found.spec.gateway_ref.name,
                self.gateway
            ),
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(missing("Board", "ocboard", board)),
            Err(error) if allowed(&error) => Err(error.into()),
            Err(_) => Ok(()),
        }
    }

    /// What cannot be taken back.
    fn warn(&self) {
        if self.dry_run {
            return;
        }
        if self.overwrite {
            complain(
                "--overwrite replaces MEMORY.md, USER.md and every file with policy SeedOnce: what agents wrote there is lost.",
            );
        }
        if self.rotate_tokens {
            complain(
                "--rotate-tokens gives each agent a new token; the one before is accepted for its overlap (spec.token.overlap).",
            );
        }
    }

    fn wanted(&self) -> TemplateSync {
        let reference = |name: &String| ObjectRef { name: name.clone() };
        let spec = TemplateSyncSpec {
            gateway_ref: reference(&self.gateway),
            board_ref: self.board.as_ref().map(reference),
            include_main: !self.no_main,
            lead_only: self.lead_only,
            reset_sessions: self.reset_sessions,
            rotate_tokens: self.rotate_tokens,
            force_bootstrap: self.force_bootstrap,
            overwrite: self.overwrite,
            dry_run: self.dry_run,
            active_deadline_seconds: self.timeout.0,
            ttl_seconds_after_finished: None,
        };
        let mut sync = TemplateSync::new("", spec);
        sync.metadata.name = None;
        sync.metadata.generate_name = Some(format!("{}-", self.gateway));
        sync
    }

    async fn follow(&self, syncs: &TemplateSyncs, created: &TemplateSync) -> anyhow::Result<Followed> {
        const LOOK_EVERY: Duration = Duration::from_millis(250);
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        let mut progress = Progress::on_stderr();
        let name = created.name_any();
        let mut until = Instant::now() + self.timeout.and_some();
        let (mut has_started, mut was_away) = (false, false);
        loop {
            let looked = tokio::select! {
                found = syncs.read(&name) => found,
                _ = &mut interrupted => {
                    progress.clear();
                    return Ok(Followed::Interrupted);
                }
            };
            match looked {
                Ok(Some(sync)) if sync.uid() == created.uid() => {
                    let status = sync.status.unwrap_or_default();
                    if status.finished_at.is_some() {
                        progress.clear();
                        return Ok(Followed::Ended(Box::new(status)));
                    }
                    // Its time begins with its turn.
                    if status.started_at.is_some() && !has_started {
                        has_started = true;
                        until = Instant::now() + self.timeout.and_some();
                    }
                    progress.show(&format!("ocsync/{name}: {}", words(&status)));
                }
                Ok(Some(_) | None) => {
                    progress.clear();
                    bail!(
                        "ocsync/{name} was deleted before it had ended: what agents had begun by then is done"
                    );
                }
                // It may come back, and then the answer is there.
                Err(error @ (Error::Unreachable(_) | Error::TimedOut)) => {
                    if !was_away {
                        progress.clear();
                        complain(&format!("{error}; tried again"));
                        was_away = true;
                    }
                }
                Err(error @ Error::Refused(_)) => {
                    progress.clear();
                    bail!("ocsync/{name} was created, and cannot be read: {error}");
                }
            }
            if Instant::now() > until {
                progress.clear();
                return Ok(Followed::NotEnded);
            }
            tokio::select! {
                () = sleep(LOOK_EVERY) => {}
                _ = &mut interrupted => {
                    progress.clear();
                    return Ok(Followed::Interrupted);
                }
            }
        }
    }

    fn print(&self, name: &str, namespace: &str, status: &TemplateSyncStatus) -> anyhow::Result<()> {
        let value = json!({
            "templateSync": name,
            "namespace": namespace,
            "gateway": self.gateway,
            "phase": status.phase,
            "message": words(status),
            "startedAt": status.started_at,
            "finishedAt": status.finished_at,
            "totalSelected": status.total_selected.unwrap_or_default(),
            "totalSynced": status.total_synced.unwrap_or_default(),
            "totalErrors": status.total_errors.unwrap_or_default(),
            "synced": status.synced,
            "errors": status.errors,
            "plans": status.plans,
        });
        match self.output {
            Output::Table => show(&table(status)),
            Output::Json => show(&serde_json::to_string_pretty(&value)?),
            Output::Yaml => show(serde_saphyr::to_string(&value)?.trim_end()),
        }
    }
}

impl Deadline {
    /// The controller needs a moment to say so.
    fn and_some(self) -> Duration {
        Duration::from_secs(u64::try_from(self.0).unwrap_or_default() + 15)
    }
}

fn deadline(text: &str) -> Result<Deadline, String> {
    let time = patience(text)?;
    match i32::try_from(time.as_secs()) {
        Ok(seconds @ 1..=86_400) => Ok(Deadline(seconds)),
        Ok(_) | Err(_) => Err(format!("{text:?} is not from 1s to 24h")),
    }
}

/// What it says of itself.
fn words(status: &TemplateSyncStatus) -> String {
    let ready = status
        .conditions
        .iter()
        .find(|found| found.type_ == condition::READY);
    ready.map_or_else(
        || "nobody has looked at it yet".to_owned(),
        |ready| ready.message.clone(),
    )
}

/// A line for each agent, with what would be done or what went wrong below it, and at the end what it came to.
fn table(status: &TemplateSyncStatus) -> String {
    let synced = status.synced.iter().map(|one| {
        let plan = status.plans.iter().find(|plan| plan.name == one.name);
        let plan = plan.map(|plan| plan.plan.as_str()).unwrap_or_default();
        [
            one.name.as_str(),
            one.status.as_str(),
            one.agent_id.as_str(),
            plan,
        ]
    });
    let errors = status.errors.iter().map(|one| {
        let id = one.agent_id.as_deref().unwrap_or_default();
        [one.agent_name.as_str(), "error", id, one.error.as_str()]
    });
    let mut rows: Vec<[&str; 4]> = synced.chain(errors).collect();
    rows.sort_unstable_by_key(|[name, ..]| *name);
    let mut lines = Vec::new();
    if !rows.is_empty() {
        rows.insert(0, ["AGENT", "STATUS", "AGENT ID", ""]);
    }
    let width = |cell: fn(&[&str; 4]) -> usize| rows.iter().map(cell).max().unwrap_or_default();
    let (first, second) = (
        width(|[name, ..]| name.chars().count()),
        width(|[_, status, ..]| status.chars().count()),
    );
    for [name, status, id, more] in &rows {
        let line = format!("{name:<first$}   {status:<second$}   {id}");
        lines.push(one_line(line.trim_end()));
        // Whose words these are is not known: nothing that a terminal would obey.
        lines.extend(more.lines().map(|line| format!("    {}", one_line(line))));
    }
    if !rows.is_empty() {
        lines.push(String::new());
    }
    lines.push(one_line(&words(status)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::from_value;

    use super::*;

    #[test]
    fn the_time_is_one_that_the_kind_takes() {
        assert_eq!(deadline("90"), Ok(Deadline(90)));
        assert_eq!(deadline("24h"), Ok(Deadline(86_400)));
        for wrong in ["0", "25h", "2147483648", "9999999999h", "soon"] {
            assert!(deadline(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_agent_and_no_orders_to_the_terminal() {
        let status: TemplateSyncStatus = from_value(json!({
            "phase": "Failed",
            "conditions": [{ "type": "Ready", "status": "False", "reason": "AgentsFailed", "message": "1 of 3 failed",
                "lastTransitionTime": "2026-11-01T00:00:00Z" }],
            "synced": [
                { "agentId": "mc-2", "name": "triage", "status": "planned" },
                { "agentId": "mc-1", "name": "ops-lead", "status": "unchanged" },
            ],
            "errors": [{ "agentName": "scribe", "error": "its \u{1b}[2Jgateway\nis away" }],
            "plans": [{ "name": "triage", "plan": "~ SOUL.md (+1 -1)\n-a\n+b" }],
        }))
        .unwrap();
        let expected = "\
AGENT      STATUS      AGENT ID
ops-lead   unchanged   mc-1
scribe     error
    its  [2Jgateway
    is away
triage     planned     mc-2
    ~ SOUL.md (+1 -1)
    -a
    +b

1 of 3 failed";
        assert_eq!(table(&status), expected);
        assert_eq!(
            table(&TemplateSyncStatus::default()),
            "nobody has looked at it yet"
        );
    }
}
