//! Queries that nobody means well.

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};
use rand::RngExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{cluster::Cluster, fleet::Fleet, http, install::HUB};

const SEARCH: &str = "/apis/clusterpedia.io/v1beta1";
const PARAMETERS: [&str; 20] = [
    "labelSelector",
    "fieldSelector",
    "names",
    "namespaces",
    "clusters",
    "orderby",
    "ownerUID",
    "ownerName",
    "ownerGR",
    "ownerSeniority",
    "since",
    "before",
    "limit",
    "continue",
    "withContinue",
    "withRemainingCount",
    "groups",
    "resources",
    "whereSQL",
    "includeObject",
];

/// P96: what is malformed or huge is told to be the client's mistake, or answered, by the same process as before. More
/// than 64 KiB of URL, as the parent writes it anew, the hub's HTTP/2 does not take, and the parent says so with a 503.
pub(super) async fn malformed_and_huge_queries_are_refused_and_the_hub_lives_on(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let before = fleet.process(HUB).context("there is no hub")?;
    let parent = fleet.parent()?;
    let client = parent.http_as("fleet-administrator", &["system:masters"])?;
    for query in malformed().chain((0..300).map(|_| random())) {
        for path in
            ["resources/api/v1/pods", "resources/clusters/child1/api/v1/pods", "collectionresources/any"]
        {
            answered(&client, &format!("{SEARCH}/{path}?{query}")).await?;
        }
    }
    for size in [4 << 10, 20 << 10] {
        for query in [
            format!("names={}", "a,".repeat(size / 2)),
            format!("labelSelector={}", "a,".repeat(size / 2)),
            format!("labelSelector=a%20in%20({})", "b,".repeat(size / 2)),
            format!("fieldSelector={}a%3Db", "a.".repeat(size / 2)),
            format!("fieldSelector={}", "a%5B%5D.".repeat(size / 8)),
            format!("orderby={}", "name,".repeat(size / 5)),
            format!("continue={}", "A".repeat(size)),
            format!("limit={}", "9".repeat(size)),
        ] {
            answered(&client, &format!("{SEARCH}/resources/api/v1/pods?{query}")).await?;
        }
    }
    for size in [100 << 10, 800 << 10] {
        let path = format!("{SEARCH}/resources/api/v1/pods?names={}", "a".repeat(size));
        let code = code_by_hand(&parent, &path).await?;
        ensure!((400..500).contains(&code) || code == 503, "{size} bytes of names were answered with {code}");
    }
    answered(&client, &format!("{SEARCH}/resources/version")).await?;
    let after = fleet.process(HUB).context("there is no hub")?;
    ensure!(after.alive() && after.pid == before.pid, "the hub did not live through it");
    Ok(())
}

/// Whether it was answered as a hub in its right mind does.
async fn answered(client: &http::Client, path: &str) -> anyhow::Result<()> {
    let answer = client.get(path).await?;
    let shown: String = path.chars().take(200).collect();
    let code = answer.status().as_u16();
    ensure!(code == 200 || (400..500).contains(&code), "{shown} was answered with {code}");
    let json: serde_json::Value =
        serde_json::from_slice(answer.body()).with_context(|| format!("the answer to {shown}"))?;
    ensure!(code == 200 || json["kind"] == "Status", "the answer {code} to {shown} is no Status");
    Ok(())
}

/// Requests that our HTTP library would not make. The answer is its status code.
async fn code_by_hand(parent: &Cluster, path: &str) -> anyhow::Result<u16> {
    let token = parent.token_of("clusternet-system", "clusternet-hub").await?;
    let mut stream = parent.http()?.connect().await?;
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: parent\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = vec![0; 64];
    let read = stream.read(&mut answer).await?;
    let text = String::from_utf8_lossy(answer.get(..read).unwrap_or_default()).into_owned();
    let code = text.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.with_context(|| format!("no status line: {text:?}"))
}

fn malformed() -> impl Iterator<Item = String> {
    let values = [
        "",
        "%",
        "%zz",
        "%00",
        "%FF%FE",
        "'",
        "%22",
        "%5B",
        "%5B%5D",
        "%5B0%5D.a",
        "a%5B%27",
        "(((((",
        "a%3D%3D%3Db",
        "!!a",
        "a%20in%20(",
        "-1",
        "9223372036854775808",
        "1e999",
        "NaN",
        "../../..",
        "%F0%9F%92%A9",
        "a%0D%0Ab",
    ];
    PARAMETERS.into_iter().flat_map(move |name| values.map(|value| format!("{name}={value}")))
}

/// One to three parameters with any bytes as values, escaped.
fn random() -> String {
    let mut random = rand::rng();
    let mut query = String::new();
    for _ in 0..random.random_range(1..4) {
        let name = PARAMETERS.get(random.random_range(0..PARAMETERS.len())).copied().unwrap_or_default();
        let _ = write!(query, "&{name}=");
        for _ in 0..random.random_range(0..40) {
            let _ = write!(query, "%{:02X}", random.random::<u8>());
        }
    }
    query.trim_start_matches('&').to_owned()
}
