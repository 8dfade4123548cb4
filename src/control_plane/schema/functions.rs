//! The functions that rules may call: the standard ones and Kubernetes' from their crates, and ours where those are slow
//! or other than the API server's.

use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use kube_cel::KubeCelExt;
use kube_cel::cel::common::ast::{CallExpr, Expr, IdedExpr};
use kube_cel::cel::extractors::This;
use kube_cel::cel::{Context, ExecutionError, Value};

use super::pattern::Pattern;

/// Stands for `matches` with a literal: its last argument is the pattern's place in the schema. Compiling a pattern takes
/// about 50 µs, matching one far less than one.
pub(super) const MATCHES_COMPILED: &str = "@matches";

/// Asked before each round of a loop. Fails when the rules have gone round too often.
pub(super) const MAY_GO_ON: &str = "@mayGoOn";

/// A million rounds of cheap work, or fewer over much data: about a second. The API server has a finer measure of about
/// the same height.
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
    context.add_function("size", size);
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
    WORK_LEFT.set(WORK_LEFT.get().saturating_sub(WORK_A_ROUND.get()));
    if is_exhausted() {
        return Err(ExecutionError::function_error(MAY_GO_ON, "too many rounds"));
    }
    Ok(Value::Bool(true))
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

/// With a pattern that is worked out.
#[expect(clippy::needless_pass_by_value, reason = "it is how the crate hands arguments over")]
fn matches(This(text): This<Arc<String>>, pattern: Arc<String>) -> Result<Value, ExecutionError> {
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
