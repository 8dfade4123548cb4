//! Rules, evaluated at every value that has some: from the outside in, the node's own first.

use std::sync::Arc;

use kube_cel::cel::common::ast::IdedExpr;
use kube_cel::cel::objects::OptionalValue;
use kube_cel::cel::{Context, ExecutionError, Value as Cel};
use serde_json::Value;

use super::cause::{self, Shown};
use super::cel_value;
use super::change::{Change, Fields, Here};
use super::correlate;
use super::functions;
use super::node::{DataType, Node};
use super::path::At;
use super::rule::{Rule, RuleReason, Rules};
use crate::control_plane::Cause;

/// A message that is worked out and longer is not used.
const LONGEST_MESSAGE: usize = 5 * 1024;

pub(super) fn check(root: &Node, object: &Fields, old: Option<&Fields>, context: &Context<'_>) -> Vec<Cause> {
    if !root.has_rules {
        return Vec::new();
    }
    functions::refill();
    let mut walk = Walk {
        context,
        causes: Vec::new(),
    };
    let (object, old) = (Here::Fields(object), old.map(Here::Fields));
    let change = Change::of(root, object, old);
    // It ends early when the rules have worked too much; the causes say so.
    let _ = walk.value(root, object, old, change, &At::Root);
    walk.causes
}

/// The rules of this object have worked too much: none is evaluated any more.
struct Exhausted;

struct Walk<'c> {
    context: &'c Context<'c>,
    causes: Vec<Cause>,
}

impl Walk<'_> {
    fn value(
        &mut self,
        node: &Node,
        here: Here<'_>,
        old: Option<Here<'_>>,
        change: Change<'_>,
        at: &At<'_>,
    ) -> Result<(), Exhausted> {
        if !node.has_rules || matches!(here, Here::Value(Value::Null)) {
            return Ok(());
        }
        if let Some(rules) = &node.rules {
            let old = old.filter(|old| !matches!(old, Here::Value(Value::Null)));
            self.rules(rules, node, here, old, change, at)?;
        }
        match here {
            Here::Fields(fields) => self.fields(node, fields, old.and_then(Here::fields), change, at),
            Here::Value(Value::Array(items)) => {
                self.items(node, items, old.and_then(Here::value), change, at)
            }
            Here::Value(_) => Ok(()),
        }
    }

    fn fields(
        &mut self,
        node: &Node,
        fields: &Fields,
        old: Option<&Fields>,
        change: Change<'_>,
        at: &At<'_>,
    ) -> Result<(), Exhausted> {
        for (name, value) in fields {
            let old = old.and_then(|old| old.get(name)).map(Here::from);
            if let Some(property) = node.properties.get(name) {
                self.value(property, value.into(), old, change.field(name), &at.field(name))?;
            } else if let Some(values) = node.values() {
                self.value(values, value.into(), old, change.field(name), &at.key(name))?;
            }
        }
        Ok(())
    }

    fn items(
        &mut self,
        node: &Node,
        items: &[Value],
        old: Option<&Value>,
        change: Change<'_>,
        at: &At<'_>,
    ) -> Result<(), Exhausted> {
        let Some(below) = node.items() else {
            return Ok(());
        };
        for (index, item) in items.iter().enumerate() {
            let old = old
                .and_then(|old| correlate::item(node, item, old))
                .map(Here::from);
            self.value(below, item.into(), old, change.item(index), &at.index(index))?;
        }
        Ok(())
    }

    fn rules(
        &mut self,
        rules: &Rules,
        node: &Node,
        here: Here<'_>,
        old: Option<Here<'_>>,
        change: Change<'_>,
        at: &At<'_>,
    ) -> Result<(), Exhausted> {
        functions::data_in_sight(cel_value::size(here) + old.map_or(0, cel_value::size));
        let this = cel_value::of(node, here, &rules.of_self, self.context);
        let old = old
            .filter(|_| !rules.of_old_self.is_nothing())
            .map(|old| self.old_self(rules, node, here, old));
        for rule in &rules.rules {
            let is_transition = rule.uses_old_self;
            if is_transition && old.is_none() && !rule.optional_old_self {
                continue;
            }
            let (result, scope) = self.evaluate(rule, this.as_ref(), old.as_ref());
            if functions::is_exhausted() {
                let detail = format!(
                    "'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call \
                     cost exceeds limit for rule: {}",
                    rule.name
                );
                self.causes.push(not_evaluated(node, at, &detail));
                return Err(Exhausted);
            }
            match result {
                Ok(true) => {}
                Ok(false) if !is_transition && change.is_none() => {}
                Ok(false) => self.causes.push(broken(rule, &scope, here, at)),
                Err(error) => {
                    let detail = if error.starts_with("no such overload") {
                        format!(
                            "'{error}': call arguments did not match a supported operator, function or macro signature for \
                             rule: {}",
                            rule.name
                        )
                    } else {
                        format!("{error} evaluating rule: {}", rule.name)
                    };
                    self.causes.push(not_evaluated(node, at, &detail));
                }
            }
        }
        Ok(())
    }

    fn old_self(&self, rules: &Rules, node: &Node, here: Here<'_>, old: Here<'_>) -> Result<Cel, String> {
        let of = |old: Here<'_>| cel_value::of(node, old, &rules.of_old_self, self.context);
        match (here, old) {
            (Here::Fields(new), Here::Fields(old)) if rules.has_unordered_lists => {
                of(Here::Fields(&correlate::aligned_fields(node, new, old)))
            }
            (Here::Value(new), Here::Value(old)) if rules.has_unordered_lists => {
                of(Here::from(&correlate::aligned(node, new, old)))
            }
            (Here::Fields(_) | Here::Value(_), old) => of(old),
        }
    }

    fn evaluate(
        &self,
        rule: &Rule,
        this: Result<&Cel, &String>,
        old: Option<&Result<Cel, String>>,
    ) -> (Result<bool, String>, Context<'_>) {
        let mut scope = self.context.new_inner_scope();
        let this = match this {
            Ok(this) => this.clone(),
            Err(why) => return (Err(why.clone()), scope),
        };
        scope.add_variable_from_value("self", this);
        match (old, rule.optional_old_self) {
            (Some(Err(why)), _) => return (Err(why.clone()), scope),
            (Some(Ok(old)), false) => scope.add_variable_from_value("oldSelf", old.clone()),
            (Some(Ok(old)), true) => {
                scope.add_variable_from_value("oldSelf", optional(OptionalValue::of(old.clone())));
            }
            (None, true) => scope.add_variable_from_value("oldSelf", optional(OptionalValue::none())),
            (None, false) => {}
        }
        let result = match scope.resolve(&rule.check) {
            Ok(result) => Ok(matches!(result, Cel::Bool(true))),
            Err(error) => Err(in_words(&error)),
        };
        (result, scope)
    }
}

