use super::Context;

/// Kafka's ACL operations, with their numbers in bit fields of authorized operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are Kafka's")]
pub enum Operation {
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Alter = 7,
    Describe = 8,
    ClusterAction = 9,
    DescribeConfigs = 10,
    AlterConfigs = 11,
    IdempotentWrite = 12,
}

/// What an operation is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The cluster as a whole.
    Cluster,
    /// A topic, by name.
    Topic(&'a str),
    /// A group, by id.
    Group(&'a str),
}

const CLUSTER_OPERATIONS: &[Operation] = &[
    Operation::Create,
    Operation::Alter,
    Operation::Describe,
    Operation::ClusterAction,
    Operation::DescribeConfigs,
    Operation::AlterConfigs,
    Operation::IdempotentWrite,
];

const TOPIC_OPERATIONS: &[Operation] = &[
    Operation::Read,
    Operation::Write,
    Operation::Create,
    Operation::Delete,
    Operation::Alter,
    Operation::Describe,
    Operation::DescribeConfigs,
    Operation::AlterConfigs,
];

const GROUP_OPERATIONS: &[Operation] = &[
    Operation::Read,
    Operation::Delete,
    Operation::Describe,
    // Groups have settings of their own (KIP-848).
    Operation::DescribeConfigs,
    Operation::AlterConfigs,
];

impl Context {
    /// Whether this client may do that. Without an authorizer (`authorizer.class.name` is empty, the only setting this
    /// version takes) everyone may do everything, as in Kafka.
    pub fn is_authorized(&self, _operation: Operation, _resource: Resource<'_>) -> bool {
        true
    }

    /// The bit field of what this client may do to the resource (KIP-430).
    pub fn authorized_operations(&self, resource: Resource<'_>) -> i32 {
        let all = match resource {
            Resource::Cluster => CLUSTER_OPERATIONS,
            Resource::Topic(_) => TOPIC_OPERATIONS,
            Resource::Group(_) => GROUP_OPERATIONS,
        };
        let allowed = all.iter().filter(|operation| self.is_authorized(**operation, resource));
        allowed.fold(0, |bits, operation| bits | 1 << (*operation as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kafka's codes of the operations, as bits of a field.
    fn bits(operations: &[Operation]) -> i32 {
        operations.iter().fold(0, |bits, operation| bits | 1 << (*operation as u8))
    }

    #[test]
    fn operations_of_each_resource_are_kafkas() {
        let codes = |codes: &[u8]| codes.iter().fold(0, |bits, code| bits | 1 << code);
        assert_eq!(bits(GROUP_OPERATIONS), codes(&[3, 6, 8, 10, 11]));
        assert_eq!(bits(TOPIC_OPERATIONS), codes(&[3, 4, 5, 6, 7, 8, 10, 11]));
        assert_eq!(bits(CLUSTER_OPERATIONS), codes(&[5, 7, 8, 9, 10, 11, 12]));
    }
}
