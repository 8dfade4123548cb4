//! What a given template may contain. The engine counts steps, and a slice bounds what is written; neither bounds what a
//! single step makes: ten lines of `{% set a = a ~ a %}` make a thousand copies, forty of them a million million. So the
//! tree is weighed before it runs: a value weighs what it is put together from, and there is a heaviest one.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt};
use minijinja::machinery::{Token, parse, tokenize};

use super::engine::syntax;
use super::variables::{TOKEN, Variables};

/// How many values one may be put together from. A variable holds 32 kB at the most, so that is 2 MB.
const HEAVIEST: u64 = 64;
/// And all that are given a name, together.
const HEAVIEST_TOGETHER: u64 = 1024;
/// Tokens of one tag. The parser takes `a|f|f|...` of any length, and whoever then walks its tree goes as deep.
const LONGEST_TAG: usize = 256;
/// How much of a name is looked at and shown: a template may name something of 60,000 letters.
const LONGEST_NAME: usize = 80;
/// `elif` goes deep, too.
const ELIFS: usize = 64;

pub(super) struct Broken {
    pub(super) line: usize,
    pub(super) what: String,
}

pub(super) fn keeps(text: &str, variables: &Variables, sees_token: bool) -> Result<(), Broken> {
    shallow(text)?;
    let Ok(tree) = parse(text, "", syntax()) else {
        // The engine says the same, in words.
        return Ok(());
    };
    let mut law = Law {
        variables,
        sees_token,
        named: BTreeMap::from([("loop", 1)]),
        together: 0,
        guarded: BTreeSet::new(),
        unknown: Vec::new(),
    };
    law.statement(&tree)?;
    law.all_known()
}

/// Before anything walks it.
fn shallow(text: &str) -> Result<(), Broken> {
    let (mut length, mut elifs) = (0_usize, 0_usize);
    for token in tokenize(text, false, syntax()) {
        let Ok((token, span)) = token else {
            return Ok(());
        };
        length += 1;
        if matches!(token, Token::VariableStart | Token::BlockStart) {
            length = 0;
        } else if matches!(token, Token::Ident("elif")) {
            elifs += 1;
        }
        if length > LONGEST_TAG || elifs > ELIFS {
            let what = if elifs > ELIFS {
                format!("has more than {ELIFS} elif")
            } else {
                format!("has a tag of more than {LONGEST_TAG} words and signs")
            };
            return Err(Broken {
                line: usize::from(span.start_line),
                what,
            });
        }
    }
    Ok(())
}

struct Law<'t> {
    variables: &'t Variables,
    sees_token: bool,
    /// What the template names itself, and how heavy it is.
    named: BTreeMap<&'t str, u64>,
    together: u64,
    /// Names that it asks for before it uses them: `is defined`, `default`.
    guarded: BTreeSet<&'t str>,
    unknown: Vec<(&'t str, usize)>,
}

