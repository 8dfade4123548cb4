//! Which objects a list or a watch is about: by labels (`app=x,tier in (a, b),!old`) and by fields (`metadata.name=x`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::object::Object;
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
    /// `fields` are those that the kind can be selected by.
    pub fn parse(labels: &str, fields: &str, known: &[&str]) -> Result<Self, Status> {
        Ok(Self {
            labels: labels_of(labels)?,
            fields: fields_of(fields, known)?,
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

fn fields_of(text: &str, known: &[&str]) -> Result<Vec<FieldRequirement>, Status> {
    let mut requirements = Vec::new();
    for term in text.split(',').filter(|term| !term.is_empty()) {
        let (field, equal, value) = if let Some((field, value)) = term.split_once("!=") {
            (field, false, value)
        } else if let Some((field, value)) = term.split_once("==") {
            (field, true, value)
        } else if let Some((field, value)) = term.split_once('=') {
            (field, true, value)
        } else {
            return Err(Status::bad_request(format!(
                "unable to parse field selector \"{text}\": invalid selector: '{text}'; can't understand '{term}'"
            )));
        };
        if !known.contains(&field) {
            return Err(Status::bad_request(format!("field label not supported: {field}")));
        }
        requirements.push(FieldRequirement {
            field: field.to_owned(),
            equal,
            value: value.to_owned(),
        });
    }
    Ok(requirements)
}

fn labels_of(text: &str) -> Result<Vec<Requirement>, Status> {
    let wrong = |why: &str| Status::bad_request(format!("unable to parse requirement: {why}"));
    let mut words = Words(text.trim());
    let mut requirements = Vec::new();
    while !words.0.is_empty() {
        let requirement = one(&mut words).map_err(|why| wrong(&why))?;
        requirements.push(requirement);
        match words.next() {
            Some(",") if !words.0.is_empty() => {}
            Some(",") => return Err(wrong("found '', expected: identifier after ','")),
            Some(other) => {
                return Err(wrong(&format!(
                    "found '{other}', expected: ',' or 'end of string'"
                )));
            }
            None => break,
        }
    }
    Ok(requirements)
}

fn one(words: &mut Words<'_>) -> Result<Requirement, String> {
    let first = words.next().unwrap_or_default();
    if first == "!" {
        let key = words.key()?;
        return Ok(Requirement {
            key,
            rule: Rule::Absent,
        });
    }
    let key = key_of(first)?;
    let rule = match words.peek() {
        None | Some(",") => Rule::Exists,
        Some("=" | "==") => {
            words.next();
            Rule::In(BTreeSet::from([words.value()?]))
        }
        Some("!=") => {
            words.next();
            Rule::NotIn(BTreeSet::from([words.value()?]))
        }
        Some(">") => {
            words.next();
            Rule::Above(words.number()?)
        }
        Some("<") => {
            words.next();
            Rule::Below(words.number()?)
        }
        Some("in") => {
            words.next();
            Rule::In(words.set()?)
        }
        Some("notin") => {
            words.next();
            Rule::NotIn(words.set()?)
        }
        Some(other) => {
            return Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt"));
        }
    };
    Ok(Requirement { key, rule })
}

fn key_of(word: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if word.is_empty() || !word.chars().all(plain) {
        return Err(format!(
            "found '{word}', expected: !, identifier, or 'end of string'"
        ));
    }
    Ok(word.to_owned())
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

    fn key(&mut self) -> Result<String, String> {
        key_of(self.next().unwrap_or_default())
    }

    /// May be empty: `app=`.
    fn value(&mut self) -> Result<String, String> {
        match self.peek() {
            None | Some(",") => Ok(String::new()),
            Some(word) => {
                self.next();
                let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
                if word.len() > 63 || !word.chars().all(plain) {
                    return Err(format!("found '{word}', expected: identifier"));
                }
                Ok(word.to_owned())
            }
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        let value = self.value()?;
        value
            .parse()
            .map_err(|_| format!("values[0][]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer"))
    }

    fn set(&mut self) -> Result<BTreeSet<String>, String> {
        match self.next() {
            Some("(") => {}
            other => return Err(format!("found '{}' expected: '('", other.unwrap_or_default())),
        }
        let mut values = BTreeSet::new();
        loop {
            match self.peek() {
                Some(")") => {
                    self.next();
                    if values.is_empty() {
                        values.insert(String::new());
                    }
                    return Ok(values);
                }
                Some(",") => {
                    self.next();
                    if matches!(self.peek(), Some("," | ")")) {
                        values.insert(String::new());
                    }
                }
                Some(_) => {
                    values.insert(self.value()?);
                }
                None => return Err("found '', expected: ',' or ')'".to_owned()),
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
        Selector::parse(labels, fields, &known)
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
    fn what_is_no_selector_is_refused() {
        for (labels, fields) in [
            ("app=x,", ""),
            ("=x", ""),
            ("app in x", ""),
            ("app in (x", ""),
            ("rank>high", ""),
            ("a b", ""),
            ("", "metadata.name"),
            ("", "spec.x=1"),
        ] {
            let refused = Selector::parse(labels, fields, &["metadata.name"]).unwrap_err();
            assert_eq!(refused.code, 400, "{labels} {fields}");
        }
    }
}
