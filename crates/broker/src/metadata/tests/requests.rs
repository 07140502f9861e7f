use std::sync::Arc;
use std::time::Duration;

use raftsman_rpc::controller::{AdministerReply, CreateTopics, administer_request::Operation};
use raftsman_types::{BrokerId, IncarnationId, ProducerId};
use tokio::runtime::Handle;

use super::fake_controller::{FakeController, Script};
use crate::lifecycle::BrokerIdentity;
use crate::metadata::{ControllerClient, ControllerError, ProducerIds};

const LONG: Duration = Duration::from_secs(20);

pub(super) fn client(endpoints: Vec<(String, u16)>) -> ControllerClient {
    let identity = BrokerIdentity::new(BrokerId(1), IncarnationId::default(), None);
    ControllerClient::new(Handle::current(), Arc::new(identity), endpoints)
}

fn operation() -> Operation {
    Operation::CreateTopics(CreateTopics::default())
}

fn answering() -> Script {
    Script { administered: Some(AdministerReply { version: 9, ..Default::default() }), ..Script::default() }
}

#[tokio::test]
async fn the_hint_of_a_passive_controller_is_followed() {
    let active = FakeController::start(answering());
    let hint = Some(active.address.to_string());
    let passive = FakeController::start(Script { active: false, hint, ..Script::default() });
    let client = client(vec![passive.endpoint()]);
    for _ in 0..3 {
        assert_eq!(client.administer(operation(), LONG).await.unwrap().version, 9);
    }
    assert_eq!(active.script(|script| script.administrations), 3);
}

#[tokio::test]
async fn the_search_goes_on_until_somebody_is_active() {
    let first = FakeController::start(Script { active: false, ..answering() });
    let second = FakeController::start(Script { active: false, ..answering() });
    // Each calls the other active: no busy loop, and no end before one of them is.
    first.script(|script| script.hint = Some(second.address.to_string()));
    second.script(|script| script.hint = Some(first.address.to_string()));
    let client = client(vec![first.endpoint(), second.endpoint()]);
    let waiting = tokio::spawn(async move { client.administer(operation(), LONG).await });
    tokio::task::yield_now().await;
    second.script(|script| script.active = true);
    assert_eq!(waiting.await.unwrap().unwrap().version, 9);
}

#[tokio::test]
async fn what_reached_nobody_is_a_definite_no() {
    let refused = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        (gone.ip().to_string(), gone.port())
    };
    for endpoints in [vec![], vec![refused]] {
        let client = client(endpoints);
        let outcome = client.administer(operation(), Duration::from_secs(1)).await;
        assert!(matches!(outcome, Err(ControllerError::Definite(_))), "{outcome:?}");
    }
    let passive = FakeController::start(Script { active: false, ..Script::default() });
    let outcome = client(vec![passive.endpoint()]).administer(operation(), Duration::from_secs(1)).await;
    assert!(matches!(outcome, Err(ControllerError::Definite(_))), "{outcome:?}");
}

#[tokio::test]
async fn what_was_sent_and_not_answered_is_unknown_and_sent_once() {
    let silent = FakeController::start(Script::default());
    let client = client(vec![silent.endpoint()]);
    let outcome = client.administer(operation(), Duration::from_secs(1)).await;
    assert!(matches!(outcome, Err(ControllerError::Unknown(_))), "{outcome:?}");
    assert_eq!(silent.script(|script| script.administrations), 1);
}

#[tokio::test]
async fn a_refusal_of_the_request_itself_is_final() {
    use crate::replica::{ControllerLink, IsrChangeFailure};
    let controller = FakeController::start(Script::default());
    let client = client(vec![controller.endpoint()]);
    let outcome = client.alter_partition(Vec::new()).await;
    assert!(matches!(outcome, Err(IsrChangeFailure::NotTaken(_))), "{outcome:?}");
}

#[tokio::test]
async fn producer_ids_come_in_blocks() {
    let controller = FakeController::start(Script::default());
    let ids = ProducerIds::new(client(vec![controller.endpoint()]));
    for expected in [1000, 1001, 1002, 1000] {
        assert_eq!(ids.next().await, Ok(ProducerId(expected)), "a block of three, then the next");
    }
}
