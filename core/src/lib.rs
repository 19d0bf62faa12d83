//! Where a Kubernetes packet goes, what rewrites it on the way, and which policy decides.
//!
//! Two verbs carry everything. [`read`] turns a text of Kubernetes and Calico objects into a
//! resolved [`Cluster`]; [`trace`] follows one [`Flow`] through it and says what every hop does to
//! the packet. Neither fails: wrong input becomes [`Problem`]s with their place in the text, and
//! what cannot be known is assumed and said.
//!
//! ```
//! use hopwise::net::Verdict;
//! use hopwise::{read, trace};
//!
//! let reading = read(
//!     "
//! apiVersion: v1
//! kind: Pod
//! metadata: {name: web, namespace: shop, labels: {app: web}}
//! ---
//! apiVersion: v1
//! kind: Pod
//! metadata: {name: cli, namespace: shop}
//! ---
//! apiVersion: networking.k8s.io/v1
//! kind: NetworkPolicy
//! metadata: {name: nobody, namespace: shop}
//! spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}
//! ",
//! );
//! assert!(reading.problems.is_empty());
//!
//! let flow = "pod/shop/cli -> pod/shop/web:80".parse()?;
//! let trace = trace(&reading.cluster, &flow);
//! assert_eq!(trace.verdict, Verdict::Dropped);
//!
//! let cause = trace.outcomes.iter().find_map(|outcome| outcome.cause.as_ref());
//! let decided = cause.and_then(|cause| cause.cite.as_ref()).map(|cite| cite.object.to_string());
//! assert_eq!(decided.as_deref(), Some("NetworkPolicy shop/nobody"));
//! # Ok::<(), String>(())
//! ```

pub mod analysis;
mod assumed;
pub mod cluster;
pub mod datapath;
pub mod decision;
pub mod escape;
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
