//! What differs on purpose, and why. Each is as narrow as it can be said; everything else must be the same.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::case::Step;

/// In every text: what is replaced, by what, and why it cannot be the same.
#[rustfmt::skip]
const WORDINGS: &[(&str, &str, &str)] = &[
    (r#" in scheme "[^"]*""#, "",
     "where in Kubernetes' source a table of types was made"),
    (r"converting \([\w.]+\) to \([\w.]+\): ", "",
     "the names of Go's types; which kinds beside ours there are is not known here"),
    (r#"ClusterRoleBinding "system:[\w-]+" of ClusterRole "system:[\w-]+""#, "<a role of everybody's>",
     "several roles of everybody's allow the same, and any of them may be told"),
    (r"is not a list \([^)]*\)", "is not a list",
     "the name of a Go type"),
    (r"continue key is not valid: .*", "continue key is not valid",
     "the words of Go's parser of JSON"),
    (r"json: cannot unmarshal .*", "<a value of the wrong type>",
     "Go's words for a JSON value that does not fit into a Go type"),
    (r#"(?s)(error strict decoding YAML: error converting YAML to JSON: ).*"#, "${1}<syntax>",
     "the words of Go's parser of YAML: which key is there twice, and in which line"),
    (r#"(json parse error: |error decoding patch: |error decoding YAML: |error converting YAML to JSON: ).*"#, "${1}<syntax>",
     "the words of Go's parsers of JSON and YAML; where it is wrong is said in our parser's words"),
    (r#"^(unexpected end of JSON input|invalid character .*|EOF .*|expected .* at line \d+ column \d+|trailing characters .*)$"#, "<syntax>",
     "the same, where the message is nothing else"),
    (r#"parsing time ("[^"]*") as .*"#, "parsing time $1 <as RFC 3339>",
     "Go names the part of its reference time at which it gave up"),
    (r"StorageError: invalid object, Code: 4, Key: [^ ,]+, ResourceVersion: 0, AdditionalErrorMsg: ", "",
     "a key in etcd"),
    (r#"patch: Invalid value: ("\{.*\}"|"map\[.*\]"|<secret contents redacted>): "#, "patch: Invalid value: <the patched object>: ",
     "the patched object is printed in the order in which Go's library happens to have it; of a Secret ours prints nothing"),
    (r#"^Invalid value: ("\{.*\}"|"map\[.*\]"|<secret contents redacted>): "#, "Invalid value: <the patched object>: ",
     "the same, as a cause"),
    (r"(Too large resource version: \d+, current: )\d+", "${1}<version>",
     "each server counts its own writes"),
    (r"(too old resource version: \d+ \()\d+", "${1}<version>",
     "the same: from where on each knows what happened"),
    (r"requested .* without impersonating a user name", "requested groups without impersonating a user name",
     "a Go struct, printed"),
    (r#""<secret contents redacted>": .*"#, "<secret contents redacted>: <syntax>",
     "the words of Go's parser of JSON"),
];

static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    WORDINGS
        .iter()
        .map(|(pattern, shown, _)| (Regex::new(pattern).unwrap(), *shown))
        .collect()
});

pub fn declared(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, shown) in PATTERNS.iter() {
        text = pattern.replace_all(&text, *shown).into_owned();
    }
    in_any_order(text)
}

/// Unknown fields of Kubernetes' own kinds are listed in the order of the document, which is not kept here.
fn in_any_order(text: String) -> String {
    const BEGINS: &str = "strict decoding error: ";
    let Some((before, fields)) = text.split_once(BEGINS) else {
        return text;
    };
    let mut fields: Vec<&str> = fields.split(", ").collect();
    fields.sort_unstable();
    format!("{before}{BEGINS}{}", fields.join(", "))
}

/// How many there are, for the evidence.
pub fn count() -> usize {
    WORDINGS.len() + ANSWERS.len() + 1
}

type Rule = fn(ours: &mut Value, theirs: &mut Value);

/// In the answers to some paths: which, what is done to both, and why.
#[rustfmt::skip]
const ANSWERS: &[(&str, Rule, &str)] = &[
    ("/version", same_fields_only, "another program, built otherwise; the version served is the same minor"),
    ("/", status_only, "the paths of a whole cluster; ours has fewer"),
    ("/api", without_addresses, "a server tells by which addresses it is reached; ours listens on one machine"),
    ("/api/", without_addresses, "the same"),
    ("/api/v1?timeout=32s", served_here, "there are no pods here: fewer kinds in the group"),
    ("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", rules_in_any_order,
     "rules are told in the order of a Go map; ours publishes no keys, so nobody needs a rule to read them"),
    ("/apis/", served_here, "the same; and a hash of a storage version, of which there is one"),
];

pub fn declare(step: &Step, ours: &mut Value, theirs: &mut Value) {
    for (path, rule, _) in ANSWERS {
        // A body that nests deeper than 100 levels is refused as such; the API server's parser gives up at 10,000.
        if step
            .body
            .as_ref()
            .is_some_and(|body| body.contains("<<[*10001>>"))
        {
            status_only(ours, theirs);
        }
        let is_document =
            step.path == *path || (*path == "/apis/" && ours["body"]["kind"] == "APIResourceList");
        if is_document {
            rule(ours, theirs);
        }
    }
}

fn status_only(ours: &mut Value, theirs: &mut Value) {
    for side in [ours, theirs] {
        side["body"] = Value::Null;
    }
}

fn rules_in_any_order(ours: &mut Value, theirs: &mut Value) {
    for side in [ours, theirs] {
        for name in ["resourceRules", "nonResourceRules"] {
            // A refusal's status is a word.
            let rules = side.pointer_mut(&format!("/body/status/{name}"));
            let Some(rules) = rules.and_then(Value::as_array_mut) else {
                continue;
            };
            rules.retain(|rule| !rule.to_string().contains("openid"));
            rules.sort_by_key(Value::to_string);
        }
    }
}

fn without_addresses(ours: &mut Value, theirs: &mut Value) {
    for side in [ours, theirs] {
        side["body"]["serverAddressByClientCIDRs"] = Value::Null;
    }
}

fn same_fields_only(ours: &mut Value, theirs: &mut Value) {
    for side in [ours, theirs] {
        if let Some(body) = side["body"].as_object_mut() {
            body.retain(|name, _| name == "major" || name == "minor");
        }
    }
}

fn served_here(ours: &mut Value, theirs: &mut Value) {
    let names: Vec<Value> = ours["body"]["resources"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|resource| resource["name"].clone())
        .collect();
    for side in [ours, theirs] {
        let Some(resources) = side["body"]["resources"].as_array_mut() else {
            continue;
        };
        resources.retain(|resource| names.contains(&resource["name"]));
        for resource in resources.iter_mut() {
            if let Some(fields) = resource.as_object_mut() {
                fields.remove("storageVersionHash");
            }
        }
        resources.sort_by_key(|resource| resource["name"].to_string());
    }
}
