//! Provisioning as a controller does it: look, compare, write what differs, look again. Nothing is remembered from one pass
//! to the next but whether an agent's wake message was sent, because that is the one thing that must not be done twice.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use quartermaster::gateway::Connection;
use quartermaster::gateway::chat::{InHistory, Sent};
use quartermaster::gateway::commit::NotCommitted;
use quartermaster::gateway::connection::CallError;
use quartermaster::gateway::names::AgentId;
use quartermaster::gateway::session::Online;
use tokio::time::sleep;

use super::seat::Seat;
use super::{Agent, Document};

/// What became of the wake messages; who is not in it is not woken.
pub type Wakes = BTreeMap<AgentId, Wake>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    Due,
    /// Asked for under the key of this attempt, and perhaps taken: only the history knows.
    Asked(u32),
    /// The history holds it.
    Sent,
}

pub fn due(fleet: &[Agent]) -> Wakes {
    fleet.iter().map(|agent| (agent.id.clone(), Wake::Due)).collect()
}

/// What one pass came to.
#[derive(Debug, Default)]
struct Pass {
    /// Files and wakes; of entries the session itself knows.
    written: usize,
    /// What the next pass has to look at again.
    troubles: Vec<String>,
}

/// A gateway that is killed once costs three passes or four. More than this: something is written for ever.
const PASSES: usize = 40;

/// Comes back when a pass found everything as it should be and wrote nothing; says how many passes that took.
pub async fn until_so(seat: &Seat, fleet: &[Agent], wakes: &mut Wakes) -> usize {
    let mut last = Pass::default();
    for number in 1..=PASSES {
        last = pass(seat, fleet, wakes).await;
        if last.written == 0 && last.troubles.is_empty() {
            return number;
        }
        if !last.troubles.is_empty() {
            sleep(Duration::from_millis(200)).await;
        }
    }
    panic!(
        "not so after {PASSES} passes: {last:?}, {:?}",
        seat.session.link()
    );
}

async fn pass(seat: &Seat, fleet: &[Agent], wakes: &mut Wakes) -> Pass {
    let mut pass = Pass::default();
    pass.note(entries(seat, fleet).await);
    // What an agent's turn would find comes before whatever starts one.
    if pass.troubles.is_empty() {
        pass.note(documents(seat, fleet).await);
    }
    if pass.troubles.is_empty() {
        let online = seat.online().await;
        pass.note(vec![woken(&online, fleet, wakes).await]);
    }
    pass
}

impl Pass {
    fn note(&mut self, results: Vec<Result<bool, String>>) {
        for result in results {
            match result {
                Ok(written) => self.written += usize::from(written),
                Err(trouble) => self.troubles.push(trouble),
            }
        }
    }
}

/// The session reads, compares and writes; what is already so costs no write.
pub async fn entries(seat: &Seat, fleet: &[Agent]) -> Vec<Result<bool, String>> {
    let puts = fleet.iter().map(|agent| async {
        match seat.session.commits().put(agent.change()).await {
            Ok(_) => Ok(false),
            Err(NotCommitted::Rejected(issues)) => panic!("{}: {issues:?}", agent.id),
            Err(NotCommitted::Refused(why) | NotCommitted::Unfinished(why)) => {
                Err(format!("{}: {why}", agent.id))
            }
        }
    });
    join_all(puts).await
}

/// Reads every document and writes those that differ.
async fn documents(seat: &Seat, fleet: &[Agent]) -> Vec<Result<bool, String>> {
    let connection = seat.online().await.connection;
    let all = fleet
        .iter()
        .flat_map(|agent| agent.documents.iter().map(move |document| (agent, document)));
    let each = all.map(|(agent, document)| {
        let connection = &connection;
        async move {
            brought_about(connection, agent, document)
                .await
                .map_err(|error| format!("{} of {}: {error}", document.name, agent.id))
        }
    });
    join_all(each).await
}

async fn brought_about(
    connection: &Connection,
    agent: &Agent,
    document: &Document,
) -> Result<bool, CallError> {
    let there = connection.file_get(&agent.id, document.name).await?;
    if there
        .as_ref()
        .is_some_and(|file| file.content == document.content)
    {
        return Ok(false);
    }
    let expected = there.as_ref().and_then(|file| file.hash.as_deref());
    write(connection, agent, document, expected).await?;
    Ok(true)
}

