//! IncrementalAlterConfigs (key 44, KIP-339): sets, deletes, appends, subtracts. Forwarded to the active controller.

use raftsman_protocol::messages::incremental_alter_configs::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use raftsman_rpc::controller::ConfigOperation;

use super::resource_configs::{Alteration, alter};
use super::{Close, Context};

/// Answers once this broker's own metadata has the settings.
pub async fn handle(
    ctx: &Context,
    request: IncrementalAlterConfigsRequest,
    _version: i16,
) -> Result<IncrementalAlterConfigsResponse, Close> {
    let alterations = request.resources.iter().map(|resource| Alteration {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.to_string(),
        operations: resource
            .configs
            .iter()
            .map(|config| ConfigOperation {
                key: config.name.to_string(),
                value: config.value.as_ref().map(|value| value.to_string()),
                operation: i32::from(config.config_operation),
            })
            .collect(),
    });
    let outcomes = alter(ctx, alterations.collect(), request.validate_only, true).await;
    let responses =
        request.resources.into_iter().zip(outcomes).map(|(resource, outcome)| AlterConfigsResourceResponse {
            error_code: outcome.code.code(),
            error_message: outcome.message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
        });
    Ok(IncrementalAlterConfigsResponse { responses: responses.collect(), ..Default::default() })
}
