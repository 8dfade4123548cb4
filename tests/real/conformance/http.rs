//! Plain HTTP on the same port: what a probe sees.

use serde_json::Value;

use super::seen::Seen;
use super::subject::Subject;
use crate::bed::operator;

async fn get(s: &mut Subject, path: &str, fields: &[&str]) -> Seen {
    let mut seen = s.seen();
    let (address, path) = (s.address().to_owned(), path.to_owned());
    let answer = tokio::task::spawn_blocking(move || operator::get(&address, &path))
        .await
        .expect("a thread");
    match answer {
        Err(why) => seen.line("GET", why),
        Ok((status, body)) => {
            let json: Option<Value> = serde_json::from_str(body.trim()).ok();
            match json {
                // The Control UI answers to any path, and is not what a probe asks for.
                None => seen.line("GET", format!("{status}, no JSON")),
                Some(json) => {
                    let said = fields.iter().map(|field| format!(" {field}={}", json[*field]));
                    seen.line("GET", format!("{status}{}", said.collect::<String>()));
                }
            }
        }
    }
    seen
}

pub async fn healthz(s: &mut Subject) -> Seen {
    get(s, "/healthz", &["ok", "status"]).await
}

pub async fn readyz(s: &mut Subject) -> Seen {
    get(s, "/readyz", &["ready"]).await
}

pub async fn startupz(s: &mut Subject) -> Seen {
    get(s, "/startupz", &["ok", "status", "started"]).await
}

pub async fn a_path_that_there_is_not(s: &mut Subject) -> Seen {
    get(s, "/no-such-path", &[]).await
}

pub async fn a_plain_get_of_the_root(s: &mut Subject) -> Seen {
    get(s, "/", &[]).await
}
