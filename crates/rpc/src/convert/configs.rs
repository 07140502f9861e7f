use raftsman_metadata::{ConfigResource, ConfigResourceType};

use super::{ConvertError, text};

/// A configuration resource from its type's code and its name.
pub(super) fn resource_from_pb(resource_type: i32, name: &str) -> Result<ConfigResource, ConvertError> {
    let resource_type = i8::try_from(resource_type)
        .ok()
        .and_then(ConfigResourceType::from_code)
        .ok_or(ConvertError::OutOfRange { field: "resource_type", value: resource_type.into() })?;
    Ok(ConfigResource { resource_type, name: text(name) })
}
