//! Runs a template: counted steps, a bounded result, no functions, no other template.

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, filters, tests};

use super::document::Document;
use super::law;
use super::variables::Variables;
use super::{Body, Template, TemplateError};

/// What one document may come to, in bytes. Gateways show a model 20,000 characters of a file.
pub const LARGEST: usize = 256 * 1024;

/// Instructions of a rendering. The lead of a full board of a thousand needs 15,000.
const STEPS: u64 = 40_000;

/// What a filter may make of its input, in bytes: the longest field of a resource has 8,000 characters.
const LARGEST_VALUE: usize = 64 * 1024;

/// The document's text: it begins with a letter and ends with one line break, or is empty.
pub fn render(template: &Template<'_>, variables: &Variables) -> Result<String, TemplateError> {
    let Template {
        source,
        document,
        body,
    } = *template;
    let sees_token = document == Document::Tools.name();
    let failed = |line: usize, what: String| TemplateError {
        source: source.to_owned(),
        document: document.to_owned(),
        line: line.max(1),
        what,
    };
    let whole = match body {
        Body::BuiltIn(document) => document.template(),
        Body::Given(text) => text,
    };
    let in_words = |error: Error| {
        let what = words(&error, whole, sees_token);
        failed(error.line().unwrap_or(1), what)
    };
    let environment: &Environment<'_> = &ENVIRONMENT;
    let parsed = match body {
        Body::BuiltIn(document) => environment.get_template(document.name()).map_err(in_words)?,
        Body::Given(text) => {
            if text.len() > LARGEST {
                return Err(failed(
                    1,
                    format!("has {} bytes; at most {LARGEST} are rendered", text.len()),
                ));
            }
            law::keeps(text, variables, sees_token).map_err(|broken| failed(broken.line, broken.what))?;
            environment
                .template_from_named_str(document, text)
                .map_err(in_words)?
        }
    };
    // A slice takes what fits and refuses the rest.
    let mut room = vec![0; LARGEST];
    let mut rest = room.as_mut_slice();
    parsed
        .render_captured_to(variables.context(sees_token), &mut rest)
        .map_err(in_words)?;
    let written = LARGEST.saturating_sub(rest.len());
    room.truncate(written);
    let text = String::from_utf8(room).map_err(|_| failed(1, "does not give text".to_owned()))?;
    let text = text.trim_start_matches(['\n', '\r']).trim_end();
    Ok(if text.is_empty() {
        String::new()
    } else {
        format!("{text}\n")
    })
}

/// With the built-in templates, each parsed once: a fleet of ten thousand renders the same eleven.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = environment();
    for document in Document::ALL {
        // A test renders all of them; one that could not be parsed would be said to be missing.
        environment
            .add_template(document.name(), document.template())
            .ok();
    }
    environment
});

fn environment<'a>() -> Environment<'a> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(STEPS));
    environment.set_recursion_limit(100);
    environment.set_debug(false);
    environment.set_syntax(syntax());
    environment.add_filter("lower", filters::lower);
    environment.add_filter("upper", filters::upper);
    environment.add_filter("title", filters::title);
    environment.add_filter("capitalize", filters::capitalize);
    environment.add_filter("trim", filters::trim);
    environment.add_filter("default", filters::default);
    environment.add_filter("d", filters::default);
    environment.add_filter("length", filters::length);
    environment.add_filter("count", filters::length);
    environment.add_filter("first", filters::first);
    environment.add_filter("last", filters::last);
    environment.add_filter("split", filters::split);
    environment.add_filter("lines", filters::lines);
    environment.add_filter("sort", filters::sort);
    environment.add_filter("reverse", filters::reverse);
    environment.add_filter("unique", filters::unique);
    environment.add_filter("selectattr", filters::selectattr);
    environment.add_filter("rejectattr", filters::rejectattr);
    environment.add_filter("int", filters::int);
    environment.add_filter("join", join);
    environment.add_filter("replace", replace);
    environment.add_filter("indent", indent);
    environment.add_filter("map", map);
    environment.add_test("defined", tests::is_defined);
    environment.add_test("undefined", tests::is_undefined);
    environment.add_test("eq", tests::is_eq);
    environment.add_test("equalto", tests::is_eq);
    environment.add_test("ne", tests::is_ne);
    environment.add_test("in", tests::is_in);
    environment.add_test("startingwith", tests::is_startingwith);
    environment.add_test("endingwith", tests::is_endingwith);
    environment.add_test("odd", tests::is_odd);
    environment.add_test("even", tests::is_even);
    environment
}

