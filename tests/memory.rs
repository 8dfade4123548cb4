//! How much memory the embedded control plane takes for what clients may do: watches that have nothing to tell, bodies that
//! grow when they are parsed, connections that do nothing. Measured by counting what is allocated, so no other program and no
//! clock has a say; one test after the other.

#![allow(
    unreachable_pub,
    reason = "what is shared with other test programs is public in its folder"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is a test; clippy sees only #[test] functions as such"
)]

#[path = "hostile_requests/bed.rs"]
#[expect(dead_code, reason = "the other tests do more with it")]
mod bed;
#[path = "real/bed/evidence.rs"]
#[expect(dead_code, reason = "the real tests say more with it")]
mod evidence;

use std::alloc::System;
use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::http::Request;
use bed::{AGENTS, APPLY, Bed, CONFIG_MAPS, JSON};
use cap::Cap;
use futures::{FutureExt, StreamExt};
use quartermaster::control_plane::access::User;
use serde_json::json;
use tower::ServiceExt;

#[global_allocator]
static ALLOCATED: Cap<System> = Cap::new(System, usize::MAX);

/// Others would be counted, too.
static ALONE: Mutex<()> = Mutex::new(());

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

fn alone<T>(work: impl Future<Output = T>) -> T {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(work)
}

#[test]
fn a_thousand_idle_watches() {
    let each = alone(async {
        let bed = Bed::new().await;
        let service = bed.control_plane.service_for(User::admin());
        let before = ALLOCATED.allocated();
        let mut watches = Vec::new();
        for _ in 0..1_000 {
            let request =
                Request::get(format!("{CONFIG_MAPS}?watch=1&labelSelector=a%3Db")).body(Body::empty());
            let answer = service.clone().oneshot(request.unwrap()).await.unwrap();
            let mut watch = answer.into_body().into_data_stream();
            // It waits now.
            assert!(watch.next().now_or_never().is_none());
            watches.push(watch);
        }
        let each = (ALLOCATED.allocated() - before) / watches.len();
        assert!(each < 8 * KIB, "{each} bytes each");
        // It does not grow by what goes by.
        for n in 0..200 {
            bed.create(
                CONFIG_MAPS,
                &json!({"metadata": {"name": format!("c{n}")}, "data": {"x": "x".repeat(4 * KIB)}}),
            )
            .await;
            for watch in &mut watches {
                assert!(watch.next().now_or_never().is_none());
            }
        }
        let history = 200 * 16 * KIB;
        let after = (ALLOCATED.allocated() - before).saturating_sub(history) / watches.len();
        assert!(after < 16 * KIB, "{after} bytes each");
        each
    });
    evidence::record(
        "embedded",
        "bytes an idle watch takes in process",
        u64::try_from(each).unwrap(),
        "1,000 watches",
    );
}

#[test]
fn a_thousand_idle_connections() {
    let each = alone(async {
        let bed = Bed::new().await;
        let before = ALLOCATED.allocated();
        let mut streams = Vec::new();
        for n in 0..1_000 {
            let protocol = if n % 2 == 0 { "h2" } else { "http/1.1" };
            streams.push(bed.connect(protocol, 4 * KIB).await);
        }
        // Both ends are here, and the client's certificates with them.
        let each = (ALLOCATED.allocated() - before) / streams.len();
        assert!(each < 192 * KIB, "{each} bytes each");
        each
    });
    evidence::record(
        "embedded",
        "bytes an idle TLS connection takes, both ends",
        u64::try_from(each).unwrap(),
        "1,000 connections",
    );
}

/// What a mebibyte of body is made into by what makes the most of it: maps of one entry.
#[test]
fn the_worst_of_bodies_takes_so_much() {
    let most = alone(async {
        let bed = Bed::new().await;
        bed.create(CONFIG_MAPS, &json!({"metadata": {"name": "here"}}))
            .await;
        let here = format!("{CONFIG_MAPS}/here?fieldManager=x");
        let length = MIB - 1_000;
        let mut most = 0;
        for unit in ["[],", "{\"\":0},"] {
            let list = format!("[{}0]", unit.repeat(length / unit.len()));
            let of = |field: &str| {
                format!(
                    r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"here","{field}":{list}}}}}"#
                )
            };
            let agent = format!(
                r#"{{"apiVersion":"quartermaster.dev/v1alpha1","kind":"Agent","metadata":{{"name":"x"}},"spec":{{"files":{list}}}}}"#
            );
            for (method, path, content_type, body, code, words) in [
                ("POST", AGENTS, JSON, agent, 422, "is invalid: [spec.files[0]"),
                (
                    "PATCH",
                    &here,
                    bed::MERGE_PATCH,
                    of("finalizers"),
                    422,
                    "patch: Invalid value: ",
                ),
                (
                    "PATCH",
                    &here,
                    bed::JSON_PATCH,
                    format!(r#"[{{"op":"add","path":"/x","value":{list}}}]"#),
                    // A field that nobody knows is taken out.
                    200,
                    r#""name":"here""#,
                ),
                // As the API server: what it cannot make a typed patch of is a failure of its own.
                (
                    "PATCH",
                    &here,
                    APPLY,
                    of("finalizers"),
                    500,
                    "failed to create typed patch object (/here; ",
                ),
            ] {
                let answer = bed.ask(method, path, content_type, body).await;
                assert_eq!(answer.code, code, "{}", answer.message());
                assert!(answer.message().contains(words), "{}", answer.message());
                most = ALLOCATED.max_allocated();
            }
        }
        assert!(most < 400 * MIB, "{} MiB", most / MIB);
        most / MIB
    });
    evidence::record(
        "embedded",
        "MiB that the worst body of 1 MiB takes",
        u64::try_from(most).unwrap(),
        "",
    );
}
