//! The schemas of kinds that definitions add to the API server: Calico's
//! (calico `api/config/crd`) and the policy API's (network-policy-api `config/crd/experimental`;
//! v1alpha1 as of v0.1.7), and that of a `Scenario`.

use super::schema::Type::{
    Any, AnyCase, Bool, Int32, Int64, IntOrString, Items, List, Map, Number, OneNumber, OneOf,
    Range, Set, Short, String, Struct,
};
use super::schema::{
    ANY_COUNT, Fields, LABEL_SELECTOR, LABEL_SELECTOR_REQUIREMENT, META,
    NETWORK_POLICY_EGRESS_RULE, NETWORK_POLICY_INGRESS_RULE, Type,
};

macro_rules! crd {
    (@complete all) => { true };
    (@complete some) => { false };
    (@count) => { ANY_COUNT };
    (@count $least:literal $most:expr) => { ($least, $most) };
    ($($(#[$doc:meta])* $name:ident $which:ident
        $(count($least:literal, $most:expr))? $(needs[$($required:literal),*])?
        $(misses[$($missed:literal),*])? $(gone[$($old:literal $now:literal),*])?
        { $($field:literal $type:expr,)* })*) => {
        $($(#[$doc])* pub(super) static $name: Fields = Fields {
            go: stringify!($name),
            complete: crd!(@complete $which),
            known: &[$(($field, $type)),*],
            required: &[$($($required),*)?],
            missed: &[$($($missed),*)?],
            count: crd!(@count $($least $most)?),
            gone: &[$($(($old, $now)),*)?],
        };)*
    };
}

const STRINGS: Type = List(&String);
const LABELS: Type = Map(&String);
const NAMES: Type = Set(&String);
/// A selector of Calico's language.
const EXPRESSION: Type = Short(1024);
const SELECTOR: Type = Struct(&LABEL_SELECTOR);
const ENCAPSULATION: Type = OneOf(&["Never", "Always", "CrossSubnet"]);
const SWITCH: Type = OneOf(&["Enabled", "Disabled"]);
const ROUTES: Type = OneOf(&["Enabled", "Disabled", "EnabledIPIPOnly", "EnabledNoEncapOnly"]);
const STAGED_ACTION: Type = OneOf(&["Set", "Delete", "Learn", "Ignore"]);
const POLICY_TYPES: Type = Set(&OneOf(&["Ingress", "Egress"]));
const RULES: Type = Items(&Struct(&RULE), 0, 1024);
const PORT: Type = Range(1, 65535);
const SEVERITIES: &[&str] = &["Trace", "Debug", "Info", "Warning", "Error", "Fatal"];
const NAMESPACES: Type = Struct(&ADMIN_NAMESPACES);
const NETWORKS: Type = Items(&Short(43), 1, 25);
const DOMAIN_NAMES: Type = Items(&String, 1, 25);
const ADMIN_PORTS: Type = Items(&Struct(&ADMIN_PORT), 1, 100);
const CLUSTER_PROTOCOLS: Type = Items(&Struct(&CLUSTER_PROTOCOL), 1, 25);
const HINTS: Type = Set(&OneOf(&["AssumeNeededOnEveryNode"]));

crd! {
    CALICO_POLICY some { "metadata" META, "spec" Struct(&CALICO_POLICY_SPEC), }
    CALICO_POLICY_SPEC all {
        "egress" RULES,
        "ingress" RULES,
        "order" Number,
        "performanceHints" HINTS,
        "selector" EXPRESSION,
        "serviceAccountSelector" EXPRESSION,
        "tier" String,
        "types" POLICY_TYPES,
    }
    GLOBAL_POLICY some { "metadata" META, "spec" Struct(&GLOBAL_POLICY_SPEC), }
    GLOBAL_POLICY_SPEC all {
        "applyOnForward" Bool,
        "doNotTrack" Bool,
        "egress" RULES,
        "ingress" RULES,
        "namespaceSelector" EXPRESSION,
        "order" Number,
        "performanceHints" HINTS,
        "preDNAT" Bool,
        "selector" EXPRESSION,
        "serviceAccountSelector" EXPRESSION,
        "tier" String,
        "types" POLICY_TYPES,
    }
    STAGED_POLICY some { "metadata" META, "spec" Struct(&STAGED_POLICY_SPEC), }
    STAGED_POLICY_SPEC all {
        "egress" RULES,
        "ingress" RULES,
        "order" Number,
        "performanceHints" HINTS,
        "selector" EXPRESSION,
        "serviceAccountSelector" EXPRESSION,
        "stagedAction" STAGED_ACTION,
        "tier" String,
        "types" POLICY_TYPES,
    }
    STAGED_GLOBAL_POLICY some { "metadata" META, "spec" Struct(&STAGED_GLOBAL_POLICY_SPEC), }
    STAGED_GLOBAL_POLICY_SPEC all {
        "applyOnForward" Bool,
        "doNotTrack" Bool,
        "egress" RULES,
        "ingress" RULES,
        "namespaceSelector" EXPRESSION,
        "order" Number,
        "performanceHints" HINTS,
        "preDNAT" Bool,
        "selector" EXPRESSION,
        "serviceAccountSelector" EXPRESSION,
        "stagedAction" STAGED_ACTION,
        "tier" String,
        "types" POLICY_TYPES,
    }
    STAGED_KUBERNETES_POLICY some {
        "metadata" META,
        "spec" Struct(&STAGED_KUBERNETES_POLICY_SPEC),
    }
    STAGED_KUBERNETES_POLICY_SPEC all {
        "egress" List(&Struct(&NETWORK_POLICY_EGRESS_RULE)),
        "ingress" List(&Struct(&NETWORK_POLICY_INGRESS_RULE)),
        "podSelector" SELECTOR,
        "policyTypes" NAMES,
        "stagedAction" STAGED_ACTION,
    }
    RULE all needs["action"] {
        "action" OneOf(&["Allow", "Deny", "Log", "Pass"]),
        "destination" Struct(&ENTITY_RULE),
        "http" Struct(&HTTP),
        "icmp" Struct(&ICMP),
        "ipVersion" OneNumber(&[4, 6]),
        "metadata" Struct(&RULE_METADATA),
        "notICMP" Struct(&ICMP),
        "notProtocol" IntOrString,
        "protocol" IntOrString,
        "source" Struct(&ENTITY_RULE),
    }
    ENTITY_RULE all {
        "namespaceSelector" EXPRESSION,
        "nets" Items(&String, 0, 256),
        "notNets" Items(&String, 0, 256),
        "notPorts" Items(&IntOrString, 0, 50),
        "notSelector" EXPRESSION,
        "ports" Items(&IntOrString, 0, 50),
        "selector" EXPRESSION,
        "serviceAccounts" Struct(&SERVICE_ACCOUNTS),
        "services" Struct(&SERVICES),
    }
    SERVICE_ACCOUNTS all { "names" NAMES, "selector" String, }
    SERVICES all { "name" Short(253), "namespace" Short(253), }
    HTTP all { "methods" Items(&String, 0, 20), "paths" Items(&Struct(&HTTP_PATH), 0, 20), }
    HTTP_PATH all { "exact" Short(1024), "prefix" Short(1024), }
    ICMP all { "code" Range(0, 255), "type" Range(0, 254), }
    RULE_METADATA all { "annotations" LABELS, }

    TIER some { "metadata" META, "spec" Struct(&TIER_SPEC), "status" Any, }
    TIER_SPEC all { "defaultAction" OneOf(&["Pass", "Deny"]), "order" Number, }
    NETWORK_SET some { "metadata" META, "spec" Struct(&NETWORK_SET_SPEC), }
    NETWORK_SET_SPEC all { "nets" NAMES, }
    HOST_ENDPOINT some { "metadata" META, "spec" Struct(&HOST_ENDPOINT_SPEC), }
    HOST_ENDPOINT_SPEC all {
        "expectedIPs" NAMES,
        "interfaceName" Short(15),
        "node" Short(253),
        "ports" List(&Struct(&ENDPOINT_PORT)),
        "profiles" NAMES,
    }
    ENDPOINT_PORT all needs["name", "port", "protocol"] {
        "name" String,
        "port" PORT,
        "protocol" IntOrString,
    }
    PROFILE some { "metadata" META, "spec" Struct(&PROFILE_SPEC), }
    PROFILE_SPEC all { "egress" RULES, "ingress" RULES, "labelsToApply" LABELS, }
    WORKLOAD_ENDPOINT some { "metadata" META, "spec" Struct(&WORKLOAD_ENDPOINT_SPEC), }
    WORKLOAD_ENDPOINT_SPEC some {
        "ipNetworks" STRINGS,
        "node" String,
        "pod" String,
        "ports" List(&Struct(&WORKLOAD_PORT)),
        "profiles" STRINGS,
    }
    WORKLOAD_PORT some { "name" String, "port" Int32, "protocol" IntOrString, }

    IP_POOL some { "metadata" META, "spec" Struct(&IP_POOL_SPEC), }
    IP_POOL_SPEC all needs["cidr"] {
        "allowedUses" Set(&OneOf(&["Workload", "Tunnel", "LoadBalancer"])),
        "assignmentMode" OneOf(&["Automatic", "Manual"]),
        "blockSize" Range(0, 128),
        "cidr" Short(48),
        "disableBGPExport" Bool,
        "disabled" Bool,
        "ipip" Any,
        "ipipMode" ENCAPSULATION,
        "namespaceSelector" EXPRESSION,
        "nat-outgoing" Bool,
        "natOutgoing" Bool,
        "nodeSelector" EXPRESSION,
        "vxlanMode" ENCAPSULATION,
    }
    BGP_CONFIGURATION some { "metadata" META, "spec" Struct(&BGP_CONFIGURATION_SPEC), }
    BGP_CONFIGURATION_SPEC some {
        "asNumber" Any,
        "bindMode" OneOf(&["None", "NodeIP"]),
        "listenPort" PORT,
        "logSeverityScreen" AnyCase(SEVERITIES),
        "nodeToNodeMeshEnabled" Bool,
        "programClusterRoutes" ROUTES,
        "serviceClusterIPs" List(&Struct(&BLOCK)),
        "serviceExternalIPs" List(&Struct(&BLOCK)),
        "serviceLoadBalancerAggregation" SWITCH,
        "serviceLoadBalancerIPs" List(&Struct(&BLOCK)),
    }
    BLOCK all { "cidr" String, }
    BGP_PEER some { "metadata" META, "spec" Struct(&BGP_PEER_SPEC), }
    BGP_PEER_SPEC some {
        "asNumber" Any,
        "keepOriginalNextHop" Bool,
        "localWorkloadSelector" EXPRESSION,
        "nextHopMode" OneOf(&["Auto", "Self", "Keep"]),
        "node" Short(253),
        "nodeSelector" EXPRESSION,
        "peerIP" Short(64),
        "peerSelector" EXPRESSION,
        "reachableBy" Short(64),
        "reversePeering" OneOf(&["Auto", "Manual"]),
        "sourceAddress" OneOf(&["UseNodeIP", "None"]),
    }
    FELIX_CONFIGURATION some { "metadata" META, "spec" Struct(&FELIX_CONFIGURATION_SPEC), }
    FELIX_CONFIGURATION_SPEC some {
        "allowIPIPPacketsFromWorkloads" Bool,
        "allowVXLANPacketsFromWorkloads" Bool,
        "bpfConnectTimeLoadBalancing" OneOf(&["TCP", "Enabled", "Disabled"]),
        "bpfConnectTimeLoadBalancingEnabled" Bool,
        "bpfEnabled" Bool,
        "bpfEnforceRPF" AnyCase(&["Disabled", "Strict", "Loose"]),
        "bpfExternalServiceMode" AnyCase(&["Tunnel", "DSR"]),
        "bpfHostNetworkedNATWithoutCTLB" SWITCH,
        "bpfKubeProxyIptablesCleanupEnabled" Bool,
        "bpfLogLevel" AnyCase(&["Off", "Info", "Debug"]),
        "chainInsertMode" AnyCase(&["Insert", "Append"]),
        "defaultEndpointToHostAction" AnyCase(&["Drop", "Accept", "Return"]),
        "failsafeInboundHostPorts" List(&Struct(&PROTO_PORT)),
        "failsafeOutboundHostPorts" List(&Struct(&PROTO_PORT)),
        "floatingIPs" SWITCH,
        "interfacePrefix" String,
        "ipForwarding" SWITCH,
        "ipipEnabled" Bool,
        "iptablesBackend" OneOf(&["Legacy", "NFT", "Auto"]),
        "iptablesFilterAllowAction" AnyCase(&["Accept", "Return"]),
        "iptablesFilterDenyAction" AnyCase(&["Drop", "Reject"]),
        "iptablesMangleAllowAction" AnyCase(&["Accept", "Return"]),
        "iptablesMarkMask" Int64,
        "kubeNodePortRanges" Items(&IntOrString, 0, 7),
        "logSeverityFile" AnyCase(SEVERITIES),
        "logSeverityScreen" AnyCase(SEVERITIES),
        "logSeveritySys" AnyCase(SEVERITIES),
        "natOutgoingAddress" String,
        "natOutgoingExclusions" OneOf(&["IPPoolsOnly", "IPPoolsAndHostIPs"]),
        "nftablesMode" OneOf(&["Disabled", "Enabled", "Auto"]),
        "programClusterRoutes" ROUTES,
        "routeSource" AnyCase(&["WorkloadIPs", "CalicoIPAM"]),
        "serviceLoopPrevention" AnyCase(&["Drop", "Reject", "Disabled"]),
        "vxlanEnabled" Bool,
        "wireguardEnabled" Bool,
        "wireguardEnabledV6" Bool,
        "wireguardHostEncryptionEnabled" Bool,
        "workloadSourceSpoofing" AnyCase(&["Disabled", "Any"]),
    }

    PROTO_PORT all needs["port"] {
        "net" String,
        "port" Range(0, 65535),
        "protocol" AnyCase(&["tcp", "udp"]),
    }

    ADMIN_POLICY some needs["metadata", "spec"] {
        "metadata" META,
        "spec" Struct(&ADMIN_POLICY_SPEC),
    }
    ADMIN_POLICY_SPEC all needs["priority", "subject"] {
        "egress" Items(&Struct(&ADMIN_EGRESS_RULE), 0, 100),
        "ingress" Items(&Struct(&ADMIN_INGRESS_RULE), 0, 100),
        "priority" Range(0, 1000),
        "subject" Struct(&ADMIN_SUBJECT),
    }
    BASELINE_POLICY some needs["metadata", "spec"] {
        "metadata" META,
        "spec" Struct(&BASELINE_POLICY_SPEC),
    }
    BASELINE_POLICY_SPEC all needs["subject"] {
        "egress" Items(&Struct(&BASELINE_EGRESS_RULE), 0, 100),
        "ingress" Items(&Struct(&BASELINE_INGRESS_RULE), 0, 100),
        "subject" Struct(&ADMIN_SUBJECT),
    }
    ADMIN_SUBJECT all count(1, 1) { "namespaces" NAMESPACES, "pods" Struct(&ADMIN_PODS), }
    ADMIN_PODS all misses["namespaceSelector", "podSelector"] {
        "namespaceSelector" SELECTOR,
        "podSelector" SELECTOR,
    }
    ADMIN_INGRESS_RULE all needs["action", "from"] {
        "action" OneOf(&["Allow", "Deny", "Pass"]),
        "from" Items(&Struct(&ADMIN_INGRESS_PEER), 1, 100),
        "name" Short(100),
        "ports" ADMIN_PORTS,
    }
    ADMIN_EGRESS_RULE all needs["action", "to"] {
        "action" OneOf(&["Allow", "Deny", "Pass"]),
        "name" Short(100),
        "ports" ADMIN_PORTS,
        "to" Items(&Struct(&ADMIN_EGRESS_PEER), 1, 100),
    }
    BASELINE_INGRESS_RULE all needs["action", "from"] {
        "action" OneOf(&["Allow", "Deny"]),
        "from" Items(&Struct(&ADMIN_INGRESS_PEER), 1, 100),
        "name" Short(100),
        "ports" ADMIN_PORTS,
    }
    BASELINE_EGRESS_RULE all needs["action", "to"] {
        "action" OneOf(&["Allow", "Deny"]),
        "name" Short(100),
        "ports" ADMIN_PORTS,
        "to" Items(&Struct(&BASELINE_EGRESS_PEER), 1, 100),
    }
    ADMIN_INGRESS_PEER all count(1, 1) { "namespaces" NAMESPACES, "pods" Struct(&ADMIN_PODS), }
    ADMIN_EGRESS_PEER all count(1, 1) {
        "domainNames" DOMAIN_NAMES,
        "namespaces" NAMESPACES,
        "networks" NETWORKS,
        "nodes" SELECTOR,
        "pods" Struct(&ADMIN_PODS),
    }
    BASELINE_EGRESS_PEER all count(1, 1) {
        "namespaces" NAMESPACES,
        "networks" NETWORKS,
        "nodes" SELECTOR,
        "pods" Struct(&ADMIN_PODS),
    }
    /// A label selector, and what v0.1.1 had in its place.
    ADMIN_NAMESPACES all gone[
        "namespaceSelector" "it stands directly under `namespaces` since v0.1.2 of the API; as it is, every namespace is selected",
        "sameLabels" "v0.1.2 of the API took it away; without it, every namespace is selected",
        "notSameLabels" "v0.1.2 of the API took it away; without it, every namespace is selected"
    ] {
        "matchExpressions" List(&Struct(&LABEL_SELECTOR_REQUIREMENT)),
        "matchLabels" LABELS,
    }
    ADMIN_PORT all count(1, 1) {
        "namedPort" String,
        "portNumber" Struct(&ADMIN_PORT_NUMBER),
        "portRange" Struct(&ADMIN_PORT_RANGE),
    }
    ADMIN_PORT_NUMBER all needs["port"] { "port" PORT, "protocol" String, }
    ADMIN_PORT_RANGE all needs["end", "start"] {
        "end" PORT,
        "protocol" String,
        "start" PORT,
    }

    CLUSTER_POLICY some needs["metadata", "spec"] {
        "metadata" META,
        "spec" Struct(&CLUSTER_POLICY_SPEC),
    }
    CLUSTER_POLICY_SPEC all needs["priority", "subject", "tier"] {
        "egress" Items(&Struct(&CLUSTER_EGRESS_RULE), 0, 25),
        "ingress" Items(&Struct(&CLUSTER_INGRESS_RULE), 0, 25),
        "priority" Range(0, 1000),
        "subject" Struct(&CLUSTER_SUBJECT),
        "tier" OneOf(&["Admin", "Baseline"]),
    }
    CLUSTER_SUBJECT all count(1, 1) { "namespaces" SELECTOR, "pods" Struct(&CLUSTER_PODS), }
    CLUSTER_PODS all misses["podSelector"] {
        "namespaceSelector" SELECTOR,
        "podSelector" SELECTOR,
    }
    CLUSTER_INGRESS_RULE all needs["action", "from"] {
        "action" OneOf(&["Accept", "Deny", "Pass"]),
        "from" Items(&Struct(&CLUSTER_INGRESS_PEER), 1, 25),
        "name" Short(100),
        "protocols" CLUSTER_PROTOCOLS,
    }
    CLUSTER_EGRESS_RULE all needs["action", "to"] {
        "action" OneOf(&["Accept", "Deny", "Pass"]),
        "name" Short(100),
        "protocols" CLUSTER_PROTOCOLS,
        "to" Items(&Struct(&CLUSTER_EGRESS_PEER), 1, 25),
    }
    CLUSTER_INGRESS_PEER all count(1, 1) { "namespaces" SELECTOR, "pods" Struct(&CLUSTER_PODS), }
    CLUSTER_EGRESS_PEER all count(1, 1) {
        "domainNames" DOMAIN_NAMES,
        "namespaces" SELECTOR,
        "networks" NETWORKS,
        "nodes" SELECTOR,
        "pods" Struct(&CLUSTER_PODS),
    }
    CLUSTER_PROTOCOL all count(1, 1) {
        "destinationNamedPort" String,
        "sctp" Struct(&CLUSTER_TRANSPORT),
        "tcp" Struct(&CLUSTER_TRANSPORT),
        "udp" Struct(&CLUSTER_TRANSPORT),
    }
    CLUSTER_TRANSPORT all count(1, usize::MAX) { "destinationPort" Struct(&CLUSTER_PORT), }
    CLUSTER_PORT all count(1, 1) { "number" PORT, "range" Struct(&CLUSTER_RANGE), }
    CLUSTER_RANGE all needs["end", "start"] { "end" PORT, "start" PORT, }

    SCENARIO all {
        "apiVersion" String,
        "kind" String,
        "metadata" META,
        "spec" Struct(&SCENARIO_SPEC),
    }
    SCENARIO_SPEC all {
        "clients" List(&Struct(&CLIENT)),
        "description" String,
        "expectProblems" STRINGS,
        "flows" List(&Struct(&FLOW)),
        "hosts" Struct(&HOSTS),
        "loadBalancers" List(&Struct(&LOAD_BALANCER)),
        "routes" List(&Struct(&ROUTE)),
        "title" String,
    }
    CLIENT all { "ip" String, "name" String, }
    LOAD_BALANCER all {
        "healthCheck" Bool,
        "ip" String,
        "name" String,
        "sourceAddress" String,
    }
    HOSTS all { "rpFilter" String, }
    ROUTE all { "to" String, "via" String, }
    FLOW all {
        "expect" String,
        "expectSource" String,
        "from" String,
        "name" String,
        "to" String,
    }
}
