//! kubectl's columns for Kubernetes' built-in kinds, as a kube-apiserver prints them.
//!
//! Whoever asks an API server for a Table gets the columns of the kind and a row of cells for each object.
//! [`printer`] gives the same for objects that come from elsewhere: from a store, from many clusters at once.
//!
//! ```
//! let printer = printers::printer("", "v1", "pods").unwrap();
//! let pod = br#"{"metadata":{"name":"web"},"spec":{"containers":[{}]},"status":{"phase":"Pending"}}"#;
//! let cells = printer.cells(pod, jiff::Timestamp::now())?;
//! assert_eq!(printer.columns()[2].name, "Status");
//! assert_eq!(cells[2], "Pending");
//! # Ok::<(), printers::Error>(())
//! ```
//!
//! The truth is what real servers answer: `tests/golden` holds their answers, `src/columns.json` the columns out of
//! them.
//!
//! Deliberately absent: I/O, async and clocks (what the time is, is a parameter); custom resources, whose columns
//! their definitions bring; anything that a row of a Table carries beside its cells.

mod admission;
mod autoscaling;
mod batch;
mod certificates;
mod core;
mod decode;
mod devices;
mod duration;
mod events;
mod extension;
mod flowcontrol;
mod kinds;
mod networking;
mod nodes;
mod pods;
mod rbac;
mod selector;
mod services;
mod storage;
mod system;
mod text;
mod workloads;

pub use decode::Error;
pub use duration::human_duration;
pub use kinds::{Printer, generic, printer};
