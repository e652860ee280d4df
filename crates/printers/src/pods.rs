//! Pods: one word for what a dozen fields say.

use std::collections::HashSet;

use jiff::Timestamp;
use meta::TableCells;

use crate::{
    decode::{Condition, Error, List, Metadata, Text, cells, decode, fields},
    duration::{age, human_duration, time},
    text::NONE,
};

fields! { Pod<'a> { metadata: Metadata<'a>, spec: Spec<'a>, status: Status<'a>, }}

fields! { Spec<'a> {
    node_name: Text<'a>,
    containers: List<Container<'a>>,
    init_containers: List<Container<'a>>,
    readiness_gates: List<ReadinessGate<'a>>,
}}

fields! { Container<'a> { name: Text<'a>, restart_policy: Text<'a>, }}

fields! { ReadinessGate<'a> { condition_type: Text<'a>, }}

fields! { Status<'a> {
    phase: Text<'a>,
    reason: Text<'a>,
    conditions: List<Condition<'a>>,
    #[serde(rename = "podIP")]
    pod_ip: Text<'a>,
    #[serde(rename = "podIPs")]
    pod_ips: List<PodIp<'a>>,
    nominated_node_name: Text<'a>,
    init_container_statuses: List<ContainerStatus<'a>>,
    container_statuses: List<ContainerStatus<'a>>,
}}

fields! { PodIp<'a> { ip: Text<'a>, }}

fields! { ContainerStatus<'a> {
    name: Text<'a>,
    ready: bool,
    started: bool,
    restart_count: i64,
    state: State<'a>,
    last_state: State<'a>,
}}

fields! { State<'a> {
    waiting: Option<Waiting<'a>>,
    running: Option<Running>,
    terminated: Option<Terminated<'a>>,
}}

fields! { Waiting<'a> { reason: Text<'a>, }}

fields! { Running {}}

fields! { Terminated<'a> {
    reason: Text<'a>,
    signal: i64,
    exit_code: i64,
    finished_at: Text<'a>,
}}

/// What the statuses of the containers amount to.
struct Summary {
    status: String,
    ready: usize,
    restarts: Restarts,
}

/// How often containers restarted, and when the last one ended before that.
#[derive(Clone, Copy, Default)]
struct Restarts {
    count: i64,
    last: Option<Timestamp>,
}

/// Name, Ready, Status, Restarts, Age; IP, Node, Nominated Node, Readiness Gates.
pub(crate) fn pods(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let pod: Pod<'_> = decode(object)?;
    let Pod { metadata, spec, status } = &pod;
    let sidecars = spec.init_containers.iter().filter(|container| container.is_sidecar()).count();
    let summary = pod.summary();
    let ip =
        if status.pod_ip.is_empty() { status.pod_ips.first().map(|ip| &ip.ip) } else { Some(&status.pod_ip) };
    Ok(cells![
        &*metadata.name,
        format!("{}/{}", summary.ready, spec.containers.len() + sidecars),
        summary.status,
        summary.restarts.print(now),
        age(&metadata.creation_timestamp, now),
        ip.map_or(NONE, |ip| ip.or(NONE)),
        spec.node_name.or(NONE),
        status.nominated_node_name.or(NONE),
        pod.readiness_gates(),
    ])
}

