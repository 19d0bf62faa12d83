//! Every policy language in one form.
//!
//! [`form`] is the common form: tiers of policies of rules. One file a language translates into
//! it; nothing after the translation knows which language a rule was written in.

mod admin;
mod calico;
pub mod form;
mod kubernetes;
mod translate;

pub(crate) use calico::endpoint_port;
pub use form::Policies;
