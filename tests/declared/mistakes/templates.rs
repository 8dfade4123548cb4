//! Texts that cannot be rendered, and files that cannot be files.

use serde_json::{Value, json};

use super::mistake::{Mistake, Step, agent, config_map, edit};

const MENDED: &str = "Be {{ agent_name }}.";

pub fn mistakes() -> Vec<Mistake> {
    let mut all = vec![
        soul("broken-syntax", "One.\n{% if agent_name %}Two.").says(&["SOUL.md line", "spec.soul.template"]),
        soul("unknown-variable", "One.\n\n{{ identity_expertize }}").says(&[
            "SOUL.md line 3",
            "identity_expertize",
            "identity_expertise",
        ]),
        soul("token-in-a-soul", "My token is {{ auth_token }}.").says(&["SOUL.md line 1", "auth_token", "TOOLS.md"]),
        soul("includes", "{% include 'AGENTS.md' %}").says(&["SOUL.md line 1", "include"]),
        soul("makes-a-macro", "{% macro a() %}{{ a() }}{% endmacro %}").says(&["SOUL.md line 1", "macro"]),
        soul("calls-itself", "{% for a in constraints recursive %}{{ loop(constraints) }}{% endfor %}")
            .says(&["SOUL.md line 1", "recursive", "write a loop in a loop"]),
        soul("doubles", "{% set a = agent_name ~ agent_name %}{% set b = a ~ a ~ a ~ a ~ a ~ a ~ a ~ a %}{% set c = b ~ b ~ b ~ b ~ b %}")
            .says(&["SOUL.md line 1", "64"]),
    ];
    all.extend(bombs());
    all.extend(files());
    all
}

fn soul(name: &'static str, template: &str) -> Mistake {
    let steps = vec![agent(name, json!({ "soul": { "template": template } }))];
    let mend = vec![edit("Agent", name, json!({ "soul": { "template": MENDED } }))];
    Mistake::of_agent(name, steps, "TemplateError").mend(mend)
}

/// 60 rules, of which a template makes loops in loops.
fn many() -> Value {
    (0..60).map(|n| format!("Rule {n}")).collect()
}

fn bombs() -> Vec<Mistake> {
    let with = |name: &'static str, template: &str, identity: Value| {
        let spec = json!({ "soul": { "template": template }, "identity": identity });
        let mend = vec![edit("Agent", name, json!({ "soul": { "template": MENDED } }))];
        Mistake::of_agent(name, vec![agent(name, spec)], "TemplateError").mend(mend)
    };
    let loops = |body: &str, depth: usize| {
        let begin = "{% for a in constraints %}".repeat(depth);
        format!("{begin}{body}{}", "{% endfor %}".repeat(depth))
    };
    vec![
        with(
            "out-of-fuel",
            &loops("{{ agent_name }}", 4),
            json!({ "constraints": many() }),
        )
        .says(&["SOUL.md line 1", "40000 steps", "shorter"]),
        with(
            "huge-output",
            &loops("{{ identity_custom_instructions }}", 2),
            json!({ "constraints": many(), "customInstructions": "long ".repeat(1500) }),
        )
        .says(&["SOUL.md line 1", "262144", "shorten"]),
    ]
}

fn files() -> Vec<Mistake> {
    let with = |name: &'static str, files: Value, reason: &'static str| {
        let mend = vec![edit("Agent", name, json!({ "files": [] }))];
        Mistake::of_agent(name, vec![agent(name, json!({ "files": files }))], reason).mend(mend)
    };
    let texts = (0..9).map(|n| json!({ "name": format!("BOOK-{n}.md"), "content": "x".repeat(65_000) }));
    let book = |map: &str| json!([{ "name": "BOOK.md", "configMapKeyRef": { "name": map, "key": "book" } }]);
    let bytes = |name: &str, data: Value| Step::Apply("ConfigMap", name.to_owned(), data);
    let mut no_text =
        with("no-utf8", book("no-utf8"), "TextInvalid").says(&["files[BOOK.md]", "UTF-8", "byte 1"]);
    no_text
        .steps
        .insert(0, bytes("no-utf8", json!({ "binaryData": { "book": "Qf8=" } })));
    let mut too_long = with("long-template", book("long-template"), "TextInvalid").says(&[
        "files[BOOK.md]",
        "300000",
        "262144",
    ]);
    too_long.steps.insert(
        0,
        config_map("long-template", json!({ "book": "x".repeat(300_000) })),
    );
    vec![
        with("too-large", texts.collect(), "FileTooLarge").says(&["AGENTS.md", "500000", "shorten"]),
        with(
            "not-ours",
            json!([{ "name": "LEARNINGS.md", "content": "x" }]),
            "UnsupportedFile",
        )
        .says(&["spec.files[LEARNINGS.md]", "the agent's own", "remove it"]),
        with(
            "twins",
            json!([{ "name": "RUNBOOK.md", "content": "x" }, { "name": "Runbook.md", "content": "y" }]),
            "UnsupportedFile",
        )
        .says(&["spec.files[Runbook.md]", "RUNBOOK.md", "rename"]),
        with(
            "without-text",
            json!([{ "name": "NOTES.md", "policy": "Managed" }]),
            "UnsupportedFile",
        )
        .says(&["spec.files[NOTES.md]", "content or configMapKeyRef"]),
        no_text,
        too_long,
    ]
}
