#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cartwright_fuzz::decode_twikit(data));
