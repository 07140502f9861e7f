#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| raftsman_fuzz::run("message_set", data));