impl Pod<'_> {
    fn summary(&self) -> Summary {
        let status = &self.status;
        let mut summary = Summary {
            status: status.reason.or(&status.phase).into(),
            ready: 0,
            restarts: Restarts::default(),
        };
        if status.conditions.iter().any(|c| &*c.type_ == "PodScheduled" && &*c.reason == "SchedulingGated") {
            summary.status = "SchedulingGated".into();
        }
        let initializing = self.summarize_init_containers(&mut summary);
        if !initializing || self.holds("Initialized") {
            self.summarize_containers(&mut summary);
        }
        if self.metadata.deletion_timestamp.is_some() {
            if &*status.reason == "NodeLost" {
                summary.status = "Unknown".into();
            } else if !matches!(&*status.phase, "Succeeded" | "Failed") {
                summary.status = "Terminating".into();
            }
        }
        summary
    }

    /// Goes through the init containers up to the first that is not done; whether there is one.
    fn summarize_init_containers(&self, summary: &mut Summary) -> bool {
        let containers = &self.spec.init_containers;
        let sidecars: HashSet<&str> = containers
            .iter()
            .filter(|container| container.is_sidecar())
            .map(|container| &*container.name)
            .collect();
        let mut of_sidecars = Restarts::default();
        for (index, container) in self.status.init_container_statuses.iter().enumerate() {
            let sidecar = sidecars.contains(&*container.name);
            summary.restarts.add(container);
            if sidecar {
                of_sidecars.add(container);
            }
            let reason = match &container.state {
                State { terminated: Some(terminated), .. } if terminated.exit_code == 0 => continue,
                _ if sidecar && container.started => {
                    summary.ready += usize::from(container.ready);
                    continue;
                }
                State { terminated: Some(terminated), .. } => terminated.print(),
                State { waiting: Some(waiting), .. }
                    if !matches!(&*waiting.reason, "" | "PodInitializing") =>
                {
                    waiting.reason.to_string()
                }
                _ => format!("{index}/{}", containers.len()),
            };
            summary.status = format!("Init:{reason}");
            if self.holds("Initialized") {
                summary.restarts = of_sidecars;
            }
            return true;
        }
        // The restarts of containers that are done are no longer of interest.
        summary.restarts = of_sidecars;
        false
    }

    /// The first container that waits or has ended determines the status.
    fn summarize_containers(&self, summary: &mut Summary) {
        let mut running = false;
        for container in self.status.container_statuses.iter().rev() {
            summary.restarts.add(container);
            match &container.state {
                State { waiting: Some(waiting), .. } if !waiting.reason.is_empty() => {
                    summary.status = waiting.reason.to_string();
                }
                State { terminated: Some(terminated), .. } => summary.status = terminated.print(),
                State { running: Some(_), .. } if container.ready => {
                    running = true;
                    summary.ready += 1;
                }
                _ => {}
            }
        }
        if running && summary.status == "Completed" {
            summary.status = if self.holds("Ready") { "Running" } else { "NotReady" }.into();
        }
    }

    fn holds(&self, condition: &str) -> bool {
        self.status.conditions.iter().any(|given| given.holds(condition))
    }

    /// `1/2`: how many of the gates are open.
    fn readiness_gates(&self) -> String {
        let gates = &self.spec.readiness_gates;
        if gates.is_empty() {
            return NONE.into();
        }
        let open = gates.iter().filter(|gate| {
            let condition = self.status.conditions.iter().find(|c| c.type_ == gate.condition_type);
            condition.is_some_and(|condition| &*condition.status == "True")
        });
        format!("{}/{}", open.count(), gates.len())
    }
}

impl Container<'_> {
    /// An init container that runs beside the others.
    fn is_sidecar(&self) -> bool {
        &*self.restart_policy == "Always"
    }
}

impl Terminated<'_> {
    fn print(&self) -> String {
        match self {
            Self { reason, .. } if !reason.is_empty() => reason.to_string(),
            Self { signal: 0, exit_code, .. } => format!("ExitCode:{exit_code}"),
            Self { signal, .. } => format!("Signal:{signal}"),
        }
    }
}

impl Restarts {
    fn add(&mut self, container: &ContainerStatus<'_>) {
        self.count = self.count.saturating_add(container.restart_count);
        let last =
            container.last_state.terminated.as_ref().and_then(|terminated| time(&terminated.finished_at));
        self.last = self.last.max(last);
    }

    /// `3 (5m ago)`.
    fn print(self, now: Timestamp) -> String {
        match self {
            Self { count, last: Some(last) } if count != 0 => {
                format!("{count} ({} ago)", human_duration(now.duration_since(last)))
            }
            Self { count, .. } => count.to_string(),
        }
    }
}