/// Writes a document and makes sure of it: by the hash in the answer, or by reading it back where there is none.
pub async fn write(
    connection: &Connection,
    agent: &Agent,
    document: &Document,
    expected: Option<&str>,
) -> Result<(), CallError> {
    let Document { name, content } = document;
    let hash = connection.file_set(&agent.id, name, content, expected).await?;
    let so = match hash {
        Some(hash) => hash == document.hash(),
        None => connection
            .file_get(&agent.id, name)
            .await?
            .is_some_and(|file| file.content == *content),
    };
    assert!(so, "{name} of {} is not what was written", agent.id);
    Ok(())
}

/// Sends the wake messages that are due, one after another, and waits until the histories hold them.
///
/// Taken is not kept: a 2026.9.6 that is killed before the turn is over has lost a session's first message. So what the
/// history does not hold is sent again, under the same key: a gateway that has it takes it only once. Of a further message
/// it keeps the key and makes no turn: that one goes again under another key.
async fn woken(online: &Online, fleet: &[Agent], wakes: &mut Wakes) -> Result<bool, String> {
    let due = |wake: Option<&Wake>| matches!(wake, Some(Wake::Due | Wake::Asked(_)));
    let to_wake: Vec<&Agent> = fleet.iter().filter(|agent| due(wakes.get(&agent.id))).collect();
    let mut sent = false;
    for agent in &to_wake {
        let attempt = match wakes.get(&agent.id) {
            Some(Wake::Asked(attempt)) => *attempt,
            Some(Wake::Due | Wake::Sent) | None => 0,
        };
        if wakes.get(&agent.id) == Some(&Wake::Asked(attempt)) && is_held(online, agent, wakes).await? {
            continue;
        }
        let (session, key) = (agent.id.main_session(), agent.wake_key(attempt));
        let asked = online
            .connection
            .chat_send(&session, "Read AGENTS.md and begin.", &key)
            .await;
        if !matches!(asked, Err(CallError::Refused(_) | CallError::TooLarge { .. })) {
            wakes.insert(agent.id.clone(), Wake::Asked(attempt));
        }
        let asked = asked.map_err(|error| format!("wake of {}: {error}", agent.id))?;
        if let Sent::Over(why) = asked
            && was_lost(online, agent, wakes).await?
        {
            wakes.insert(agent.id.clone(), Wake::Asked(attempt + 1));
            return Err(format!("wake of {}: {why}", agent.id));
        }
        sent = true;
    }
    // 20 turns without a model have taken 80 s on a busy machine.
    for _ in 0..600 {
        let mut left = 0;
        for agent in &to_wake {
            left += usize::from(!is_held(online, agent, wakes).await?);
        }
        if left == 0 {
            return Ok(sent);
        }
        sleep(Duration::from_millis(500)).await;
    }
    Err(format!("no history holds these: {wakes:?}"))
}

/// Whether no turn was made of a message whose key is used up. On a busy machine one is in the history 20 s after its end.
async fn was_lost(online: &Online, agent: &Agent, wakes: &mut Wakes) -> Result<bool, String> {
    let mut look = InHistory::Unknown;
    for _ in 0..80 {
        look = in_history(online, agent, wakes).await?;
        if look == InHistory::Held {
            return Ok(false);
        }
        sleep(Duration::from_millis(500)).await;
    }
    Ok(look == InHistory::NotThere)
}

async fn is_held(online: &Online, agent: &Agent, wakes: &mut Wakes) -> Result<bool, String> {
    Ok(in_history(online, agent, wakes).await? == InHistory::Held)
}

async fn in_history(online: &Online, agent: &Agent, wakes: &mut Wakes) -> Result<InHistory, String> {
    let attempt = match wakes.get(&agent.id) {
        Some(Wake::Sent) => return Ok(InHistory::Held),
        Some(Wake::Asked(attempt)) => *attempt,
        Some(Wake::Due) | None => 0,
    };
    let (session, key) = (agent.id.main_session(), agent.wake_key(attempt));
    let held = online
        .connection
        .chat_holds(online.contract, &session, &key)
        .await;
    let held = held.map_err(|error| format!("history of {}: {error}", agent.id))?;
    if held == InHistory::Held {
        wakes.insert(agent.id.clone(), Wake::Sent);
    }
    Ok(held)
}
