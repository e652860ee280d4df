//! The distribution against a parent in memory: the contract's checks of sections 10.6 and 10.7, as far as they are the
//! parent's.

mod charts;
mod contents;
mod crashes;
mod deletion;
mod overriding;
mod parent;
mod placing;
mod scale;
mod scene;
