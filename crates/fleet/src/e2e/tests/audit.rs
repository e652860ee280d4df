//! The hub's audit lines: one per visit, whatever became of it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;

use crate::{e2e::runner::visitor_manifest, fleet::Fleet, install::visit_path, seed, wait};

/// A visit and what its line must say.
struct Visit {
    method: Method,
    path: &'static str,
    credential: &'static str,
    headers: &'static [(&'static str, &'static str)],
    status: u16,
}

/// `$TOKEN` stands for a token of the child.
const USUAL: &str = "Bearer $TOKEN";

const VISITS: [Visit; 6] = [
    Visit {
        method: Method::GET,
        path: "/api/v1/namespaces/demo/pods/toolbox",
        credential: USUAL,
        headers: &[],
        status: 200,
    },
    Visit {
        method: Method::GET,
        path: "/api/v1/namespaces/demo/configmaps/there-is-none",
        credential: USUAL,
        headers: &[],
        status: 404,
    },
    Visit {
        method: Method::DELETE,
        path: "/api/v1/namespaces/kube-system/secrets/foreign",
        credential: USUAL,
        headers: &[],
        status: 403,
    },
    // Refused by the hub itself: the child is never asked.
    Visit { method: Method::GET, path: "/version", credential: "Basic $TOKEN", headers: &[], status: 400 },
    // The caller goes away before the end.
    Visit {
        method: Method::GET,
        path: "/api/v1/namespaces/demo/configmaps?watch=1",
        credential: USUAL,
        headers: &[],
        status: 200,
    },
    Visit {
        method: Method::GET,
        path: "/api/v1/namespaces/demo/pods/toolbox/exec?command=true&stdout=1",
        credential: USUAL,
        headers: &[
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "v5.channel.k8s.io"),
        ],
        status: 101,
    },
];

/// Visits in every way that a visit can end, and looks for the line of each by the audit id it was sent with.
pub(super) async fn every_visit_is_one_audit_line_with_the_parents_audit_id(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let (parent, child) = (fleet.parent()?, fleet.cluster("child1")?);
    let registered = fleet.registered(&child).await?.context("it is not registered")?;
    child.apply(&visitor_manifest()).await?;
    let token = child.token_of(seed::NAMESPACE, "visitor").await?;
    let client = parent.http_as("alice", &["visitors-child1"])?;
    for visit in &VISITS {
        // The parent takes an audit id from its caller, and makes one up only where there is none.
        let audit_id = format!("audited-{:016x}", rand::random::<u64>());
        let mut request = Request::builder()
            .method(visit.method.clone())
            .uri(format!("{}{}", visit_path(&registered.id), visit.path))
            .header("audit-id", &audit_id)
            .header("clusterway-child-authorization", visit.credential.replace("$TOKEN", &token));
        for (name, value) in visit.headers {
            request = request.header(*name, *value);
        }
        let answer = client.send(request.body(Full::<Bytes>::default())?).await?;
        ensure!(answer.status() == visit.status, "{}: {}", visit.path, answer.status());
        drop(answer);
        let line = line_of(fleet, &audit_id).await.with_context(|| visit.path.to_owned())?;
        let path = visit.path.split('?').next().unwrap_or_default();
        for said in [
            String::from("user=alice"),
            format!("cluster={}", registered.id),
            format!("verb={}", visit.method),
            format!("path=proxy/direct{path} "),
            format!("status={}", visit.status),
            String::from("bytes="),
            String::from("duration_ms="),
        ] {
            ensure!(line.contains(&said), "no {said:?} in {line}");
        }
        ensure!(!line.contains(&token), "the child's token is in the audit line of {}", visit.path);
    }
    Ok(())
}

/// The hub's audit line with this id; an error if there are several.
async fn line_of(fleet: &Fleet, audit_id: &str) -> anyhow::Result<String> {
    let log = fleet.log_directory().join("hub.log");
    let lines = || -> anyhow::Result<Vec<String>> {
        let text = std::fs::read(&log)?;
        let said = format!("audit_id={audit_id} ");
        let text = String::from_utf8_lossy(&text);
        Ok(text.lines().filter(|line| line.contains(&said)).map(str::to_owned).collect())
    };
    // A caller that went away is noticed a little later.
    let found = wait::until("the audit line", Duration::from_secs(20), || async {
        Ok(Some(lines()?).filter(|lines| !lines.is_empty()))
    })
    .await?;
    ensure!(found.len() == 1, "the visit has {} audit lines: {found:?}", found.len());
    found.into_iter().next().context("no line")
}
