//! One broker with one partition, which does to each Produce request what its script says.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use raftsman_protocol::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use raftsman_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use raftsman_protocol::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use raftsman_protocol::messages::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use raftsman_protocol::{ApiKey, Frame, Message, Reader, Request, RequestHeader, Str, encode_response};
use raftsman_records::RecordBatch;
use raftsman_types::ErrorCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What happens to one Produce request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// It is appended and acknowledged: also what happens after the end of the script.
    Append,
    /// It is appended, and the connection breaks before the answer.
    AppendAndHangUp,
    /// The connection breaks at once.
    HangUp,
    /// It is appended, and the answer is an error.
    AppendAndRefuse(ErrorCode),
    /// It is not appended, and the answer is an error.
    Refuse(ErrorCode),
}

#[derive(Default)]
struct State {
    script: VecDeque<Reaction>,
    log: Vec<String>,
    /// The next sequence of each producer, and its last batch.
    sequences: HashMap<i64, i32>,
    producer_ids: i64,
    duplicates_dropped: u32,
    produce_requests: u32,
}

/// The broker; it ends with the test's runtime.
pub struct FakeBroker {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl FakeBroker {
    /// Starts it on a free port.
    pub async fn start(script: Vec<Reaction>) -> FakeBroker {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { script: script.into(), ..State::default() }));
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, address, shared.clone()));
            }
        });
        FakeBroker { address, state }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The values in the log, in order.
    pub fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.clone()
    }

    /// Batches that came again.
    pub fn duplicates_dropped(&self) -> u32 {
        self.state.lock().unwrap().duplicates_dropped
    }

    /// Producer ids handed out.
    pub fn producer_ids(&self) -> i64 {
        self.state.lock().unwrap().producer_ids
    }

    /// Produce requests received.
    pub fn produce_requests(&self) -> u32 {
        self.state.lock().unwrap().produce_requests
    }
}

async fn serve(mut stream: TcpStream, address: SocketAddr, state: Arc<Mutex<State>>) {
    while let Ok(length) = stream.read_i32().await {
        let mut frame = vec![0; length as usize];
        stream.read_exact(&mut frame).await.unwrap();
        let mut reader = Reader::new(frame.into());
        let header = RequestHeader::decode(&mut reader).unwrap();
        let answer = match ApiKey::from_code(header.api_key).unwrap() {
            ApiKey::ApiVersions => reply(&header, &api_versions()),
            ApiKey::Metadata => reply(&header, &metadata(address)),
            ApiKey::InitProducerId => {
                let mut state = state.lock().unwrap();
                state.producer_ids += 1;
                let answer = InitProducerIdResponse { producer_id: state.producer_ids, ..Default::default() };
                reply(&header, &answer)
            }
            ApiKey::Produce => {
                let request = ProduceRequest::decode(&mut reader, header.api_version).unwrap();
                match produce(&request, &mut state.lock().unwrap()) {
                    Some(answer) => reply(&header, &answer),
                    None => return,
                }
            }
            other => panic!("not served: {other:?}"),
        };
        stream.write_all(&answer.into_contiguous()).await.unwrap();
    }
}

fn reply<M: Message>(header: &RequestHeader, answer: &M) -> Frame {
    let key = ApiKey::from_code(header.api_key).unwrap();
    encode_response(key, header.api_version, header.correlation_id, answer).unwrap()
}

fn api_versions() -> ApiVersionsResponse {
    let served = [
        (ApiVersionsRequest::KEY, 3),
        (MetadataRequest::KEY, 12),
        (InitProducerIdRequest::KEY, 5),
        (ProduceRequest::KEY, 12),
    ];
    let api = |(key, max_version): (ApiKey, i16)| ApiVersion { api_key: key.code(), min_version: 0, max_version };
    ApiVersionsResponse { api_keys: served.into_iter().map(api).collect(), ..Default::default() }
}

fn metadata(address: SocketAddr) -> MetadataResponse {
    let broker = MetadataResponseBroker {
        node_id: 1,
        host: Str::from(address.ip().to_string()),
        port: i32::from(address.port()),
        rack: None,
    };
    let partition = MetadataResponsePartition { leader_id: 1, ..Default::default() };
    let topic = MetadataResponseTopic { name: Some(Str::from("t")), partitions: vec![partition], ..Default::default() };
    MetadataResponse { brokers: vec![broker], topics: vec![topic], ..Default::default() }
}

/// The answer, or `None` to break the connection.
fn produce(request: &ProduceRequest, state: &mut State) -> Option<ProduceResponse> {
    state.produce_requests += 1;
    let records = request.topic_data[0].partition_data[0].records.clone().unwrap();
    let batch = RecordBatch::parse(records.into_contiguous()).unwrap();
    let code = match state.script.pop_front().unwrap_or(Reaction::Append) {
        Reaction::Append => append(&batch, state),
        Reaction::AppendAndHangUp => {
            append(&batch, state);
            return None;
        }
        Reaction::HangUp => return None,
        Reaction::AppendAndRefuse(code) => {
            append(&batch, state);
            code
        }
        Reaction::Refuse(code) => code,
    };
    let partition = PartitionProduceResponse { error_code: code.code(), ..Default::default() };
    let topic =
        TopicProduceResponse { name: Str::from("t"), partition_responses: vec![partition], ..Default::default() };
    Some(ProduceResponse { responses: vec![topic], ..Default::default() })
}

fn append(batch: &RecordBatch, state: &mut State) -> ErrorCode {
    let header = *batch.header();
    let next = state.sequences.entry(header.producer_id.0).or_insert(0);
    if header.base_sequence < *next {
        state.duplicates_dropped += 1;
        return ErrorCode::None;
    }
    if header.base_sequence > *next {
        return ErrorCode::OutOfOrderSequenceNumber;
    }
    *next = header.last_sequence() + 1;
    for record in batch.records() {
        state.log.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
    }
    ErrorCode::None
}
