//! Jinja templates: the documents of an agent, built in or given by users. Pure, bounded, without files or network.
//!
//! A template is hostile input: whoever may write an Agent may write one, and an agent may write an Agent. So it is
//! looked at before it runs (`law`), runs with counted steps into a buffer of a fixed size (`engine`), and knows of no
//! other template, no function, and of the token only in TOOLS.md.

mod document;
mod engine;
mod law;
mod variables;

use std::fmt;

pub use document::Document;
pub use engine::{LARGEST, render};
pub use variables::{MEANINGS, Variables, one_line};

/// A text to be rendered, and how its errors name it.
#[derive(Debug, Clone, Copy)]
pub struct Template<'a> {
    /// Whose text it is, as the user named it: `ConfigMap souls, key triage`, `spec.soul.template`.
    pub source: &'a str,
    /// The document that it makes. TOOLS.md alone may name the token.
    pub document: &'a str,
    pub body: Body<'a>,
}

#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// Parsed once in the life of the process.
    BuiltIn(Document),
    Given(&'a str),
}

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

impl fmt::Display for TemplateError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            document,
            line,
            what,
        } = self;
        write!(out, "{document}, line {line} of {source}: {what}")
    }
}

impl std::error::Error for TemplateError {}

#[cfg(test)]
mod tests;
