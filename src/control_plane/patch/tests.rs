//! What the API server answered, recorded where it surprises, and that no patch can break us.

#![expect(
    clippy::needless_pass_by_value,
    reason = "what is built is written where it is used"
)]

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::owners::Said;
use super::*;

fn at(second: u8) -> Timestamp {
    format!("2026-01-01T00:00:{second:02}Z").parse().unwrap()
}

fn config_map() -> Subject {
    Subject::built_in("", "v1", "ConfigMap", "configmaps").unwrap()
}

fn agent() -> Subject {
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "suspend": {"type": "boolean", "default": false},
            "bindings": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "files": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "properties": {"name": {"type": "string"}, "content": {"type": "string"}}}},
            "config": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "heartbeat": {"type": "object", "properties": {"timeoutSeconds": {"type": "integer"}}},
        }},
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
    }});
    Subject::custom("quartermaster.dev", "v1alpha1", "Agent", "agents", true, &schema)
}

fn object(value: Value) -> Object {
    Object::of(value).unwrap()
}

fn a_config_map(data: Value) -> Object {
    object(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": "u"}, "data": data}),
    )
}

fn config(manager: &str, force: bool, fields: Value) -> Config {
    let mut value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    value
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    Config {
        object: object(value),
        manager: manager.to_owned(),
        force,
    }
}

fn data(manager: &str, force: bool, data: Value) -> Config {
    config(manager, force, json!({"data": data}))
}

fn applied(live: Option<&Object>, config: &Config, second: u8) -> Object {
    let mut applied = apply(&config_map(), live, config, None, at(second)).unwrap();
    applied.metadata_mut().insert("uid".to_owned(), json!("u"));
    applied
}

/// `one Apply :00 {..}`
fn owners(object: &Object) -> Vec<String> {
    let entries = object
        .metadata()
        .unwrap()
        .get("managedFields")
        .and_then(Value::as_array);
    entries
        .into_iter()
        .flatten()
        .map(|entry| {
            let word = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
            let time = word("time");
            let time = time.get(16..19).unwrap_or("-");
            let fields = entry["fieldsV1"].to_string().replace('"', "");
            format!("{} {} {time} {fields}", word("manager"), word("operation"))
        })
        .collect()
}

#[test]
fn who_applies_what_is_so_owns_it_without_a_time() {
    let live = applied(None, &data("one", false, json!({"a": "1"})), 1);
    assert_eq!(owners(&live), ["one Apply :01 {f:data:{f:a:{}}}"]);
    let live = applied(Some(&live), &data("two", false, json!({"a": "1"})), 2);
    assert_eq!(
        owners(&live),
        ["two Apply - {f:data:{f:a:{}}}", "one Apply :01 {f:data:{f:a:{}}}"]
    );
    // Again, and nothing changes at all.
    for manager in ["one", "two"] {
        assert_eq!(
            applied(Some(&live), &data(manager, false, json!({"a": "1"})), 9),
            live
        );
    }
}

#[test]
fn what_nobody_wants_any_more_goes() {
    let live = applied(None, &data("one", false, json!({"a": "1", "b": "1"})), 1);
    let live = applied(Some(&live), &data("two", false, json!({"b": "1"})), 2);
    let live = applied(Some(&live), &data("one", false, json!({"c": "1"})), 3);
    assert_eq!(live.fields()["data"], json!({"b": "1", "c": "1"}));
    assert_eq!(
        owners(&live),
        ["two Apply - {f:data:{f:b:{}}}", "one Apply :03 {f:data:{f:c:{}}}"]
    );
    // With its last entry the map goes, and with its last field a manager.
    let live = applied(Some(&live), &config("one", false, json!({})), 4);
    let live = applied(Some(&live), &config("two", false, json!({})), 4);
    assert_eq!(live.fields().get("data"), None);
    assert_eq!(owners(&live), Vec::<String>::new());
}