fn optional(value: OptionalValue) -> Cel {
    Cel::Opaque(Arc::new(value))
}

fn broken(rule: &Rule, scope: &Context<'_>, here: Here<'_>, at: &At<'_>) -> Cause {
    let worked_out = rule
        .message_expression
        .as_ref()
        .and_then(|expression| message(expression, scope));
    let detail = worked_out.as_deref().unwrap_or(&rule.message);
    let field = match (rule.field_path.as_str(), at) {
        ("", _) => at.cause_field(),
        (path, At::Root) => path.to_owned(),
        (path, At::Field(..) | At::Key(..) | At::Index(..)) => format!("{}.{path}", at.path()),
    };
    let shown = match here {
        Here::Fields(_) | Here::Value(Value::Array(_)) => Shown::Nothing,
        Here::Value(value) => Shown::Value(value),
    };
    match rule.reason {
        RuleReason::Invalid => cause::invalid(field, shown, detail),
        RuleReason::Required => cause::required(field, detail),
        RuleReason::Forbidden => cause::forbidden(field, detail),
        RuleReason::Duplicate => cause::duplicate(field, shown),
    }
}

/// None: it is not one that can be shown, and the rule's own is.
fn message(expression: &IdedExpr, scope: &Context<'_>) -> Option<String> {
    let Ok(Cel::String(message)) = scope.resolve(expression) else {
        return None;
    };
    let message = message.trim();
    let can_be_shown = !message.is_empty() && !message.contains('\n') && message.len() <= LONGEST_MESSAGE;
    can_be_shown.then(|| message.to_owned())
}

fn not_evaluated(node: &Node, at: &At<'_>, detail: &str) -> Cause {
    let data_type = node.data_type.map_or("", DataType::word);
    cause::invalid(at.cause_field(), Shown::Word(data_type), detail)
}

/// As the API server's evaluator words them.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is left is all of one kind: a function that does not take such values"
)]
fn in_words(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::IndexOutOfBounds(Cel::Int(index)) => format!("index out of bounds: {index}"),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::FunctionError { function, message } => match function.as_str() {
            "int" | "uint" | "double" if message.starts_with("string parse error") => {
                format!("type conversion error from 'string' to '{function}'")
            }
            "timestamp" => "type conversion error from 'string' to 'google.protobuf.Timestamp'".to_owned(),
            _ => match message
                .strip_suffix(" out of range")
                .and_then(|index| index.rsplit_once(' '))
            {
                Some((_, index)) => format!("index out of range: {index}"),
                None => message.clone(),
            },
        },
        ExecutionError::UndeclaredReference(name) => format!("no such attribute(s): {name}"),
        _ => "no such overload".to_owned(),
    }
}
