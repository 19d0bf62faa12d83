//! Why a connection did not come about.

use super::ends;
use super::names;
use super::phrase::{Part, Phrase, name, phrase, service};
use super::step;
use crate::cluster::{BalancerId, Cluster};
use crate::datapath::{Because, Machine, NoTarget, Outcome};

/// Why `outcome` failed, if it did: one sentence, without its full stop.
pub fn cause(cluster: &Cluster, outcome: &Outcome) -> Option<Phrase> {
    let cause = outcome.cause.as_ref()?;
    let mut says = match &cause.because {
        Because::Step { reply, at } => {
            let steps = if *reply { &outcome.reply } else { &outcome.steps };
            steps.get(*at).map_or_else(Phrase::default, |found| step::end(cluster, found))
        }
        Because::Unresolved(why) => ends::unresolved(cluster, why),
        Because::Circles => "the packet goes in circles until its TTL runs out".into(),
        Because::NoTarget(balancer, why) => no_target(cluster, *balancer, *why),
    };
    if cause.unheard {
        says.add("; its answer does not find the way back, so the sender only times out");
    }
    Some(says)
}

fn no_target(cluster: &Cluster, balancer: BalancerId, why: NoTarget) -> Phrase {
    let balancer = name(&names::own_name(cluster, Machine::Balancer(balancer)));
    let of = |id| cluster.service(id).map_or_else(|| name("the service"), service);
    match why {
        NoTarget::NoNodePort(id) => {
            phrase![of(id), " has no node port that the balancer ", balancer, " could send to"]
        }
        NoTarget::NoService(ip, port) => phrase![
            "the balancer ",
            balancer,
            " has no service with a node port behind ",
            Part::Address(ip, port)
        ],
        NoTarget::NoHealthyNode(id) => phrase![
            "the balancer ",
            balancer,
            " finds no healthy node: no node has a ready endpoint of ",
            of(id)
        ],
    }
}
