use raftsman_metadata::{BrokerRegistration, BrokerState, Listener};
use raftsman_types::{BrokerEpoch, BrokerId, IncarnationId};

use super::partition::durability_from_pb;
use super::{ConvertError, directories_from_pb, directories_to_pb, id_bytes, id_from_bytes, narrow, text};
use crate::metadata as pb;

impl From<&Listener> for pb::Listener {
    fn from(listener: &Listener) -> pb::Listener {
        pb::Listener {
            name: listener.name.to_string(),
            host: listener.host.to_string(),
            port: listener.port.into(),
            security_protocol: listener.security_protocol.into(),
        }
    }
}

impl TryFrom<&pb::Listener> for Listener {
    type Error = ConvertError;

    fn try_from(listener: &pb::Listener) -> Result<Listener, ConvertError> {
        Ok(Listener {
            name: text(&listener.name),
            host: text(&listener.host),
            port: narrow("listener.port", listener.port)?,
            security_protocol: narrow("listener.security_protocol", listener.security_protocol)?,
        })
    }
}

/// A supported feature: its name, lowest and highest level.
pub(super) type FeatureRange = (std::sync::Arc<str>, i16, i16);

fn feature_from_pb(feature: &pb::SupportedFeature) -> Result<FeatureRange, ConvertError> {
    Ok((
        text(&feature.name),
        narrow("feature.min_level", feature.min_level)?,
        narrow("feature.max_level", feature.max_level)?,
    ))
}

fn state_to_pb(state: BrokerState) -> i32 {
    match state {
        BrokerState::Fenced => 0,
        BrokerState::Unfenced => 1,
        BrokerState::ControlledShutdown => 2,
    }
}

fn state_from_pb(code: i32) -> Result<BrokerState, ConvertError> {
    match code {
        0 => Ok(BrokerState::Fenced),
        1 => Ok(BrokerState::Unfenced),
        2 => Ok(BrokerState::ControlledShutdown),
        _ => Err(ConvertError::OutOfRange { field: "register_broker.state", value: code.into() }),
    }
}

impl From<&BrokerRegistration> for pb::BrokerRegistration {
    fn from(registration: &BrokerRegistration) -> pb::BrokerRegistration {
        pb::BrokerRegistration {
            id: registration.id.0,
            broker_epoch: registration.broker_epoch.0,
            incarnation: id_bytes(registration.incarnation.0),
            listeners: registration.listeners.iter().map(pb::Listener::from).collect(),
            inter_broker_listener: registration.inter_broker_listener.to_string(),
            rack: registration.rack.as_ref().map(|rack| rack.to_string()),
            directories: directories_to_pb(&registration.directories),
            offline_directories: directories_to_pb(&registration.offline_directories),
            state: state_to_pb(registration.state),
            features: registration
                .features
                .iter()
                .map(|(name, min_level, max_level)| pb::SupportedFeature {
                    name: name.to_string(),
                    min_level: (*min_level).into(),
                    max_level: (*max_level).into(),
                })
                .collect(),
            boot_id: registration.boot_id.to_string(),
            log_durability: pb::Durability::from(registration.log_durability).into(),
        }
    }
}

impl TryFrom<&pb::BrokerRegistration> for BrokerRegistration {
    type Error = ConvertError;

    fn try_from(registration: &pb::BrokerRegistration) -> Result<BrokerRegistration, ConvertError> {
        Ok(BrokerRegistration {
            id: BrokerId(registration.id),
            broker_epoch: BrokerEpoch(registration.broker_epoch),
            incarnation: IncarnationId(id_from_bytes("incarnation", &registration.incarnation)?),
            listeners: registration.listeners.iter().map(Listener::try_from).collect::<Result<_, _>>()?,
            inter_broker_listener: text(&registration.inter_broker_listener),
            rack: registration.rack.as_deref().map(text),
            directories: directories_from_pb("directories", &registration.directories)?,
            offline_directories: directories_from_pb("offline_directories", &registration.offline_directories)?,
            state: state_from_pb(registration.state)?,
            features: registration.features.iter().map(feature_from_pb).collect::<Result<_, _>>()?,
            boot_id: text(&registration.boot_id),
            log_durability: durability_from_pb(registration.log_durability)?,
        })
    }
}
