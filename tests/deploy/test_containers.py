"""The files of deploy/ for Docker and Kubernetes, without either."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptguard.cli import _parser
from promptguard.policy import Policy
from promptguard.prices import Prices

yaml = pytest.importorskip("yaml", reason="needs the extra yaml")

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
VERSION = PROJECT["version"]
COMPOSE = yaml.safe_load((DEPLOY / "docker-compose.yaml").read_text("utf-8"))
KUSTOMIZATION = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text("utf-8"))
MANIFESTS = {
    name: yaml.safe_load((KUBERNETES / name).read_text("utf-8"))
    for name in KUSTOMIZATION["resources"]
}
BY_KIND = {manifest["kind"]: manifest for manifest in MANIFESTS.values()}
POD = BY_KIND["Deployment"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


def instructions() -> Iterator[tuple[str, str]]:
    """The instructions of the Dockerfile, with their lines joined."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    for line in joined.splitlines():
        if line.strip():
            word, _, rest = line.partition(" ")
            yield word.upper(), rest.strip()


INSTRUCTIONS = [*instructions()]
LAST_STAGE = INSTRUCTIONS[
    max(i for i, (w, _) in enumerate(INSTRUCTIONS) if w == "FROM") :
]
LAST = dict(LAST_STAGE)


def test_the_image_does_not_run_as_root():
    assert LAST["USER"] == "10001:10001"
    before = [word for word, _ in LAST_STAGE]
    assert before.index("USER") < before.index("ENTRYPOINT")


def test_the_image_reports_to_nobody_and_writes_no_bytecode():
    assert "ORT_DISABLE_TELEMETRY=1" in LAST["ENV"].split()
    assert "PYTHONDONTWRITEBYTECODE=1" in LAST["ENV"].split()


def test_the_image_copies_what_there_is_and_the_context_holds_it():
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored
    for word, rest in INSTRUCTIONS:
        assert word != "ADD"
        if word != "COPY" or "--from=" in rest:
            continue
        for source in shlex.split(rest)[:-1]:
            assert (ROOT / source).exists(), source
            assert source in let_in, source


def test_the_image_installs_extras_that_there_are():
    (install,) = (rest for word, rest in INSTRUCTIONS if "pip install" in rest)
    (extras,) = re.findall(r"'\.\[([a-z,]+)\]'", install)
    known = {*PROJECT["optional-dependencies"], "server"}
    assert set(extras.split(",")) <= known
    assert {"capture", "server", "otel", "postgres"} <= set(extras.split(","))


def test_the_image_is_of_a_python_that_the_wheel_is_for():
    arguments = dict(rest.split("=") for word, rest in INSTRUCTIONS if word == "ARG")
    classifier = f"Programming Language :: Python :: {arguments['PYTHON']}"
    assert classifier in PROJECT["classifiers"]


def command_lines() -> dict[str, list[str]]:
    import json

    service = COMPOSE["services"]["promptguard"]
    given = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in service["command"]]
    pod = [
        word.replace("$(PROMPTGUARD_UPSTREAM)", "echo") for word in CONTAINER["args"]
    ]
    return {
        "image": json.loads(LAST["CMD"]),
        "compose": given,
        "kubernetes": pod,
    }


@pytest.mark.parametrize("where", ["image", "compose", "kubernetes"])
def test_the_command_line_is_one_that_serve_takes(where):
    words = command_lines()[where]
    commands = next(
        action.choices for action in _parser()._actions if action.dest == "==SUPPRESS=="
    )
    if "serve" not in commands:
        pytest.skip("needs the command serve")
    chosen = commands["serve"].parse_args(words)
    assert (chosen.host, chosen.port) == ("0.0.0.0", 8080)
    assert str(chosen.policy) == "/etc/promptguard/promptguard.toml"


def test_one_port_is_meant_everywhere():
    assert LAST["EXPOSE"] == "8080"
    assert ":8080/healthz" in LAST["HEALTHCHECK"]
    (port,) = CONTAINER["ports"]
    assert (port["name"], port["containerPort"]) == ("http", 8080)
    (published,) = COMPOSE["services"]["promptguard"]["ports"]
    assert published.endswith(":8080")
    scrape = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text("utf-8"))
    (job,) = scrape["scrape_configs"]
    assert job["static_configs"][0]["targets"] == ["promptguard:8080"]
    assert job["job_name"] == "promptguard"


def test_the_version_is_the_projects():
    assert KUSTOMIZATION["images"][0]["newTag"] == VERSION
    assert COMPOSE["services"]["promptguard"]["image"] == f"promptguard:{VERSION}"
    assert f"promptguard:{VERSION}" in (DEPLOY / "Dockerfile").read_text("utf-8")


@pytest.mark.parametrize("folder", [DEPLOY, KUBERNETES], ids=["image", "kubernetes"])
def test_the_policy_is_right_and_both_have_the_same(folder):
    policy = Policy.load(folder / "promptguard.toml")
    assert {part.name for part in policy.input.parts} >= {"prompt_injection"}
    here = (folder / "promptguard.toml").read_bytes()
    assert here == (DEPLOY / "promptguard.toml").read_bytes()


def test_the_price_table_is_right():
    assert Prices.read(DEPLOY / "prices.toml").of("local/llama") is not None


