//! By what the objects of an answer are found, if not in order: the condition that leaves the fewest is looked up in
//! its index, the others are asked of what that gives, and the result is sorted.

use super::{
    plan::{Plan, ScopeRef, Source, listed},
    selection::PIECE_ROWS,
    uid::Uid,
};
use crate::OrderField;

/// What the objects of an answer can be looked up by.
pub(crate) enum Driver {
    /// The controlling owners.
    Owners(Vec<Uid>),
    /// The names.
    Names,
    /// The condition at this place in [`Plan::conditions`], which lists values.
    Condition(usize),
    /// Three characters in a row of the name.
    Trigrams,
    /// The namespaces.
    Namespaces,
    /// The time of creation.
    Created,
}

/// The most namespaces of one scope that are looked up.
const MOST_NAMESPACES: usize = 1000;

impl Driver {
    /// Those that the query has conditions for, without owners and names, which are always the best.
    pub(crate) fn candidates(plan: &Plan<'_>) -> Vec<Self> {
        let query = plan.query;
        let conditions = plan.conditions.first().map_or(0, Vec::len);
        let looked_up = |at: &usize| {
            plan.conditions.iter().all(|conditions| {
                let condition = &conditions[*at];
                matches!(condition.source, Source::Index(_)) && listed(&condition.operator).is_some()
            })
        };
        let mut candidates: Vec<Self> = (0..conditions).filter(looked_up).map(Self::Condition).collect();
        if query.fuzzy_names.iter().any(|part| has_trigram(part)) {
            candidates.push(Self::Trigrams);
        }
        let by_creation = plan.order.first().is_some_and(|term| term.field == OrderField::CreatedAt);
        if (query.since.is_some() || query.before.is_some()) && !by_creation {
            candidates.push(Self::Created);
        }
        let few = |scope: &ScopeRef<'_>| {
            scope.namespaces.as_ref().is_some_and(|namespaces| namespaces.len() <= MOST_NAMESPACES)
        };
        if !plan.scopes.is_empty() && plan.scopes.iter().all(few) {
            candidates.push(Self::Namespaces);
        }
        candidates
    }

    /// How many objects it may leave at most to be better than going through the objects in order.
    ///
    /// Looking up and sorting `h` hits costs about as much as passing `h` objects in order; in order, the hits of a
    /// piece are found after `piece · objects / h`.
    pub(crate) fn most_hits(plan: &Plan<'_>) -> u64 {
        let piece = plan.query.limit.map_or(PIECE_ROWS, |limit| limit.get().min(PIECE_ROWS));
        let limit = piece.saturating_add(plan.query.offset());
        ((limit as f64 * plan.objects() as f64).sqrt() as u64).max(1000).min(plan.most_looked_up)
    }
}

/// Whether an index of three characters in a row can say where a text may be.
pub(crate) fn has_trigram(text: &str) -> bool {
    text.chars().nth(2).is_some() && !text.contains('\0')
}

/// The times of creation that are asked for: from the first to before the second.
pub(crate) fn created_range(plan: &Plan<'_>) -> (i64, i64) {
    (plan.query.since.unwrap_or(i64::MIN), plan.query.before.unwrap_or(i64::MAX))
}
