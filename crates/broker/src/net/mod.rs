//! From bytes on sockets to requests, and back.
