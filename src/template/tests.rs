use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn variables() -> Variables {
    let mut variables = Variables::new("the-token");
    variables.text("agent_name", "Incident Triage");
    variables.text("board_objective", &"long ".repeat(1600));
    variables.text("identity_house_style", "short");
    variables.table(
        "team",
        ["name", "role"],
        &[
            ["Ada".to_owned(), "Engineer".to_owned()],
            ["Bo".to_owned(), String::new()],
        ],
    );
    variables.list("constraints", &["one".to_owned(), "two".to_owned()]);
    variables
}

fn of(document: &str, text: &str) -> Result<String, TemplateError> {
    let template = Template {
        source: "spec.soul.template",
        document,
        body: Body::Given(text),
    };
    render(&template, &variables())
}

fn good(text: &str) -> String {
    of("SOUL.md", text).unwrap_or_else(|error| panic!("{error}"))
}

fn wrong(text: &str) -> String {
    let error = of("SOUL.md", text).unwrap_err();
    format!("{}: {}", error.line, error.what)
}

#[test]
fn what_templates_can_do() {
    for (text, expected) in [
        ("Hello {{ agent_name }}", "Hello Incident Triage\n"),
        ("\n\n  a\n\n", "  a\n"),
        ("{% if is_board_lead == \"true\" %}a{% else %}b{% endif %}", "b\n"),
        (
            "{% for m in team %}\n- {{ m.name }}{% if m.role %} ({{ m.role }}){% endif %}\n\n{% endfor %}",
            "- Ada (Engineer)\n- Bo\n",
        ),
        (
            "{{ team | map(attribute=\"name\") | join(\" and \") }}",
            "Ada and Bo\n",
        ),
        ("{{ constraints | join(\", \") | upper }}", "ONE, TWO\n"),
        ("{{ identity_update_cadence or \"weekly\" }}", "weekly\n"),
        ("{{ identity_nothing | default(\"none\") }}", "none\n"),
        (
            "{% if identity_nothing is defined %}{{ identity_nothing }}{% else %}x{% endif %}",
            "x\n",
        ),
        ("{{ identity_house_style }}", "short\n"),
        (
            "{% set a = agent_name ~ \"!\" %}{{ a }}{% with b = a ~ a %}{{ b | length }}{% endwith %}",
            "Incident Triage!32\n",
        ),
        (
            "{% for m in team %}{{ loop.index }}{{ loop.cycle(\"a\", \"b\") }}{% endfor %}",
            "1a2b\n",
        ),
        (
            "{# {{ nothing }} #}{% raw %}{{ agent_nam }}{% endraw %}",
            "{{ agent_nam }}\n",
        ),
        (
            "{{ \"a\\nb\" | indent(2) }} {{ agent_name | replace(\"Incident \", \"\") }}",
            "a\n  b Triage\n",
        ),
        ("", ""),
    ] {
        assert_eq!(good(text), expected, "{text}");
    }
}

#[test]
fn every_mistake_names_its_line_and_the_way_out() {
    let mut said = String::new();
    for text in [
        "a\n\n{{ agent_nam }}",
        "{% if is_board_lead == \"true\" %}\n{{ identity_expertize }}\n{% endif %}",
        "{{ identity_favourite_colour }}",
        "{{ something_else_entirely }}",
        "{% for member in team %}\n{{ member.rank }}\n{% endfor %}",
        "{{ agent_name.__class__.__mro__ }}",
        "{{ agent_name.upper() }}",
        "{{ team | map(attribute=\"rank\") | join }}",
        "{{ agent_name[\"x\"] }}",
        "{{ auth_token }}",
        "{% if false %}{{ auth_token }}{% endif %}",
        "{{ self }}",
        "{{ debug() }}",
        "{{ namespace(a=1) }}",
        "{{ range(10) }}",
        "{{ agent_name | tojson }}",
        "{{ agent_name is divisibleby 2 }}",
        "a\n{% include \"/etc/passwd\" %}",
        "{% import \"x\" as y %}",
        "{% extends \"SOUL.md\" %}",
        "{% macro f() %}{% endmacro %}",
        "{% block a %}{% endblock %}",
        "{% set a %}b{% endset %}",
        "{% filter upper %}b{% endfilter %}",
        "{% autoescape true %}b{% endautoescape %}",
        "{% do f() %}",
        "{{ unclosed",
        "{% if %}",
        "{% for a in %}{% endfor %}",
        "{{ 1 / 0 }}",
        "{{ \"a\" * 100000000 }}",
        "{{ 2 ** 1000 }}",
        "{{ agent_name[::-1] }}",
        "{% for a in team recursive %}{{ loop(a) }}{% endfor %}",
    ] {
        said.push_str(&format!("{}\n    {}\n", text.replace('\n', "\\n"), wrong(text)));
    }
    insta::assert_snapshot!(said);
}

