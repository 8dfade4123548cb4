//! Which documents an agent has, whose text each is, and how each is treated.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;

use super::super::obstacle::Obstacle;
use super::{Rendering, soul};
use crate::fact::Fact;
use crate::resource::Gateway;
use crate::resource::agent::Role;
use crate::resource::reference::ConfigMapKeyRef;
use crate::resource::settings::{AgentFile, Drift, FilePolicy};
use crate::template::{Body, Document, Template};

#[derive(Default)]
pub(super) struct Asked<'a> {
    /// Those of the role in their order, then the user's own in theirs.
    pub(super) documents: Vec<Wanted<'a>>,
    pub(super) unsupported: BTreeMap<String, String>,
}

/// One document.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    /// None: one of the user's own.
    pub(super) document: Option<Document>,
    pub(super) policy: FilePolicy,
    /// The user said so.
    pub(super) policy_is_given: bool,
    pub(super) drift: Drift,
    source: String,
    body: Body<'a>,
}

impl Wanted<'_> {
    pub(super) fn template(&self) -> Template<'_> {
        Template {
            source: &self.source,
            document: self.name,
            body: self.body,
        }
    }

    pub(super) fn is(&self, document: Document) -> bool {
        self.document == Some(document)
    }
}

pub(super) fn of<'a>(rendering: Rendering<'a>, gateway: &'a Gateway) -> Result<Asked<'a>, Obstacle> {
    let spec = &rendering.snapshot.agent.spec;
    let mut asked = Asked::default();
    let of_role = Document::of(spec.role);
    for document in of_role {
        let file = spec.files.iter().find(|file| file.name == document.name());
        let has_text = file.is_some_and(has_text);
        // Who was there before us has taken its first steps.
        if rendering.place.adopted && *document == Document::Bootstrap && !has_text {
            continue;
        }
        let policy = file.and_then(|file| file.policy);
        let (source, body) = match policy {
            // Not looked for: what is never written need not be there.
            Some(FilePolicy::Ignored) => built_in(*document),
            Some(FilePolicy::Managed | FilePolicy::SeedOnce) | None => text(rendering, gateway, *document)?,
        };
        asked.documents.push(Wanted {
            name: document.name(),
            document: Some(*document),
            policy: policy.unwrap_or_else(|| usual_policy(rendering, Some(*document))),
            policy_is_given: policy.is_some(),
            drift: drift(rendering, gateway, file),
            source,
            body,
        });
    }
    for file in &spec.files {
        if of_role.iter().any(|document| document.name() == file.name) {
            continue;
        }
        match unsupported(file, &asked) {
            Some(why) => {
                asked.unsupported.insert(file.name.clone(), why);
            }
            None => asked.documents.push(extra(rendering, gateway, file)?),
        }
    }
    Ok(asked)
}

/// The text that the user's own file has.
fn extra<'a>(
    rendering: Rendering<'a>,
    gateway: &'a Gateway,
    file: &'a AgentFile,
) -> Result<Wanted<'a>, Obstacle> {
    let document = Document::named(&file.name);
    let policy = file.policy.unwrap_or_else(|| usual_policy(rendering, document));
    let (source, body) = match policy {
        FilePolicy::Ignored => (String::new(), Body::Given("")),
        FilePolicy::Managed | FilePolicy::SeedOnce => {
            of_file(rendering, file)?.unwrap_or((String::new(), Body::Given("")))
        }
    };
    Ok(Wanted {
        name: &file.name,
        document,
        policy,
        policy_is_given: file.policy.is_some(),
        drift: drift(rendering, gateway, Some(file)),
        source,
        body,
    })
}

fn usual_policy(rendering: Rendering<'_>, document: Option<Document>) -> FilePolicy {
    match document {
        Some(Document::Memory | Document::User | Document::Bootstrap) => FilePolicy::SeedOnce,
        // Ours is a section of it.
        Some(Document::Agents) => FilePolicy::Managed,
        Some(
            Document::Tools
            | Document::Identity
            | Document::Soul
            | Document::Heartbeat
            | Document::Board
            | Document::Approvals
            | Document::Roles,
        )
        | None => {
            if rendering.place.adopted {
                FilePolicy::SeedOnce
            } else {
                FilePolicy::Managed
            }
        }
    }
}

fn drift(rendering: Rendering<'_>, gateway: &Gateway, file: Option<&AgentFile>) -> Drift {
    let of_file = file.and_then(|file| file.drift);
    of_file
        .or(rendering.snapshot.agent.spec.drift)
        .unwrap_or(gateway.spec.drift)
}

fn has_text(file: &AgentFile) -> bool {
    file.content.is_some() || file.config_map_key_ref.is_some()
}

