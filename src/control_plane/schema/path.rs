//! Where a value is, as the API server prints it.

use std::fmt::{self, Display, Formatter};

/// `spec.files[0].name`, `spec.config[my.key]`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A field that the schema names.
    Field(String),
    /// A key that the user chose.
    Key(String),
    Index(usize),
}

impl FieldPath {
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// As errors of decoding print it, and those of values within a map: keys are like fields, `spec.config.my.key`.
    pub fn dotted(&self) -> String {
        print(&self.0, true)
    }
}

impl Display for FieldPath {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&print(&self.0, false))
    }
}

fn print(steps: &[Step], dotted: bool) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Key(key) if !dotted => text.extend(["[", key, "]"]),
            Step::Field(name) | Step::Key(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
            Step::Index(index) => text.extend(["[", &index.to_string(), "]"]),
        }
    }
    text
}

/// The same while a tree is walked: it lives on the stack and costs nothing until somebody asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum At<'a> {
    Root,
    Field(&'a At<'a>, &'a str),
    Key(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl<'a> At<'a> {
    pub(super) fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub(super) fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    pub(super) fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    pub(super) fn path(&self) -> FieldPath {
        let mut steps = Vec::new();
        let mut at = self;
        loop {
            at = match at {
                Self::Root => break,
                Self::Field(before, name) => {
                    steps.push(Step::Field((*name).to_owned()));
                    before
                }
                Self::Key(before, key) => {
                    steps.push(Step::Key((*key).to_owned()));
                    before
                }
                Self::Index(before, index) => {
                    steps.push(Step::Index(*index));
                    before
                }
            };
        }
        steps.reverse();
        FieldPath(steps)
    }

    /// The `field` of a cause. The API server has no word for the object as a whole.
    pub(super) fn cause_field(&self) -> String {
        match self {
            Self::Root => "<nil>".to_owned(),
            Self::Field(..) | Self::Key(..) | Self::Index(..) => self.path().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keys_and_indices_are_printed_as_the_api_server_does() {
        let spec = At::Root.field("spec");
        let files = spec.field("files");
        let first = files.index(0);
        assert_eq!(first.field("name").path().to_string(), "spec.files[0].name");
        let config = spec.field("config");
        let value = config.key("my.key");
        assert_eq!(value.path().to_string(), "spec.config[my.key]");
        assert_eq!(value.path().dotted(), "spec.config.my.key");
        assert_eq!(At::Root.cause_field(), "<nil>");
    }
}