#[test]
fn conflicts_name_managers_and_fields() {
    let refused =
        |live: &Object, config: &Config| apply(&config_map(), Some(live), config, None, at(5)).unwrap_err();
    let updated = track(
        &config_map(),
        None,
        a_config_map(json!({"a": "1"})),
        "kubectl-client-side-apply",
        None,
        at(1),
    );
    let refusal = refused(&updated, &data("three", false, json!({"a": "2"})));
    assert_eq!(
        refusal.to_json(),
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 409,
            "reason": "Conflict",
            "message": "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .data.a",
            "details": {"causes": [{"reason": "FieldManagerConflict", "field": ".data.a",
                "message": "conflict with \"kubectl-client-side-apply\" using v1"}]}})
    );
    let live = applied(None, &data("one", false, json!({"a": "1"})), 1);
    let live = applied(Some(&live), &data("two", false, json!({"a": "1"})), 2);
    assert_eq!(
        refused(&live, &data("three", false, json!({"a": "2"}))).message,
        "Apply failed with 2 conflicts: conflicts with \"one\":\n- .data.a\nconflicts with \"two\":\n- .data.a"
    );
    let taken = applied(Some(&live), &data("three", true, json!({"a": "2"})), 3);
    assert_eq!(owners(&taken), ["three Apply :03 {f:data:{f:a:{}}}"]);
    assert_eq!(
        applied(Some(&live), &data("three", false, json!({"a": "1"})), 3).fields()["data"],
        json!({"a": "1"})
    );
}

/// kubectl's own apply becomes its server-side apply without a conflict, and the annotation stays true.
#[test]
fn kubectl_inherits_what_its_own_apply_set() {
    let last = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"a":"1"}}"#;
    let annotated = |data: Value| {
        let mut object = a_config_map(data);
        object.metadata_mut().insert(
            "annotations".to_owned(),
            json!({"kubectl.kubernetes.io/last-applied-configuration": last}),
        );
        track(
            &config_map(),
            None,
            object,
            "kubectl-client-side-apply",
            None,
            at(1),
        )
    };
    let wanted = data("kubectl", false, json!({"a": "<2>"}));
    let live = applied(Some(&annotated(json!({"a": "1"}))), &wanted, 2);
    assert_eq!(
        live.metadata().unwrap()["annotations"]["kubectl.kubernetes.io/last-applied-configuration"],
        json!(
            "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"\\u003c2\\u003e\"},\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}\n"
        )
    );
    // What was changed since is not kubectl's to take; nor is it anybody else's.
    for (live, config) in [
        (annotated(json!({"a": "changed"})), wanted),
        (
            annotated(json!({"a": "1"})),
            data("other", false, json!({"a": "2"})),
        ),
    ] {
        assert_eq!(
            apply(&config_map(), Some(&live), &config, None, at(2))
                .unwrap_err()
                .code,
            409
        );
    }
}

#[test]
fn what_is_applied_must_have_its_form() {
    for (fields, code, message) in [
        (
            json!({"metadata": {"managedFields": []}}),
            400,
            "metadata.managedFields must be nil",
        ),
        (
            json!({"kind": "Secret"}),
            400,
            "invalid object type: /v1, Kind=Secret",
        ),
        (
            json!({"datax": {"a": "1"}, "metadata": {}}),
            500,
            "failed to create typed patch object (/; /v1, Kind=ConfigMap): .datax: field not declared in schema",
        ),
        (
            json!({"data": {"a": 5}, "metadata": {}}),
            500,
            "failed to create typed patch object (/; /v1, Kind=ConfigMap): .data.a: expected string, got \
             &value.valueUnstructured{Value:5}",
        ),
        (
            json!({"data": [1, "b", {"x": null}], "metadata": {}}),
            500,
            "failed to create typed patch object (/; /v1, Kind=ConfigMap): .data: expected map, got &{[1 b map[x:<nil>]]}",
        ),
        (
            json!({"immutable": "x", "metadata": {"name": "n", "namespace": "s"}}),
            500,
            "failed to create typed patch object (s/n; /v1, Kind=ConfigMap): .immutable: expected boolean, got &{x}",
        ),
    ] {
        let refusal = apply(&config_map(), None, &config("m", false, fields), None, at(1)).unwrap_err();
        assert_eq!((refusal.code, refusal.message.as_str()), (code, message));
    }
    let spec = |spec: Value| Config {
        object: object(json!({"apiVersion": "quartermaster.dev/v1alpha1", "kind": "Agent", "spec": spec})),
        manager: "m".to_owned(),
        force: false,
    };
    for (fields, what) in [
        (
            json!({"files": [{"name": "A"}, {"name": "A"}]}),
            ".spec.files: duplicate entries for key [name=\"A\"]",
        ),
        (
            json!({"files": [{"content": "x"}]}),
            ".spec.files: element 0: associative list with keys has an element that omits all key fields [\"name\"] \
             (and doesn't have default values for any key fields)",
        ),
        (
            json!({"bindings": [{"a": 1}]}),
            ".spec.bindings: element 0: associative list without keys has an element that's a map type",
        ),
        (
            json!({"heartbeat": {"timeoutSeconds": "x"}}),
            ".spec.heartbeat.timeoutSeconds: expected numeric (int or float), got string",
        ),
        (
            json!({"bindings": ["a", "a"], "files": "x", "suspend": 5}),
            "errors:\n  .spec.bindings: duplicate entries for key [=\"a\"]\n  .spec.files: expected list, got &{x}\n  \
             .spec.suspend: expected boolean, got &{5}",
        ),
    ] {
        let refusal = apply(&agent(), None, &spec(fields), None, at(1)).unwrap_err();
        let head = "failed to create typed patch object (/; quartermaster.dev/v1alpha1, Kind=Agent): ";
        assert_eq!((refusal.code, refusal.message), (500, format!("{head}{what}")));
    }
}

