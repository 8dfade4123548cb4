//! What no comparison with a real API server shows: what is refused, what is bounded, what others read of a schema.

use serde_json::{Value, json};

use super::*;
use crate::resource;

fn compile(spec: &Value) -> Schema {
    Schema::compile(&json!({"type": "object", "properties": {"spec": spec}})).unwrap()
}

fn object(spec: &Value) -> Object {
    Object::of(json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a"}, "spec": spec})).unwrap()
}

#[test]
fn the_definitions_of_our_kinds_compile() {
    for definition in resource::definitions() {
        let schema = definition.spec.versions[0].schema.as_ref().unwrap();
        let schema = serde_json::to_value(schema.open_api_v3_schema.as_ref().unwrap()).unwrap();
        let compiled = Schema::compile(&schema).unwrap();
        assert!(compiled.root().field("spec").is_some());
    }
    assert!(object_meta::node().field("managedFields").is_some());
}

#[test]
fn what_cannot_be_kept_is_refused_and_says_where() {
    let rule = |rule: &str| json!({"type": "string", "x-kubernetes-validations": [{"rule": rule}]});
    for (spec, says) in [
        (
            json!({"properties": {"a": {"anyOf": [{}]}}}),
            "schema at spec.a: anyOf is not supported here: leave it out, or say the same with other keywords",
        ),
        (
            json!({"type": "string", "format": "email"}),
            "schema at spec: format email is not supported here: leave it out, or say the same with other keywords",
        ),
        (
            json!({"items": {"type": "text"}}),
            "schema at spec[0]: type must be object, array, string, integer, number or boolean",
        ),
        (
            json!({"maxLength": "5"}),
            "schema at spec: maxLength must be a whole number",
        ),
        (
            rule("self.sortBy(x, x) == self"),
            "schema at spec: the rule \"self.sortBy(x, x) == self\" cannot be compiled: the function sortBy is not known here",
        ),
        (
            rule("other == self"),
            "schema at spec: the rule \"other == self\" cannot be compiled: there is no other",
        ),
        (
            rule("self == A{b: 1}"),
            "schema at spec: the rule \"self == A{b: 1}\" cannot be compiled: it makes a A",
        ),
    ] {
        let error = Schema::compile(&json!({"type": "object", "properties": {"spec": spec}})).unwrap_err();
        assert_eq!(error.to_string(), says);
    }
    for spec in [
        rule("self =="),
        json!({"pattern": "("}),
        json!({"pattern": "((a{1000}){1000}){1000}"}),
    ] {
        assert!(
            Schema::compile(&json!({"properties": {"spec": spec}})).is_err(),
            "{spec}"
        );
    }
    let deep = (0..100).fold(
        json!({"type": "string"}),
        |items, _| json!({"type": "array", "items": items}),
    );
    assert!(matches!(Schema::compile(&deep), Err(SchemaError::TooDeep { .. })));
}

#[test]
fn a_rule_that_goes_round_too_often_ends() {
    let loops = "self.all(a, self.all(b, self.all(c, self.all(d, self.all(e, a != '')))))";
    let rules = |rule: &str| {
        compile(&json!({
            "type": "array", "items": {"type": "string"},
            "x-kubernetes-validations": [{"rule": rule, "message": "slow"}, {"rule": "false", "message": "no"}],
        }))
    };
    // Much data leaves few rounds.
    let much = object(&json!(vec!["a".repeat(15_000); 100]));
    // What is hidden behind an "or" counts too.
    for rule in [loops, &format!("{loops} || true")] {
        assert_eq!(
            joined(&rules(rule).validate(&much, None)),
            "spec: Invalid value: \"array\": 'operation cancelled: actual cost limit exceeded': no further validation rules \
             will be run due to call cost exceeds limit for rule: slow"
        );
    }
    let little = object(&json!(["a", "b"]));
    assert_eq!(
        joined(&rules(loops).validate(&little, None)),
        "spec: Invalid value: no"
    );
}

#[test]
fn patterns_that_are_worked_out_are_dear() {
    let schema = compile(&json!({
        "type": "array", "items": {"type": "string"},
        "x-kubernetes-validations": [{"rule": "self.all(a, a.matches(a))", "message": "slow"}],
    }));
    let causes = schema.validate(&object(&json!(vec!["a".repeat(2000); 100])), None);
    assert!(
        joined(&causes).contains("call cost exceeds limit for rule: slow"),
        "{causes:?}"
    );
    assert_eq!(schema.validate(&object(&json!(["a", "a"])), None), []);
}

#[test]
fn others_read_how_a_schema_is_merged() {
    let schema = compile(
        &json!({"type": "object", "description": "All of it.", "required": ["files"], "properties": {
            "files": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "properties": {"name": {"type": "string", "enum": ["a"]}}}},
            "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "ref": {"type": "object", "x-kubernetes-map-type": "atomic"},
            "labels": {"type": "object", "additionalProperties": {"type": "string", "format": "date-time"}},
        }}),
    );
    let spec = schema.root().field("spec").unwrap();
    assert_eq!(spec.description(), "All of it.");
    assert_eq!(spec.required(), ["files"]);
    assert_eq!(spec.data_type(), Some(DataType::Object));
    let files = spec.field("files").unwrap();
    assert_eq!(files.list_type(), &ListType::Map(vec!["name".to_owned()]));
    assert_eq!(
        files.items().unwrap().field("name").unwrap().allowed_values(),
        ["a"]
    );
    assert_eq!(spec.field("tags").unwrap().list_type(), &ListType::Set);
    assert_eq!(spec.field("ref").unwrap().map_type(), MapType::Atomic);
    assert_eq!(
        spec.field("labels").unwrap().field("any").unwrap().format(),
        "date-time"
    );
    assert!(spec.field("unknown").is_none());
}

