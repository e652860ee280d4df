//! What of its data a template may look at.

use std::collections::BTreeSet;

use super::tree::{Block, Branch, Node, Operand, Pipeline, Term, Tree};
use crate::value::Text;

/// The paths from the root of the data; nothing if it may be all of them.
pub(crate) fn paths(tree: &Tree) -> Option<BTreeSet<Vec<String>>> {
    let mut reads = Reads { paths: BTreeSet::new(), all: false };
    // What is defined looks at its argument, which is read where it is called.
    reads.block(&tree.root, true);
    (!reads.all).then_some(reads.paths)
}

struct Reads {
    paths: BTreeSet<Vec<String>>,
    all: bool,
}

impl Reads {
    /// `at_root` tells whether the dot is the data itself.
    fn block(&mut self, block: &Block, at_root: bool) {
        for node in block {
            match node {
                Node::Text(..) | Node::Break | Node::Continue => {}
                Node::Action(pipeline) => self.pipeline(pipeline, at_root),
                Node::If(branch) => self.branch(branch, at_root, at_root),
                // The dot of the body lies within what the condition has read.
                Node::With(branch) | Node::Range(branch) => self.branch(branch, at_root, false),
                Node::Template { argument, .. } => {
                    if let Some(argument) = argument {
                        self.pipeline(argument, at_root);
                    }
                }
            }
        }
    }

    fn branch(&mut self, branch: &Branch, at_root: bool, inside: bool) {
        self.pipeline(&branch.condition, at_root);
        self.block(&branch.then, inside);
        self.block(&branch.otherwise, at_root);
    }

    fn pipeline(&mut self, pipeline: &Pipeline, at_root: bool) {
        for command in &pipeline.commands {
            self.operand(&command.head, at_root);
            for argument in &command.arguments {
                self.operand(argument, at_root);
            }
        }
    }

    fn operand(&mut self, operand: &Operand, at_root: bool) {
        match &operand.term {
            Term::Dot => self.read(&[], at_root),
            Term::Field(fields) => self.read(fields, at_root),
            // Other variables hold what was read where they were set.
            Term::Variable(name, fields) => self.read(fields, &**name == "$"),
            Term::Pipeline(pipeline) => self.pipeline(pipeline, at_root),
            Term::Chain(operand, _) => self.operand(operand, at_root),
            Term::Nil | Term::Bool(_) | Term::Number(_) | Term::Text(_) | Term::Function(_) => {}
        }
    }

    fn read(&mut self, fields: &[Text], at_root: bool) {
        if !at_root {
            return;
        }
        if fields.is_empty() {
            self.all = true;
        }
        self.paths.insert(fields.iter().map(|field| field.chars().into_owned()).collect());
    }
}
