//! `x-kubernetes-validations`: rules in CEL, compiled once.
//!
//! What a rule calls or names must be known here, or the schema is refused: nothing is left to fail when an object comes.

use kube_cel::cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use kube_cel::cel::parser::Parser;
use serde_json::Value;

use super::correlate;
use super::functions;
use super::node::Node;
use super::pattern::Pattern;
use super::sight::Sight;

/// All rules of one node, and how much of its value they look at.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) rules: Vec<Rule>,
    pub(super) of_self: Sight,
    pub(super) of_old_self: Sight,
    /// Lists in which the order means nothing are compared without it.
    pub(super) has_unordered_lists: bool,
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) check: IdedExpr,
    pub(super) message: String,
    /// As errors of evaluation call it.
    pub(super) name: String,
    pub(super) message_expression: Option<IdedExpr>,
    pub(super) reason: RuleReason,
    /// Below the node: `boardRef`. Empty: the node.
    pub(super) field_path: String,
    pub(super) uses_old_self: bool,
    pub(super) optional_old_self: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RuleReason {
    Invalid,
    Required,
    Forbidden,
    Duplicate,
}

impl Rules {
    pub(super) fn of(rules: Vec<Rule>, node: &Node) -> Self {
        let expressions = || {
            rules
                .iter()
                .flat_map(|rule| std::iter::once(&rule.check).chain(&rule.message_expression))
        };
        let of_self = Sight::of("self", expressions(), node);
        let of_old_self = Sight::of("oldSelf", expressions(), node);
        Self {
            rules,
            of_self,
            of_old_self,
            has_unordered_lists: correlate::has_unordered_lists(node),
        }
    }
}

impl Rule {
    pub(super) fn compile(rule: &Value, patterns: &mut Vec<Pattern>) -> Result<Self, String> {
        let text = |keyword: &str| rule.get(keyword).and_then(Value::as_str).unwrap_or_default();
        let source = text("rule");
        let check = parse(source, patterns)?;
        let message_expression = match text("messageExpression") {
            "" => None,
            source => Some(parse(source, patterns).map_err(|why| format!("its messageExpression: {why}"))?),
        };
        let message = text("message").trim();
        let name = if message.is_empty() {
            source.trim()
        } else {
            message
        };
        Ok(Self {
            uses_old_self: check.references().has_variable("oldSelf"),
            check,
            message: if message.is_empty() {
                format!("failed rule: {name}")
            } else {
                message.to_owned()
            },
            name: name.to_owned(),
            message_expression,
            reason: match text("reason") {
                "" | "FieldValueInvalid" => RuleReason::Invalid,
                "FieldValueRequired" => RuleReason::Required,
                "FieldValueForbidden" => RuleReason::Forbidden,
                "FieldValueDuplicate" => RuleReason::Duplicate,
                other => return Err(format!("there is no reason {other}")),
            },
            field_path: field_path(text("fieldPath"))?,
            optional_old_self: rule.get("optionalOldSelf") == Some(&Value::Bool(true)),
        })
    }
}

/// `.spec.boardRef` and `.config['a key']`, as a path below the node.
fn field_path(source: &str) -> Result<String, String> {
    if source.is_empty() {
        return Ok(String::new());
    }
    let path = source.strip_prefix('.').unwrap_or(source);
    let is_plain = path.split('.').all(|name| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
    });
    if source.starts_with('.') && is_plain {
        Ok(path.to_owned())
    } else {
        Err(format!("its fieldPath {source} is not of the form .field.field"))
    }
}

fn parse(source: &str, patterns: &mut Vec<Pattern>) -> Result<IdedExpr, String> {
    let mut expression = Parser::new()
        .enable_optional_syntax(true)
        .parse(source)
        .map_err(|errors| errors.to_string())?;
    Preparation {
        patterns,
        variables: vec!["self".to_owned(), "oldSelf".to_owned()],
    }
    .prepare(&mut expression)?;
    Ok(expression)
}

