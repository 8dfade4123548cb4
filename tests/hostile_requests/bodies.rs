//! Bodies that are too long, too deep, too slow, or not what they say they are.

use axum::body::{Body, Bytes};
use axum::http::Request;
use futures::{StreamExt, stream};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Duration, Instant};

use crate::bed::{
    self, ACCOUNTS, AGENTS, APPLY, Bed, CONFIG_MAPS, JSON, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH,
};

const MIB: usize = 1 << 20;
const TOO_LARGE: &str = "Request entity too large: limit is 3145728";

fn pieces(count: usize) -> Body {
    let piece = Bytes::from(vec![b' '; 64 << 10]);
    Body::from_stream(stream::iter(
        (0..count).map(move |_| Ok::<_, std::io::Error>(piece.clone())),
    ))
}

#[tokio::test]
async fn what_is_too_long_is_refused_whatever_it_is_for() {
    let bed = Bed::new().await;
    let here = format!("{CONFIG_MAPS}/here");
    for (method, path, content_type) in [
        ("POST", CONFIG_MAPS, JSON),
        ("POST", AGENTS, "application/yaml"),
        ("PUT", &here, JSON),
        ("PATCH", &here, MERGE_PATCH),
        ("PATCH", &format!("{here}?fieldManager=x"), APPLY),
        ("DELETE", &here, JSON),
        ("DELETE", CONFIG_MAPS, JSON),
        ("POST", &format!("{ACCOUNTS}/x/token"), JSON),
    ] {
        // With a length, and without.
        let long = bed.ask(method, path, content_type, vec![b' '; 3 * MIB + 1]).await;
        long.is_refusal(413, "RequestEntityTooLarge", TOO_LARGE);
        let long = bed.ask(method, path, content_type, pieces(1_600)).await;
        long.is_refusal(413, "RequestEntityTooLarge", TOO_LARGE);
    }
    let just_fits = bed.ask("POST", CONFIG_MAPS, JSON, vec![b' '; 3 * MIB]).await;
    just_fits.is_status();
    assert_eq!(just_fits.code, 400, "{}", just_fits.message());
}

