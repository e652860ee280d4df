//! The byte stream against itself and against another implementation.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    time::Instant,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol},
};

use super::{Error, Meter, Role, Stream, Totals, frame::MAX_SENT};

fn pair(capacity: usize) -> (Stream<DuplexStream>, Stream<DuplexStream>) {
    let (client, server) = tokio::io::duplex(capacity);
    (
        Stream::new(client, Role::Client, Totals::default()).0,
        Stream::new(server, Role::Server, Totals::default()).0,
    )
}

async fn against_tungstenite(
    role: Role,
) -> (Stream<DuplexStream>, std::sync::Arc<Meter>, WebSocketStream<DuplexStream>) {
    let (ours, theirs) = tokio::io::duplex(32 * 1024);
    let their_role = if role == Role::Client { protocol::Role::Server } else { protocol::Role::Client };
    let (stream, meter) = Stream::new(ours, role, Totals::default());
    (stream, meter, WebSocketStream::from_raw_socket(theirs, their_role, None).await)
}

#[test]
fn any_bytes_in_any_pieces_through_any_link_arrive() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(64));
    let pieces = prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40_000), 1..8);
    let case = (pieces, 1_usize..70_000, prop::collection::vec(any::<bool>(), 8));
    let outcome = runner.run(&case, |(pieces, capacity, flushes)| {
        runtime.block_on(async {
            let (mut client, mut server) = pair(capacity);
            let expected = pieces.concat();
            let write = async {
                for (piece, flush) in pieces.iter().zip(flushes) {
                    client.write_all(piece).await.unwrap();
                    if flush {
                        client.flush().await.unwrap();
                    }
                }
                client.shutdown().await.unwrap();
                client
            };
            let mut got = Vec::new();
            let (client, end) = tokio::join!(write, server.read_to_end(&mut got));
            end.unwrap();
            prop_assert!(got == expected);
            prop_assert!(matches!(server.meter().cause(), Some(Error::Closed(1000))));
            prop_assert_eq!(
                (server.meter().received(), client.meter().sent()),
                (got.len() as u64, got.len() as u64)
            );
            Ok(())
        })
    });
    outcome.unwrap();
}

#[tokio::test]
async fn another_implementation_understands_us_and_we_it() {
    for role in [Role::Client, Role::Server] {
        let (mut ours, _, mut theirs) = against_tungstenite(role).await;
        let content: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        let mut got = Vec::new();
        let send = async {
            ours.write_all(&content).await.unwrap();
            ours.flush().await.unwrap();
        };
        let receive = async {
            while got.len() < content.len() {
                let Message::Binary(part) = theirs.next().await.unwrap().unwrap() else {
                    panic!("not binary")
                };
                assert!(part.len() <= MAX_SENT, "a frame of {} bytes", part.len());
                got.extend_from_slice(&part);
            }
        };
        tokio::join!(send, receive);
        assert!(got == content);

        theirs.send(Message::Ping("are you there".into())).await.unwrap();
        let mut back = vec![0; 60_000];
        let message = Message::Binary(content[..60_000].to_vec().into());
        let (sent, received) = tokio::join!(theirs.send(message), ours.read_exact(&mut back));
        sent.unwrap();
        received.unwrap();
        assert!(back == content[..60_000]);
        ours.flush().await.unwrap();
        assert_eq!(theirs.next().await.unwrap().unwrap(), Message::Pong("are you there".into()));

        ours.shutdown().await.unwrap();
        assert!(
            matches!(theirs.next().await, Some(Ok(Message::Close(Some(frame)))) if u16::from(frame.code) == 1000)
        );
    }
}

#[tokio::test]
async fn their_goodbye_is_an_end_with_its_code_and_is_answered() {
    let (mut ours, meter, mut theirs) = against_tungstenite(Role::Client).await;
    let frame =
        protocol::CloseFrame { code: protocol::frame::coding::CloseCode::Away, reason: "restart".into() };
    theirs.close(Some(frame)).await.unwrap();
    assert_eq!(ours.read(&mut [0; 10]).await.unwrap(), 0);
    assert!(matches!(meter.cause(), Some(Error::Closed(1001))));
    assert!(matches!(theirs.next().await, Some(Ok(Message::Close(_)))));
    drop(ours);
    meter.closed().await;
}

