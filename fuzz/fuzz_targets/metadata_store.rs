#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| raftsman_fuzz::run("metadata_store", data));