/// Compiles patterns, puts a bound on loops, and refuses what could not be evaluated.
struct Preparation<'p> {
    patterns: &'p mut Vec<Pattern>,
    /// That are in sight.
    variables: Vec<String>,
}

impl Preparation<'_> {
    fn prepare(&mut self, expression: &mut IdedExpr) -> Result<(), String> {
        match &mut expression.expr {
            Expr::Unspecified => Err("it is empty".to_owned()),
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) if name.starts_with('@') || self.variables.contains(name) => Ok(()),
            Expr::Ident(name) => Err(format!("there is no {name}")),
            Expr::Select(select) => self.prepare(&mut select.operand),
            Expr::List(list) => list
                .elements
                .iter_mut()
                .try_for_each(|element| self.prepare(element)),
            Expr::Map(map) => map
                .entries
                .iter_mut()
                .try_for_each(|entry| match &mut entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        self.prepare(&mut entry.key)?;
                        self.prepare(&mut entry.value)
                    }
                    EntryExpr::StructField(_) => Err("it makes a message".to_owned()),
                }),
            Expr::Struct(made) => Err(format!("it makes a {}", made.type_name)),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Call(call) => self.call(call),
        }
    }

    fn comprehension(&mut self, comprehension: &mut ComprehensionExpr) -> Result<(), String> {
        let ComprehensionExpr {
            iter_range,
            iter_var,
            iter_var2,
            accu_var: _,
            accu_init,
            loop_cond,
            loop_step,
            result,
        } = comprehension;
        if iter_var2.is_some() {
            return Err("it has a loop of two variables".to_owned());
        }
        self.prepare(iter_range)?;
        self.prepare(accu_init)?;
        self.variables.push(iter_var.clone());
        let prepared = self.prepare(loop_cond).and_then(|()| self.prepare(loop_step));
        self.variables.pop();
        prepared?;
        self.prepare(result)?;
        let may_go_on = Expr::Call(CallExpr {
            func_name: functions::MAY_GO_ON.to_owned(),
            target: None,
            args: Vec::new(),
        });
        let condition = std::mem::take(loop_cond);
        loop_cond.id = condition.id;
        loop_cond.expr = Expr::Call(CallExpr {
            func_name: functions::AND.to_owned(),
            target: None,
            args: vec![
                IdedExpr {
                    id: condition.id,
                    expr: may_go_on,
                },
                condition,
            ],
        });
        Ok(())
    }

    fn call(&mut self, call: &mut CallExpr) -> Result<(), String> {
        let qualifier = match call.target.as_deref() {
            Some(IdedExpr {
                id: _,
                expr: Expr::Ident(name),
            }) => Some(name.as_str()),
            Some(_) | None => None,
        };
        let is_qualified = qualifier
            .is_some_and(|qualifier| functions::is_known(&format!("{qualifier}.{}", call.func_name)));
        if !is_qualified && !functions::is_known(&call.func_name) {
            return Err(format!("the function {} is not known here", call.func_name));
        }
        if let Some(target) = call.target.as_deref_mut().filter(|_| !is_qualified) {
            self.prepare(target)?;
        }
        call.args
            .iter_mut()
            .try_for_each(|argument| self.prepare(argument))?;
        if let Some(ours) = functions::instead_of(&call.func_name) {
            call.func_name = ours.to_owned();
        }
        if call.func_name == "matches"
            && let Some(last) = call.args.last_mut()
            && let Expr::Literal(LiteralValue::String(source)) = &last.expr
        {
            let pattern = Pattern::compile(source.inner())?;
            let number = i64::try_from(self.patterns.len()).unwrap_or(i64::MAX);
            self.patterns.push(pattern);
            last.expr = Expr::Literal(LiteralValue::Int(number.into()));
            call.func_name = functions::MATCHES_COMPILED.to_owned();
        }
        Ok(())
    }
}