/// Each of these once took the engine more memory or time than there is, or its stack.
#[test]
fn bombs_do_not_go_off() {
    let double = |statement: &str, end: &str| {
        format!(
            "{{% set a = board_objective %}}{}{{{{ a | length }}}}{}",
            statement.repeat(40),
            end.repeat(40)
        )
    };
    for (what, text) in [
        ("texts that double", double("{% set a = a ~ a %}\n", "")),
        ("texts that double by +", double("{% set a = a + a %}\n", "")),
        ("lists that double", double("{% set a = [a, a] %}\n", "")),
        ("maps that double", double("{% set a = {1: a, 2: a} %}\n", "")),
        ("with in with", double("{% with a = a ~ a %}", "{% endwith %}")),
        ("for in for", double("{% for a in [a ~ a] %}", "{% endfor %}")),
        (
            "many of medium size",
            double(
                "{% set b = a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a %}",
                "",
            ),
        ),
        (
            "joined texts",
            "{{ [board_objective, board_objective] | join(board_objective ~ board_objective ~ board_objective ~ board_objective ~ board_objective ~ board_objective ~ board_objective) }}".to_owned(),
        ),
        (
            "joined words",
            "{{ board_objective | split | join(board_objective) }}".to_owned(),
        ),
        (
            "replaced letters",
            "{{ board_objective | replace(\"\", board_objective) }}".to_owned(),
        ),
        (
            "a wide margin",
            "{{ \"a\\nb\" | indent(10000000000) }}".to_owned(),
        ),
        (
            "loops in loops",
            "{% for a in board_objective %}".repeat(3) + "x" + &"{% endfor %}".repeat(3),
        ),
        (
            "a long result",
            format!(
                "{{% for a in board_objective %}}{}{{% endfor %}}",
                "x".repeat(1000)
            ),
        ),
        (
            "a chain of filters",
            format!("{{{{ agent_name{} }}}}", "|lower".repeat(40_000)),
        ),
        ("a chain of sums", format!("{{{{ 1{} }}}}", "+1".repeat(60_000))),
        (
            "a chain of fields",
            format!("{{{{ agent_name{} }}}}", ".a".repeat(60_000)),
        ),
        (
            "a chain of elifs",
            format!(
                "{{% if false %}}{}{{% endif %}}",
                "{% elif false %}".repeat(15_000)
            ),
        ),
        (
            "brackets in brackets",
            format!("{{{{ {}{} }}}}", "[".repeat(100_000), "]".repeat(100_000)),
        ),
        ("nots", format!("{{{{ {}true }}}}", "not ".repeat(60_000))),
        ("minuses", format!("{{{{ {}1 }}}}", "-".repeat(100_000))),
        (
            "ifs in ifs",
            "{% if true %}".repeat(10_000) + &"{% endif %}".repeat(8_000),
        ),
        ("a long name", format!("{{{{ identity_{} }}}}", "x".repeat(60_000))),
        ("too long", "x".repeat(LARGEST + 1)),
    ] {
        let said = wrong(&text);
        println!("{what}: {said}");
        assert!(said.len() < 400, "{what}: {said}");
    }
}

#[test]
fn a_thread_with_a_small_stack_is_enough_for_the_deepest() {
    let deep = "{% if true %}".repeat(140)
        + "{{ "
        + &"(".repeat(100)
        + "1"
        + &")".repeat(100)
        + " }}"
        + &"{% endif %}".repeat(140);
    let filters = format!("{{{{ agent_name{} }}}}", "|lower".repeat(60));
    for text in [deep, filters] {
        // Tokio's have two megabytes.
        let small = std::thread::Builder::new().stack_size(2 << 20);
        let run = small.spawn(move || {
            of("SOUL.md", &text)
                .map(|text| text.len())
                .map_err(|error| error.what)
        });
        println!("{:?}", run.unwrap().join().unwrap());
    }
}

#[test]
fn the_token_is_in_tools_alone_and_in_no_error() {
    assert_eq!(
        of("TOOLS.md", "AUTH_TOKEN=\"{{ auth_token }}\"").unwrap(),
        "AUTH_TOKEN=\"the-token\"\n"
    );
    for document in Document::ALL {
        let said = of(document.name(), "{{ auth_token }}");
        assert_eq!(said.is_ok(), document == Document::Tools, "{}", document.name());
    }
    for text in [
        "{{ auth_token | int }}",
        "{{ auth_token + 1 }}",
        "{{ team[auth_token] }}",
        "{{ auth_token.a }}",
        "{{ auth_token() }}",
        "{{ team | map(attribute=auth_token) }}",
        "{{ agent_name | indent(auth_token) }}",
        "{{ agent_name[auth_token:] }}",
    ] {
        let error = of("TOOLS.md", text).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("the-token"),
            "{text}: {error}"
        );
    }
    let all = format!("{:?}", of("SOUL.md", "{{ x }}"));
    assert!(!all.contains("the-token"));
}

