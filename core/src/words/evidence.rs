//! What in the text, or which default, made a step happen.

use super::names;
use super::phrase::{Line, Phrase, name, phrase, service, to};
use super::step::{node_port_addresses, summary, untold};
use crate::cluster::{Cluster, EncapMode, EndpointToHost, ProxyMode, ServiceId};
use crate::datapath::{Evidence, Fact, Hint, HintedBy, PolicyEffect, Routed, Step};
use crate::text::Origin;

/// What made `step` happen.
pub fn evidence(cluster: &Cluster, step: &Step) -> Vec<Line> {
    let line = |evidence: &Evidence| Line {
        cite: evidence.cite(cluster),
        matched: true,
        finding: finding(cluster, step, evidence),
    };
    step.evidence.iter().map(line).collect()
}

/// What was found, and whose default it is if the text does not say it.
pub(super) fn finding(cluster: &Cluster, step: &Step, evidence: &Evidence) -> Phrase {
    let mut says = found(cluster, step, evidence);
    match evidence.origin(cluster) {
        Some(Origin::Default(why)) => says.add(format!(" ({why})")),
        Some(Origin::Assumed(why)) => says.add(format!(" (assumed: {why})")),
        Some(Origin::Written(_)) | None => {}
    }
    says
}

fn found(cluster: &Cluster, step: &Step, evidence: &Evidence) -> Phrase {
    let mode = cluster.proxy.mode.value;
    match evidence {
        Evidence::Frontend(frontend) => {
            phrase![to(&step.before), " is its ", names::frontend(frontend.kind)]
        }
        Evidence::Hinted(_, hint) => hinted(cluster, *hint),
        Evidence::AnyNodePort(_, port) => phrase![
            "port ",
            *port,
            " is some service's node port, and IPVS mode's set of node ports holds no addresses: it matches here too"
        ],
        Evidence::MasqueradeAll => {
            "masqueradeAll masquerades everything that goes to a ClusterIP".into()
        }
        Evidence::NotLocal(source) => phrase![
            *source,
            " is no pod's address by kube-proxy's local detector, and what goes to a ClusterIP from elsewhere is masqueraded"
        ],
        Evidence::NotLocalHere(source) => phrase![
            "kube-proxy does not take ",
            *source,
            " for a pod's address, which could use the endpoints of other nodes"
        ],
        Evidence::OwnClusterIp => "the source is the ClusterIP itself".into(),
        Evidence::Hairpin(_) => {
            "the endpoint is the sender itself: without masquerade its answer would never leave it"
                .into()
        }
        Evidence::Affinity(id) => affinity(cluster, step, *id),
        Evidence::Terminating(_) => {
            "no endpoint is ready, so one is used that is being deleted but still serves".into()
        }
        Evidence::Policy(_, PolicyEffect::NoneInServer)
        | Evidence::SourceRanges(_)
        | Evidence::NoSuchPort(_) => summary(cluster, step),
        Evidence::Policy(_, effect) => policy_effect(*effect).into(),
        Evidence::NoEndpoints(id) => match (&step.fact, cluster.service(*id)) {
            (Fact::NoListener(_), Some(of)) => phrase![service(of), " has no endpoints"],
            (Fact::Refused(_), _) if mode != ProxyMode::Ebpf => summary(cluster, step),
            _ => "no ready endpoints".into(),
        },
        Evidence::ServiceRange(_) => "ClusterIPs are taken from it".into(),
        Evidence::RpFilter => "rp_filter is strict".into(),
        Evidence::EndpointToHost => match cluster.network.felix.endpoint_to_host.value {
            EndpointToHost::Accept => {
                "Accept ends the filter table before kube-proxy's rules".into()
            }
            _ => "defaultEndpointToHostAction is Drop".into(),
        },
        Evidence::ServiceLoop => "serviceLoopPrevention is on".into(),
        Evidence::NatOutgoing(_) => "natOutgoing translates what leaves the pools".into(),
        Evidence::NatOutgoingAddress => "it is the source for natOutgoing".into(),
        Evidence::Wrapped(id, encapsulation) => {
            let Some(pool) = cluster.network.pool(*id) else { return Phrase::default() };
            phrase!["pool ", pool.cidr, " is wrapped in ", names::encapsulation(*encapsulation)]
        }
        Evidence::NotWrapped(id, encapsulation) => {
            let Some(pool) = cluster.network.pool(*id) else { return Phrase::default() };
            let mode = pool.mode(*encapsulation).map(|mode| mode.value);
            let between = mode == Some(EncapMode::CrossSubnet);
            phrase![
                "pool ",
                pool.cidr,
                if between { " is wrapped between subnets only" } else { " is not wrapped" }
            ]
        }
        Evidence::Wireguard(_) => "WireGuard wraps what goes between nodes".into(),
        Evidence::Session(_) => "it makes the BGP session".into(),
        Evidence::Announces(_, node) => {
            phrase![name(names::node(cluster, *node)), " tells the routers its blocks"]
        }
        Evidence::ClusterRoutes => "Felix writes the routes between nodes".into(),
        Evidence::Mesh(Some(why)) => untold(cluster, *why),
        Evidence::Mesh(None) if cluster.network.bgp.mesh.value => {
            "the node-to-node mesh is on".into()
        }
        Evidence::Mesh(None) => "the node-to-node mesh is off".into(),
        Evidence::Route(to, _) => match step.fact {
            Fact::RouterForward(Routed::Route { via, .. }) => {
                phrase![*to, " is behind ", name(names::node(cluster, via))]
            }
            _ => Phrase::default(),
        },
        Evidence::BpfEnabled => {
            "Calico's eBPF dataplane replaces kube-proxy and keeps the source".into()
        }
        Evidence::Service(_) => "it is the service's address".into(),
        Evidence::Mode => phrase!["the mode is ", mode.name()],
        Evidence::LocalhostNodePorts => "it is false".into(),
        Evidence::NodePortAddresses => {
            phrase!["node ports answer on ", node_port_addresses(cluster), " only"]
        }
        Evidence::NodePort(_) => {
            phrase![step.before.destination_port.unwrap_or_default(), " is its node port"]
        }
        Evidence::HealthCheck(_) => "balancers ask this port which nodes have endpoints".into(),
    }
}

