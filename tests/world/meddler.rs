//! Stands between a controller that is broken on purpose and its gateway, and sends what such a controller would send.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::{accept_hdr_async, client_async};

/// Every message to an agent goes twice, the second time under another key. The controller's end.
pub(crate) fn wakes_twice(gateway: DuplexStream) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        // Whatever ends on one side ends on the other.
        carry(theirs, gateway).await;
    });
    ours
}

async fn carry(controller: DuplexStream, gateway: DuplexStream) -> Option<()> {
    let mut asked = None;
    #[expect(clippy::result_large_err, reason = "tungstenite's own type")]
    let keep = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        asked = Some(request.clone());
        Ok(response)
    };
    let mut controller = accept_hdr_async(controller, keep).await.ok()?;
    let mut request = asked?;
    *request.uri_mut() = "ws://harbour:18789/".parse().ok()?;
    let (mut gateway, _) = client_async(request, gateway).await.ok()?;
    loop {
        tokio::select! {
            message = controller.next() => {
                let message = message?.ok()?;
                let again = repeated(&message);
                gateway.send(message).await.ok()?;
                if let Some(again) = again {
                    gateway.send(again).await.ok()?;
                }
            }
            message = gateway.next() => {
                let message = message?.ok()?;
                let is_of_ours = message.to_text().is_ok_and(|text| text.contains(OURS));
                if !is_of_ours {
                    controller.send(message).await.ok()?;
                }
            }
        }
    }
}

/// In the ids of calls that no controller has made.
const OURS: &str = "meddled";

fn repeated(message: &Message) -> Option<Message> {
    let mut call: Value = serde_json::from_str(message.to_text().ok()?).ok()?;
    if call["method"] != "chat.send" {
        return None;
    }
    let key = call["params"]["idempotencyKey"].as_str()?.to_owned();
    call["id"] = json!(format!("{OURS}-{key}"));
    call["params"]["idempotencyKey"] = json!(format!("{key}-again"));
    Some(Message::text(call.to_string()))
}
