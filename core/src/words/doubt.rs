//! Why a step is not certain.

use super::names;
use super::phrase::{Phrase, phrase, pod, service};
use super::policy;
use crate::cluster::{Cluster, RouteDoubt};
use crate::datapath::{Device, Doubt, Step};
use crate::net::InFamily;
use crate::text::Origin;

/// Why `step` is not certain, where it is not.
pub fn doubt(cluster: &Cluster, step: &Step) -> Option<Phrase> {
    let policy = step.gate().and_then(|gate| {
        let doubt = policy::explain(cluster, step, gate).uncertain?;
        Some(policy::doubt(cluster, &doubt))
    });
    policy.or_else(|| step.doubt.map(|doubt| told(cluster, step, doubt)))
}

fn told(cluster: &Cluster, step: &Step, doubt: Doubt) -> Phrase {
    const UNMEASURED: &str =
        "read in the source of Calico's eBPF dataplane, and not compared with a running one";
    let family = step.before.source.family();
    let device = |device: Device| match device {
        Device::Pod(id) => phrase![pod(cluster, id)],
        device => names::device(cluster, device, family).into(),
    };
    match doubt {
        Doubt::RpFilterAssumed => "distributions differ in rp_filter: where it is 2 (loose) or 0, the packet passes".into(),
        Doubt::HandedOn => "it follows from the kernel's source (ip_vs_nat_send_or_cont), but was not measured: if the packet passes OUTPUT after all, the egress policy is asked there".into(),
        Doubt::IpvsLoopback => "whether IPVS mode has a virtual server for node ports on loopback addresses is not known for certain".into(),
        Doubt::Unmeasured => UNMEASURED.into(),
        Doubt::EbpfRpFilter { back } => phrase![
            step.before.source,
            " came in by ",
            step.device.map_or_else(Phrase::default, device),
            ", and would be answered by ",
            device(back),
            ": that the eBPF dataplane turns rp_filter off, and that its own check lets this pass, is ",
            UNMEASURED
        ],
        Doubt::EbpfSourceRange(id) => phrase![
            step.before.source,
            " is in none of the loadBalancerSourceRanges of ",
            cluster.service(id).map_or_else(Phrase::default, |of| service(of).into()),
            ": that eBPF drops such packets is known of traffic from outside the cluster, and not of pods and nodes"
        ],
        Doubt::EbpfHostEndpoint => super::step::summary(cluster, step),
        Doubt::TunnelAddress(address) => {
            let why = cluster.tunnel_origin(address);
            if let Some(Origin::Assumed(why)) = why { phrase![address, " is assumed: ", why.as_str()] } else { phrase![address, " is assumed"] }
        }
        Doubt::WireguardSource => "which source WireGuard's routes give to what a node itself sends or masquerades was read in Calico's source, and not measured".into(),
        Doubt::Ipv6Source => "IPv6's masquerade chooses its source by the rules of RFC 6724, over all of the node's addresses; this is the likely one".into(),
        Doubt::AssumedReflectors => "the text turns the node-to-node mesh off and has no BGPPeer: route reflectors are assumed; without any, no node knows another's pods".into(),
        Doubt::Route(RouteDoubt::NoRouters) => "the text has no BGPPeer with a router; nodes are taken to tell the routers what BGPConfiguration advertises".into(),
        Doubt::Route(RouteDoubt::Announced) => "the text does not say who leads the address to the nodes: every node is taken to announce it".into(),
        Doubt::Route(RouteDoubt::AnnouncedLocal) => "the text does not say who leads the address to the nodes: under Local, those with a ready endpoint are taken to announce it".into(),
        Doubt::BehindBalancer => "what a balancer that keeps the source does for the machines behind itself depends on its make".into(),
        Doubt::NftablesPriority => "kube-proxy's chains come before Calico's in current releases; in the first ones with nftables a pod's egress policy may be asked, and drop the packet, before".into(),
        Doubt::GuessedRange => "the text has no ServiceCIDR: that the address is a service's is a guess by the ClusterIPs around it; where kube-proxy knows no such range, the packet goes on to the default gateway".into(),
        Doubt::FallbackUntold => "kube-proxy before about v1.24 does not do so, and refuses the connection; the text tells no version (Node.status.nodeInfo)".into(),
        Doubt::FallbackRelease => "the release that began to use other nodes' endpoints here is not known for certain, about v1.24: before it the virtual server is empty, and refuses the connection".into(),
        Doubt::NoIpvsFilter => "older releases have no KUBE-IPVS-FILTER: there the packet reaches the node itself".into(),
        Doubt::TunnelTracked => "where conntrack already knows the tunnel between the two nodes, its packets pass".into(),
    }
}
