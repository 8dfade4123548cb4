//! A change followed down into the object: rules forgive what was as wrong before.

use serde_json::{Map, Value};

use super::correlate;
use super::node::Node;

pub(super) type Fields = Map<String, Value>;

/// A value; the object as a whole has only fields.
#[derive(Clone, Copy)]
pub(super) enum Here<'v> {
    Fields(&'v Fields),
    Value(&'v Value),
}

impl<'v> From<&'v Value> for Here<'v> {
    fn from(value: &'v Value) -> Self {
        value.as_object().map_or(Self::Value(value), Self::Fields)
    }
}

impl<'v> Here<'v> {
    pub(super) fn fields(self) -> Option<&'v Fields> {
        match self {
            Self::Fields(fields) => Some(fields),
            Self::Value(_) => None,
        }
    }

    pub(super) fn value(self) -> Option<&'v Value> {
        match self {
            Self::Fields(_) => None,
            Self::Value(value) => Some(value),
        }
    }
}

/// Whether what is wrong here was as wrong before.
#[derive(Clone, Copy)]
pub(super) struct Change<'v> {
    followed: Option<Followed<'v>>,
    /// The nearest value around it whose old one is known.
    outer: Option<Followed<'v>>,
}

#[derive(Clone, Copy)]
struct Followed<'v> {
    node: &'v Node,
    new: Here<'v>,
    old: Here<'v>,
}

impl<'v> Change<'v> {
    pub(super) fn of(root: &'v Node, new: Here<'v>, old: Option<Here<'v>>) -> Self {
        Self {
            followed: old.map(|old| Followed { node: root, new, old }),
            outer: None,
        }
    }

    pub(super) fn is_none(self) -> bool {
        self.followed
            .or(self.outer)
            .is_some_and(|Followed { node, new, old }| match (new, old) {
                (Here::Fields(new), Here::Fields(old)) => correlate::are_equal(node, new, old),
                (Here::Value(new), Here::Value(old)) => correlate::is_equal(node, new, old),
                (Here::Fields(_), Here::Value(_)) | (Here::Value(_), Here::Fields(_)) => false,
            })
    }

    fn below(self, find: impl Fn(Followed<'v>) -> Option<Followed<'v>>) -> Self {
        match self.followed {
            None => self,
            Some(here) => Self {
                followed: find(here),
                outer: Some(here),
            },
        }
    }

    pub(super) fn field(self, name: &str) -> Self {
        // Both are read as the version that is asked for, so they always look alike.
        if self.outer.is_none() && ["apiVersion", "kind"].contains(&name) {
            return Self {
                followed: None,
                outer: None,
            };
        }
        self.below(|Followed { node, new, old }| {
            Some(Followed {
                node: node.field(name)?,
                new: new.fields()?.get(name)?.into(),
                old: correlate::field(node, name, old.fields()?)?.into(),
            })
        })
    }

    pub(super) fn item(self, index: usize) -> Self {
        self.below(|Followed { node, new, old }| {
            let new = new.value()?.get(index)?;
            Some(Followed {
                node: node.items()?,
                new: new.into(),
                old: correlate::item(node, new, old.value()?)?.into(),
            })
        })
    }
}
