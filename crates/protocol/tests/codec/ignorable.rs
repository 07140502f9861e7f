//! What happens to a field that the version cannot carry.

use raftsman_protocol::messages::fetch::{FetchRequest, ReplicaState};
use raftsman_protocol::messages::metadata::MetadataRequest;
use raftsman_protocol::messages::produce::ProduceRequest;
use raftsman_protocol::{EncodeError, Message, Reader, Str, Writer};

fn encode<M: Message>(message: &M, version: i16) -> Result<Reader, EncodeError> {
    let mut w = Writer::new();
    message.encode(&mut w, version)?;
    Ok(Reader::new(w.into_bytes()))
}

#[test]
fn an_ignorable_field_is_dropped() {
    let request = FetchRequest { rack_id: Str::from("r1"), session_id: 9, ..FetchRequest::default() };
    let decoded = FetchRequest::decode(&mut encode(&request, 4).unwrap(), 4).unwrap();
    assert_eq!(decoded, FetchRequest::default());
    let decoded = FetchRequest::decode(&mut encode(&request, 11).unwrap(), 11).unwrap();
    assert_eq!(decoded, request);
}

#[test]
fn another_field_is_an_error_unless_it_has_its_default() {
    let request = ProduceRequest { transactional_id: Some(Str::from("t")), ..ProduceRequest::default() };
    let refused = EncodeError::UnsupportedField { field: "ProduceRequest.transactional_id", version: 2 };
    assert_eq!(encode(&request, 2).err(), Some(refused));
    assert!(encode(&ProduceRequest::default(), 2).is_ok());
    // The replica id moved into a tagged struct: each version refuses the other's place.
    let state = ReplicaState { replica_id: 3, replica_epoch: 4 };
    let new = FetchRequest { replica_state: state, ..FetchRequest::default() };
    let old = FetchRequest { replica_id: 3, ..FetchRequest::default() };
    assert!(encode(&new, 14).is_err() && encode(&new, 15).is_ok());
    assert!(encode(&old, 14).is_ok() && encode(&old, 15).is_err());
}

#[test]
fn null_is_an_error_where_the_version_has_none() {
    let all = MetadataRequest { topics: None, ..MetadataRequest::default() };
    assert_eq!(encode(&all, 0).err(), Some(EncodeError::Null { field: "MetadataRequest.topics", version: 0 }));
    assert_eq!(MetadataRequest::decode(&mut encode(&all, 1).unwrap(), 1).unwrap(), all);
}
