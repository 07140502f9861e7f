//! ApiVersions (key 18): which APIs, versions and features this broker has. Computed from the registry alone.

use raftsman_metadata::{MetadataImage, features};
use raftsman_protocol::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use raftsman_protocol::{ApiKey, Str};
use raftsman_types::ErrorCode;

use super::registry::APIS;
use super::{Close, Context};

/// From this version on a supported feature may start at level 0 (KIP-584's clients before it refused that).
const FEATURE_LEVEL_ZERO_FROM: i16 = 4;

/// Answers with the table, or with why the client should look for another cluster.
pub async fn handle(ctx: &Context, request: ApiVersionsRequest, version: i16) -> Result<ApiVersionsResponse, Close> {
    if version >= 3
        && !(is_software_name(&request.client_software_name) && is_software_name(&request.client_software_version))
    {
        return Ok(refusal(ErrorCode::InvalidRequest));
    }
    let identity = &ctx.state.identity;
    let cluster_id = identity.cluster_id();
    let other_cluster =
        request.cluster_id.as_deref().is_some_and(|id| cluster_id.as_deref().is_some_and(|own| own != id));
    let other_node = request.node_id != -1 && request.node_id != identity.node_id.0;
    // The client knows this address under another name (KIP-1242).
    if other_cluster || other_node {
        return Ok(refusal(ErrorCode::RebootstrapRequired));
    }
    Ok(table(&ctx.state.metadata.load(), version))
}

/// What a client is told that asked in a version this broker does not know: the error in a body of version 0, with
/// the versions of ApiVersions itself so that it can ask again (KIP-511).
pub(super) fn unsupported_version() -> ApiVersionsResponse {
    let own = APIS.iter().filter(|api| api.key == ApiKey::ApiVersions);
    let api_keys = own.map(|api| api_version(api.key, api.min_version, api.max_version)).collect();
    ApiVersionsResponse { api_keys, ..refusal(ErrorCode::UnsupportedVersion) }
}

fn refusal(code: ErrorCode) -> ApiVersionsResponse {
    ApiVersionsResponse { error_code: code.code(), ..Default::default() }
}

fn table(image: &MetadataImage, version: i16) -> ApiVersionsResponse {
    let mut api_keys: Vec<ApiVersion> =
        APIS.iter().map(|api| api_version(api.key, api.min_version, api.max_version)).collect();
    api_keys.sort_by_key(|api| api.api_key);
    let supported = features::SUPPORTED.iter().filter(|(_, min, _)| *min > 0 || version >= FEATURE_LEVEL_ZERO_FROM);
    ApiVersionsResponse {
        api_keys,
        supported_features: supported
            .map(|(name, min_version, max_version)| SupportedFeatureKey {
                name: Str::from(*name),
                min_version: *min_version,
                max_version: *max_version,
            })
            .collect(),
        finalized_features_epoch: i64::try_from(image.version).unwrap_or(i64::MAX),
        finalized_features: image
            .features
            .iter()
            .map(|(name, level)| FinalizedFeatureKey {
                name: Str::copy_from(name),
                max_version_level: *level,
                min_version_level: *level,
            })
            .collect(),
        ..Default::default()
    }
}

fn api_version(key: ApiKey, min_version: i16, max_version: i16) -> ApiVersion {
    ApiVersion { api_key: key.code(), min_version, max_version }
}

/// Kafka's rule for the name and version a client gives itself: letters, digits, `-` and `.`, not at the ends.
fn is_software_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    bytes.iter().all(|b| inner(*b)) && ends(bytes.first()) && ends(bytes.last())
}
