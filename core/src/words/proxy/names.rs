//! The names that kube-proxy gives its chains.

use sha2::{Digest, Sha256};

use crate::cluster::Backend;
use crate::datapath::frontend::Frontend;
use crate::net::{Protocol, address_and_port};

/// `NAMESPACE/NAME:PORTNAME`, as kube-proxy calls a service's port (`ServicePortName.String`).
pub(super) fn service_port(frontend: &Frontend<'_>) -> String {
    let Frontend { service, port, .. } = frontend;
    let colon = if port.name.is_empty() { "" } else { ":" };
    format!("{}/{}{colon}{}", service.namespace, service.name, port.name)
}

/// A protocol as rules spell it.
pub(super) fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

/// A chain of a service port: `KUBE-SVC-`, `KUBE-SVL-`, `KUBE-EXT-` or `KUBE-FW-` and 16
/// characters (`iptables/proxier.go portProtoHash`).
pub(super) fn service_chain(prefix: &str, frontend: &Frontend<'_>) -> String {
    let text = format!("{}{}", service_port(frontend), protocol(frontend.port.protocol));
    format!("{prefix}{}", base32(&Sha256::digest(text), 16))
}

/// The chain of an endpoint (`iptables/proxier.go servicePortEndpointChainName`).
pub(super) fn endpoint_chain(frontend: &Frontend<'_>, endpoint: Backend) -> String {
    let text = format!(
        "{}{}{}",
        service_port(frontend),
        protocol(frontend.port.protocol),
        address_and_port(endpoint.ip, Some(endpoint.port)),
    );
    format!("KUBE-SEP-{}", base32(&Sha256::digest(text), 16))
}

/// A chain of a service port in nftables mode: `service-`, `local-`, `external-` or `firewall-`,
/// eight characters and the port's name (`nftables/proxier.go servicePortChainNameBase`).
pub(super) fn nft_service_chain(prefix: &str, frontend: &Frontend<'_>) -> String {
    hashed(prefix, &nft_name(frontend))
}

/// The chain of an endpoint in nftables mode (`nftables/proxier.go
/// servicePortEndpointChainNameBase`).
pub(super) fn nft_endpoint_chain(frontend: &Frontend<'_>, endpoint: Backend) -> String {
    let ip = endpoint.ip.to_string().replace(':', ".");
    hashed("endpoint-", &format!("{}__{ip}/{}", nft_name(frontend), endpoint.port))
}

fn nft_name(frontend: &Frontend<'_>) -> String {
    let Frontend { service, port, .. } = frontend;
    format!("{}/{}/{}/{}", service.namespace, service.name, protocol(port.protocol), port.name)
}

fn hashed(prefix: &str, name: &str) -> String {
    format!("{prefix}{}-{name}", base32(&Sha256::digest(name), 8))
}

/// The first `length` characters of the standard base 32 encoding.
fn base32(bytes: &[u8], length: usize) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bit =
        |index: usize| bytes.get(index / 8).is_some_and(|byte| byte >> (7 - index % 8) & 1 == 1);
    (0..length)
        .filter_map(|place| {
            let value =
                (0..5).fold(0, |value, offset| value * 2 + usize::from(bit(place * 5 + offset)));
            ALPHABET.get(value).copied().map(char::from)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ServiceId;
    use crate::datapath::{FrontendKind, FrontendRef};

    /// The names that the comments and tests of kube-proxy's own source give.
    #[test]
    fn chains_are_named_as_kube_proxy_names_them() {
        let text = "
apiVersion: v1
kind: Service
metadata: {name: svc1, namespace: ns1}
spec: {clusterIP: 172.30.0.41, ports: [{name: p80, port: 80}]}
";
        let cluster = crate::read(text).cluster;
        let at = FrontendRef { service: ServiceId(0), port: 0, kind: FrontendKind::ClusterIp };
        let frontend = Frontend::of(&cluster, at).unwrap();
        let ip = "10.180.0.1".parse().unwrap();
        let endpoint = Backend { ip, port: 80, pod: None, node: None };
        assert_eq!(service_chain("KUBE-SVC-", &frontend), "KUBE-SVC-XPGD46QRK7WJZT7O");
        assert_eq!(endpoint_chain(&frontend, endpoint), "KUBE-SEP-SXIVWICOYRO3J4NJ");
        assert_eq!(nft_service_chain("service-", &frontend), "service-ULMVA6XW-ns1/svc1/tcp/p80");
        assert_eq!(
            nft_endpoint_chain(&frontend, endpoint),
            "endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80"
        );
    }

    #[test]
    fn base32_is_the_standard_one() {
        assert_eq!(base32(b"foobar", 9), "MZXW6YTBO");
    }
}
