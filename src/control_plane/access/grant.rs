//! PURE. Nobody grants more than they may: what of the rules that are to be granted is not held.

use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::rules::{Part, allows};

/// A rule is as many single permissions as its lists multiply to: 2.7 kB were 400,000 and took 2 s. No Role that anybody
/// writes by hand comes near.
pub const MOST: usize = 10_000;

/// Of what a refusal tells: the words in it are the sender's, and as long as the sender likes.
const TOLD: usize = 64 << 10;

/// Why something may not be granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// In lines, as the API server prints them.
    NotHeld(String),
    TooMany,
}

/// Whether all that is `wanted` is held.
pub fn check(held: &[&PolicyRule], wanted: &[PolicyRule]) -> Result<(), Refused> {
    let all = wanted.iter().map(how_many).fold(0, usize::saturating_add);
    if all > MOST {
        return Err(Refused::TooMany);
    }
    let missing = wanted
        .iter()
        .flat_map(every_part)
        .filter(|part| !held.iter().any(|own| allows(own, part)));
    let mut verbs_of: BTreeMap<Of<'_>, Vec<&str>> = BTreeMap::new();
    for part in missing {
        let (of, verb) = match part {
            Part::Objects {
                verb,
                group,
                resource,
                name,
            } => (
                Of::Objects {
                    group,
                    resource,
                    name,
                },
                verb,
            ),
            Part::Path { verb, path } => (Of::Path { path, verb }, verb),
        };
        verbs_of.entry(of).or_default().push(verb);
    }
    if verbs_of.is_empty() {
        return Ok(());
    }
    Err(Refused::NotHeld(told(&verbs_of)))
}

/// What is told in one line: the verbs of an object together, those of a path each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Of<'a> {
    Objects {
        group: &'a str,
        resource: &'a str,
        name: Option<&'a str>,
    },
    Path {
        path: &'a str,
        verb: &'a str,
    },
}

fn told(verbs_of: &BTreeMap<Of<'_>, Vec<&str>>) -> String {
    let (mut lines, mut letters) = (Vec::new(), 0);
    for (of, verbs) in verbs_of {
        let line = match of {
            Of::Objects {
                group,
                resource,
                name,
            } => {
                let named = name.map(|name| format!(", ResourceNames:[{name:?}]"));
                format!(
                    "{{APIGroups:[{group:?}], Resources:[{resource:?}]{}, Verbs:{}}}",
                    named.unwrap_or_default(),
                    list(verbs)
                )
            }
            Of::Path { path, verb } => format!("{{NonResourceURLs:[{path:?}], Verbs:[{verb:?}]}}"),
        };
        letters += line.len();
        if letters > TOLD {
            break;
        }
        lines.push(line);
    }
    let more = verbs_of.len() - lines.len();
    lines.sort();
    lines.dedup();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

fn list(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("[{}]", words.join(" "))
}

fn words(list: &Option<Vec<String>>) -> &[String] {
    list.as_deref().unwrap_or_default()
}

fn how_many(rule: &PolicyRule) -> usize {
    let objects = words(&rule.api_groups)
        .len()
        .saturating_mul(words(&rule.resources).len())
        .saturating_mul(words(&rule.resource_names).len().max(1));
    let each = objects.saturating_add(words(&rule.non_resource_urls).len());
    rule.verbs.len().saturating_mul(each)
}

/// What a rule allows, one by one, none of it copied. Wildcards stand for themselves.
fn every_part(rule: &PolicyRule) -> impl Iterator<Item = Part<'_>> {
    let names = words(&rule.resource_names);
    let objects = words(&rule.api_groups).iter().flat_map(move |group| {
        words(&rule.resources).iter().flat_map(move |resource| {
            rule.verbs.iter().flat_map(move |verb| {
                let of = move |name| Part::Objects {
                    verb,
                    group,
                    resource,
                    name,
                };
                let nameless = names.is_empty().then(|| of(None));
                nameless
                    .into_iter()
                    .chain(names.iter().map(move |name| of(Some(name.as_str()))))
            })
        })
    });
    let paths = words(&rule.non_resource_urls)
        .iter()
        .flat_map(move |path| rule.verbs.iter().map(move |verb| Part::Path { verb, path }));
    objects.chain(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(verbs: &[&str], resources: &[&str], names: &[&str]) -> PolicyRule {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        PolicyRule {
            api_groups: Some(words(&["quartermaster.dev"])),
            resources: Some(words(resources)),
            resource_names: Some(words(names)),
            verbs: words(verbs),
            ..PolicyRule::default()
        }
    }

    fn refused(held: &PolicyRule, wanted: PolicyRule) -> String {
        match check(&[held], &[wanted]) {
            Ok(()) => String::new(),
            Err(Refused::NotHeld(lines)) => lines,
            Err(Refused::TooMany) => "too many".to_owned(),
        }
    }

    #[test]
    fn nobody_grants_more_than_they_may_and_is_told_what_is_missing() {
        let held = rule(&["get", "patch"], &["agents", "agents/status"], &[]);
        assert_eq!(refused(&held, rule(&["get"], &["agents"], &[])), "");
        assert_eq!(refused(&held, rule(&["get"], &["agents"], &["a"])), "");
        assert_eq!(
            refused(
                &held,
                rule(&["get", "delete", "list"], &["agents", "boards"], &[])
            ),
            "{APIGroups:[\"quartermaster.dev\"], Resources:[\"agents\"], Verbs:[\"delete\" \"list\"]}\n\
             {APIGroups:[\"quartermaster.dev\"], Resources:[\"boards\"], Verbs:[\"get\" \"delete\" \"list\"]}"
        );
        assert!(refused(&held, rule(&["*"], &["agents"], &[])).contains("Verbs:[\"*\"]"));
        assert!(refused(&held, rule(&["get"], &["*"], &[])).contains("Resources:[\"*\"]"));
        let held = rule(&["get"], &["agents"], &["a"]);
        assert!(!refused(&held, rule(&["get"], &["agents"], &[])).is_empty());
        let lines = refused(&held, rule(&["get"], &["agents"], &["a", "b"]));
        assert!(
            lines.contains("ResourceNames:[\"b\"]") && !lines.contains("[\"a\"]"),
            "{lines}"
        );
    }

    #[test]
    fn what_multiplies_beyond_all_measure_is_refused_before_it_is_looked_at() {
        let held = rule(&["*"], &["*"], &[]);
        let many: Vec<String> = (0..1_000_000).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(refused(&held, rule(&many, &many, &many)), "too many");
        assert_eq!(refused(&held, rule(&many[..100], &many[..100], &["a"])), "");
        assert_eq!(
            refused(&held, rule(&many[..100], &many[..101], &["a"])),
            "too many"
        );
    }

    #[test]
    fn what_is_told_does_not_grow_with_what_was_sent() {
        let long: Vec<String> = (0..50).map(|n| n.to_string().repeat(10_000)).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        let lines = refused(&rule(&["get"], &["x"], &[]), rule(&["get"], &long, &long));
        assert!(lines.len() <= TOLD + 100, "{}", lines.len());
        assert!(lines.ends_with(" more"), "{}", lines.len());
    }
}
