//! Jinja templates: the documents of an agent, built in or given by users. Pure, bounded, without files or network.

/// What is wrong with a template, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// Whose text it is, as the user named it: `ConfigMap souls, key triage`, `spec.soul.template`.
    pub source: String,
    /// The document that it makes: SOUL.md.
    pub document: String,
    pub line: usize,
    /// In words, such as `variable "identity_expertize" is not defined. Did you mean "identity_expertise"?`
    pub what: String,
}