#[test]
fn an_apply_that_creates_nothing_must_name_no_uid() {
    let named = config("m", false, json!({"metadata": {"name": "a", "uid": "x"}}));
    let created = apply(&config_map(), None, &named, None, at(1)).unwrap();
    let refusal = check_created(&config_map(), "a", &created).unwrap_err();
    assert_eq!(refusal.code, 409);
    assert_eq!(
        refusal.message,
        "Operation cannot be fulfilled on configmaps \"a\": uid mismatch: the provided object specified uid x, \
         and no existing object was found"
    );
}

#[test]
fn writes_are_tracked_by_who_makes_them() {
    let subject = config_map();
    let live = track(
        &subject,
        None,
        a_config_map(json!({"a": "1", "b": "1"})),
        "one",
        None,
        at(1),
    );
    assert_eq!(owners(&live), ["one Update :01 {f:data:{.:{},f:a:{},f:b:{}}}"]);
    // Others lose what is changed or removed; a client that sends no managed fields deletes none.
    let live = track(
        &subject,
        Some(&live),
        a_config_map(json!({"a": "2"})),
        "two",
        None,
        at(2),
    );
    assert_eq!(
        owners(&live),
        ["one Update :01 {f:data:{}}", "two Update :02 {f:data:{f:a:{}}}"]
    );
    // Emptied on purpose, nobody owns anything, and nobody will before the next apply.
    for reset in [json!([]), json!([{}])] {
        let mut new = live.clone();
        new.metadata_mut().insert("managedFields".to_owned(), reset);
        let forgotten = track(&subject, Some(&live), new, "two", None, at(3));
        assert_eq!(owners(&forgotten), Vec::<String>::new());
        let mut new = forgotten.clone();
        new.fields_mut().insert("data".to_owned(), json!({"c": "1"}));
        assert_eq!(
            owners(&track(&subject, Some(&forgotten), new, "two", None, at(4))),
            Vec::<String>::new()
        );
        let applied = applied(Some(&forgotten), &data("one", false, json!({"a": "2"})), 5);
        assert_eq!(
            owners(&applied),
            [
                "one Apply - {f:data:{f:a:{}}}",
                "before-first-apply Update :05 {f:data:{.:{},f:a:{}}}"
            ]
        );
    }
}

#[test]
fn a_status_request_owns_the_status_alone() {
    let agent_with = |phase: &str| {
        object(
            json!({"apiVersion": "quartermaster.dev/v1alpha1", "kind": "Agent", "metadata": {"name": "x", "uid": "u"},
            "spec": {"suspend": true}, "status": {"phase": phase}}),
        )
    };
    let live = track(&agent(), None, agent_with("Idle"), "one", None, at(1));
    assert_eq!(owners(&live), ["one Update :01 {f:spec:{.:{},f:suspend:{}}}"]);
    let mut new = agent_with("Ready");
    new.fields_mut()
        .insert("spec".to_owned(), json!({"suspend": false}));
    let live = track(&agent(), Some(&live), new, "two", Some("status"), at(2));
    let entries = &live.metadata().unwrap()["managedFields"];
    assert_eq!(entries[1]["subresource"], "status");
    assert_eq!(
        owners(&live),
        [
            "one Update :01 {f:spec:{.:{},f:suspend:{}}}",
            "two Update :02 {f:status:{f:phase:{}}}"
        ]
    );
}

