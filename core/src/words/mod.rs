//! Words for people, made on demand from what the other rooms record: the sentence of a step, the rule
//! as the machine's own tools print it, the command that shows it, and every name.

mod calico;
mod caption;
mod cause;
mod commands;
mod doubt;
mod ends;
mod evidence;
pub mod names;
mod owner;
mod phrase;
pub mod policy;
mod proxy;
mod rules;
mod step;
pub mod verdict;

pub use caption::{caption, rewriting};
pub use cause::cause;
pub use doubt::doubt;
pub use ends::unresolved;
pub use evidence::evidence;
pub use owner::{Named, Owner, owner_of};
pub use phrase::{Line, Phrase, Piece};
pub use rules::{Inspect, rules};
pub use step::summary;