/// Sends for as long as it is taken, and says how much was and what was answered.
async fn pour(bed: &Bed, head: &str, piece: &[u8]) -> (usize, String) {
    let (mut reader, mut writer) = tokio::io::split(bed.connect("http/1.1", 4 << 10).await);
    let head = format!(
        "POST {CONFIG_MAPS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n{head}\r\n\r\n",
        bed.token()
    );
    let piece = piece.to_vec();
    let pouring = tokio::spawn(async move {
        writer.write_all(head.as_bytes()).await.unwrap();
        let mut taken = 0;
        while taken < 100 * MIB && writer.write_all(&piece).await.is_ok() {
            taken += piece.len();
        }
        taken
    });
    let mut said = Vec::new();
    // The server closes; how its end looks to TLS does not matter here.
    reader.read_to_end(&mut said).await.ok();
    (pouring.await.unwrap(), String::from_utf8(said).unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_server_stops_reading_and_still_gives_its_answer() {
    let bed = Bed::new().await;
    let is_refusal = |said: &str| {
        assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
        assert!(said.contains(TOO_LARGE), "{said}");
    };
    // Lingering takes up to 1 MiB more, so that who sends without looking gets to see the answer.
    let piece = [b' '; 16 << 10];
    let (taken, said) = pour(&bed, "Content-Length: 104857600", &piece).await;
    is_refusal(&said);
    assert!(
        taken < 2 * MIB,
        "{taken} bytes were read of a body that says it is too long"
    );

    let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
    chunk.extend_from_slice(&piece);
    chunk.extend_from_slice(b"\r\n");
    let (taken, said) = pour(&bed, "Transfer-Encoding: chunked", &chunk).await;
    is_refusal(&said);
    assert!(taken < 5 * MIB, "{taken} bytes were read");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let bed = Bed::new().await;
    for drops in [0, 200] {
        let start = Instant::now();
        let dripping = stream::iter(0..drops)
            .then(async |_| {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok::<_, std::io::Error>(Bytes::from_static(b" "))
            })
            .chain(stream::pending());
        let given_up = bed
            .ask("POST", CONFIG_MAPS, JSON, Body::from_stream(dripping))
            .await;
        given_up.is_refusal(
            504,
            "Timeout",
            "Timeout: request did not complete within requested timeout - context deadline exceeded",
        );
        assert_eq!(start.elapsed().as_secs(), 60);
    }
}

/// What is in hand is bounded, and given back.
#[tokio::test(start_paused = true)]
async fn many_large_bodies_at_once_find_no_room() {
    let bed = Bed::new().await;
    // Each sends all but the end of the largest body that is taken.
    let almost = |_| {
        let piece = Bytes::from(vec![b' '; 3 * MIB]);
        let body = stream::iter([Ok::<_, std::io::Error>(piece)]).chain(stream::pending());
        bed.ask("POST", CONFIG_MAPS, JSON, Body::from_stream(body))
    };
    let answers = futures::future::join_all((0..20).map(almost)).await;
    let of = |code: u16| answers.iter().filter(|answer| answer.code == code).count();
    assert_eq!((of(504), of(429)), (10, 10), "32 MiB have room for ten");
    let refused = answers.iter().find(|answer| answer.code == 429).unwrap();
    refused.is_refusal(
        429,
        "TooManyRequests",
        "Too many requests, please try again later.",
    );
    assert_eq!(refused.headers["retry-after"], "1");
    bed.create(CONFIG_MAPS, &json!({"metadata": {"name": "afterwards"}}))
        .await;
}

#[tokio::test]
async fn what_nests_without_end_is_refused_in_every_form() {
    let bed = Bed::new().await;
    bed.create(CONFIG_MAPS, &json!({"metadata": {"name": "here"}}))
        .await;
    let here = format!("{CONFIG_MAPS}/here?fieldManager=x");
    let lists = "[".repeat(100_000);
    let maps = format!(
        "{{\"metadata\":{}1{}}}",
        "{\"a\":".repeat(100_000),
        "}".repeat(100_000)
    );
    let yaml = format!("a: {}{}", "[".repeat(100_000), "]".repeat(100_000));
    let blocks = format!("{}a", "- ".repeat(100_000));
    for body in [&lists, &maps, &yaml, &blocks] {
        for (method, path, content_type) in [
            ("POST", CONFIG_MAPS, JSON),
            ("POST", AGENTS, JSON),
            ("POST", CONFIG_MAPS, "application/yaml"),
            (
                "POST",
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                JSON,
            ),
            ("PUT", &here, JSON),
            ("DELETE", &here, JSON),
            ("PATCH", &here, JSON_PATCH),
            ("PATCH", &here, MERGE_PATCH),
            ("PATCH", &here, STRATEGIC_PATCH),
            ("PATCH", &here, APPLY),
        ] {
            let refused = bed.ask(method, path, content_type, body.clone()).await;
            refused.is_status();
            assert_eq!(
                refused.code,
                400,
                "{method} {content_type}: {}",
                refused.message()
            );
            assert!(refused.message().len() < 1_000, "{}", refused.message());
        }
    }
}

/// Nothing is unpacked, so nothing can be a bomb: Kubernetes takes no compressed requests either.
#[tokio::test]
async fn what_is_compressed_is_taken_as_it_is() {
    let bed = Bed::new().await;
    let gzip: &[u8] = b"\x1f\x8b\x08\x00\xd2\xe0\x01\x6b\x02\xff\xab\x56";
    let request = Request::post(CONFIG_MAPS)
        .header("authorization", format!("Bearer {}", bed.token()))
        .header("content-encoding", "gzip")
        .body(Body::from(gzip))
        .unwrap();
    let refused = bed::answer(bed.service.clone(), request).await;
    refused.is_status();
    assert_eq!(refused.code, 400);
    let shown = "(1f8b0800d2e0016b02ffab56)";
    assert!(refused.message().ends_with(shown), "{}", refused.message());
}

/// An answer that repeats what was sent does not grow with it, nor with how much is wrong.
#[tokio::test]
async fn a_million_mistakes_are_not_told_one_by_one() {
    let bed = Bed::new().await;
    bed.create(CONFIG_MAPS, &json!({"metadata": {"name": "here"}}))
        .await;
    let here = format!("{CONFIG_MAPS}/here?fieldManager=x");
    let head = r#"{"apiVersion":"quartermaster.dev/v1alpha1","kind":"Agent","metadata":{"name":"x"},"spec":"#;
    let items = "[],".repeat(900_000);
    let fields: Vec<String> = (0..200_000).map(|n| format!("\"f{n}\":1")).collect();
    for (method, path, content_type, body) in [
        ("POST", AGENTS, JSON, format!("{head}{{\"files\":[{items}0]}}}}")),
        ("POST", AGENTS, JSON, format!("{head}{{{}}}}}", fields.join(","))),
        ("POST", CONFIG_MAPS, JSON, format!("[{items}0]")),
        ("POST", CONFIG_MAPS, JSON, "x".repeat(2 * MIB)),
        (
            "PATCH",
            &here,
            APPLY,
            format!(
                r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"here","finalizers":[{}0]}}}}"#,
                "0,".repeat(MIB)
            ),
        ),
    ] {
        let refused = bed.ask(method, path, content_type, body).await;
        refused.is_status();
        assert!(refused.body.len() < 512 << 10, "{} bytes", refused.body.len());
        let warned = refused.headers.get_all("warning").iter();
        let letters: usize = warned.map(|warning| warning.len()).sum();
        assert!(letters < 8 << 10, "{letters} letters of warnings");
    }
    let body = format!("{head}{{\"files\":[{items}0]}}}}");
    let message = bed.ask("POST", AGENTS, JSON, body).await.message();
    assert!(message.ends_with(" more]"), "{}", &message[message.len() - 100..]);
}

