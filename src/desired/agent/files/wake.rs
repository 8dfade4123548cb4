//! The messages that wake an agent, and what it is woken for. Each wake is a paid turn of a model.

use sha2::{Digest, Sha256};

use super::asked::Wanted;
use super::variables;
use crate::resource::settings::FilePolicy;
use crate::template::{self, Document, TemplateError, Variables};

/// An agent is woken when one of these changes.
const WOKEN_FOR: [Document; 4] = [
    Document::Identity,
    Document::Soul,
    Document::Agents,
    Document::Heartbeat,
];

pub(super) const LATER: &str = "Some of your instructions have changed. Read AGENTS.md, IDENTITY.md and SOUL.md again, with \
the sections that AGENTS.md carries, and go on by them from now on. What you were doing goes on, unless they say otherwise. \
If nobody needs to hear anything, answer HEARTBEAT_OK.";

/// SHA-256 over those documents as they would be without team, boards, user and token. How they are folded is no part of
/// it: a gateway's upgrade wakes nobody. Nor is what the agent keeps itself.
pub(super) fn content(documents: &[Wanted<'_>], variables: &Variables) -> Result<String, TemplateError> {
    let variables = variables::for_wakes(variables);
    let mut hash = Sha256::new();
    for document in WOKEN_FOR {
        let wanted = documents.iter().find(|wanted| wanted.is(document));
        let text = match wanted {
            Some(wanted) if wanted.policy == FilePolicy::Managed => {
                template::render(&wanted.template(), &variables)?
            }
            Some(_) | None => String::new(),
        };
        // The length in front, so that no text can pass for two.
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Carries the bootstrap document: gateways delete that file at the first turn, on some within 200 ms.
pub(super) fn first(bootstrap: &str) -> String {
    let bootstrap = bootstrap.trim();
    if bootstrap.is_empty() {
        return "Your workspace is ready. Read AGENTS.md, and begin.".to_owned();
    }
    format!(
        "Your workspace is ready. Follow BOOTSTRAP.md first, then AGENTS.md. BOOTSTRAP.md may be gone when you look for it, \
         so here is what it says:\n\n{bootstrap}"
    )
}
