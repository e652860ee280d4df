//! A fleet: one parent and its children, up or down.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use parking_lot::Mutex;

use crate::{
    cluster::{Cluster, Ports},
    control_plane, paths,
    process::{Process, Spec},
    progress::Progress,
    seed,
    state::{Entry, Lock, State, free_port},
    tools::Tools,
};

/// The name of the fleet the demo and the developer use.
pub const DEFAULT: &str = "fleet";

/// The most children a fleet has: they have addresses and port ranges of their own.
pub const MAX_CHILDREN: u8 = 40;

/// A fleet on disk. Clones share it.
#[derive(Debug, Clone)]
pub struct Fleet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    tools: Tools,
    progress: Progress,
    state: Mutex<State>,
    _lock: Lock,
}

impl Fleet {
    /// Brings up the fleet `name` with so many children. What runs already is left alone; children are added, never
    /// taken away.
    pub async fn up(name: &str, children: u8, progress: Progress) -> anyhow::Result<Self> {
        if children > MAX_CHILDREN {
            bail!("a fleet has at most {MAX_CHILDREN} children");
        }
        let tools = Tools::ensure(progress).await?;
        let directory = paths::fleet(name);
        let lock = Lock::take(&directory).await?;
        let mut state = if let Some(state) = State::read(&directory)? {
            state
        } else {
            // The logs of the fleet before this one.
            let _ = std::fs::remove_dir_all(directory.join("log"));
            let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
            State { etcd: free_port(local)?, hub: free_port(local)?, ..State::default() }
        };
        for ordinal in u8::try_from(state.clusters.len())?..=children {
            let address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, ordinal + 1));
            let name = if ordinal == 0 { String::from("parent") } else { format!("child{ordinal}") };
            let ports = Ports { apiserver: free_port(address)?, kubelet: free_port(address)? };
            state.clusters.push(Entry { name, ports });
        }
        state.write(&directory)?;
        let fleet =
            Self(Arc::new(Inner { directory, tools, progress, state: Mutex::new(state), _lock: lock }));
        let step = progress.begin("etcd");
        control_plane::start_etcd(&fleet).await?;
        step.done();
        let clusters = fleet.clusters();
        futures_util::future::try_join_all(clusters.iter().map(|cluster| fleet.bring_up(cluster))).await?;
        Ok(fleet)
    }

    async fn bring_up(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let progress = self.progress();
        let step = progress.begin(format_args!("{}: API server at {}", cluster.name, cluster.url()));
        control_plane::start(self, cluster)
            .await
            .with_context(|| format!("cannot start {}", cluster.name))?;
        step.done();
        let step = progress.begin(format_args!("{}: nodes and pods", cluster.name));
        seed::seed(self, cluster).await.with_context(|| format!("cannot furnish {}", cluster.name))?;
        step.done();
        Ok(())
    }

    /// Opens a fleet that is up.
    pub async fn open(name: &str, progress: Progress) -> anyhow::Result<Self> {
        let directory = paths::fleet(name);
        if !State::file(&directory).is_file() {
            bail!("there is no fleet in {}; `cargo xtask fleet up` makes one", directory.display());
        }
        let tools = Tools::ensure(progress).await?;
        let lock = Lock::take(&directory).await?;
        let state = State::read(&directory)?.context("the fleet was taken down meanwhile")?;
        Ok(Self(Arc::new(Inner { directory, tools, progress, state: Mutex::new(state), _lock: lock })))
    }

    /// Ends every process the fleet `name` started, and only those, and forgets it. Logs are kept.
    pub async fn down(name: &str, progress: Progress) -> anyhow::Result<()> {
        let directory = paths::fleet(name);
        if !directory.is_dir() {
            progress.done("nothing to take down");
            return Ok(());
        }
        let _lock = Lock::take(&directory).await?;
        let Some(state) = State::read(&directory)? else {
            progress.done("nothing to take down");
            return Ok(());
        };
        // What uses a program ends before it: hub and agents, then kubelets and controllers, API servers, etcd.
        let rank = |name: &str| match name.rsplit('/').next().unwrap_or(name) {
            "etcd" => 3,
            "kube-apiserver" => 2,
            "kwok" | "kube-controller-manager" => 1,
            _ => 0,
        };
        for turn in 0..=3 {
            let processes: Vec<&Process> = state
                .processes
                .values()
                .filter(|process| rank(&process.spec.name) == turn && process.alive())
                .collect();
            // An API server waits for its open watches for a minute; its data is not wanted any more.
            let grace = Duration::from_secs(if turn == 0 { 10 } else { 2 });
            futures_util::future::try_join_all(processes.iter().map(|process| process.stop(grace))).await?;
            for process in processes {
                progress.done(format_args!("{} ended (pid {})", process.spec.name, process.pid));
            }
        }
        for entry in std::fs::read_dir(&directory)?.flatten() {
            let keep =
                entry.file_name() == "log" || entry.file_name() == "lock" || entry.file_name() == "bin";
            if keep {
                continue;
            }
            if entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(entry.path())?;
            } else {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Whether the fleet `name` has a state on disk.
    pub fn exists(name: &str) -> bool {
        State::file(&paths::fleet(name)).is_file()
    }

    /// Where the fleet's files are.
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// Where the logs are.
    pub fn log_directory(&self) -> PathBuf {
        self.0.directory.join("log")
    }

    /// Where the programs under test are once they are installed.
    pub fn bin(&self) -> PathBuf {
        self.0.directory.join("bin")
    }

    /// The programs of the fleet.
    pub fn tools(&self) -> &Tools {
        &self.0.tools
    }

    /// Where steps are printed.
    pub fn progress(&self) -> Progress {
        self.0.progress
    }

    /// Every cluster, the parent first.
    pub fn clusters(&self) -> Vec<Cluster> {
        let state = self.0.state.lock();
        state
            .clusters
            .iter()
            .zip(0u8..)
            .map(|(entry, ordinal)| Cluster {
                name: entry.name.clone(),
                ordinal,
                ports: entry.ports.clone(),
                directory: self.0.directory.join(&entry.name),
                kubectl: self.0.tools.kubectl.clone(),
            })
            .collect()
    }

    /// The clusters without the parent.
    pub fn children(&self) -> Vec<Cluster> {
        self.clusters().into_iter().skip(1).collect()
    }

    /// A cluster by name.
    pub fn cluster(&self, name: &str) -> anyhow::Result<Cluster> {
        let clusters = self.clusters();
        let names: Vec<&str> = clusters.iter().map(|cluster| cluster.name.as_str()).collect();
        let unknown = format!("the fleet has no cluster {name}; it has {}", names.join(", "));
        clusters.iter().find(|cluster| cluster.name == name).cloned().context(unknown)
    }

    /// The parent.
    pub fn parent(&self) -> anyhow::Result<Cluster> {
        self.cluster("parent")
    }

    /// etcd's client port.
    pub(crate) fn etcd_port(&self) -> u16 {
        self.0.state.lock().etcd
    }

    /// The port of the hub's Service.
    pub fn hub_port(&self) -> u16 {
        self.0.state.lock().hub
    }

    /// The storage configuration of hubs.
    pub(crate) fn storage(&self) -> Option<PathBuf> {
        self.0.state.lock().storage.clone()
    }

    /// Hubs that are started from now on use this storage configuration, or directories of their own without one.
    pub(crate) fn set_storage(&self, file: Option<PathBuf>) -> anyhow::Result<()> {
        let mut state = self.0.state.lock();
        state.storage = file;
        state.write(&self.0.directory)
    }

    /// A process by name, running or not.
    pub fn process(&self, name: &str) -> Option<Process> {
        self.0.state.lock().processes.get(name).cloned()
    }

    /// Every process that runs.
    pub fn running(&self) -> Vec<Process> {
        self.0.state.lock().processes.values().filter(|process| process.alive()).cloned().collect()
    }

    /// What to run under a name, with its log where the fleet's logs are.
    pub fn spec(&self, name: &str, program: &Path, args: Vec<String>) -> Spec {
        let log = self.log_of(name);
        Spec { name: name.to_owned(), program: program.to_owned(), args, env: BTreeMap::new(), log }
    }

    /// The log of a process.
    pub fn log_of(&self, name: &str) -> PathBuf {
        self.log_directory().join(format!("{}.log", name.replace('/', "-")))
    }

    /// Starts a process and remembers it, so that `fleet down` ends it; one of that name that runs already is kept.
    pub fn start(&self, spec: Spec) -> anyhow::Result<Process> {
        let mut state = self.0.state.lock();
        if let Some(process) = state.processes.get(&spec.name).filter(|process| process.alive()) {
            return Ok(process.clone());
        }
        let process = Process::start(spec)?;
        state.processes.insert(process.spec.name.clone(), process.clone());
        state.write(&self.0.directory)?;
        Ok(process)
    }

    /// Starts a process again as it was started before, after it ended.
    pub fn restart(&self, name: &str) -> anyhow::Result<Process> {
        let spec = self.process(name).with_context(|| format!("{name} was never started"))?.spec;
        self.start(spec)
    }

    /// Stops a process in good order, if it runs.
    pub async fn stop(&self, name: &str) -> anyhow::Result<()> {
        match self.process(name) {
            Some(process) => process.stop(Duration::from_secs(20)).await,
            None => Ok(()),
        }
    }

    /// `kill -9`, if it runs.
    pub async fn kill(&self, name: &str) -> anyhow::Result<()> {
        match self.process(name) {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Stops a process and forgets it: for extra hubs and agents of a test.
    pub async fn remove(&self, name: &str) -> anyhow::Result<()> {
        self.stop(name).await?;
        let mut state = self.0.state.lock();
        state.processes.remove(name);
        state.write(&self.0.directory)
    }
}

/// Waits for `ready` while the process lives; an early end or a missed deadline is told with the end of its log.
pub(crate) async fn ready_or_log<F>(process: &Process, ready: F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let ended = async {
        while process.alive() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        result = ready => result.with_context(|| format!("{} does not get ready.{}", process.spec.name, process.log_tail())),
        () = ended => bail!("{} ended.{}", process.spec.name, process.log_tail()),
    }
}
