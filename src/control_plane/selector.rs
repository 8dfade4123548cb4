//! Which objects a list or a watch is about: by labels (`app=x,tier in (a, b),!old`) and by fields (`metadata.name=x`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::object::Object;
use super::registry::{wrong_with_key, wrong_with_label};
use super::status::Status;

/// Both selectors of a request. Empty, it selects everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    rule: Rule,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    In(BTreeSet<String>),
    /// Also true where the label is not there.
    NotIn(BTreeSet<String>),
    Exists,
    Absent,
    Above(i64),
    Below(i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldRequirement {
    field: String,
    equal: bool,
    value: String,
}

impl Selector {
    /// `known` are the fields that the kind can be selected by; `plain` says that no kind has fewer.
    pub fn parse(labels: &str, fields: &str, known: &[&str], plain: bool) -> Result<Self, Status> {
        Ok(Self {
            labels: labels_of(labels)?,
            fields: fields_of(fields, known, plain)?,
        })
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub fn selects(&self, object: &Object) -> bool {
        self.labels.iter().all(|requirement| requirement.holds(object))
            && self.fields.iter().all(|requirement| requirement.holds(object))
    }
}

impl Requirement {
    fn holds(&self, object: &Object) -> bool {
        let labels = object.metadata().and_then(|metadata| metadata.get("labels"));
        let value = labels
            .and_then(|labels| labels.get(&self.key))
            .and_then(Value::as_str);
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.rule {
            Rule::In(values) => value.is_some_and(|value| values.contains(value)),
            Rule::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Rule::Exists => value.is_some(),
            Rule::Absent => value.is_none(),
            Rule::Above(bound) => number().is_some_and(|number| number > *bound),
            Rule::Below(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

impl FieldRequirement {
    fn holds(&self, object: &Object) -> bool {
        let found = field(object, &self.field);
        (found == self.value) == self.equal
    }
}

/// A field as selectors see it: absent is empty.
fn field(object: &Object, path: &str) -> String {
    // An Event's source may be told in the new words.
    if path == "source" {
        let of = |path| field(object, path);
        let component = of("source.component");
        return if component.is_empty() {
            of("reportingComponent")
        } else {
            component
        };
    }
    let mut names = path.split('.');
    let first = names.next().and_then(|name| object.fields().get(name));
    match names
        .try_fold(first, |value, name| Some(value?.get(name)))
        .flatten()
    {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(yes)) => yes.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => String::new(),
    }
}

fn fields_of(text: &str, known: &[&str], plain: bool) -> Result<Vec<FieldRequirement>, Status> {
    let mut requirements = as_written(text)?;
    // Nothing is asked of nothing.
    requirements.retain(|requirement| !requirement.field.is_empty() || !requirement.value.is_empty());
    for FieldRequirement { field, .. } in &requirements {
        if !known.contains(&field.as_str()) {
            let why = if plain {
                format!(
                    "{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                )
            } else {
                format!("field label not supported: {field}")
            };
            return Err(Status::bad_request(why));
        }
    }
    Ok(requirements)
}

/// The name that a selector of fields demands, as the API server's authorization sees it: the first that is equal.
pub fn exact_name(fields: &str) -> Option<String> {
    let mut requirements = as_written(fields).ok()?.into_iter();
    let first = requirements.find(|requirement| requirement.equal && requirement.field == NAME)?;
    Some(first.value).filter(|name| !name.is_empty())
}

/// A selector that demands this name.
pub fn of_name(name: &str) -> String {
    let mut selector = format!("{NAME}=");
    for c in name.chars() {
        if matches!(c, '\\' | ',' | '=') {
            selector.push('\\');
        }
        selector.push(c);
    }
    selector
}

const NAME: &str = "metadata.name";

/// Whatever the fields are. The only reading of a selector of fields: what may be seen and what is shown depend on the same.
fn as_written(text: &str) -> Result<Vec<FieldRequirement>, Status> {
    terms(text)
        .into_iter()
        .map(|term| {
            let (field, equal, value) = parted(term).ok_or_else(|| {
                Status::bad_request(format!("invalid selector: '{text}'; can't understand '{term}'"))
            })?;
            Ok(FieldRequirement {
                field: field.to_owned(),
                equal,
                value: unescaped(value)?,
            })
        })
        .collect()
}

/// At the first sign: what comes after it is the value, whatever it holds.
fn parted(term: &str) -> Option<(&str, bool, &str)> {
    let (at, _) = term
        .char_indices()
        .find(|(at, c)| *c == '=' || term.get(*at..).is_some_and(|rest| rest.starts_with("!=")))?;
    let (field, rest) = term.split_at_checked(at)?;
    let (equal, value) = if let Some(value) = rest.strip_prefix("!=") {
        (false, value)
    } else {
        let value = rest.strip_prefix("==").or_else(|| rest.strip_prefix('='))?;
        (true, value)
    };
    Some((field, equal, value))
}

/// Parted by commas, but for those after a backslash.
fn terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut from, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        if c == ',' && !escaped {
            terms.push(text.get(from..at).unwrap_or_default());
            from = at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    terms.push(text.get(from..).unwrap_or_default());
    terms.retain(|term| !term.is_empty());
    terms
}

fn unescaped(value: &str) -> Result<String, Status> {
    let wrong = |why: String| Status::bad_request(format!("invalid field selector: {why}"));
    let mut plain = String::with_capacity(value.len());
    let mut escaped = false;
    for c in value.chars() {
        match (escaped, c) {
            (true, '\\' | ',' | '=') => plain.push(c),
            (true, _) => return Err(wrong(format!("invalid escape sequence: \\{c}"))),
            (false, '\\') => {}
            // The API server tells the number of the character.
            (false, ',' | '=') => {
                let code = u32::from(c);
                return Err(wrong(format!("unescaped character in value: {code}")));
            }
            (false, _) => plain.push(c),
        }
        escaped = !escaped && c == '\\';
    }
    if escaped {
        return Err(wrong("invalid escape sequence: \\".to_owned()));
    }
    Ok(plain)
}

fn labels_of(text: &str) -> Result<Vec<Requirement>, Status> {
    let mut words = Words(text.trim_start());
    let mut requirements = Vec::new();
    loop {
        match words.peek() {
            None => return Ok(requirements),
            Some(word) if word == "!" || is_name(word) => {}
            Some(word) => {
                let why = format!("found '{word}', expected: !, identifier, or 'end of string'");
                return Err(Status::bad_request(why));
            }
        }
        let requirement = one(&mut words)
            .map_err(|why| Status::bad_request(format!("unable to parse requirement: {why}")))?;
        requirements.push(requirement);
        let why = match words.next() {
            None => return Ok(requirements),
            Some(",") => match words.peek() {
                Some(word) if word == "!" || is_name(word) => continue,
                next => format!(
                    "found '{}', expected: identifier after ','",
                    next.unwrap_or_default()
                ),
            },
            Some(other) => format!("found '{other}', expected: ',' or 'end of string'"),
        };
        return Err(Status::bad_request(why));
    }
}

fn one(words: &mut Words<'_>) -> Result<Requirement, String> {
    let mut first = words.next().unwrap_or_default();
    let absent = first == "!";
    if absent {
        first = words.next().unwrap_or_default();
    }
    let key = key_of(first)?;
    if absent {
        return Ok(Requirement {
            key,
            rule: Rule::Absent,
        });
    }
    if matches!(words.peek(), None | Some(",")) {
        return Ok(Requirement {
            key,
            rule: Rule::Exists,
        });
    }
    let sign = words.next().unwrap_or_default();
    let rule = match sign {
        "=" | "==" => Rule::In(BTreeSet::from([checked(&key, words.value()?)?])),
        "!=" => Rule::NotIn(BTreeSet::from([checked(&key, words.value()?)?])),
        ">" => Rule::Above(number(&words.value()?)?),
        "<" => Rule::Below(number(&words.value()?)?),
        "in" => Rule::In(checked_all(&key, words.set()?)?),
        "notin" => Rule::NotIn(checked_all(&key, words.set()?)?),
        other => {
            return Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt"));
        }
    };
    Ok(Requirement { key, rule })
}

fn checked_all(key: &str, values: BTreeSet<String>) -> Result<BTreeSet<String>, String> {
    for value in &values {
        checked(key, value.clone())?;
    }
    Ok(values)
}

/// What no label's value can be, none has.
fn checked(key: &str, value: String) -> Result<String, String> {
    let wrong = wrong_with_label(&value);
    if wrong.is_empty() {
        return Ok(value);
    }
    Err(format!(
        "values[0][{key}]: Invalid value: {value:?}: {}",
        wrong.join("; ")
    ))
}

fn number(value: &str) -> Result<i64, String> {
    value.parse().map_err(|_| {
        format!("values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer")
    })
}

fn is_name(word: &str) -> bool {
    !word.is_empty() && !word.starts_with(['=', '!', '<', '>', '(', ')', ','])
}

fn key_of(word: &str) -> Result<String, String> {
    if !is_name(word) {
        return Err(format!("found '{word}', expected: identifier"));
    }
    let wrong = wrong_with_key(word);
    if wrong.is_empty() {
        return Ok(word.to_owned());
    }
    Err(format!("<nil>: Invalid value: {word:?}: {}", wrong.join("; ")))
}

/// The selector's words: names, and `= == != ! < > ( ) ,`.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        const SIGNS: [&str; 9] = ["==", "!=", "=", "!", "<", ">", "(", ")", ","];
        let text = self.0;
        if text.is_empty() {
            return None;
        }
        let sign = SIGNS.iter().find(|sign| text.starts_with(**sign));
        let end = match sign {
            Some(sign) => sign.len(),
            None => text
                .find(|c: char| "=!<>(),".contains(c) || c.is_whitespace())
                .unwrap_or(text.len()),
        };
        text.get(..end)
    }

    fn next(&mut self) -> Option<&'a str> {
        let word = self.peek()?;
        self.0 = self.0.get(word.len()..).unwrap_or_default().trim_start();
        Some(word)
    }

    /// May be empty: `app=`.
    fn value(&mut self) -> Result<String, String> {
        if matches!(self.peek(), None | Some(",")) {
            return Ok(String::new());
        }
        let word = self.next().unwrap_or_default();
        if is_name(word) {
            return Ok(word.to_owned());
        }
        Err(format!("found '{word}', expected: identifier"))
    }

    fn set(&mut self) -> Result<BTreeSet<String>, String> {
        match self.next() {
            Some("(") => {}
            other => return Err(format!("found '{}' expected: '('", other.unwrap_or_default())),
        }
        if self.peek() == Some(")") {
            self.next();
            return Ok(BTreeSet::from([String::new()]));
        }
        if !self.peek().is_some_and(|word| word == "," || is_name(word)) {
            let word = self.peek().unwrap_or_default();
            return Err(format!("found '{word}', expected: ',', ')' or identifier"));
        }
        let mut values = BTreeSet::new();
        loop {
            match self.next() {
                Some(",") => {
                    if values.is_empty() || matches!(self.peek(), Some("," | ")")) {
                        values.insert(String::new());
                    }
                }
                Some(")") => return Ok(values),
                Some(word) if is_name(word) => {
                    values.insert(word.to_owned());
                    if !matches!(self.peek(), Some("," | ")")) {
                        let word = self.peek().unwrap_or_default();
                        return Err(format!("found '{word}', expected: ',' or ')'"));
                    }
                }
                other => {
                    let word = other.unwrap_or_default();
                    return Err(format!("found '{word}', expected: ',', or identifier"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selects(labels: &str, fields: &str) -> bool {
        let object = Object::of(json!({
            "metadata": { "name": "a", "namespace": "n", "labels": { "app": "x", "rank": "7" } },
            "involvedObject": { "kind": "Agent" }, "reportingComponent": "quartermaster",
        }));
        let known = ["metadata.name", "involvedObject.kind", "source"];
        Selector::parse(labels, fields, &known, false)
            .unwrap()
            .selects(&object.unwrap())
    }

    #[test]
    fn labels() {
        for text in [
            "",
            "app",
            "app=x",
            "app == x",
            "app!=y",
            "other!=y",
            "!other",
            "app in (x, y)",
            "app notin (y)",
            "rank>6",
            "rank<8",
            "app=x,rank=7",
            "other notin (a,b),app",
        ] {
            assert!(selects(text, ""), "{text}");
        }
        for text in [
            "app=y",
            "!app",
            "other",
            "app notin (x)",
            "rank>7",
            "app=x,rank=8",
            "app=",
            "app in ()",
        ] {
            assert!(!selects(text, ""), "{text}");
        }
    }

    #[test]
    fn fields() {
        assert!(selects("", "metadata.name=a"));
        assert!(selects(
            "",
            "metadata.name!=b,involvedObject.kind==Agent,source=quartermaster"
        ));
        assert!(!selects("", "metadata.name=b"));
    }

    #[test]
    fn a_name_is_demanded_by_the_same_reading_that_selects() {
        for name in ["a", r"a,b\c=d"] {
            assert_eq!(exact_name(&of_name(name)).as_deref(), Some(name));
        }
        for fields in [
            "",
            r"type!=x\,metadata.name=a",
            "metadata.name!=a",
            "type=metadata.name=a",
        ] {
            assert_eq!(exact_name(fields), None, "{fields}");
        }
        assert_eq!(
            exact_name("metadata.name=a,metadata.name=b").as_deref(),
            Some("a")
        );
        assert!(!selects("", "metadata.name=a,metadata.name=b"));
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for (labels, fields) in [
            ("app=x,", ""),
            ("=x", ""),
            ("app in x", ""),
            ("app in (x", ""),
            ("rank>high", ""),
            ("a b", ""),
            ("", "metadata.name"),
            ("", "metadata.name=a=b"),
            ("", r"metadata.name=a\b"),
            ("", r"metadata.name=a\"),
            ("", "spec.x=1"),
        ] {
            let refused = Selector::parse(labels, fields, &["metadata.name"], false).unwrap_err();
            assert_eq!(refused.code, 400, "{labels} {fields}");
        }
    }
}
