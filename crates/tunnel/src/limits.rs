//! Every limit of the tunnel, by hand: the defaults of the libraries freeze under unread streams, or cost too much
//! memory per idle tunnel.

use std::time::Duration;

use hyper::server;
use hyper_util::rt::TokioTimer;

use crate::streams::Executor;

/// How much of one stream may be under way unread. One unread stream pins this much and blocks nothing else.
const STREAM_WINDOW: u32 = 256 * 1024;
/// How much of all streams may be under way unread: 256 stalled streams.
const CONNECTION_WINDOW: u32 = 64 * 1024 * 1024;
/// How much of one stream is buffered before its producer must wait.
const SEND_BUFFER: usize = 256 * 1024;
/// The largest HTTP/2 frame; with its header it fits into one WebSocket frame. Fewer and larger frames cost both ends
/// less than the default of 16 KiB, and these keep nobody waiting.
const FRAME: u32 = 63 * 1024;
/// All header fields of one message; users of many groups need more than the usual 16 KiB.
const HEADER_LIST: u32 = 64 * 1024;
/// Requests and upgrades running in one tunnel.
pub(crate) const STREAMS: usize = 10_000;
/// Streams we reset are remembered this long and this many, so that what was still on its way is not an offence.
const RESET_MEMORY: Duration = Duration::from_secs(30);
const RESETS_REMEMBERED: usize = 1_000;
/// Offences in a tunnel's whole life. The library's 1,024 would end an honest tunnel after some weeks of cancelled
/// watches.
const OFFENCES: usize = 1_000_000;

/// Tunnels of one cluster that are being opened at the same time. An agent opens one; some more may still be dying.
pub(crate) const OPENING: usize = 8;
/// The hub is told by the agent that it is ready within this time after the upgrade.
pub(crate) const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long running requests may go on after a tunnel was told to end.
pub(crate) const DRAIN_DEADLINE: Duration = Duration::from_secs(10);
/// How long the end of a drained tunnel may take.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The hub's half.
pub(crate) fn client() -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_frame_size(FRAME)
        .max_header_list_size(HEADER_LIST)
        .initial_max_send_streams(STREAMS)
        // The agent opens no streams.
        .max_concurrent_streams(0)
        .enable_push(false)
        .max_concurrent_reset_streams(RESETS_REMEMBERED)
        .reset_stream_duration(RESET_MEMORY)
        .max_local_error_reset_streams(Some(OFFENCES));
    builder
}

/// The agent's half.
pub(crate) fn server(executor: Executor) -> server::conn::http2::Builder<Executor> {
    let mut builder = server::conn::http2::Builder::new(executor);
    builder
        .timer(TokioTimer::new())
        .adaptive_window(false)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_frame_size(FRAME)
        .max_header_list_size(HEADER_LIST)
        // One above the hub's own limit: the session stream.
        .max_concurrent_streams(STREAMS as u32 + 1)
        // The hub may cancel any number of requests at once.
        .max_pending_accept_reset_streams(STREAMS)
        .max_local_error_reset_streams(OFFENCES)
        .auto_date_header(false)
        .enable_connect_protocol();
    builder
}
