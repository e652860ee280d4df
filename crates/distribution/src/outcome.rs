//! What became of a Base: what stands against it, in words for people.

use api::apps::Deployer;

/// The result of rendering a Base.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    generic: Part,
    helm: Part,
}

impl Outcome {
    /// What became of the Description of a deployer.
    pub(crate) fn of(&self, deployer: Deployer) -> &Part {
        match deployer {
            Deployer::Generic => &self.generic,
            Deployer::Helm => &self.helm,
        }
    }

    pub(crate) fn set(&mut self, deployer: Deployer, part: Part) {
        match deployer {
            Deployer::Generic => self.generic = part,
            Deployer::Helm => self.helm = part,
        }
    }

    /// Everything that stands against the Base.
    pub(crate) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.generic.problems.iter().chain(&self.helm.problems)
    }
}

/// The result of rendering one of a Base's Descriptions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// What it was rendered from, by a digest.
    pub(crate) inputs: String,
    /// What stands against it.
    pub(crate) problems: Vec<Problem>,
}

impl Part {
    /// Nothing was rendered, for one reason.
    pub(crate) fn failed(problem: Problem) -> Self {
        Self { inputs: String::new(), problems: vec![problem] }
    }
}

/// Something that stands against a feed in a cluster. Never a value of an object or an override.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    pub(crate) sort: Sort,
    /// CamelCase.
    pub(crate) reason: String,
    /// Full sentences that name the remedy.
    pub(crate) message: String,
}

/// What a problem means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    /// A feed is not deployed, the others are.
    Feed,
    /// An override is left out, everything is deployed.
    Skipped,
    /// An override cannot be applied: the cluster keeps what it has.
    Override,
    /// The whole cannot be written: the cluster keeps what it has.
    Whole,
}

impl Sort {
    /// Whether the cluster does not get what it should.
    pub(crate) fn fails(self) -> bool {
        self != Self::Skipped
    }

    /// Whether the cluster keeps what it has.
    pub(crate) fn blocks(self) -> bool {
        matches!(self, Self::Override | Self::Whole)
    }
}