/// Recorded: an entry of a version that is not served ends all tracking of a custom object.
#[test]
fn a_version_that_nobody_serves() {
    let entry = |version: &str| {
        json!([{"manager": "m", "operation": "Update", "apiVersion": version, "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {}, "f:data": {}}}])
    };
    let mut new = object(
        json!({"apiVersion": "quartermaster.dev/v1alpha1", "kind": "Agent",
        "metadata": {"name": "x", "uid": "u", "labels": {"a": "1"}}}),
    );
    let live = new.clone();
    new.metadata_mut()
        .insert("managedFields".to_owned(), entry("quartermaster.dev/v9"));
    new.metadata_mut().insert("labels".to_owned(), json!({"a": "2"}));
    assert_eq!(
        owners(&track(&agent(), Some(&live), new, "two", None, at(1))),
        Vec::<String>::new()
    );
    let mut new = a_config_map(json!({"a": "2"}));
    new.metadata_mut().insert("managedFields".to_owned(), entry("v9"));
    let live = a_config_map(json!({"a": "1"}));
    assert_eq!(
        owners(&track(&config_map(), Some(&live), new, "two", None, at(1))),
        ["two Update :01 {f:data:{f:a:{}}}"]
    );
}

#[test]
fn the_oldest_of_many_updaters_become_one() {
    let subject = config_map();
    let mut live = track(
        &subject,
        None,
        a_config_map(json!({"k0": "1"})),
        "m0",
        None,
        at(1),
    );
    for n in 1..12_u8 {
        let mut new = live.clone();
        new.fields_mut()["data"][format!("k{n}")] = json!("1");
        live = track(&subject, Some(&live), new, &format!("m{n}"), None, at(1 + n));
    }
    let owners = owners(&live);
    assert_eq!(owners.len(), 10);
    assert_eq!(
        owners[0],
        "ancient-changes Update :03 {f:data:{.:{},f:k0:{},f:k1:{},f:k2:{}}}"
    );
    assert_eq!(owners[9], "m11 Update :12 {f:data:{f:k11:{}}}");
}

#[test]
fn what_changed_nothing_keeps_its_time() {
    let live = track(
        &config_map(),
        None,
        a_config_map(json!({"a": "1"})),
        "one",
        None,
        at(1),
    );
    let mut same = live.clone();
    same.metadata_mut()["managedFields"][0]["time"] = json!("2030-01-01T00:00:00Z");
    keep_times(&live, &mut same);
    assert_eq!(same, live);
    let mut other = live.clone();
    other.metadata_mut()["managedFields"][0]["time"] = json!("2030-01-01T00:00:00Z");
    other.fields_mut()["data"]["a"] = json!("2");
    let changed = other.clone();
    keep_times(&live, &mut other);
    assert_eq!(other, changed);
}

/// Two managers of the seconds 1 and 2, of whom the first is given another second, and nothing else is new.
fn given_a_new_time(second: u8) -> Vec<String> {
    let live = applied(None, &data("one", false, json!({"a": "1"})), 1);
    let live = applied(Some(&live), &data("two", false, json!({"b": "1"})), 2);
    let mut new = live.clone();
    let Said::Owners(mut said) = owners::said(&new) else {
        panic!("{new:?}");
    };
    for (manager, owned) in &mut said.0 {
        if manager.name == "one" {
            owned.time = Some(at(second));
        }
    }
    said.write(&mut new);
    keep_times(&live, &mut new);
    owners(&new)
}

#[test]
fn a_new_time_that_sorts_a_manager_anew_is_kept() {
    let (one, two) = ("{f:data:{f:a:{}}}", "{f:data:{f:b:{}}}");
    // In the second of the other one, they are in the order of their names as before.
    assert_eq!(
        given_a_new_time(2),
        [format!("one Apply :01 {one}"), format!("two Apply :02 {two}")]
    );
    assert_eq!(
        given_a_new_time(3),
        [format!("two Apply :02 {two}"), format!("one Apply :03 {one}")]
    );
}

#[test]
fn metadata_that_is_lost_is_written_anew() {
    let agent = |metadata: Value| {
        let mut agent = object(
            json!({"apiVersion": "quartermaster.dev/v1alpha1", "kind": "Agent",
            "metadata": {"name": "a", "uid": "u", "labels": {"a": ""}}}),
        );
        agent.metadata_mut().extend(metadata.as_object().unwrap().clone());
        agent
    };
    let stored = agent(json!({}));
    let anew = |metadata: Value| writes_metadata_anew(&self::agent(), &stored, &agent(metadata), None);
    for same in [
        json!({}),
        json!({"uid": ""}),
        json!({"creationTimestamp": null}),
        json!({"generation": 0}),
    ] {
        assert!(!anew(same.clone()), "{same}");
    }
    for lost in [
        json!({"annotations": {}}),
        json!({"finalizers": []}),
        json!({"ownerReferences": []}),
        json!({"generateName": ""}),
        json!({"labels": {"a": null}}),
    ] {
        assert!(anew(lost.clone()), "{lost}");
        let lost = agent(lost);
        assert!(!writes_metadata_anew(
            &self::agent(),
            &stored,
            &lost,
            Some("status")
        ));
        assert!(!writes_metadata_anew(&config_map(), &stored, &lost, None));
    }
}

#[test]
fn a_manager_is_named_by_the_client() {
    assert_eq!(
        manager_of("kubectl/v1.36.3 (linux/amd64) kubernetes/1"),
        "kubectl"
    );
    assert_eq!(manager_of("two words\t/1"), "two words");
    assert_eq!(manager_of(&"é".repeat(100)).len(), 128);
    assert_eq!(manager_of(""), "");
    let live = track(
        &config_map(),
        None,
        a_config_map(json!({"a": "1"})),
        "",
        None,
        at(1),
    );
    assert_eq!(owners(&live), ["unknown Update :01 {f:data:{.:{},f:a:{}}}"]);
}

fn read(
    subject: &Subject,
    content_type: &str,
    manager: &str,
    force: Option<bool>,
    body: &str,
) -> Result<Patch, Status> {
    let options = Options {
        field_manager: (!manager.is_empty()).then(|| manager.to_owned()),
        force,
    };
    Patch::read(subject, content_type, &options, body.as_bytes())?
}

#[test]
fn a_request_is_refused_in_the_api_servers_words() {
    let map = config_map();
    for (subject, content_type, manager, force, body, code, message) in [
        (
            &map,
            APPLY,
            "",
            None,
            "{}",
            422,
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
        ),
        (
            &map,
            MERGE,
            "",
            Some(true),
            "{}",
            422,
            "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch",
        ),
        (
            &map,
            MERGE,
            "a\u{1}b",
            None,
            "{}",
            422,
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Invalid value: \"a\\x01b\": invalid character U+0001 \
             (at position 1)",
        ),
        (
            &map,
            MERGE,
            "",
            None,
            "[]",
            400,
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (&map, MERGE, "", None, "null", 400, "Invalid JSON Patch"),
        (
            &map,
            MERGE,
            "",
            None,
            "{",
            400,
            "error decoding patch: unexpected end of JSON input",
        ),
        (
            &map,
            STRATEGIC,
            "",
            None,
            "[]",
            400,
            "json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (
            &map,
            JSON,
            "",
            None,
            "[",
            400,
            "error decoding patch: unexpected end of JSON input",
        ),
        (
            &map,
            APPLY,
            "m",
            None,
            "[1]",
            400,
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value \
             of type map[string]interface {}",
        ),
        (
            &map,
            "application/json",
            "",
            None,
            "{}",
            415,
            "415: Unsupported Media Type",
        ),
        (
            &agent(),
            STRATEGIC,
            "",
            None,
            "{}",
            415,
            "the body of the request was in an unknown format - accepted media types include: \
             application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        ),
    ] {
        let refusal = read(subject, content_type, manager, force, body).unwrap_err();
        assert_eq!((refusal.code, refusal.message.as_str()), (code, message));
    }
    let long = "a".repeat(129);
    let refusal = read(&map, MERGE, &long, None, "{}").unwrap_err();
    assert!(
        refusal
            .message
            .ends_with("fieldManager: Too long: may not be more than 128 bytes")
    );
}

#[test]
fn yaml_is_applied_too() {
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  a: |\n    x\n";
    let Ok(Patch::Apply(config)) = read(&config_map(), APPLY, "m", None, yaml) else {
        panic!("not read")
    };
    assert_eq!(config.object.fields()["data"], json!({"a": "x\n"}));
    for deep in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
        for content_type in [APPLY, MERGE, JSON, STRATEGIC] {
            assert_eq!(
                read(&config_map(), content_type, "m", None, &deep)
                    .unwrap_err()
                    .code,
                400
            );
        }
    }
}

/// Any JSON of the words that patches are made of.
fn anything() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "a",
        "b",
        "name",
        "uid",
        "1",
        "",
        "v1",
        "ConfigMap",
        "Agent",
        "delete",
        "replace",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..3).prop_map(Value::from),
        (-2.0_f64..2.0).prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "a",
        "b",
        "name",
        "uid",
        "data",
        "metadata",
        "spec",
        "status",
        "labels",
        "finalizers",
        "ownerReferences",
        "files",
        "bindings",
        "config",
        "managedFields",
        "fieldsV1",
        "f:spec",
        "k:{\"name\":\"a\"}",
        "v:\"a\"",
        "i:0",
        ".",
        "$patch",
        "$retainKeys",
        "$setElementOrder/finalizers",
        "$deleteFromPrimitiveList/finalizers",
        "manager",
        "operation",
        "apiVersion",
        "kind",
        "fieldsType",
    ]);
    leaf.prop_recursive(5, 48, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..5).prop_map(|fields| fields
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<Map<_, _>>()
                .into()),
        ]
    })
}

