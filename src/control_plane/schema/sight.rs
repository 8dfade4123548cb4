//! How much of a value its rules look at. Only that is made into CEL values: a rule on the whole object that asks for
//! `self.metadata.name` should not cost a copy of all files' texts.

use std::collections::BTreeMap;

use kube_cel::cel::common::ast::{EntryExpr, Expr, IdedExpr};

use super::escape::escaped;
use super::node::Node;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sight {
    Everything,
    /// These fields, by their names in JSON. None: nothing is looked at.
    Fields(BTreeMap<String, Self>),
}

impl Sight {
    /// What of this variable the expressions look at.
    pub(super) fn of<'e>(
        variable: &str,
        expressions: impl Iterator<Item = &'e IdedExpr>,
        node: &Node,
    ) -> Self {
        let mut sight = Self::Fields(BTreeMap::new());
        for expression in expressions {
            look(expression, variable, &mut |path| sight.add(path, Some(node)));
        }
        sight
    }

    pub(super) fn is_nothing(&self) -> bool {
        match self {
            Self::Everything => false,
            Self::Fields(fields) => fields.is_empty(),
        }
    }

    /// The path is in CEL's names, the first step last.
    fn add(&mut self, path: &[&str], node: Option<&Node>) {
        let Some((first, rest)) = path.split_last() else {
            *self = Self::Everything;
            return;
        };
        let Self::Fields(fields) = self else {
            return;
        };
        let named = node.and_then(|node| {
            let mut properties = node.properties.iter();
            properties.find(|(name, _)| escaped(name).as_deref() == Some(*first))
        });
        let (name, below) = match named {
            Some((name, below)) => (name.clone(), Some(below)),
            None => ((*first).to_owned(), None),
        };
        fields
            .entry(name)
            .or_insert_with(|| Self::Fields(BTreeMap::new()))
            .add(rest, below);
    }
}

/// Tells of each mention of the variable, with the fields that are selected of it, the first one last.
fn look(expression: &IdedExpr, variable: &str, tell: &mut impl FnMut(&[&str])) {
    let mut path = Vec::new();
    let mut innermost = expression;
    while let Expr::Select(select) = &innermost.expr {
        path.push(select.field.as_str());
        innermost = &select.operand;
    }
    match &innermost.expr {
        Expr::Ident(name) if name == variable => tell(&path),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified | Expr::Select(_) => {}
        Expr::Call(call) => {
            for part in call.target.as_deref().into_iter().chain(&call.args) {
                look(part, variable, tell);
            }
        }
        Expr::Comprehension(comprehension) => {
            let c = comprehension;
            for part in [&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result] {
                look(part, variable, tell);
            }
        }
        Expr::List(list) => list
            .elements
            .iter()
            .for_each(|element| look(element, variable, tell)),
        Expr::Map(map) => {
            for entry in &map.entries {
                match &entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        look(&entry.key, variable, tell);
                        look(&entry.value, variable, tell);
                    }
                    EntryExpr::StructField(field) => look(&field.value, variable, tell),
                }
            }
        }
        // Refused when the rule is compiled.
        Expr::Struct(_) => {}
    }
}
