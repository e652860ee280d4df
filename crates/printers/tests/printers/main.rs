//! Printing the objects of the golden files, as they are and spoilt.

mod golden;
mod recorded;
mod robustness;