impl<'t> Law<'t> {
    fn statements(&mut self, statements: &'t [Stmt<'t>]) -> Result<(), Broken> {
        statements
            .iter()
            .try_for_each(|statement| self.statement(statement))
    }

    fn statement(&mut self, statement: &'t Stmt<'t>) -> Result<(), Broken> {
        let unwelcome = |line: u16, what: &str, instead: &str| {
            Err(Broken {
                line: usize::from(line),
                what: format!("{{% {what} %}} is not taken here: {instead}"),
            })
        };
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitRaw(_) => Ok(()),
            Stmt::EmitExpr(emit) => self.weight(&emit.expr).map(|_| ()),
            Stmt::ForLoop(each) => {
                if each.recursive {
                    return unwelcome(
                        each.span().start_line,
                        "for ... recursive",
                        "write a loop in a loop",
                    );
                }
                let weight = self.weight(&each.iter)?;
                self.name(&each.target, weight)?;
                if let Some(filter) = &each.filter_expr {
                    self.weight(filter)?;
                }
                self.statements(&each.body)?;
                self.statements(&each.else_body)
            }
            Stmt::IfCond(choice) => {
                self.weight(&choice.expr)?;
                self.statements(&choice.true_body)?;
                self.statements(&choice.false_body)
            }
            Stmt::WithBlock(with) => {
                for (target, value) in &with.assignments {
                    let weight = self.weight(value)?;
                    self.name(target, weight)?;
                }
                self.statements(&with.body)
            }
            Stmt::Set(set) => {
                let weight = self.weight(&set.expr)?;
                self.name(&set.target, weight)
            }
            Stmt::SetBlock(set) => unwelcome(
                set.span().start_line,
                "set ... endset",
                "write {% set name = value %}",
            ),
            Stmt::FilterBlock(filter) => {
                unwelcome(filter.span().start_line, "filter", "write {{ value | filter }}")
            }
            Stmt::AutoEscape(escape) => {
                unwelcome(escape.span().start_line, "autoescape", "nothing is escaped")
            }
            Stmt::Do(call) => unwelcome(call.span().start_line, "do", "there is nothing to call"),
        }
    }

    fn name(&mut self, target: &'t Expr<'t>, weight: u64) -> Result<(), Broken> {
        match target {
            Expr::Var(name) => {
                let known = self.named.entry(name.id).or_insert(weight);
                *known = weight.max(*known);
                if weight > 1 {
                    self.together = self.together.saturating_add(weight);
                }
                if self.together > HEAVIEST_TOGETHER {
                    return Err(broken(
                        target,
                        "gives names to too many values that are put together from others",
                    ));
                }
                Ok(())
            }
            Expr::Tuple(names) => names.items.iter().try_for_each(|item| self.name(item, weight)),
            Expr::List(names) => names.items.iter().try_for_each(|item| self.name(item, weight)),
            Expr::Const(_)
            | Expr::Slice(_)
            | Expr::UnaryOp(_)
            | Expr::BinOp(_)
            | Expr::Compare(_)
            | Expr::IfExpr(_)
            | Expr::Filter(_)
            | Expr::Test(_)
            | Expr::GetAttr(_)
            | Expr::GetItem(_)
            | Expr::Call(_)
            | Expr::Map(_) => Err(broken(target, "sets something that is no name")),
        }
    }

    fn weight(&mut self, expression: &'t Expr<'t>) -> Result<u64, Broken> {
        let weight = match expression {
            Expr::Const(_) => 1,
            Expr::Var(variable) => self.variable(variable.id, expression)?,
            Expr::Slice(slice) => {
                // The engine panics at ""[::-1], as of 3.0.5.
                if slice.step.is_some() {
                    return Err(broken(expression, "slices with a step, which is not taken here"));
                }
                let ends = [&slice.start, &slice.stop];
                let ends = self.sum(ends.into_iter().flatten())?;
                self.weight(&slice.expr)?.saturating_add(ends)
            }
            Expr::UnaryOp(operation) => self.weight(&operation.expr)?,
            Expr::BinOp(operation) => {
                if matches!(operation.op, BinOpKind::Mul | BinOpKind::Pow) {
                    return Err(broken(
                        expression,
                        "multiplies, which templates cannot: * would repeat a text",
                    ));
                }
                self.sum([&operation.left, &operation.right])?
            }
            Expr::Compare(compare) => {
                let others = self.sum(compare.ops.iter().map(|op| &op.expr))?;
                self.weight(&compare.expr)?.saturating_add(others)
            }
            Expr::IfExpr(choice) => self.sum(
                [&choice.test_expr, &choice.true_expr]
                    .into_iter()
                    .chain(&choice.false_expr),
            )?,
            Expr::Filter(filter) => {
                if let ("default" | "d", Some(Expr::Var(variable))) = (filter.name, &filter.expr) {
                    self.guarded.insert(variable.id);
                }
                let of = self.sum(&filter.expr)?;
                of.saturating_add(self.arguments(&filter.args)?)
            }
            Expr::Test(test) => {
                if let ("defined" | "undefined", Expr::Var(variable)) = (test.name, &test.expr) {
                    self.guarded.insert(variable.id);
                }
                let of = self.weight(&test.expr)?;
                of.saturating_add(self.arguments(&test.args)?)
            }
            Expr::GetAttr(field) => self.weight(&field.expr)?,
            Expr::GetItem(item) => self.sum([&item.expr, &item.subscript_expr])?,
            Expr::Call(call) => {
                let of_loop = matches!(&call.expr, Expr::GetAttr(method) if matches!(&method.expr, Expr::Var(of) if of.id == "loop"));
                if !of_loop {
                    return Err(broken(
                        expression,
                        "calls something, and there is nothing to call: filters stand behind a |",
                    ));
                }
                self.arguments(&call.args)?
            }
            Expr::List(list) => self.sum(&list.items)?.saturating_add(1),
            Expr::Tuple(tuple) => self.sum(&tuple.items)?.saturating_add(1),
            Expr::Map(map) => self.sum(map.keys.iter().chain(&map.values))?.saturating_add(1),
        };
        if weight > HEAVIEST {
            return Err(broken(
                expression,
                &format!(
                    "puts together more than {HEAVIEST} values in one: write them one after the other instead"
                ),
            ));
        }
        Ok(weight)
    }

    fn sum(&mut self, expressions: impl IntoIterator<Item = &'t Expr<'t>>) -> Result<u64, Broken> {
        expressions.into_iter().try_fold(0_u64, |sum, expression| {
            Ok(sum.saturating_add(self.weight(expression)?))
        })
    }

    fn arguments(&mut self, arguments: &'t [CallArg<'t>]) -> Result<u64, Broken> {
        self.sum(arguments.iter().map(|argument| match argument {
            CallArg::Pos(value)
            | CallArg::Kwarg(_, value)
            | CallArg::PosSplat(value)
            | CallArg::KwargSplat(value) => value,
        }))
    }

    fn variable(&mut self, name: &'t str, expression: &'t Expr<'t>) -> Result<u64, Broken> {
        if let Some(weight) = self.named.get(name) {
            return Ok(*weight);
        }
        if name == TOKEN && !self.sees_token {
            return Err(broken(
                expression,
                "names auth_token, which stands in TOOLS.md alone, so that it is in one file only: say there what you need of it",
            ));
        }
        if !self.variables.knows(name) {
            self.unknown
                .push((name, usize::from(expression.span().start_line)));
        }
        Ok(1)
    }

    /// Also in the branches that are not taken this time.
    fn all_known(&self) -> Result<(), Broken> {
        let missing = self.unknown.iter().find(|(name, _)| !self.guarded.contains(name));
        let Some((name, line)) = missing else {
            return Ok(());
        };
        let shown: String = name.chars().take(LONGEST_NAME).collect();
        let mut what = format!("variable {shown:?} is not defined.");
        if let Some(near) = nearest(name, self.variables.names()) {
            what.push_str(&format!(" Did you mean {near:?}?"));
        } else if name.starts_with("identity_") {
            what.push_str(&format!(
                " Only some agents have it in identity.extra? Write {{{{ {shown} | default(\"\") }}}}"
            ));
        }
        Err(Broken { line: *line, what })
    }
}

fn broken(expression: &Expr<'_>, what: &str) -> Broken {
    Broken {
        line: usize::from(expression.span().start_line),
        what: what.to_owned(),
    }
}

/// The known name that differs least, where that is a slip and no other word.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let slips = name.chars().count() / 5 + 1;
    known
        .map(|known| (distance(name, known), known))
        .filter(|(distance, _)| *distance <= slips)
        .min()
        .map(|(_, known)| known)
}

/// How many letters must be put in, taken out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(LONGEST_NAME).collect();
    let mut before: Vec<usize> = (0..=b.len()).collect();
    for (i, of_a) in a.chars().take(LONGEST_NAME).enumerate() {
        let mut last = i + 1;
        let mut row = vec![last];
        for (pair, of_b) in before.windows(2).zip(&b) {
            let (corner, above) = match pair {
                [corner, above] => (*corner, *above),
                _ => continue,
            };
            last = (above + 1).min(last + 1).min(corner + usize::from(of_a != *of_b));
            row.push(last);
        }
        before = row;
    }
    before.last().copied().unwrap_or_default()
}