#[tokio::test]
async fn no_alias_makes_much_out_of_little() {
    let bed = Bed::new().await;
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (before, name) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        let aliases = vec![format!("*{before}"); 9].join(", ");
        bomb.push_str(&format!("{name}: &{name} [{aliases}]\n"));
    }
    let path = format!("{CONFIG_MAPS}/here?fieldManager=x");
    for (method, path, content_type) in [("POST", CONFIG_MAPS, "application/yaml"), ("PATCH", &path, APPLY)] {
        let refused = bed.ask(method, path, content_type, bomb.clone()).await;
        refused.is_status();
        assert_eq!(refused.code, 400, "{}", refused.message());
    }
}

/// Else an object would grow by 3 MiB with each patch.
#[tokio::test]
async fn an_object_does_not_grow_without_end() {
    let bed = Bed::new().await;
    let path = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
    let rule = json!({"apiGroups": [""], "resources": ["x"], "verbs": ["v".repeat(1_000)]});
    bed.create(path, &json!({"metadata": {"name": "all"}, "rules": [rule]}))
        .await;
    let path = format!("{path}/all");
    let operations = vec![json!({"op": "add", "path": "/rules/-", "value": rule}); 400];
    let patch = json!(operations).to_string();
    let mut grown = 0;
    let refused = loop {
        let answer = bed.ask("PATCH", &path, JSON_PATCH, patch.clone()).await;
        if answer.code != 200 {
            break answer;
        }
        grown += 1;
        assert!(grown < 10, "{} bytes", answer.body.len());
    };
    refused.is_refusal(
        413,
        "RequestEntityTooLarge",
        "Request entity too large: limit is 1572864",
    );
    assert_eq!(grown, 3);
    assert_eq!(bed.ask("DELETE", &path, JSON, "").await.code, 200);
}