/// Why a file of the user's own can be neither a file nor a section.
fn unsupported(file: &AgentFile, asked: &Asked<'_>) -> Option<String> {
    let name = file.name.as_str();
    let stem = name.strip_suffix(".md").unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let others = asked.documents.iter().map(|document| document.name);
    let twin = others.into_iter().find(|other| other.eq_ignore_ascii_case(name));
    if name.eq_ignore_ascii_case("LEARNINGS.md") {
        Some("it is the agent's own, and no gateway takes it from us: remove it".to_owned())
    } else if stem.is_empty()
        || stem.starts_with(['-', '_'])
        || !stem.chars().all(is_plain)
        || name.len() > 64
    {
        Some("it is no name of a Markdown file at the top of a workspace, such as RUNBOOK.md".to_owned())
    } else if let Some(twin) = twin {
        Some(format!(
            "there is {twin} already, and a disk may take both for one: rename or remove it"
        ))
    } else if !has_text(file) && file.policy != Some(FilePolicy::Ignored) {
        Some("this role has no such document, so it needs content or configMapKeyRef".to_owned())
    } else {
        None
    }
}

/// What the Agent says, else what its Gateway says, else ours.
fn text<'a>(
    rendering: Rendering<'a>,
    gateway: &'a Gateway,
    document: Document,
) -> Result<(String, Body<'a>), Obstacle> {
    let spec = &rendering.snapshot.agent.spec;
    if let Some(file) = spec.files.iter().find(|file| file.name == document.name())
        && let Some(found) = of_file(rendering, file)?
    {
        return Ok(found);
    }
    if let (Document::Soul, Some(soul)) = (document, &spec.soul) {
        if let Some(template) = &soul.template {
            return Ok((field(rendering, "soul.template"), Body::Given(template)));
        }
        if let Some(reference) = &soul.config_map_key_ref {
            return of_config_map(rendering, reference, || field(rendering, "soul.configMapKeyRef"));
        }
        if soul.role == Some(true) {
            return soul::found(rendering.snapshot);
        }
    }
    if let (Document::Identity, Some(template)) = (document, &spec.identity_template) {
        if let Some(text) = &template.inline {
            return Ok((field(rendering, "identityTemplate.inline"), Body::Given(text)));
        }
        if let Some(reference) = &template.config_map_key_ref {
            return of_config_map(rendering, reference, || {
                field(rendering, "identityTemplate.configMapKeyRef")
            });
        }
    }
    let named = gateway.spec.templates.iter();
    if let Some(template) = named
        .into_iter()
        .find(|template| template.name == document.name())
    {
        let of_gateway = || {
            let gateway = gateway.metadata.name.as_deref().unwrap_or_default();
            format!("Gateway {gateway}, spec.templates[{}]", document.name())
        };
        if let Some(text) = &template.inline {
            return Ok((format!("{}.inline", of_gateway()), Body::Given(text)));
        }
        if let Some(reference) = &template.config_map_key_ref {
            return of_config_map(rendering, reference, || {
                format!("{}.configMapKeyRef", of_gateway())
            });
        }
    }
    Ok(built_in(document))
}

fn built_in<'a>(document: Document) -> (String, Body<'a>) {
    ("the built-in template".to_owned(), Body::BuiltIn(document))
}

fn of_file<'a>(
    rendering: Rendering<'a>,
    file: &'a AgentFile,
) -> Result<Option<(String, Body<'a>)>, Obstacle> {
    let named = |part: &str| field(rendering, &format!("files[{}].{part}", file.name));
    if let Some(text) = &file.content {
        return Ok(Some((named("content"), Body::Given(text))));
    }
    match &file.config_map_key_ref {
        Some(reference) => of_config_map(rendering, reference, || named("configMapKeyRef")).map(Some),
        None => Ok(None),
    }
}

/// As the user wrote it: a main agent's settings stand in its Gateway.
fn field(rendering: Rendering<'_>, path: &str) -> String {
    match rendering.snapshot.agent.spec.role {
        Role::Worker | Role::Lead => format!("spec.{path}"),
        Role::Main => {
            let gateway = &rendering.place.gateway;
            format!("Gateway {gateway}, spec.mainAgent.{path}")
        }
    }
}

fn of_config_map<'a>(
    rendering: Rendering<'a>,
    reference: &ConfigMapKeyRef,
    field: impl Fn() -> String,
) -> Result<(String, Body<'a>), Obstacle> {
    let ConfigMapKeyRef { name, key } = reference;
    let document = match rendering.snapshot.texts.config_maps.get(name) {
        Some(Fact::Known(document)) => document,
        Some(Fact::Absent) => {
            return Err(Obstacle::ConfigMapNotFound {
                field: field(),
                name: name.clone(),
            });
        }
        Some(Fact::Unknown) | None => {
            return Err(Obstacle::Unreadable {
                what: format!("ConfigMap {name}"),
            });
        }
    };
    let Some(ByteString(bytes)) = document.data.get(key) else {
        return Err(Obstacle::ConfigMapKeyNotFound {
            field: field(),
            name: name.clone(),
            key: key.clone(),
            keys: document.data.keys().cloned().collect(),
        });
    };
    let text = as_text(bytes).map_err(|why| Obstacle::TextInvalid { field: field(), why })?;
    Ok((format!("ConfigMap {name}, key {key}"), Body::Given(text)))
}

pub(super) fn as_text(bytes: &[u8]) -> Result<&str, String> {
    if bytes.len() > crate::template::LARGEST {
        return Err(format!(
            "it has {} bytes; a template may have {}",
            bytes.len(),
            crate::template::LARGEST
        ));
    }
    std::str::from_utf8(bytes)
        .map_err(|error| format!("it is not UTF-8 text: byte {} is none", error.valid_up_to()))
}
