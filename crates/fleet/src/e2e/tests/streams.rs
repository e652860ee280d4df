//! Many bytes and long answers, through the parent.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{cluster::Cluster, fleet::Fleet, free_port, http::Client, seed};

/// Who visits: an administrator of the parent with the credential of a ServiceAccount of the child.
struct Visitor {
    client: Client,
    path: String,
    token: String,
}

impl Visitor {
    async fn new(fleet: &Fleet, child: &Cluster) -> anyhow::Result<Self> {
        let registered = fleet.registered(child).await?.context("it is not registered")?;
        Ok(Self {
            client: fleet.parent()?.http_as("fleet-administrator", &["system:masters"])?,
            path: format!("/apis/proxies.clusternet.io/v1alpha1/sockets/{}/proxy", registered.id),
            token: child.token_of(seed::NAMESPACE, "visitor").await?,
        })
    }

    fn request(&self, path: &str) -> anyhow::Result<Request<Full<Bytes>>> {
        Ok(Request::get(format!("{}{path}", self.path))
            .header("clusterway-child-authorization", format!("Bearer {}", self.token))
            .body(Full::default())?)
    }

    /// How long a small request takes.
    async fn small(&self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let answer = self.client.whole(self.request("/direct/api/v1/namespaces/demo/pods/toolbox")?).await?;
        ensure!(answer.status().is_success(), "{}", answer.status());
        Ok(began.elapsed())
    }
}

