mod conditions;
mod decision;
mod labels;
mod naming;
mod objects;
mod pulse;
