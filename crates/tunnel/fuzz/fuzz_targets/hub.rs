//! Foreign bytes as HTTP/2 in well-formed frames: only the tunnel ends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tunnel::{Features, Hello, Version, hub::Registry};

fuzz_target!(|data: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let registry = Registry::new(Default::default(), &Default::default(), "hub");
        let hello = Hello {
            version: Version::OURS,
            features: Features::ours(),
            instance: String::from("a"),
            epoch: 1,
            agent_version: String::from("0"),
        };
        let (hub, mut agent) = tokio::io::duplex(64 * 1024);
        registry.serve(registry.admit("c", &hello).unwrap(), hub);
        for part in data.chunks(1000) {
            let mut frame = vec![0x82, 0xfe];
            frame.extend((part.len() as u16).to_be_bytes());
            frame.extend([0; 4]);
            frame.extend(part);
            if agent.write_all(&frame).await.is_err() {
                break;
            }
        }
        agent.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let _ = agent.read_to_end(&mut rest).await;
    });
});
