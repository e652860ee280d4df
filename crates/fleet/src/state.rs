//! What a fleet remembers on disk: which clusters it has, on which ports, and which processes it started.

use std::{
    collections::BTreeMap,
    net::{IpAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::{cluster::Ports, paths, process::Process};

/// The contents of `state.json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// etcd's client port.
    pub(crate) etcd: u16,
    /// The hub's port.
    pub(crate) hub: u16,
    /// The storage configuration of hubs; without it each has a directory of its own.
    #[serde(default)]
    pub(crate) storage: Option<PathBuf>,
    /// The clusters, the parent first.
    pub(crate) clusters: Vec<Entry>,
    /// Every process that was started, by name.
    pub(crate) processes: BTreeMap<String, Process>,
}

/// One cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) ports: Ports,
}

impl State {
    pub(crate) fn file(directory: &Path) -> PathBuf {
        directory.join("state.json")
    }

    /// Reads the state; `None` where no fleet is.
    pub(crate) fn read(directory: &Path) -> anyhow::Result<Option<Self>> {
        let file = Self::file(directory);
        match std::fs::read(&file) {
            Ok(bytes) => Ok(Some(
                serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", file.display()))?,
            )),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    pub(crate) fn write(&self, directory: &Path) -> anyhow::Result<()> {
        paths::write(&Self::file(directory), serde_json::to_vec_pretty(self)?)
    }
}

/// A port that is free at the moment.
pub fn free_port(address: IpAddr) -> anyhow::Result<u16> {
    let listener = TcpListener::bind((address, 0)).with_context(|| format!("cannot listen on {address}"))?;
    Ok(listener.local_addr()?.port())
}

/// Holds a fleet's directory for one command at a time; released when dropped.
#[derive(Debug)]
pub(crate) struct Lock(
    #[expect(dead_code, reason = "the lock lives as long as the open file")] std::fs::File,
);

impl Lock {
    /// Waits for its turn, as long as nobody interrupts it.
    pub(crate) async fn take(directory: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let file = std::fs::File::options().create(true).append(true).open(directory.join("lock"))?;
        let mut told = false;
        while let Err(cause) = file.try_lock() {
            if let std::fs::TryLockError::Error(cause) = cause {
                return Err(cause).with_context(|| format!("cannot lock {}", directory.display()));
            }
            if !told {
                eprintln!("  waiting for another command that works on {}", directory.display());
                told = true;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(Self(file))
    }
}