fn any_object(subject: &Subject) -> impl Strategy<Value = Object> + use<> {
    let (api_version, kind) = (subject.api_version(), subject.kind.clone());
    let fields = ["metadata", "data", "spec", "status"];
    prop::collection::vec((prop::sample::select(fields.to_vec()), anything()), 0..5).prop_map(move |found| {
        let mut object = object(json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}}));
        for (name, value) in found {
            object.fields_mut().insert(name.to_owned(), value);
        }
        object
    })
}

fn any_operation() -> impl Strategy<Value = Value> {
    let path = prop::collection::vec(
        prop::sample::select(vec![
            "metadata",
            "data",
            "a",
            "b",
            "labels",
            "finalizers",
            "0",
            "1",
            "-",
            "-1",
            "9",
            "",
            "~1",
        ]),
        0..4,
    )
    .prop_map(|steps| steps.iter().map(|step| format!("/{step}")).collect::<String>());
    let op = prop::sample::select(vec!["add", "remove", "replace", "move", "copy", "test", "x"]);
    (op, path.clone(), path, anything())
        .prop_map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_patch_breaks_us(
        live in any_object(&agent()),
        wanted in any_object(&agent()),
        patch in anything(),
        operations in prop::collection::vec(any_operation(), 0..6),
        force in any::<bool>(),
        status in any::<bool>(),
    ) {
        let subresource = status.then_some("status");
        for subject in [agent(), config_map()] {
            let rename = |object: &Object| {
                let mut object = object.clone();
                object.fields_mut().insert("apiVersion".to_owned(), json!(subject.api_version()));
                object.fields_mut().insert("kind".to_owned(), json!(subject.kind));
                object
            };
            let (live, wanted) = (rename(&live), rename(&wanted));
            let config = Config { object: wanted.clone(), manager: "kubectl".to_owned(), force };
            for before in [None, Some(&live)] {
                if let Ok(applied) = apply(&subject, before, &config, subresource, at(1)) {
                    // What was applied is there, and to apply it again changes nothing more.
                    let again = apply(&subject, Some(&applied), &Config { force: true, ..config.clone() }, subresource, at(1));
                    prop_assert!(again.is_ok());
                }
                track(&subject, before, wanted.clone(), "m", subresource, at(1));
            }
            let bodies = [(MERGE, patch.to_string()), (STRATEGIC, patch.to_string()), (JSON, json!(operations).to_string())];
            for (content_type, body) in bodies {
                if let Ok(Patch::Change(change)) = read(&subject, content_type, "", None, &body)
                    && let Ok(changed) = change.onto(&subject, &live)
                {
                    let mut tracked = track(&subject, Some(&live), changed, "m", subresource, at(1));
                    keep_times(&live, &mut tracked);
                }
            }
        }
    }

    #[test]
    fn what_is_sent_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..40), text in ".{0,40}") {
        for content_type in [APPLY, MERGE, STRATEGIC, JSON] {
            for body in [&body[..], text.as_bytes()] {
                let options = Options { field_manager: Some("m".to_owned()), force: None };
                if let Err(refusal) = Patch::read(&config_map(), content_type, &options, body).unwrap() {
                    prop_assert_eq!(refusal.code, 400);
                }
            }
        }
    }
}
