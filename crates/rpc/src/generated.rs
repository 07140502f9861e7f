//! The generated modules, nested as their packages are, because the generated code names types of other packages
//! by path. Included rather than declared, so that the formatter leaves them as the generator wrote them.
#![allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used)]

pub mod metadata {
    pub mod v1 {
        include!("generated/metadata.rs");
    }
}

pub mod controller {
    pub mod v1 {
        include!("generated/controller.rs");
    }
}

pub mod replica {
    pub mod v1 {
        include!("generated/replica.rs");
    }
}

pub mod raft {
    pub mod v1 {
        include!("generated/raft.rs");
    }
}
