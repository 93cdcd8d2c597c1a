"""What must hold of everything that we tell a cluster to run.

Each rule yields a sentence for each thing that breaks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from app.settings import Settings
from tests.k8s.manifests import Manifest, Pod, namespace_of, of_kind, pods, selects, title

Rule = Callable[[list[Manifest]], Iterator[str]]
SECRETS_OF_THE_OPERATOR = {"sentryfuse-keys", "sentryfuse-redis"}
CLAIMS_OF_THE_OPERATOR = {"sentryfuse-grid"}
PROBES = {
    "startupProbe": ("/health/ready", "/v2/health/ready"),
    "readinessProbe": ("/health/ready", "/v2/health/ready"),
    "livenessProbe": ("/health/live", "/v2/health/live"),
}


def resources_are_bounded_where_they_should_be(objects: list[Manifest]) -> Iterator[str]:
    """Memory is; the processor is not, since throttling spoils latency and the power model."""
    for pod in pods(objects):
        for container in pod.spec["containers"]:
            limits, requests = (container["resources"].get(k, {}) for k in ("limits", "requests"))
            if "cpu" in limits:
                yield f"{pod.title}: the processor is limited"
            if "cpu" not in requests or "memory" not in requests or "memory" not in limits:
                yield f"{pod.title}: no request of the processor, or no bound on memory"


def pods_can_do_nothing_but_their_work(objects: list[Manifest]) -> Iterator[str]:
    """The *restricted* profile, and a root that can't be written to."""
    lenient = {
        namespace["metadata"]["name"]
        for namespace in of_kind(objects, "Namespace")
        if namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] != "restricted"
    }
    for pod in pods(objects):
        own = pod.spec.get("securityContext", {})
        if any(pod.spec.get(key) for key in ("hostPID", "hostIPC", "hostNetwork")):
            yield f"{pod.title}: shares something with the host"
        if pod.spec.get("automountServiceAccountToken") is not False:
            yield f"{pod.title}: gets a token"
        if pod.spec.get("enableServiceLinks") is not False:
            yield f"{pod.title}: services are put among its settings"
        if pod.namespace not in lenient and any("hostPath" in v for v in pod.spec["volumes"]):
            yield f"{pod.title}: sees a path of the host"
        for container in pod.spec["containers"]:
            context = own | container.get("securityContext", {})
            if pod.namespace not in lenient and not (
                context.get("runAsNonRoot") is True and context.get("runAsUser", 0) > 0
            ):
                yield f"{pod.title}: may run as root"
            if context.get("readOnlyRootFilesystem") is not True:
                yield f"{pod.title}: can write to its root"
            if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
                yield f"{pod.title}: can get more rights"
            if context.get("capabilities") != {"drop": ["ALL"]}:
                yield f"{pod.title}: has capabilities"
            if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
                yield f"{pod.title}: may make every system call"


def images_are_pinned(objects: list[Manifest]) -> Iterator[str]:
    """Each names its registry and a version, and is not asked for if it is there."""
    for pod in pods(objects):
        for container in pod.spec["containers"]:
            name, _, tag = container["image"].rpartition(":")
            if "." not in name.partition("/")[0] or "/" in tag or tag == "latest":
                yield f"{pod.title}: image {container['image']} is not pinned"
            if container.get("imagePullPolicy") != "IfNotPresent":
                yield f"{pod.title}: its image is pulled though it is there"


def settings_make_sense(objects: list[Manifest]) -> Iterator[str]:
    """The service would start with them, on an address that others reach."""
    for pod in (p for p in pods(objects) if p.is_service):
        variables = pod.settings(objects)
        names = {name: f"SENTRYFUSE_{name.upper()}" for name in Settings.model_fields}
        if unknown := sorted({v for v in variables if v not in names.values()}):
            yield f"{pod.title}: no such settings: {', '.join(unknown)}"
        given = {name: variables[v] for name, v in names.items() if v in variables}
        try:
            settings = Settings(**given)
        except ValueError as error:
            yield f"{pod.title}: {error}"
            continue
        if settings.host != "0.0.0.0":
            yield f"{pod.title}: listens on {settings.host}"
        if settings.sysfs_root != PurePosixPath("/sys"):
            given["powercap"] = f"{settings.sysfs_root}/devices/virtual/powercap"
        mounts = [m["mountPath"] for m in pod.spec["containers"][0]["volumeMounts"]]
        for name, value in given.items():
            if value.startswith("/") and name != "sysfs_root" and not _below(value, mounts):
                yield f"{pod.title}: {name} {value} is not in a volume"


def endings_leave_time_to_drain(objects: list[Manifest]) -> Iterator[str]:
    """Kubernetes waits longer than the service, and the service until it is forgotten."""
    for pod in (p for p in pods(objects) if p.is_service):
        variables = pod.settings(objects)
        drain_s = float(variables.get("SENTRYFUSE_DRAIN_S", 0))
        grace_s = float(variables.get("SENTRYFUSE_GRACE_S", 0))
        if not 0 < drain_s < grace_s < pod.spec["terminationGracePeriodSeconds"]:
            yield f"{pod.title}: it is killed before it has ended"
        probe = pod.spec["containers"][0]["readinessProbe"]
        if drain_s <= probe["periodSeconds"] * probe["failureThreshold"]:
            yield f"{pod.title}: it stops to listen before its readiness has been asked"


