//! What the text does not say, and what is taken instead: nodes, pools, addresses, the pods that
//! services and policies speak of, machines outside. Everything here says why.

pub(crate) mod address;
pub(crate) mod assume;
pub(crate) mod nodes;
pub(crate) mod outside;
pub(crate) mod peers;
pub(crate) mod place;
pub(crate) mod pools;
pub(crate) mod write;

pub(crate) use address::beside;
