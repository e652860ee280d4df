//! Foreign headers: what is read can be written, and is read again as the same.

#![no_main]

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use tunnel::{Hello, Welcome, headers};

fuzz_target!(|data: &[u8]| {
    let names = [
        headers::VERSION,
        headers::FEATURES,
        headers::AGENT_INSTANCE,
        headers::AGENT_EPOCH,
        headers::AGENT_VERSION,
        headers::HUB_INSTANCE,
    ];
    let mut given = HeaderMap::new();
    for (name, value) in names.iter().cycle().zip(data.split(|byte| *byte == b'\n')).take(12) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            given.append(name, value);
        }
    }
    if let Ok(hello) = Hello::try_from(&given) {
        let mut again = HeaderMap::new();
        hello.write(&mut again).unwrap();
        assert_eq!(Hello::try_from(&again), Ok(hello));
    }
    if let Ok(welcome) = Welcome::try_from(&given) {
        let mut again = HeaderMap::new();
        welcome.write(&mut again).unwrap();
        assert_eq!(Welcome::try_from(&again), Ok(welcome));
    }
});
