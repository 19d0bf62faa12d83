//! What the page's controls show, and the edits that they make. Each control is an editor of the
//! text: it shows what the text says, or what is in force because the text is silent, and a choice
//! is the smallest edit that makes the text say it.

mod ask;
mod dial;
mod write;

pub use ask::{Destination, Group, Item, destinations, sources};
pub use dial::{Choice, Dial, Picker, pickers};
pub use write::{keep, pick};