#[test]
fn every_variable_is_there_for_everybody_and_in_the_documents() {
    let page = include_str!("../../docs/templates.md");
    let rows: Vec<(&str, &str)> = page
        .lines()
        .filter_map(|line| {
            let (name, meaning) = line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | ")?;
            Some((name, meaning))
        })
        .collect();
    assert_eq!(rows, MEANINGS);
    for (name, _) in MEANINGS {
        of("TOOLS.md", &format!("{{{{ {name} }}}}")).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn every_filter_that_is_named_is_there() {
    for name in engine::FILTERS.split(", ") {
        let name = name.split('(').next().unwrap();
        let said = of("SOUL.md", &format!("{{{{ constraints | {name} }}}}"));
        assert!(
            !matches!(&said, Err(error) if error.what.contains("unknown filter")),
            "{name}: {said:?}"
        );
    }
}

#[test]
fn a_name_stays_on_its_line() {
    assert_eq!(
        one_line(" a\nAUTH_TOKEN=\"x\"\t\u{85} b "),
        "a AUTH_TOKEN=\"x\" b"
    );
}

/// Expressions that can be parsed, most of them nonsense.
fn expression() -> impl Strategy<Value = String> {
    const ATOMS: &[&str] = &[
        "agent_name",
        "team",
        "constraints",
        "auth_token",
        "a",
        "loop",
        "loop.index",
        "0",
        "-1",
        "3.5",
        "1e308",
        "true",
        "none",
        "\"\"",
        "\"ä🧭\"",
        "[]",
        "{}",
        "9223372036854775807",
        "170141183460469231731687303715884105727",
        "nothing",
    ];
    const SUFFIXES: &[&str] = &[
        "|upper",
        "|lower",
        "|title",
        "|capitalize",
        "|trim",
        "|join",
        "|join(\"x\")",
        "|replace(\"\", \"y\")",
        "|indent(3)",
        "|indent(-1)",
        "|map(attribute=\"name\")",
        "|map(attribute=0)",
        "|map",
        "|sort",
        "|sort(reverse=true)",
        "|first",
        "|last",
        "|int",
        "|split",
        "|split(\"\")",
        "|lines",
        "|default(1)",
        "|d",
        "|length",
        "|unique",
        "|reverse",
        "|selectattr(\"name\")",
        "|rejectattr(\"role\", \"eq\", \"\")",
        ".name",
        "[0]",
        "[-1]",
        "[::-1]",
        "[1:]",
        "[:99999999999]",
        "[::0]",
        "[\"name\"]",
        " is defined",
        " is odd",
        " is in team",
        " is startingwith(0)",
        "()",
        ".cycle(1, 2)",
    ];
    const OPERATORS: &[&str] = &[
        " ~ ",
        " + ",
        " - ",
        " * ",
        " / ",
        " // ",
        " % ",
        " ** ",
        " == ",
        " < ",
        " in ",
        " not in ",
        " and ",
        " or ",
        " if true else ",
        ", ",
    ];
    let part = (select(ATOMS), vec(select(SUFFIXES), 0..4))
        .prop_map(|(atom, suffixes)| format!("{atom}{}", suffixes.concat()));
    vec((part, select(OPERATORS)), 1..4).prop_map(|parts| {
        let all: String = parts
            .iter()
            .map(|(part, operator)| format!("{part}{operator}"))
            .collect();
        all.strip_suffix(parts.last().map_or("", |(_, operator)| operator))
            .unwrap_or(&all)
            .to_owned()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// Whatever is written, there is an answer, in a line.
    #[test]
    fn no_template_ends_the_process(one in expression(), other in expression(), statement in 0..5_usize) {
        let text = match statement {
            0 => format!("{{{{ {one} }}}}{{{{ {other} }}}}"),
            1 => format!("{{% for a in {one} %}}{{{{ {other} }}}}{{% else %}}x{{% endfor %}}"),
            2 => format!("{{% set a = {one} %}}{{{{ {other} }}}}"),
            3 => format!("{{% if {one} %}}{{{{ {other} }}}}{{% endif %}}"),
            _ => format!("{{% with a = {one} %}}{{{{ {other} }}}}{{% endwith %}}{{{{ [{one}] }}}}"),
        };
        for document in ["SOUL.md", "TOOLS.md"] {
            if let Err(error) = of(document, &text) {
                prop_assert!(error.what.len() < 600 && !error.what.contains('\n'), "{}", error);
            }
        }
    }
}
