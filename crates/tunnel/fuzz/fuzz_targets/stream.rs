//! Foreign bytes as WebSocket frames: an end or an error, never a panic, never more payload than bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tokio::io::AsyncReadExt as _;
use tunnel::ws::{Role, Stream, Totals};

fuzz_target!(|data: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        for role in [Role::Client, Role::Server] {
            let (mut stream, meter) =
                Stream::new(tokio::io::join(data, tokio::io::sink()), role, Totals::default());
            let mut got = Vec::new();
            let _ = stream.read_to_end(&mut got).await;
            assert!(meter.cause().is_some() && got.len() <= data.len());
        }
    });
});
