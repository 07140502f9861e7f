//! AlterConfigs (key 33): replaces all dynamic settings of a resource. Forwarded to the active controller.

use raftsman_protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse,
};
use raftsman_rpc::controller::ConfigOperation;

use super::resource_configs::{Alteration, alter};
use super::{Close, Context};

const SET: i32 = 0;

/// Answers once this broker's own metadata has the settings.
pub async fn handle(ctx: &Context, request: AlterConfigsRequest, _version: i16) -> Result<AlterConfigsResponse, Close> {
    let alterations = request.resources.iter().map(|resource| Alteration {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.to_string(),
        operations: resource
            .configs
            .iter()
            .map(|config| ConfigOperation {
                key: config.name.to_string(),
                value: config.value.as_ref().map(|value| value.to_string()),
                operation: SET,
            })
            .collect(),
    });
    let outcomes = alter(ctx, alterations.collect(), request.validate_only, false).await;
    let responses =
        request.resources.into_iter().zip(outcomes).map(|(resource, outcome)| AlterConfigsResourceResponse {
            error_code: outcome.code.code(),
            error_message: outcome.message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
        });
    Ok(AlterConfigsResponse { responses: responses.collect(), ..Default::default() })
}