/// How long small requests take, one after the other, until `reader` is done.
async fn small_requests_beside(
    visitor: &Visitor,
    reader: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Vec<Duration>> {
    let mut reader = std::pin::pin!(reader);
    let mut times = Vec::new();
    loop {
        tokio::select! {
            done = &mut reader => return done.map(|()| times),
            took = visitor.small() => times.push(took?),
        }
    }
}

/// Small requests are answered within 2 s. One in twenty may take longer on a busy machine; if something blocked them,
/// all of them would.
fn quick(mut times: Vec<Duration>) -> anyhow::Result<()> {
    times.sort();
    let late = times.get(times.len().saturating_sub(1) * 95 / 100).context("nothing was asked")?;
    ensure!(*late < Duration::from_secs(2), "small requests take {late:?}");
    Ok(())
}

pub(super) async fn a_watch_brings_events_while_it_is_open(fleet: &Fleet) -> anyhow::Result<()> {
    let child = fleet.cluster("child1")?;
    let visitor = Visitor::new(fleet, &child).await?;
    let path = "/direct/api/v1/namespaces/demo/configmaps?watch=1";
    let mut answer = visitor.client.send(visitor.request(path)?).await?;
    ensure!(answer.status().is_success(), "{}", answer.status());
    see_event(&child, &mut answer).await
}

/// Makes an object in the child and waits until the open watch tells of it.
async fn see_event(child: &Cluster, watch: &mut http::Response<hyper::body::Incoming>) -> anyhow::Result<()> {
    let name = format!("watched-{:x}", rand::random::<u32>());
    child.kubectl_ok(&["create", "configmap", &name, "-n", seed::NAMESPACE]).await?;
    let began = Instant::now();
    let seen = async {
        let mut text = String::new();
        while let Some(frame) = watch.body_mut().frame().await {
            if let Ok(data) = frame?.into_data() {
                text.push_str(&String::from_utf8_lossy(&data));
            }
            if text.contains(&name) {
                return anyhow::Ok(());
            }
        }
        anyhow::bail!("the watch ended")
    };
    tokio::time::timeout(Duration::from_secs(2), seen).await.context("no event within 2 s")??;
    ensure!(began.elapsed() < Duration::from_secs(2));
    child.kubectl_ok(&["delete", "configmap", &name, "-n", seed::NAMESPACE]).await.map(drop)
}

pub(super) async fn a_watch_stays_open_for_three_minutes(fleet: &Fleet) -> anyhow::Result<()> {
    let child = fleet.cluster("child1")?;
    let visitor = Visitor::new(fleet, &child).await?;
    let path = "/direct/api/v1/namespaces/demo/configmaps?watch=1&timeoutSeconds=300";
    let mut answer = visitor.client.send(visitor.request(path)?).await?;
    let began = Instant::now();
    // The parent cuts what it does not count as long-running after one minute.
    while began.elapsed() < Duration::from_secs(185) {
        see_event(&child, &mut answer).await.with_context(|| format!("after {:?}", began.elapsed()))?;
        tokio::time::sleep(Duration::from_secs(45)).await;
    }
    see_event(&child, &mut answer).await
}

pub(super) async fn fifty_unread_streams_block_nobody(fleet: &Fleet) -> anyhow::Result<()> {
    with_target(fleet, |visitor, target| async move {
        let mut unread = Vec::new();
        for _ in 0..50 {
            let answer = visitor.client.send(visitor.request(&format!("/http/{target}/268435456"))?).await?;
            ensure!(answer.status().is_success(), "{}", answer.status());
            unread.push(answer);
        }
        let mut times = Vec::new();
        for _ in 0..20 {
            times.push(visitor.small().await?);
        }
        quick(times).context("beside 50 unread streams")?;
        Ok(())
    })
    .await
}

pub(super) async fn a_big_body_leaves_small_requests_alone(fleet: &Fleet) -> anyhow::Result<()> {
    const SIZE: u64 = 2 << 30;
    with_target(fleet, |visitor, target| async move {
        let mut answer = visitor.client.send(visitor.request(&format!("/http/{target}/{SIZE}"))?).await?;
        let reader = async {
            let mut got = 0u64;
            while let Some(frame) = answer.body_mut().frame().await {
                if let Ok(data) = frame?.into_data() {
                    // Every byte is its offset, so that a lost or doubled piece shows.
                    let first = data.first().copied().unwrap_or_default();
                    ensure!(first == (got % 251) as u8, "the body is wrong at {got}");
                    got += data.len() as u64;
                }
            }
            ensure!(got == SIZE, "{got} bytes of {SIZE} came");
            Ok(())
        };
        quick(small_requests_beside(&visitor, reader).await?).context("beside a big body")
    })
    .await
}

/// Contract check X21.
pub(super) async fn a_slow_reader_of_a_file_gets_every_byte_and_slows_nobody(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    const SIZE: usize = 100_000_000;
    /// Ten seconds for the whole file.
    const PAUSE: Duration = Duration::from_millis(100);
    const BEFORE_A_PAUSE: usize = SIZE / 100;
    with_target(fleet, |visitor, target| async move {
        let mut answer = visitor.client.send(visitor.request(&format!("/http/{target}/{SIZE}"))?).await?;
        let reader = async {
            let (mut got, mut pause_at) = (0usize, BEFORE_A_PAUSE);
            while let Some(frame) = answer.body_mut().frame().await {
                let Ok(data) = frame?.into_data() else { continue };
                let wrong = data.iter().zip(got..).find(|(byte, at)| usize::from(**byte) != at % 251);
                ensure!(wrong.is_none(), "the file is wrong at {wrong:?}");
                got += data.len();
                if got >= pause_at {
                    pause_at = got + BEFORE_A_PAUSE;
                    tokio::time::sleep(PAUSE).await;
                }
            }
            ensure!(got == SIZE, "{got} bytes of {SIZE} came");
            Ok(())
        };
        quick(small_requests_beside(&visitor, reader).await?).context("beside a slow reader")
    })
    .await
}

pub(super) async fn an_allowed_target_gets_path_and_query_as_they_were_sent(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    with_target(fleet, |visitor, target| async move {
        let answer =
            visitor.client.whole(visitor.request(&format!("/http/{target}/echo/a%20b/c?x=1%202"))?).await?;
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        // The parent's aggregator writes queries anew before anybody else sees them, with `+` for a blank.
        let line = text.lines().next().unwrap_or_default();
        ensure!(line == "GET /echo/a%20b/c?x=1+2 HTTP/1.1", "{line:?}");
        ensure!(
            !text.to_ascii_lowercase().contains("x-remote-"),
            "the parent's identity went to a foreign server"
        );
        let other = visitor.client.whole(visitor.request("/http/127.0.0.1:9/")?).await?;
        ensure!(other.status() == 403, "a target that is not allowed: {}", other.status());
        Ok(())
    })
    .await
}

/// Runs a test while child1's agent allows visits of a small server; afterwards the agent is as it was.
async fn with_target<F>(fleet: &Fleet, test: impl FnOnce(Visitor, String) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let child = fleet.cluster("child1")?;
    let port = free_port(child.address())?;
    let target = format!("{}:{port}", child.address());
    let tasks = runtime::Tasks::new();
    let listener = tokio::net::TcpListener::bind(&target).await?;
    let connections = tasks.clone();
    tasks.spawn("target", async move {
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn("target's connection", async move {
                // A visitor that goes away is no concern of the server.
                let _ = serve(stream).await;
            });
        }
    });
    let name = Fleet::agent_name(&child);
    let before = fleet.process(&name).context("no agent")?.spec;
    let mut allowing = before.clone();
    allowing.args.push(format!("--allow-target=http://{target}"));
    fleet.stop(&name).await?;
    fleet.start(allowing)?;
    let result = async {
        fleet.until_visitable(&child, Duration::from_secs(90)).await?;
        test(Visitor::new(fleet, &child).await?, target).await
    }
    .await;
    fleet.stop(&name).await?;
    fleet.start(before)?;
    let restored = fleet.until_visitable(&child, Duration::from_secs(90)).await;
    tasks.shutdown(Duration::from_secs(5)).await;
    result.and(restored)
}

/// Answers one request: `/N` with N bytes, each its offset modulo 251; `/echo…` with the request's head.
async fn serve(mut stream: tokio::net::TcpStream) -> anyhow::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 64 * 1024 {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head)?;
    let path = head.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let Ok(size) = path.parse::<usize>() else {
        let answer =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{head}", head.len());
        return Ok(stream.write_all(answer.as_bytes()).await?);
    };
    stream
        .write_all(
            format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .await?;
    let block: Vec<u8> = (0..251 * 512).map(|offset| (offset % 251) as u8).collect();
    let mut left = size;
    while left > 0 {
        let part = left.min(block.len());
        stream.write_all(block.get(..part).unwrap_or_default()).await?;
        left -= part;
    }
    Ok(stream.shutdown().await?)
}
