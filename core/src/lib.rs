//! Where a Kubernetes packet goes, what rewrites it on the way, and which policy decides.
//!
//! Two verbs carry everything. [`read`] turns a text of Kubernetes and Calico objects into a
//! resolved [`Cluster`]; [`trace`] follows one [`Flow`] through it and says what every hop does to
//! the packet. Neither fails: wrong input becomes [`Problem`]s with their place in the text, and
//! what cannot be known is assumed and said.

pub mod analysis;
pub mod cluster;
pub mod datapath;
pub mod link;
pub mod manifest;
pub mod picker;
pub mod picture;
pub mod policy;
pub mod report;
pub mod text;

pub use cluster::{Cluster, Reading, read};
pub use datapath::{Flow, Trace, trace};
pub use text::{Problem, Severity, Span};
