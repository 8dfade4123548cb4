//! Watchers that do not read, and many that have nothing to read.

use std::pin::pin;

use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use futures::{FutureExt, StreamExt};
use quartermaster::control_plane::access::User;
use quartermaster::control_plane::http::Service;
use serde_json::{Value, json};
use tokio::task::unconstrained;
use tower::ServiceExt;

use crate::bed::{Bed, CONFIG_MAPS, JSON, MERGE_PATCH};

async fn watch(service: &Service, query: &str) -> Result<BodyDataStream, u16> {
    let request = Request::get(format!("{CONFIG_MAPS}?watch=1&{query}"));
    let answer = service.clone().oneshot(request.body(Body::empty()).unwrap());
    let answer = answer.await.unwrap();
    match answer.status().as_u16() {
        200 => Ok(answer.into_body().into_data_stream()),
        code => Err(code),
    }
}

/// What has come, and whether the watch is over.
fn told(watch: &mut BodyDataStream) -> (Vec<Value>, bool) {
    let mut events = Vec::new();
    loop {
        // Else tokio has it rest after 128 answers.
        match pin!(unconstrained(watch.next())).now_or_never() {
            None => return (events, false),
            Some(None) => return (events, true),
            Some(Some(line)) => events.push(serde_json::from_slice(&line.unwrap()).unwrap()),
        }
    }
}

#[tokio::test]
async fn a_watcher_that_never_reads_is_ended_and_holds_nobody_up() {
    let bed = Bed::keeping(quartermaster::control_plane::store::Keep {
        age: std::time::Duration::ZERO,
        ..Default::default()
    })
    .await;
    bed.create(CONFIG_MAPS, &json!({"metadata": {"name": "a"}})).await;
    let service = bed.control_plane.service_for(User::admin());
    let version = bed.control_plane.store().revision();
    let query = format!("resourceVersion={version}");
    let mut sleepy = watch(&service, &query).await.unwrap();
    let mut lively = watch(&service, &query).await.unwrap();
    let mut heard = 0;
    for n in 0..20_000 {
        let patch = format!(r#"{{"data":{{"n":"{n}"}}}}"#);
        let answer = bed
            .ask("PATCH", &format!("{CONFIG_MAPS}/a"), MERGE_PATCH, patch)
            .await;
        assert_eq!(answer.code, 200, "{}", answer.message());
        let (events, over) = told(&mut lively);
        assert!(!over);
        heard += events.len();
    }
    assert_eq!(heard, 20_000, "who reads hears of everything");
    // It gets what it had taken, at most, and then the end; to watch from there is too late.
    let (events, over) = told(&mut sleepy);
    assert!(over && events.len() <= 128, "{} events", events.len());
    let mut late = watch(&service, &query).await.unwrap();
    let (events, over) = told(&mut late);
    assert!(over);
    assert_eq!(
        (events.len(), &events[0]["type"], &events[0]["object"]["code"]),
        (1, &json!("ERROR"), &json!(410))
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_may_be_asked_for_longer_than_a_clock_can_count() {
    let bed = Bed::new().await;
    let service = bed.control_plane.service_for(User::admin());
    let start = tokio::time::Instant::now();
    let mut watch = watch(&service, "timeoutSeconds=9223372036854775807")
        .await
        .unwrap();
    while watch.next().await.is_some() {}
    assert_eq!(start.elapsed().as_secs(), 24 * 3600);
}

/// Each is told of a change, whoever else watches; beyond what there is room for, the next is told to come again.
#[tokio::test]
async fn there_is_room_for_so_many_watches() {
    let bed = Bed::new().await;
    let service = bed.control_plane.service_for(User::admin());
    let version = bed.control_plane.store().revision();
    let query = format!("resourceVersion={version}");
    let mut watches = Vec::new();
    let refused = loop {
        match watch(&service, &query).await {
            Ok(watch) => watches.push(watch),
            Err(code) => break code,
        }
    };
    assert_eq!((watches.len(), refused), (10_000, 429));
    bed.create(CONFIG_MAPS, &json!({"metadata": {"name": "a"}})).await;
    for watch in &mut watches {
        let (events, over) = told(watch);
        assert_eq!((events.len(), over), (1, false));
    }
    watches.pop();
    assert!(watch(&service, &query).await.is_ok(), "a place is given back");
    assert_eq!(bed.ask("GET", CONFIG_MAPS, JSON, "").await.code, 200);
}