def probes_ask_the_right_question(objects: list[Manifest]) -> Iterator[str]:
    """Readiness at the start and for traffic, liveness for restarts."""
    for pod in (p for p in pods(objects) if p.is_service):
        container = pod.spec["containers"][0]
        ports = {port.get("name", port["containerPort"]) for port in container["ports"]}
        for name, paths in PROBES.items():
            asked = container.get(name, {}).get("httpGet", {})
            if asked.get("path") not in paths or asked.get("port") not in ports:
                yield f"{pod.title}: {name} asks {asked or 'nothing'}"


def drains_are_possible(objects: list[Manifest]) -> Iterator[str]:
    """A disruption budget lets one pod at least go, and belongs to some workload."""
    for budget in of_kind(objects, "PodDisruptionBudget"):
        owners = [
            pod.owner for pod in pods(objects) if selects(budget["spec"]["selector"], pod.labels)
        ]
        if not owners:
            yield f"{title(budget)}: nothing that it is about"
        for owner in owners:
            replicas = owner["spec"].get("replicas", 1)
            spared = budget["spec"].get("maxUnavailable")
            spared = replicas - budget["spec"]["minAvailable"] if spared is None else spared
            if spared < 1:
                yield f"{title(budget)}: no node can be drained"


def selectors_find_something(objects: list[Manifest]) -> Iterator[str]:
    """Services, policies and workloads select pods that are there, and ports that they have."""
    found = list(pods(objects))
    for pod in found:
        selector = pod.owner["spec"].get("selector")
        if selector is not None and not selects(selector, pod.labels):
            yield f"{pod.title}: does not select its own pods"
        for spread in pod.spec.get("topologySpreadConstraints", []):
            if not selects(spread["labelSelector"], pod.labels):
                yield f"{pod.title}: is spread over others than its own pods"
    for service in of_kind(objects, "Service"):
        chosen = _chosen(found, service, {"matchLabels": service["spec"]["selector"]})
        for port in service["spec"]["ports"]:
            if not chosen or not all(port["targetPort"] in _ports(pod) for pod in chosen):
                yield f"{title(service)}: nobody listens on {port['targetPort']}"
    for policy in of_kind(objects, "NetworkPolicy"):
        chosen = _chosen(found, policy, policy["spec"]["podSelector"])
        if not chosen:
            yield f"{title(policy)}: is about no pod"
        for port in _policy_ports(policy):
            if not all(port in _ports(pod) for pod in chosen):
                yield f"{title(policy)}: nobody listens on {port}"


def everything_that_is_named_is_there(objects: list[Manifest]) -> Iterator[str]:
    """Volumes, config maps, claims, accounts; secrets are the operator's, and documented."""
    there = {(o["kind"], namespace_of(o), o["metadata"]["name"]) for o in objects}
    for pod in pods(objects):
        named = list(_named(pod))
        if "serviceAccountName" in pod.spec:
            named.append(("ServiceAccount", pod.spec["serviceAccountName"]))
        for kind, name in named:
            outside = {"Secret": SECRETS_OF_THE_OPERATOR}.get(kind, CLAIMS_OF_THE_OPERATOR)
            if name not in outside and (kind, pod.namespace, name) not in there:
                yield f"{pod.title}: there is no {kind} {name}"
        volumes = {volume["name"] for volume in pod.spec["volumes"]}
        for container in pod.spec["containers"]:
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            if mounted != volumes:
                yield f"{pod.title}: volumes {sorted(volumes)}, mounted {sorted(mounted)}"


def strangers_are_kept_out(objects: list[Manifest]) -> Iterator[str]:
    """Each namespace with pods has a rule that denies, both ways, what no other allows."""
    denied = {
        namespace_of(policy)
        for policy in of_kind(objects, "NetworkPolicy")
        if not policy["spec"]["podSelector"]
        and {*policy["spec"]["policyTypes"]} == {"Ingress", "Egress"}
    }
    for namespace in sorted({str(pod.namespace) for pod in pods(objects)} - denied):
        yield f"namespace {namespace}: everybody may talk to everybody"


RULES: tuple[Rule, ...] = (
    resources_are_bounded_where_they_should_be,
    pods_can_do_nothing_but_their_work,
    images_are_pinned,
    settings_make_sense,
    endings_leave_time_to_drain,
    probes_ask_the_right_question,
    drains_are_possible,
    selectors_find_something,
    everything_that_is_named_is_there,
    strangers_are_kept_out,
)


def violations(objects: list[Manifest]) -> list[str]:
    """Every complaint of every rule."""
    return [complaint for rule in RULES for complaint in rule(objects)]


def _below(path: str, mounts: list[str]) -> bool:
    return any(PurePosixPath(path).is_relative_to(mount) for mount in mounts)


def _chosen(found: list[Pod], by: Manifest, selector: Manifest) -> list[Pod]:
    return [p for p in found if p.namespace == namespace_of(by) and selects(selector, p.labels)]


def _ports(pod: Pod) -> set[str | int]:
    ports = [port for container in pod.spec["containers"] for port in container.get("ports", [])]
    return {p["containerPort"] for p in ports} | {p["name"] for p in ports if "name" in p}


def _policy_ports(policy: Manifest) -> Iterator[str | int]:
    for rule in policy["spec"].get("ingress", []):
        yield from (port["port"] for port in rule["ports"])


def _named(pod: Pod) -> Iterator[tuple[str, str]]:
    for container in pod.spec["containers"]:
        for source in container.get("envFrom", []):
            yield "ConfigMap", source["configMapRef"]["name"]
    for volume in pod.spec["volumes"]:
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