#[tokio::test]
async fn a_message_in_parts_is_read_and_a_text_message_is_not() {
    let (client, mut raw) = tokio::io::duplex(1024);
    let (mut ours, meter) = Stream::new(client, Role::Client, Totals::default());
    // Two parts with a ping between them, one part empty.
    raw.write_all(&[0x02, 2, b'a', b'b', 0x89, 0, 0x00, 0, 0x80, 1, b'c']).await.unwrap();
    let mut got = [0; 3];
    ours.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"abc");
    raw.write_all(&[0x81, 1, b'x']).await.unwrap();
    let error = ours.read(&mut got).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    assert!(matches!(meter.cause(), Some(Error::NotBinary)));
    // The peer is told why.
    let mut told = [0; 8];
    raw.read_exact(&mut told).await.unwrap();
    let code = [told[6] ^ told[2], told[7] ^ told[3]];
    assert_eq!((told[0], u16::from_be_bytes(code)), (0x88, 1003));
}

#[tokio::test]
async fn an_end_without_a_goodbye_is_an_error() {
    let (client, raw) = tokio::io::duplex(1024);
    let (mut ours, meter) = Stream::new(client, Role::Client, Totals::default());
    drop(raw);
    assert_eq!(ours.read(&mut [0; 10]).await.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    assert!(matches!(meter.cause(), Some(Error::Cut)));
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_a_sign_of_life_although_no_ping_comes_back() {
    let (client, mut raw) = tokio::io::duplex(1024);
    let (mut ours, _) = Stream::new(client, Role::Client, Totals::default());
    // One byte every ten seconds, for ten minutes.
    let drip = async {
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_secs(10)).await;
            raw.write_all(&[0x82, 1, 7]).await.unwrap();
        }
    };
    let read = async {
        let mut got = [0; 60];
        ours.read_exact(&mut got).await.unwrap();
    };
    tokio::join!(drip, read);
}

#[tokio::test(start_paused = true)]
async fn silence_is_asked_about_after_15_s_and_ends_the_stream_after_25_s() {
    let (client, mut raw) = tokio::io::duplex(1024);
    let (mut ours, meter) = Stream::new(client, Role::Client, Totals::default());
    let started = Instant::now();
    let ask = async {
        let mut ping = [0; 6];
        raw.read_exact(&mut ping).await.unwrap();
        assert_eq!(ping[0], 0x89);
        started.elapsed()
    };
    let mut buffer = [0; 10];
    let (asked, end) = tokio::join!(ask, ours.read(&mut buffer));
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    assert!(matches!(meter.cause(), Some(Error::Silent)));
    assert!((15..=16).contains(&asked.as_secs()) && (25..=26).contains(&started.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn two_idle_ends_keep_each_other_alive_with_one_ping_in_15_s() {
    let (client, server) = tokio::io::duplex(1024);
    let switch = testkit::link::Switch::default();
    let (mut client, meter) =
        Stream::new(testkit::link::Link::new(client, &switch), Role::Client, Totals::default());
    let (mut server, _) = Stream::new(server, Role::Server, Totals::default());
    let (mut one, mut other) = ([0; 1], [0; 1]);
    tokio::select! {
        _ = client.read(&mut one) => panic!("nothing was sent"),
        _ = server.read(&mut other) => panic!("nothing was sent"),
        () = tokio::time::sleep(Duration::from_hours(24)) => {}
    }
    assert!(meter.cause().is_none());
    assert_eq!((meter.received(), meter.sent()), (0, 0));
}

#[test]
fn no_bytes_of_a_peer_make_the_stream_panic_or_wait() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(2_000));
    // Mostly plausible first bytes: otherwise nothing gets past the first header.
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        Just(vec![0x82, 0x83, 0, 0, 0, 0, 1, 2, 3]),
        Just(vec![0x89, 0x80, 0, 0, 0, 0]),
        Just(vec![0x02, 0x80, 0, 0, 0, 0, 0x80, 0x80, 0, 0, 0, 0]),
        Just(vec![0x82, 0xfe, 0, 4, 0, 0, 0, 0, 9, 9, 9, 9]),
        Just(vec![0x88, 0x82, 0, 0, 0, 0, 3, 0xe8]),
    ];
    let outcome = runner.run(&prop::collection::vec(piece, 0..12), |pieces| {
        let bytes = pieces.concat();
        runtime.block_on(async {
            let (mut stream, meter) =
                Stream::new(tokio::io::join(&bytes[..], tokio::io::sink()), Role::Server, Totals::default());
            let mut got = Vec::new();
            let _ = stream.read_to_end(&mut got).await;
            prop_assert!(meter.cause().is_some() && got.len() <= bytes.len());
            Ok(())
        })
    });
    outcome.unwrap();
}