/// All that a template can call, for who calls something else.
pub(super) const FILTERS: &str = "lower, upper, title, capitalize, trim, default, length, first, last, split, lines, sort, \
     reverse, unique, selectattr, rejectattr, map(attribute=...), join, replace, indent, int";

pub(super) const TESTS: &str = "defined, undefined, eq, ne, in, startingwith, endingwith, odd, even";

/// A line that holds a tag alone leaves no empty line behind.
pub(super) fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .unwrap_or_default()
}

// The filters that could make much of little are our own, with a bound.

fn join(value: &Value, between: Option<&str>) -> Result<String, Error> {
    let between = between.unwrap_or_default();
    let mut joined = String::new();
    for (index, item) in value.try_iter()?.enumerate() {
        if index > 0 {
            joined.push_str(between);
        }
        match item.as_str() {
            Some(text) => joined.push_str(text),
            None => joined.push_str(&item.to_string()),
        }
        within(joined.len())?;
    }
    Ok(joined)
}

fn replace(value: &str, from: &str, to: &str) -> Result<String, Error> {
    let found = value.matches(from).count();
    within(value.len().saturating_add(found.saturating_mul(to.len())))?;
    Ok(value.replace(from, to))
}

fn indent(value: &str, width: Option<usize>) -> Result<String, Error> {
    let width = width.unwrap_or(4);
    let lines = value.matches('\n').count();
    within(value.len().saturating_add(lines.saturating_mul(width)))?;
    let space = " ".repeat(width);
    let mut lines = value.split('\n');
    let mut indented = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        indented.push('\n');
        if !line.is_empty() {
            indented.push_str(&space);
        }
        indented.push_str(line);
    }
    Ok(indented)
}

/// With `attribute` alone: with a filter's name it could make a long text of each letter of another.
#[expect(clippy::needless_pass_by_value, reason = "a filter is given its options so")]
fn map(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let attribute: &str = options.get("attribute")?;
    options.assert_all_used()?;
    let field = |item: Value| {
        let found = item.get_attr(attribute)?;
        if found.is_undefined() {
            Err(Error::from(ErrorKind::UndefinedError))
        } else {
            Ok(found)
        }
    };
    value
        .try_iter()?
        .map(field)
        .collect::<Result<Vec<_>, _>>()
        .map(Value::from)
}

fn within(bytes: usize) -> Result<(), Error> {
    if bytes > LARGEST_VALUE {
        let what = format!("makes a text of more than {LARGEST_VALUE} bytes");
        return Err(Error::new(ErrorKind::InvalidOperation, what));
    }
    Ok(())
}

/// What the engine says, in a line of ours. Where the token is in reach its details are left out: some repeat a value.
fn words(error: &Error, template: &str, sees_token: bool) -> String {
    let detail = || {
        let detail = error.detail().unwrap_or("no more is known");
        super::one_line(detail).chars().take(300).collect::<String>()
    };
    let kind = error.kind();
    // Not our enum, and not an exhaustive one.
    if kind == ErrorKind::OutOfFuel {
        format!("takes more than {STEPS} steps: make its loops shorter, or take out a loop in a loop")
    } else if kind == ErrorKind::WriteFailure {
        format!("gives more than {LARGEST} bytes: shorten what it repeats")
    } else if kind == ErrorKind::SyntaxError {
        format!("{}{}", detail(), hint(error.detail().unwrap_or_default()))
    } else if kind == ErrorKind::UnknownFilter {
        format!("{}. These are there: {FILTERS}", detail())
    } else if kind == ErrorKind::UnknownTest {
        format!("{}. These are there: {TESTS}", detail())
    } else if kind == ErrorKind::UndefinedError {
        let at = error
            .range()
            .and_then(|range| template.get(range))
            .unwrap_or("it");
        let at: String = super::one_line(at).chars().take(100).collect();
        format!(
            "{at:?} uses something that is not defined, such as a field that an item of a list does not have"
        )
    } else if sees_token {
        kind.to_string()
    } else {
        format!("{kind}: {}", detail())
    }
}

fn hint(detail: &str) -> &'static str {
    if detail.contains("unknown statement") {
        ". A template is one text by itself: if, for, set and with are the statements there are"
    } else {
        ""
    }
}
