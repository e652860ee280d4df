//! From text to tree: [`lex`] cuts it into tokens, [`parse`] builds blocks, [`pipeline`] what stands in an action; [`reads`] tells what the tree looks at.

pub(crate) mod lex;
pub(crate) mod literal;
pub(crate) mod parse;
mod pipeline;
pub(crate) mod reads;
pub(crate) mod tree;
