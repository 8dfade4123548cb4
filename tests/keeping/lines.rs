//! What a session gives to the passes of its agents, and what it says by itself.

use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use quartermaster::gateway::commit::EntryChange;
use quartermaster::gateway::credentials::Identity;
use quartermaster::gateway::names::AgentId;
use quartermaster::gateway::{Address, Credentials, Target, Token, Trust, Wanted};
use quartermaster::resource::{Gateway, GatewaySpec};
use quartermaster::sessions::{Said, Sessions};
use quartermaster::simulated_gateway::Deed;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::bed::Bed;

struct Desk {
    bed: Bed,
    sessions: Sessions,
    said: Said,
    gateway: Gateway,
    key: ObjectRef<Gateway>,
}

impl Desk {
    async fn new() -> Self {
        let mut bed = Bed::new().await;
        bed.stop().await;
        let (sessions, said) = Sessions::new(bed.surroundings(), std::sync::Arc::new(|| 1));
        let mut gateway = Gateway::new("harbour", GatewaySpec::default());
        gateway.metadata.namespace = Some("default".into());
        let key = ObjectRef::from_obj(&gateway);
        Self {
            bed,
            sessions,
            said,
            gateway,
            key,
        }
    }

    fn want(&self, token: &[u8]) {
        let credentials = Credentials {
            token: Token::from_bytes(token).ok(),
            identity: Identity::TokenOnly,
        };
        let target = Target {
            address: Address::parse("ws://harbour:18789").unwrap(),
            trust: Trust::System,
            credentials,
        };
        let ask = String::new();
        self.sessions.want(&self.gateway, Wanted { target, ask }, None);
    }

    async fn link_changes(&mut self) {
        let said = timeout(Duration::from_secs(60), self.said.links.recv()).await;
        assert_eq!(said.unwrap().as_ref(), Some(&self.key));
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_says_whether_it_is_good_and_why_not() {
    let mut desk = Desk::new().await;
    assert!(desk.sessions.line(&desk.key).is_none());
    desk.want(b"sesame");
    let line = desk.sessions.line(&desk.key).unwrap();
    assert!(line.online.is_none() && line.trouble.is_none());
    while desk.sessions.line(&desk.key).unwrap().online.is_none() {
        desk.link_changes().await;
    }
    let line = desk.sessions.line(&desk.key).unwrap();
    line.readings.known().await.unwrap();
    let mut fields = serde_json::Map::new();
    fields.insert("name".into(), json!("Triage"));
    line.commits
        .put(EntryChange::new(AgentId::parse("triage").unwrap(), fields))
        .await
        .unwrap();
    assert!(desk.bed.gateway.config().to_string().contains("Triage"));

    desk.want(b"wrong");
    while desk.sessions.line(&desk.key).unwrap().trouble.is_none() {
        desk.link_changes().await;
    }
    let line = desk.sessions.line(&desk.key).unwrap();
    assert!(line.online.is_none());
    desk.sessions.close(&desk.gateway);
    assert!(desk.sessions.line(&desk.key).is_none());
}

#[tokio::test(start_paused = true)]
async fn what_a_gateway_tells_of_its_configuration_is_said_also_after_a_restart() {
    let mut desk = Desk::new().await;
    desk.want(b"sesame");
    while desk.sessions.line(&desk.key).unwrap().online.is_none() {
        desk.link_changes().await;
    }
    for _ in 0..2 {
        let line = desk.sessions.line(&desk.key).unwrap();
        assert!(desk.said.configurations.try_recv().is_err());
        let mut fields = serde_json::Map::new();
        fields.insert(
            "name".into(),
            json!(format!("Triage {}", desk.bed.gateway.calls_of("config.patch"))),
        );
        line.commits
            .put(EntryChange::new(AgentId::parse("triage").unwrap(), fields))
            .await
            .unwrap();
        let told = timeout(Duration::from_secs(60), desk.said.configurations.recv())
            .await
            .unwrap();
        assert_eq!(told.as_ref(), Some(&desk.key));
        // Its first heartbeat block would silence others: nothing of that here, but it is told that there is nothing.
        assert_eq!(desk.said.preserved.recv().await.as_ref(), Some(&desk.key));
        assert!(desk.sessions.preserved(&desk.gateway).is_empty());

        desk.bed.gateway.perform(Deed::CloseAll {
            code: 1012,
            reason: "service restart".into(),
        });
        while desk.sessions.line(&desk.key).unwrap().online.is_some() {
            desk.link_changes().await;
        }
        while desk.sessions.line(&desk.key).unwrap().online.is_none() {
            desk.link_changes().await;
        }
        sleep(Duration::from_secs(5)).await;
        while desk.said.configurations.try_recv().is_ok() || desk.said.preserved.try_recv().is_ok() {}
    }
}
