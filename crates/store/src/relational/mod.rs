//! What back ends on relational databases share: everything about an answer but the SQL that fetches its parts.
//!
//! Their tables are alike: what is stored of one resource of one cluster is a *scope* with a small number, with which
//! every index begins; an object has a row that can be ordered and asked for, a body apart from it, and one row in
//! `term` for each label and each indexed field. A [`plan::Plan`] says what a query means for the scopes of the moment,
//! a [`driver::Driver`] by which index its objects are looked up, a [`place::Frontier`] how far a scope has been gone
//! through, a [`selection::Selection`] how far an answer is, and [`pieces::pieces`] passes on what is found of it.
//! What changes the tables is a [`command::Command`] for the one writer.
//!
//! Deliberately absent: any connection, and any statement as a whole.

pub(crate) mod body;
pub(crate) mod command;
pub(crate) mod driver;
pub(crate) mod fields;
pub(crate) mod ids;
pub(crate) mod pieces;
pub(crate) mod place;
pub(crate) mod plan;
pub(crate) mod prepared;
pub(crate) mod selection;
pub(crate) mod terms;
pub(crate) mod uid;
