//! Requests made of chance, and of what is almost right: whatever comes, nothing panics, and what is refused is refused in
//! the form that clients know. `PROPTEST_CASES=100000` looks longer.

use axum::body::Body;
use axum::http::Request;
use proptest::prelude::*;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::bed::{self, ACCOUNTS, AGENTS, Bed, CONFIG_MAPS};

/// Words of which requests are made, right ones and wrong ones.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec![
            "api", "apis", "v1", "namespaces", "default", "configmaps", "secrets", "serviceaccounts", "here", "status", "token",
            "finalize", "watch", "quartermaster.dev", "v1alpha1", "agents", "boards", "rbac.authorization.k8s.io", "roles",
            "clusterroles", "events", "leases", "authorization.k8s.io", "selfsubjectaccessreviews", "openapi", "v2", "v3",
            "version", "healthz", "quartermaster", "backup", "%00", "%ff", "%2f", "..", "",
        ]).prop_map(str::to_owned),
        1 => "[!-~&&[^?#]]{0,12}".prop_map(|word| percent_encoding::utf8_percent_encode(&word, percent_encoding::NON_ALPHANUMERIC).to_string()),
    ]
}

fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::collection::vec(word(), 0..9).prop_map(|words| format!("/{}", words.join("/"))),
        3 => prop::sample::select(vec![
            CONFIG_MAPS.to_owned(), AGENTS.to_owned(), format!("{CONFIG_MAPS}/here"), format!("{AGENTS}/here"),
            format!("{AGENTS}/here/status"), format!("{ACCOUNTS}/here"), format!("{ACCOUNTS}/here/token"),
        ]),
    ]
}

fn query() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "watch",
        "dryRun",
        "fieldManager",
        "fieldValidation",
        "force",
        "labelSelector",
        "fieldSelector",
        "limit",
        "continue",
        "resourceVersion",
        "resourceVersionMatch",
        "allowWatchBookmarks",
        "sendInitialEvents",
        "propagationPolicy",
        "orphanDependents",
        "gracePeriodSeconds",
        "includeObject",
        "pretty",
        "x",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec![
            "",
            "true",
            "1",
            "0",
            "-1",
            "All",
            "Strict",
            "Exact",
            "NotOlderThan",
            "Background",
            "Foreground",
            "99999999999999999999",
            "metadata.name%3Dhere",
            "a%20in%20(b,c)",
            "!a,b!%3Dc",
            "a%3E5",
            "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJ4In0",
        ])
        .prop_map(str::to_owned),
        "[a-z0-9=,!()%]{0,20}",
    ];
    let pairs = prop::collection::vec(
        (name, value).prop_map(|(name, value)| format!("{name}={value}")),
        0..4,
    );
    // A watch without an end is no answer that can be read to its end.
    pairs.prop_map(|pairs| format!("{}&timeoutSeconds=1", pairs.join("&")))
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|truth| json!(truth)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        prop::sample::select(vec![
            "",
            "v1",
            "ConfigMap",
            "quartermaster.dev/v1alpha1",
            "Agent",
            "here",
            "default",
            "add",
            "remove",
            "copy",
            "move",
            "test",
            "replace",
            "/metadata/name",
            "/metadata/labels",
            "/data/a",
            "/",
            "/-",
            "/spec/files/0",
            "Apply",
            "Update",
            "FieldsV1",
            "delete",
            "merge",
            "2026-01-01T00:00:00Z",
            "a/b",
            "Main",
            "Worker",
        ])
        .prop_map(|word| json!(word)),
        ".{0,8}".prop_map(|text| json!(text)),
    ];
    let name = prop::sample::select(vec![
        "apiVersion",
        "kind",
        "metadata",
        "name",
        "namespace",
        "generateName",
        "labels",
        "annotations",
        "finalizers",
        "uid",
        "resourceVersion",
        "generation",
        "deletionTimestamp",
        "ownerReferences",
        "managedFields",
        "manager",
        "operation",
        "fieldsType",
        "fieldsV1",
        "f:data",
        "f:metadata",
        "k:{\"name\":\"a\"}",
        ".",
        "v:1",
        "i:0",
        "time",
        "spec",
        "status",
        "data",
        "stringData",
        "rules",
        "verbs",
        "resources",
        "op",
        "path",
        "from",
        "value",
        "$patch",
        "$retainKeys",
        "$setElementOrder/finalizers",
        "$deleteFromPrimitiveList/finalizers",
        "secrets",
        "imagePullSecrets",
        "files",
        "role",
        "gatewayRef",
        "boardRef",
        "conditions",
        "kubectl.kubernetes.io/last-applied-configuration",
        "x",
        "",
    ]);
    let value = leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|items| json!(items)),
            prop::collection::vec((name.clone(), inner), 0..7).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    });
    prop_oneof![
        4 => value.prop_map(|value| value.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => "[-a-z:&*!|>\\[\\]{}\"'#%, \n]{0,80}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| [b"k8s\0", bytes.as_slice()].concat()),
    ]
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig {
        // A control plane is new for each.
        cases: std::env::var("PROPTEST_CASES").map_or(24, |cases| cases.parse().unwrap()),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_is_asked_is_answered(
        requests in prop::collection::vec(
            (
                prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "X"]),
                path(),
                query(),
                prop::sample::select(vec![
                    "application/json", "application/yaml", "application/json-patch+json", "application/merge-patch+json",
                    "application/strategic-merge-patch+json", "application/apply-patch+yaml",
                    "application/vnd.kubernetes.protobuf", "text/plain", "",
                ]),
                prop::sample::select(vec![
                    "application/json", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/yaml", "*/*", "x",
                    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
                ]),
                body(),
            ),
            1..60,
        )
    ) {
        runtime().block_on(async {
            let bed = Bed::new().await;
            bed.create(CONFIG_MAPS, &json!({"metadata": {"name": "here"}, "data": {"a": "b"}})).await;
            bed.create(ACCOUNTS, &json!({"metadata": {"name": "here"}})).await;
            let agent = json!({
                "apiVersion": "quartermaster.dev/v1alpha1", "kind": "Agent", "metadata": {"name": "here"},
                "spec": {"role": "Main", "gatewayRef": {"name": "g"}},
            });
            bed.create(AGENTS, &agent).await;
            for (method, path, query, content_type, accept, body) in requests {
                let request = Request::builder()
                    .method(method)
                    .uri(format!("{path}?{query}"))
                    .header("authorization", format!("Bearer {}", bed.token()))
                    .header("content-type", content_type)
                    .header("accept", accept)
                    .body(Body::from(body))
                    .unwrap();
                let answer = bed::answer(bed.service.clone(), request).await;
                match answer.code {
                    200..300 => {}
                    404 if answer.body == b"404 page not found\n" => {}
                    _ => answer.is_status(),
                }
            }
        });
    }
}
