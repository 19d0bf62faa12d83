//! The API's types as the API server knows them: for each field its Go type, so that what does
//! not fit is refused in the API server's own words.

use Type::{Any, Bool, Int32, Int64, IntOrString, List, Map, Named, String, Struct};

/// A type of the API. Those after `Struct` are known to custom kinds only: what is
/// built in has its limits in the API server's code.
#[derive(Debug)]
pub(super) enum Type {
    /// Anything goes.
    Any,
    Bool,
    Int32,
    Int64,
    String,
    /// A string with a Go type of its own.
    Named(&'static str),
    /// A 32-bit number or a string.
    IntOrString,
    List(&'static Type),
    /// Strings to these.
    Map(&'static Type),
    Struct(&'static Fields),
    /// With a fraction or without.
    Number,
    /// A whole number from the first to the last.
    Range(i64, i64),
    /// One of these numbers.
    OneNumber(&'static [i64]),
    /// A string of at most so many bytes.
    Short(usize),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words in any case, or nothing.
    AnyCase(&'static [&'static str]),
    /// A list of at least and at most so many.
    Items(&'static Type, usize, usize),
    /// A list in which nothing stands twice.
    Set(&'static Type),
}

/// The fields of an object.
#[derive(Debug)]
pub(super) struct Fields {
    /// The Go type.
    pub(super) go: &'static str,
    /// Whether there are no other fields than these.
    pub(super) complete: bool,
    pub(super) known: &'static [(&'static str, Type)],
    /// Those that must be there.
    pub(super) required: &'static [&'static str],
    /// Those that must be there, but of which it is plain what leaving them out means.
    pub(super) missed: &'static [&'static str],
    /// How many there must be at least, and may be at most.
    pub(super) count: (usize, usize),
    /// Those that earlier versions had, and what became of them.
    pub(super) gone: &'static [(&'static str, &'static str)],
}

/// Who refuses objects of a kind, and so in which words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// kube-apiserver's decoder, for kinds that are built in.
    Go,
    /// kube-apiserver's schema check, for kinds that are added to it.
    OpenApi,
    /// The same, where `null` is no value: Calico's kinds have an API server of their own, which
    /// takes it, and a `Scenario` is never sent anywhere.
    Lenient,
}

macro_rules! go {
    (@complete all) => { true };
    (@complete some) => { false };
    ($($(#[$doc:meta])* $name:ident $go:literal $which:ident { $($field:literal $type:expr,)* })*) => {
        $($(#[$doc])* pub(super) static $name: Fields = Fields {
            go: $go,
            complete: go!(@complete $which),
            known: &[$(($field, $type)),*],
            required: &[],
            missed: &[],
            count: ANY_COUNT,
            gone: &[],
        };)*
    };
}

/// No limit to how many fields an object has.
pub(super) const ANY_COUNT: (usize, usize) = (0, usize::MAX);

const STRINGS: Type = List(&String);
const LABELS: Type = Map(&String);
const TIME: Type = String;
const PROTOCOL: Type = Named("v1.Protocol");
pub(super) const META: Type = Struct(&OBJECT_META);

go! {
    OBJECT_META "v1.ObjectMeta" all {
        "annotations" LABELS,
        "creationTimestamp" TIME,
        "deletionGracePeriodSeconds" Int64,
        "deletionTimestamp" TIME,
        "finalizers" STRINGS,
        "generateName" String,
        "generation" Int64,
        "labels" LABELS,
        "managedFields" List(&Struct(&MANAGED_FIELDS)),
        "name" String,
        "namespace" String,
        "ownerReferences" List(&Struct(&OWNER_REFERENCE)),
        "resourceVersion" String,
        "selfLink" String,
        "uid" Named("types.UID"),
    }
    MANAGED_FIELDS "v1.ManagedFieldsEntry" all {
        "apiVersion" String,
        "fieldsType" String,
        "fieldsV1" Any,
        "manager" String,
        "operation" Named("v1.ManagedFieldsOperationType"),
        "subresource" String,
        "time" TIME,
    }
    OWNER_REFERENCE "v1.OwnerReference" all {
        "apiVersion" String,
        "blockOwnerDeletion" Bool,
        "controller" Bool,
        "kind" String,
        "name" String,
        "uid" Named("types.UID"),
    }
    LABEL_SELECTOR "v1.LabelSelector" all {
        "matchExpressions" List(&Struct(&LABEL_SELECTOR_REQUIREMENT)),
        "matchLabels" LABELS,
    }
    LABEL_SELECTOR_REQUIREMENT "v1.LabelSelectorRequirement" all {
        "key" String,
        "operator" Named("v1.LabelSelectorOperator"),
        "values" STRINGS,
    }

    NETWORK_POLICY "v1.NetworkPolicy" all {
        "apiVersion" String,
        "kind" String,
        "metadata" META,
        "spec" Struct(&NETWORK_POLICY_SPEC),
    }
    NETWORK_POLICY_SPEC "v1.NetworkPolicySpec" all {
        "egress" List(&Struct(&NETWORK_POLICY_EGRESS_RULE)),
        "ingress" List(&Struct(&NETWORK_POLICY_INGRESS_RULE)),
        "podSelector" Struct(&LABEL_SELECTOR),
        "policyTypes" List(&Named("v1.PolicyType")),
    }
    NETWORK_POLICY_INGRESS_RULE "v1.NetworkPolicyIngressRule" all {
        "from" List(&Struct(&NETWORK_POLICY_PEER)),
        "ports" List(&Struct(&NETWORK_POLICY_PORT)),
    }
    NETWORK_POLICY_EGRESS_RULE "v1.NetworkPolicyEgressRule" all {
        "ports" List(&Struct(&NETWORK_POLICY_PORT)),
        "to" List(&Struct(&NETWORK_POLICY_PEER)),
    }
    NETWORK_POLICY_PEER "v1.NetworkPolicyPeer" all {
        "ipBlock" Struct(&IP_BLOCK),
        "namespaceSelector" Struct(&LABEL_SELECTOR),
        "podSelector" Struct(&LABEL_SELECTOR),
    }
    NETWORK_POLICY_PORT "v1.NetworkPolicyPort" all {
        "endPort" Int32,
        "port" IntOrString,
        "protocol" PROTOCOL,
    }
    IP_BLOCK "v1.IPBlock" all {
        "cidr" String,
        "except" STRINGS,
    }

    SERVICE "v1.Service" all {
        "apiVersion" String,
        "kind" String,
        "metadata" META,
        "spec" Struct(&SERVICE_SPEC),
        "status" Struct(&SERVICE_STATUS),
    }
    SERVICE_SPEC "v1.ServiceSpec" all {
        "allocateLoadBalancerNodePorts" Bool,
        "clusterIP" String,
        "clusterIPs" STRINGS,
        "externalIPs" STRINGS,
        "externalName" String,
        "externalTrafficPolicy" Named("v1.ServiceExternalTrafficPolicy"),
        "healthCheckNodePort" Int32,
        "internalTrafficPolicy" Named("v1.ServiceInternalTrafficPolicy"),
        "ipFamilies" List(&Named("v1.IPFamily")),
        "ipFamilyPolicy" Named("v1.IPFamilyPolicy"),
        "loadBalancerClass" String,
        "loadBalancerIP" String,
        "loadBalancerSourceRanges" STRINGS,
        "ports" List(&Struct(&SERVICE_PORT)),
        "publishNotReadyAddresses" Bool,
        "selector" LABELS,
        "sessionAffinity" Named("v1.ServiceAffinity"),
        "sessionAffinityConfig" Struct(&SESSION_AFFINITY_CONFIG),
        "trafficDistribution" String,
        "type" Named("v1.ServiceType"),
    }
    SERVICE_PORT "v1.ServicePort" all {
        "appProtocol" String,
        "name" String,
        "nodePort" Int32,
        "port" Int32,
        "protocol" PROTOCOL,
        "targetPort" IntOrString,
    }
    SESSION_AFFINITY_CONFIG "v1.SessionAffinityConfig" all {
        "clientIP" Struct(&CLIENT_IP_CONFIG),
    }
    CLIENT_IP_CONFIG "v1.ClientIPConfig" all { "timeoutSeconds" Int32, }
    SERVICE_STATUS "v1.ServiceStatus" all {
        "conditions" List(&Any),
        "loadBalancer" Struct(&LOAD_BALANCER_STATUS),
    }
    LOAD_BALANCER_STATUS "v1.LoadBalancerStatus" all {
        "ingress" List(&Struct(&LOAD_BALANCER_INGRESS)),
    }
    LOAD_BALANCER_INGRESS "v1.LoadBalancerIngress" all {
        "hostname" String,
        "ip" String,
        "ipMode" Named("v1.LoadBalancerIPMode"),
        "ports" List(&Any),
    }

    ENDPOINT_SLICE "v1.EndpointSlice" all {
        "addressType" Named("v1.AddressType"),
        "apiVersion" String,
        "endpoints" List(&Struct(&ENDPOINT)),
        "kind" String,
        "metadata" META,
        "ports" List(&Struct(&ENDPOINT_PORT)),
    }
    ENDPOINT "v1.Endpoint" all {
        "addresses" STRINGS,
        "conditions" Struct(&ENDPOINT_CONDITIONS),
        "deprecatedTopology" LABELS,
        "hints" Struct(&ENDPOINT_HINTS),
        "hostname" String,
        "nodeName" String,
        "targetRef" Struct(&OBJECT_REFERENCE),
        "zone" String,
    }
    ENDPOINT_CONDITIONS "v1.EndpointConditions" all {
        "ready" Bool,
        "serving" Bool,
        "terminating" Bool,
    }
    ENDPOINT_HINTS "v1.EndpointHints" all {
        "forNodes" List(&Struct(&HINT)),
        "forZones" List(&Struct(&HINT)),
    }
    HINT "v1.ForZone" all { "name" String, }
    OBJECT_REFERENCE "v1.ObjectReference" all {
        "apiVersion" String,
        "fieldPath" String,
        "kind" String,
        "name" String,
        "namespace" String,
        "resourceVersion" String,
        "uid" Named("types.UID"),
    }
    ENDPOINT_PORT "v1.EndpointPort" all {
        "appProtocol" String,
        "name" String,
        "port" Int32,
        "protocol" PROTOCOL,
    }
    ENDPOINTS "v1.Endpoints" all {
        "apiVersion" String,
        "kind" String,
        "metadata" META,
        "subsets" List(&Struct(&ENDPOINT_SUBSET)),
    }
    ENDPOINT_SUBSET "v1.EndpointSubset" all {
        "addresses" List(&Struct(&ENDPOINT_ADDRESS)),
        "notReadyAddresses" List(&Struct(&ENDPOINT_ADDRESS)),
        "ports" List(&Struct(&ENDPOINT_PORT)),
    }
    ENDPOINT_ADDRESS "v1.EndpointAddress" all {
        "hostname" String,
        "ip" String,
        "nodeName" String,
        "targetRef" Struct(&OBJECT_REFERENCE),
    }

    POD "v1.Pod" all {
        "apiVersion" String,
        "kind" String,
        "metadata" META,
        "spec" Struct(&POD_SPEC),
        "status" Struct(&POD_STATUS),
    }
    POD_SPEC "v1.PodSpec" some {
        "containers" List(&Struct(&CONTAINER)),
        "hostNetwork" Bool,
        "hostname" String,
        "initContainers" List(&Struct(&CONTAINER)),
        "nodeName" String,
        "nodeSelector" LABELS,
        "serviceAccount" String,
        "serviceAccountName" String,
        "subdomain" String,
    }
    CONTAINER "v1.Container" some {
        "name" String,
        "ports" List(&Struct(&CONTAINER_PORT)),
        "restartPolicy" Named("v1.ContainerRestartPolicy"),
    }
    CONTAINER_PORT "v1.ContainerPort" all {
        "containerPort" Int32,
        "hostIP" String,
        "hostPort" Int32,
        "name" String,
        "protocol" PROTOCOL,
    }
    POD_STATUS "v1.PodStatus" some {
        "conditions" List(&Struct(&CONDITION)),
        "hostIP" String,
        "phase" Named("v1.PodPhase"),
        "podIP" String,
        "podIPs" List(&Struct(&POD_IP)),
    }
    POD_IP "v1.PodIP" all { "ip" String, }
    CONDITION "v1.Condition" some {
        "status" Named("v1.ConditionStatus"),
        "type" String,
    }
    WORKLOAD "v1.Workload" all {
        "apiVersion" String,
        "kind" String,
        "metadata" META,
        "spec" Struct(&WORKLOAD_SPEC),
        "status" Any,
    }
    WORKLOAD_SPEC "v1.WorkloadSpec" some {
        "replicas" Int32,
        "template" Struct(&POD_TEMPLATE_SPEC),
    }
    POD_TEMPLATE_SPEC "v1.PodTemplateSpec" all {
        "metadata" META,
        "spec" Struct(&POD_SPEC),
    }
    CRON_JOB "v1.CronJob" all {
        "apiVersion" String,
        "kind" String,
        "metadata" META,
        "spec" Struct(&CRON_JOB_SPEC),
        "status" Any,
    }
    CRON_JOB_SPEC "v1.CronJobSpec" some { "jobTemplate" Struct(&JOB_TEMPLATE_SPEC), }
    JOB_TEMPLATE_SPEC "v1.JobTemplateSpec" all {
        "metadata" META,
        "spec" Struct(&WORKLOAD_SPEC),
    }
    METADATA_ONLY "v1.Object" some { "metadata" META, }

    SERVICE_CIDR "v1.ServiceCIDR" all {
        "apiVersion" String,
        "kind" String,
        "metadata" META,
        "spec" Struct(&SERVICE_CIDR_SPEC),
        "status" Any,
    }
    SERVICE_CIDR_SPEC "v1.ServiceCIDRSpec" all { "cidrs" STRINGS, }

    NODE "v1.Node" all {
        "apiVersion" String,
        "kind" String,
        "metadata" META,
        "spec" Struct(&NODE_SPEC),
        "status" Struct(&NODE_STATUS),
    }
    NODE_SPEC "v1.NodeSpec" all {
        "configSource" Any,
        "externalID" String,
        "podCIDR" String,
        "podCIDRs" STRINGS,
        "providerID" String,
        "taints" Any,
        "unschedulable" Bool,
    }
    NODE_STATUS "v1.NodeStatus" some {
        "addresses" List(&Struct(&NODE_ADDRESS)),
        "conditions" List(&Struct(&CONDITION)),
        "nodeInfo" Struct(&NODE_INFO),
    }
    NODE_INFO "v1.NodeSystemInfo" some {
        "kubeProxyVersion" String,
        "kubeletVersion" String,
    }
    NODE_ADDRESS "v1.NodeAddress" all {
        "address" String,
        "type" Named("v1.NodeAddressType"),
    }

    KUBE_PROXY "v1alpha1.KubeProxyConfiguration" all {
        "apiVersion" String,
        "bindAddress" String,
        "bindAddressHardFail" Bool,
        "clientConnection" Any,
        "clusterCIDR" String,
        "configSyncPeriod" Any,
        "conntrack" Any,
        "detectLocal" Struct(&DETECT_LOCAL),
        "detectLocalMode" Named("v1alpha1.LocalMode"),
        "enableProfiling" Bool,
        "featureGates" Any,
        "healthzBindAddress" String,
        "hostnameOverride" String,
        "iptables" Struct(&PROXY_IPTABLES),
        "ipvs" Struct(&PROXY_IPVS),
        "kind" String,
        "logging" Any,
        "metadata" Any,
        "metricsBindAddress" String,
        "mode" Named("v1alpha1.ProxyMode"),
        "nftables" Struct(&PROXY_NFTABLES),
        "nodePortAddresses" STRINGS,
        "oomScoreAdj" Int32,
        "portRange" String,
        "showHiddenMetricsForVersion" String,
        "udpIdleTimeout" Any,
        "windowsRunAsService" Bool,
        "winkernel" Any,
    }
    DETECT_LOCAL "v1alpha1.DetectLocalConfiguration" all {
        "bridgeInterface" String,
        "interfaceNamePrefix" String,
    }
    PROXY_IPTABLES "v1alpha1.KubeProxyIPTablesConfiguration" all {
        "localhostNodePorts" Bool,
        "masqueradeAll" Bool,
        "masqueradeBit" Int32,
        "minSyncPeriod" Any,
        "syncPeriod" Any,
    }
    PROXY_NFTABLES "v1alpha1.KubeProxyNFTablesConfiguration" all {
        "masqueradeAll" Bool,
        "masqueradeBit" Int32,
        "minSyncPeriod" Any,
        "syncPeriod" Any,
    }
    PROXY_IPVS "v1alpha1.KubeProxyIPVSConfiguration" all {
        "excludeCIDRs" STRINGS,
        "minSyncPeriod" Any,
        "scheduler" String,
        "strictARP" Bool,
        "syncPeriod" Any,
        "tcpFinTimeout" Any,
        "tcpTimeout" Any,
        "udpTimeout" Any,
    }
}
