//! The functions that rules may call: the standard ones and Kubernetes' from their crates, and ours where those are slow
//! or other than the API server's.

use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use kube_cel::KubeCelExt;
use kube_cel::cel::common::ast::{CallExpr, Expr, IdedExpr, operators};
use kube_cel::cel::extractors::This;
use kube_cel::cel::functions::time;
use kube_cel::cel::{Context, ExecutionError, FunctionContext, Value};

use super::pattern::Pattern;

/// Stands for `matches` with a literal: its last argument is the pattern's place in the schema, where it is compiled.
pub(super) const MATCHES_COMPILED: &str = "@matches";

/// Asked before each round of a loop. Fails when the rules have gone round too often.
pub(super) const MAY_GO_ON: &str = "@mayGoOn";

pub(super) const AND: &str = "@and";
const OR: &str = "@or";

/// What is called in the place of an operator: of two sides that fail, the first one's error is told; the crate tells the
/// second one's.
pub(super) fn instead_of(operator: &str) -> Option<&'static str> {
    match operator {
        operators::LOGICAL_AND => Some(AND),
        operators::LOGICAL_OR => Some(OR),
        _ => None,
    }
}

/// A million rounds of cheap work, or fewer over much data: 0.6 s where it was measured. The API server has a finer measure
/// of about the same height.
const MOST_WORK: u64 = 1_000_000;

thread_local! {
    static WORK_LEFT: Cell<u64> = const { Cell::new(0) };
    static WORK_A_ROUND: Cell<u64> = const { Cell::new(1) };
}

pub(super) fn refill() {
    WORK_LEFT.set(MOST_WORK);
}

/// A round may look at all of its data.
pub(super) fn data_in_sight(bytes: usize) {
    WORK_A_ROUND.set(1 + u64::try_from(bytes).unwrap_or(u64::MAX) / 10_000);
}

pub(super) fn is_exhausted() -> bool {
    WORK_LEFT.get() == 0
}

pub(super) fn context(patterns: Vec<Pattern>) -> Context<'static> {
    let mut context = Context::default().with_all();
    context.add_function(MAY_GO_ON, may_go_on);
    context.add_function(AND, |sides: &FunctionContext<'_, '_>| either(sides, false));
    context.add_function(OR, |sides: &FunctionContext<'_, '_>| either(sides, true));
    context.add_function("size", size);
    context.add_function("duration", duration);
    context.add_function("matches", matches);
    context.add_function(MATCHES_COMPILED, move |This(text): This<Value>, number: i64| {
        let pattern = usize::try_from(number)
            .ok()
            .and_then(|number| patterns.get(number));
        match (text, pattern) {
            (Value::String(text), Some(pattern)) => Ok(Value::Bool(pattern.is_match(&text))),
            (_, Some(_) | None) => Err(ExecutionError::NoSuchOverload),
        }
    });
    context
}

fn may_go_on() -> Result<Value, ExecutionError> {
    spend(WORK_A_ROUND.get())?;
    Ok(Value::Bool(true))
}

fn spend(work: u64) -> Result<(), ExecutionError> {
    WORK_LEFT.set(WORK_LEFT.get().saturating_sub(work));
    if is_exhausted() {
        return Err(ExecutionError::function_error(MAY_GO_ON, "too much work"));
    }
    Ok(())
}

/// Whether one side decides by itself, even where the other one fails.
fn either(sides: &FunctionContext<'_, '_>, decisive: bool) -> Result<Value, ExecutionError> {
    let mut failed = None;
    for side in sides.args {
        match sides.ptx.resolve(side) {
            Ok(Value::Bool(truth)) if truth == decisive => return Ok(Value::Bool(decisive)),
            Ok(Value::Bool(_)) => {}
            Ok(_) => failed = failed.or(Some(ExecutionError::NoSuchOverload)),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok(Value::Bool(!decisive)), Err)
}

/// Of a text: its characters. The crate counts bytes.
fn size(This(value): This<Value>) -> Result<Value, ExecutionError> {
    let size = if let Value::String(text) = &value {
        text.chars().count()
    } else if let Value::List(items) = &value {
        items.len()
    } else if let Value::Map(map) = &value {
        map.map.len()
    } else if let Value::Bytes(bytes) = &value {
        bytes.len()
    } else {
        return Err(ExecutionError::NoSuchOverload);
    };
    Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

/// The crate takes a duration with something behind it, and words its errors otherwise.
fn duration(This(value): This<Value>) -> Result<Value, ExecutionError> {
    if let Value::String(text) = &value {
        let nanoseconds =
            nanoseconds(text).ok_or_else(|| not_converted("string", "google.protobuf.Duration"))?;
        let sign = if nanoseconds < 0 { "-" } else { "" };
        let (seconds, rest) = (
            nanoseconds.unsigned_abs() / 1_000_000_000,
            nanoseconds.unsigned_abs() % 1_000_000_000,
        );
        // The crate reckons in floating point: in two parts each is exact.
        return time::duration(Arc::new(format!("{sign}{seconds}s{rest}ns")));
    }
    if matches!(value, Value::Duration(_)) {
        Ok(value)
    } else {
        Err(ExecutionError::NoSuchOverload)
    }
}

fn not_converted(from: &str, to: &str) -> ExecutionError {
    ExecutionError::function_error(to, format!("type conversion error from '{from}' to '{to}'"))
}

/// `1h30m`, `-1.5s`, as Go reads it: at most 292 years.
fn nanoseconds(text: &str) -> Option<i64> {
    const UNITS: [(&str, i128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("\u{b5}s", 1_000),
        ("\u{3bc}s", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut sum = 0_i128;
    let mut parts = 0;
    while !rest.is_empty() {
        let number = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let (number, behind) = rest.split_at(rest.len() - number.len());
        let unit = behind.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '.');
        let (unit, behind) = behind.split_at(behind.len() - unit.len());
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        sum = sum.checked_add(if whole.is_empty() {
            0
        } else {
            whole.parse::<i128>().ok()?.checked_mul(*scale)?
        })?;
        // Beyond 18 digits there is less than a nanosecond.
        let fraction = fraction.get(..18).unwrap_or(fraction);
        if !fraction.is_empty() {
            let tenths = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
            sum += fraction.parse::<i128>().ok()? * scale / tenths;
        }
        rest = behind;
        parts += 1;
    }
    (parts > 0).then(|| i64::try_from(sign * sum).ok())?
}

/// With a pattern that is worked out: 3,000 characters against as many take 50 ms, most of it to compile.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is how the crate hands arguments over"
)]
fn matches(This(text): This<Arc<String>>, pattern: Arc<String>) -> Result<Value, ExecutionError> {
    let cost = 100 + pattern.len().saturating_mul(10 + text.len() / 40);
    spend(u64::try_from(cost).unwrap_or(u64::MAX))?;
    let pattern = Pattern::compile(&pattern).map_err(|why| ExecutionError::function_error("matches", why))?;
    Ok(Value::Bool(pattern.is_match(&text)))
}

/// Operators are part of the language.
pub(super) fn is_known(name: &str) -> bool {
    static ALL: LazyLock<Context<'static>> = LazyLock::new(|| context(Vec::new()));
    if name.starts_with('@') || name.contains('_') {
        return true;
    }
    let call = IdedExpr {
        id: 0,
        expr: Expr::Call(CallExpr {
            func_name: name.to_owned(),
            target: None,
            args: Vec::new(),
        }),
    };
    // Without arguments it fails; only one that is not there fails like this.
    !matches!(ALL.resolve(&call), Err(ExecutionError::UndeclaredReference(missing)) if *missing == name)
}
