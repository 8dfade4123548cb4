//! Strangers at the door: what they hold by not going on, and for how long.

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::{Duration, Instant};

use crate::bed::{AGENTS, Bed, CONFIG_MAPS, JSON};

/// When the server closes, in seconds; it would be for ever if it did not.
async fn closed_after(stream: &mut (impl AsyncRead + Unpin)) -> u64 {
    let start = Instant::now();
    let mut buffer = [0; 4096];
    while !matches!(stream.read(&mut buffer).await, Ok(0) | Err(_)) {}
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn who_does_not_go_on_is_sent_away() {
    let bed = Bed::new().await;
    // Not even the beginning of TLS; a part of its first word.
    for said in [&b""[..], b"\x16\x03\x01"] {
        let mut stream = bed.pipe(4 << 10);
        stream.write_all(said).await.unwrap();
        assert_eq!(closed_after(&mut stream).await, 32, "{said:?}");
    }
    for protocol in ["http/1.1", "h2"] {
        // Hands were shaken, and nothing is asked for. HTTP/2 is told so first.
        let mut stream = bed.connect(protocol, 4 << 10).await;
        let after = closed_after(&mut stream).await;
        assert!((90..=91).contains(&after), "{protocol}: {after}");
    }
    for head in ["G", "GET /version HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = bed.connect("http/1.1", 4 << 10).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(closed_after(&mut stream).await, 90, "{head}");
    }
    // A letter each second is no progress.
    let (mut reader, mut writer) = tokio::io::split(bed.connect("http/1.1", 4 << 10).await);
    let dripping = tokio::spawn(async move {
        writer.write_all(b"GET /version HTTP/1.1\r\nX: ").await.unwrap();
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    assert_eq!(closed_after(&mut reader).await, 90);
    dripping.abort();
}

/// What a client that knows the rules of HTTP/2 would not send.
#[tokio::test(start_paused = true)]
async fn floods_of_http2_are_ended() {
    let bed = Bed::new().await;
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        frame
    };
    // GET https :path=/ from the static table, and :authority x.
    let head: &[u8] = b"\x82\x87\x84\x41\x01x";
    type Flood<'a> = Box<dyn Fn(u32) -> Vec<u8> + 'a>;
    let floods: [(&str, Flood<'_>); 5] = [
        (
            "streams that are reset at once",
            Box::new(|n| {
                [
                    frame(1, 5, 2 * n + 1, head),
                    frame(3, 0, 2 * n + 1, &[0, 0, 0, 8]),
                ]
                .concat()
            }),
        ),
        (
            "a head without end",
            Box::new(|n| {
                if n == 0 {
                    frame(1, 1, 1, head)
                } else {
                    frame(
                        9,
                        0,
                        1,
                        &[b"\x00\x01x\x7f\x81\x01".to_vec(), vec![b'x'; 256]].concat(),
                    )
                }
            }),
        ),
        (
            "streams that stay open",
            Box::new(|n| frame(1, 4, 2 * n + 1, head)),
        ),
        (
            "an upgrade of nothing",
            Box::new(|_| frame(99, 0, 0, &[0; 20_000])),
        ),
        ("frames of no stream", Box::new(|n| frame(0, 0, 2 * n + 1, b"x"))),
    ];
    for (name, flood) in &floods {
        let (mut reader, mut writer) = tokio::io::split(bed.connect("h2", 64 << 10).await);
        writer.write_all(PREFACE).await.unwrap();
        let reading = tokio::spawn(async move { closed_after(&mut reader).await });
        let mut sent = 0;
        while sent < 100_000 && writer.write_all(&flood(sent)).await.is_ok() {
            sent += 1;
            if reading.is_finished() {
                break;
            }
        }
        assert!(sent < 20_000, "{name}: {sent} were taken");
        drop(writer);
        reading.await.unwrap();
    }
    assert_eq!(bed.ask("GET", "/version", JSON, "").await.code, 200);
}

/// Who asks for much and reads nothing, one connection after the other.
#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_sent_away() {
    let bed = Bed::new().await;
    for n in 0..64 {
        let object = json!({"metadata": {"name": format!("c{n}")}, "data": {"x": "x".repeat(64 << 10)}});
        bed.create(CONFIG_MAPS, &object).await;
    }
    let mut stream = bed.connect("http/1.1", 64 << 10).await;
    let request = format!(
        "GET {CONFIG_MAPS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        bed.token()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(200)).await;
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.ok();
    assert!(read.starts_with(b"HTTP/1.1 200 OK"));
    assert!(read.len() < 1 << 20, "{} of 4 MiB were kept for it", read.len());
}

#[tokio::test]
async fn paths_and_heads_may_be_of_any_bytes() {
    let bed = Bed::new().await;
    let long = "a".repeat(60_000);
    for path in [
        "/".repeat(60_000),
        format!("/api/v1/{}", "a/".repeat(29_000)),
        format!("{CONFIG_MAPS}/{long}"),
        format!("{CONFIG_MAPS}/a%00b"),
        format!("{CONFIG_MAPS}/a%ff%feb"),
        format!("{CONFIG_MAPS}/%2e%2e"),
        format!("{CONFIG_MAPS}/a%zz"),
        format!("{CONFIG_MAPS}?continue={long}"),
        format!("{CONFIG_MAPS}?resourceVersion={}", "9".repeat(60_000)),
        format!("{CONFIG_MAPS}?limit=-9223372036854775808&timeoutSeconds=9223372036854775807"),
        format!(
            "{CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion={}",
            u64::MAX
        ),
        format!("{CONFIG_MAPS}?labelSelector={long}"),
        format!("{CONFIG_MAPS}?labelSelector={}", "!".repeat(60_000)),
        format!("{CONFIG_MAPS}?labelSelector={}", "(".repeat(60_000)),
        format!("{CONFIG_MAPS}?labelSelector={}a", "a,".repeat(29_000)),
        format!("{CONFIG_MAPS}?labelSelector=a+in+({}a)", "a,".repeat(29_000)),
        format!("{CONFIG_MAPS}?labelSelector=%00%ff"),
        format!("{CONFIG_MAPS}?fieldSelector={}", "=".repeat(60_000)),
        format!("{CONFIG_MAPS}?fieldSelector={}", ",".repeat(60_000)),
        format!("{AGENTS}/x/{}", "status/".repeat(8_000)),
    ] {
        let shown = &path[..path.len().min(90)];
        let answer = bed.ask("GET", &path, JSON, "").await;
        match answer.code {
            // A watch from a version that has not come has nothing to tell.
            200 => assert!(answer.body.is_empty() || answer.json().is_object(), "{shown}"),
            404 if answer.body == b"404 page not found\n" => {}
            400..500 | 504 => answer.is_status(),
            code => panic!("{shown}: {code} {}", answer.message()),
        }
    }
}
