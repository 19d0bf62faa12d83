//! Where a Kubernetes packet goes, what rewrites it on the way, and which policy decides.
//!
//! Two verbs carry everything. [`read`] turns a text of Kubernetes and Calico objects into a
//! resolved [`Cluster`]; [`trace`] follows one [`Flow`] through it and says what every hop does to
//! the packet. Neither fails: wrong input becomes [`Problem`]s with their place in the text, and
//! what cannot be known is assumed and said.

pub mod analysis;
mod assumed;
pub mod cluster;
pub mod datapath;
pub mod decision;
pub mod link;
pub mod manifest;
pub mod net;
pub mod picker;
pub mod picture;
pub mod policy;
pub mod report;
pub mod scenario;
pub mod text;
pub mod words;

pub use cluster::Cluster;
pub use datapath::{Trace, trace};
pub use net::Flow;
pub use scenario::{Reading, read};
pub use text::{Problem, Severity, Span};