def test_compose_is_right_by_its_own_schema():
    check = pytest.importorskip("check_jsonschema", reason="needs check-jsonschema")
    with pytest.raises(SystemExit) as done:
        check.main(
            [
                *("--builtin-schema", "vendor.compose-spec", "--no-cache"),
                str(DEPLOY / "docker-compose.yaml"),
            ]
        )
    assert not done.value.code


def test_compose_mounts_what_there_is_and_publishes_to_this_machine_alone():
    declared = set(COMPOSE["volumes"])
    for name, service in COMPOSE["services"].items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), f"{name}: {source}"
            else:
                assert source in declared, f"{name}: {source}"
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), f"{name}: {port}"
        assert service["cap_drop"] == ["ALL"], name


def test_compose_has_no_secret_in_it():
    for name, service in COMPOSE["services"].items():
        for key, value in service.get("environment", {}).items():
            if re.search("KEY|PASSWORD|SECRET|TOKEN", key):
                assert re.fullmatch(r"\$\{[A-Z_]+:[?-].*\}", value), f"{name}: {key}"


def test_the_service_of_compose_can_write_to_its_volume_and_tmp_alone():
    service = COMPOSE["services"]["promptguard"]
    assert service["read_only"] is True
    writable = [v for v in service["volumes"] if not v.endswith(":ro")]
    assert writable == ["traffic:/var/lib/promptguard"]
    assert "--capture=sqlite:////var/lib/promptguard/traffic.db" in service["command"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_right_by_the_schema_of_kubernetes(name):
    validate = pytest.importorskip(
        "kubernetes_validate", reason="needs kubernetes-validate"
    )
    newest = validate.latest_version()
    validate.validate(MANIFESTS[name], newest, strict=True)


def test_a_wrong_manifest_is_not():
    validate = pytest.importorskip(
        "kubernetes_validate", reason="needs kubernetes-validate"
    )
    wrong = MANIFESTS["deployment.yaml"] | {"spec": {"replicas": "many"}}
    with pytest.raises(validate.ValidationError):
        validate.validate(wrong, validate.latest_version(), strict=True)


def test_every_manifest_is_listed():
    files = {path.name for path in KUBERNETES.glob("*.yaml")}
    assert files == {*MANIFESTS, "kustomization.yaml"}
    for generated in KUSTOMIZATION["configMapGenerator"]:
        assert all((KUBERNETES / name).exists() for name in generated["files"])


def test_selectors_select_the_pods():
    labels = BY_KIND["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        BY_KIND["Deployment"]["spec"]["selector"]["matchLabels"],
        BY_KIND["Service"]["spec"]["selector"],
        BY_KIND["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        BY_KIND["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        POD["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)
    target = BY_KIND["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    deployment = BY_KIND["Deployment"]
    assert target == {
        "apiVersion": deployment["apiVersion"],
        "kind": "Deployment",
        "name": deployment["metadata"]["name"],
    }
    assert POD["serviceAccountName"] == BY_KIND["ServiceAccount"]["metadata"]["name"]
    # With a number of its own the deployment would undo what the autoscaler does.
    assert "replicas" not in deployment["spec"]
    (generated,) = KUSTOMIZATION["configMapGenerator"]
    (policy,) = (v for v in POD["volumes"] if v["name"] == "policy")
    assert policy["configMap"]["name"] == generated["name"]


def test_pods_are_restricted_as_the_strictest_standard_asks():
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["securityContext"]["runAsUser"] == int(LAST["USER"].split(":")[0])
    assert POD["automountServiceAccountToken"] is False
    own = CONTAINER["securityContext"]
    assert own["readOnlyRootFilesystem"] is True
    assert own["allowPrivilegeEscalation"] is False
    assert own["capabilities"] == {"drop": ["ALL"]}
    writable = {m["name"] for m in CONTAINER["volumeMounts"] if not m.get("readOnly")}
    assert writable == {"tmp"}


def test_pods_are_probed_and_given_time_to_end():
    paths = {
        probe: CONTAINER[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert paths == {
        "startupProbe": "/readyz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/healthz",
    }
    resting = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert POD["terminationGracePeriodSeconds"] >= resting + 30
    assert {"cpu", "memory"} <= set(CONTAINER["resources"]["requests"])
    assert "memory" in CONTAINER["resources"]["limits"]


def test_keys_come_from_a_secret():
    variables = {variable["name"]: variable for variable in CONTAINER["env"]}
    for name in ("PROMPTGUARD_API_KEYS", "PROMPTGUARD_UPSTREAM_KEY"):
        assert "secretKeyRef" in variables[name]["valueFrom"]


def test_the_network_lets_in_callers_and_prometheus_and_nothing_to_the_metadata():
    spec = BY_KIND["NetworkPolicy"]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    (rule,) = spec["ingress"]
    assert len(rule["from"]) == 2
    assert all("namespaceSelector" in peer for peer in rule["from"])
    blocks = [
        peer["ipBlock"]
        for egress in spec["egress"]
        for peer in egress["to"]
        if "ipBlock" in peer
    ]
    assert blocks
    assert all("169.254.0.0/16" in block["except"] for block in blocks)
