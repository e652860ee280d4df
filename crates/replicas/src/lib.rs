//! Several hubs, one store: which of them has it open, and how the others reach that one.
//!
//! ```text
//!            ┌─► keep: hold the Lease ─► open the store ─► Stores: searched here, written here
//!  Lease ────┤                                                │
//!            └─► Holder (identity and address)                ▼
//!                       └──────────► Relay ◄── not here ── Relayed ── here ──► the API itself
//!                                      ╚══ HTTP/2 ══► the holder's Relayed
//! ```
//!
//! * [`keep`]: opens the store in the process that may have it, and takes it back when the Lease is lost. A store that
//!   only one process can have open is with the holder of the Lease; a database server serves every replica, and the
//!   holder of the Lease is the one that writes.
//! * [`Holder`]: who that is, as the Lease says.
//! * [`Relayed`]: an API that needs the store, served here or passed on to the holder, who asks for the caller's rights
//!   again. A relayed request is never relayed again.
//!
//! The Lease is the one truth, whether the replicas share a disk or each has its own. The lock on a store's file is the
//! net below: a process that was stopped and does not know yet that it lost the Lease keeps the file, and the next
//! holder waits for it.
//!
//! Deliberately absent: the election itself (`runtime::lease`), how identities are believed (`apiserver`), what is done
//! with a store, and copies of a store's contents between replicas.

mod api;
mod holder;
mod keep;
mod relay;
#[cfg(test)]
mod tests;
mod withdrawn;

pub use self::{
    api::Relayed,
    holder::Holder,
    keep::{Elect, Open, Sharing, Stores, keep},
    relay::{Relay, RelayOptions},
};