fn affinity(cluster: &Cluster, step: &Step, id: ServiceId) -> Phrase {
    let seconds = cluster.service(id).and_then(|service| service.session_affinity);
    phrase![
        "ClientIP: ",
        names::machine(cluster, step.machine),
        " sends further connections from the same address, as it sees it before any masquerade, to the same endpoint for ",
        seconds.unwrap_or_default().to_string(),
        " seconds; these are the ways of a first one"
    ]
}

/// What a traffic policy does.
fn policy_effect(effect: PolicyEffect) -> &'static str {
    match effect {
        PolicyEffect::MasqueradesExternal => {
            "externalTrafficPolicy Cluster masquerades everything that comes in by an external address, so that replies come back through this node"
        }
        PolicyEffect::MasqueradesNodePort => {
            "externalTrafficPolicy Cluster masquerades everything that comes in by a node port, so that replies come back through this node"
        }
        PolicyEffect::ShortCircuit => {
            "under Local, a pod's own traffic is short-circuited to all endpoints, with its source kept"
        }
        PolicyEffect::OwnNode => {
            "under Local, the node's own traffic goes to all endpoints, masqueraded"
        }
        PolicyEffect::OnlyLocal => {
            "under Local, only endpoints on this node are used, and the source is kept"
        }
        PolicyEffect::UsesLocal => "endpoints on this node are used",
        PolicyEffect::FallsBack => {
            "no endpoint is on this node; IPVS mode then uses those of other nodes, without masquerade"
        }
        PolicyEffect::NoneLocal | PolicyEffect::NoneInServer => {
            "only endpoints on this node are used, and there is none"
        }
        PolicyEffect::OnlyReady => "only ready endpoints on this node are used",
    }
}

/// Whose endpoints hints leave.
fn hinted(cluster: &Cluster, hint: Hint) -> Phrase {
    let node = cluster.node(hint.node);
    let whom = match hint.by {
        HintedBy::Node => format!("node {}", names::node(cluster, hint.node)),
        HintedBy::Zone => {
            let zone = node.and_then(|node| node.zone());
            format!("zone {}", zone.unwrap_or_default())
        }
    };
    phrase![
        hint.meant,
        " of ",
        hint.ready,
        " ready endpoints are meant for ",
        whom,
        ", as their hints say"
    ]
}
