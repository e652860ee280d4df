//! Real Kubernetes control planes on one machine, and what runs on them: the demo, the scenarios, the benchmarks.
//!
//! A [`Fleet`] is one parent and its children as plain processes on 127.0.0.x: one etcd, and per cluster a
//! `kube-apiserver`, a `kube-controller-manager` and `kwok`, which plays the kubelets. Its processes outlive the command
//! that started them; `Fleet::down` ends them and nothing else. The programs under test run beside it with kubeconfigs
//! of the ServiceAccounts that `deploy/` ships, never as an administrator.
//!
//! What this crate deliberately does not do: run containers, talk to anything but loopback, or end a process by name.

pub mod bench;
pub mod cargo;
pub mod cluster;
mod control_plane;
pub mod demo;
pub mod e2e;
mod fleet;
pub mod http;
pub mod install;
pub mod kubeconfig;
pub mod kwok;
pub mod load;
pub mod paths;
pub mod pki;
pub mod process;
pub mod progress;
pub mod seed;
mod state;
pub mod tools;
pub mod wait;

pub use cluster::{Cluster, Output};
pub use fleet::{DEFAULT, Fleet, MAX_CHILDREN};
pub use install::Registered;
pub use process::{Process, Spec};
pub use progress::Progress;
pub use state::free_port;
pub use tools::Tools;

/// Returns when somebody asks this command to end: Ctrl-C, or a supervisor's SIGTERM.
pub async fn interrupted() {
    let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