#[test]
fn unknown_fields_are_named_in_the_api_servers_order() {
    let schema = compile(&json!({"type": "object", "properties": {
        "a": {"type": "array", "items": {"type": "object", "properties": {"b": {"type": "string"}}}},
        "map": {"type": "object", "additionalProperties": {"type": "object"}},
    }}));
    let mut object = Object::of(json!({
        "apiVersion": "v1", "kind": "A", "metadata": {"name": "a", "z": 1, "ownerReferences": [{"x": 1}]}, "other": 1,
        "spec": {"z": 1, "a": [{"b": null}, {"c": {"d": 1}}], "map": {"my.key": {"x": 1}}},
    }))
    .unwrap();
    let unknown = schema.prune(&mut object);
    assert_eq!(
        body::strict_decoding_error(&unknown.iter().map(body::unknown).collect::<Vec<_>>()),
        "strict decoding error: unknown field \"metadata.ownerReferences[0].x\", unknown field \"metadata.z\", unknown field \
         \"other\", unknown field \"spec.a[1].c\", unknown field \"spec.map.my.key.x\", unknown field \"spec.z\""
    );
    assert_eq!(
        object.into_value(),
        json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a", "ownerReferences": [{}]},
            "spec": {"a": [{}, {}], "map": {"my.key": {}}}})
    );
}

#[test]
fn causes_found_before_keep_rules_from_being_asked() {
    let schema =
        compile(&json!({"type": "string", "x-kubernetes-validations": [{"rule": "false", "message": "no"}]}));
    let before = vec![Cause {
        reason: "FieldValueRequired",
        message: "Required value: name or generateName is required".to_owned(),
        field: "metadata.name".to_owned(),
    }];
    assert_eq!(
        joined(&schema.validate_after(before, &object(&json!("x")), None)),
        "[metadata.name: Required value: name or generateName is required, <nil>: Invalid value: null: some validation rules \
         were not checked because the object was invalid; correct the existing errors to complete validation]"
    );
    assert_eq!(
        joined(&schema.validate(&object(&json!("x")), None)),
        "spec: Invalid value: \"x\": no"
    );
}
