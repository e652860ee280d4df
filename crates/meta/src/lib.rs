//! Kubernetes' own vocabulary, as plain values.
//!
//! * [`Status`]: the answer of every failed request (`metav1.Status`).
//! * [`Quantity`]: sums of CPU and memory that print as Kubernetes prints them.
//!
//! Deliberately absent: I/O, async, clocks, and anything that knows about Clusterway's own kinds.

mod quantity;
mod status;

pub use quantity::{ParseQuantityError, Quantity};
pub use status::{Status, StatusCause, StatusDetails};
