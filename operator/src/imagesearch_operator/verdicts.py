"""What is to be said about each part of a collection: whether it works, and if not, why and what to do. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from imagesearch_contract import names

from imagesearch_operator import naming
from imagesearch_operator.explain import (
    Trouble,
    created_at,
    explain_job,
    explain_last_end,
    has_ended,
    is_ready,
    labels_of,
    last_words,
    newest_trouble,
    parting_words,
    quote,
)
from imagesearch_operator.facts import Facts, IndexFacts, Manifest, TopicFacts, Unknown
from imagesearch_operator.plan import Plan, active_model, replays
from imagesearch_operator.spec import Collection, KeyRef, Source

Json = dict[str, Any]
Truth = Literal["True", "False", "Unknown"]

_FAILED_APPS: Final = ("DEPLOY_FAILED", "UNHEALTHY")
_STARTING: Final = ("Initializing", "ZeroServeEndpoints")
"""KubeRay's reasons for a RayService that is on its way."""


@dataclass(frozen=True)
class Part:
    """One condition's verdict."""

    status: Truth
    reason: str
    """CamelCase."""
    message: str
    """For people: what is wrong and what to do."""
    moving: bool = False
    """Not there yet, but on its way: nobody has to do anything."""


class View:
    """The facts, as the questions below need them."""

    def __init__(self, collection: Collection, facts: Facts, plan: Plan) -> None:
        """Take what `status` takes."""
        self.collection, self.facts = collection, facts
        self.topic = facts.topic if isinstance(facts.topic, TopicFacts) else None
        self.index = facts.index if isinstance(facts.index, IndexFacts) else None
        self.active: str | None = self.index.alias if self.index else collection.status.get("activeIndex")
        """The index that is searched."""
        self.wanted = plan.index.name if plan.index else None
        """The index of the model that the spec names."""
        self.candidate = self.wanted if self.active and self.wanted != self.active else None
        """The index that takes over from the active one when it has caught up."""

    @property
    def judged(self) -> str | None:
        """The index whose embedder and encoder the conditions are about; a candidate's are told by Progressing."""
        return self.active or self.wanted

    @property
    def active_model(self) -> str | None:
        """`<name>/<version>` of the model that is searched with."""
        return active_model(self.collection, self.facts)

    def of_kind(self, kind: str) -> Iterator[Manifest]:
        """The live children of a kind."""
        return (child for child in self.facts.children if child["kind"] == kind)

    def runs(self, child: Manifest, index: str) -> bool:
        """Whether a Spark driver or an encoder works for an index."""
        name, _, version = (model_of(child) or "").rpartition("/")
        collection = self.collection
        return bool(name) and index == names.index(collection.namespace, collection.name, name, version)

    def pods(self, labels: dict[str, str]) -> list[Manifest]:
        """The pods with these labels."""
        return [pod for pod in self.facts.pods if labels.items() <= labels_of(pod).items()]


def model_of(child: Manifest) -> str | None:
    """The model that a Spark driver or an encoder says it runs."""
    label: str | None = child["metadata"].get("annotations", {}).get(naming.MODEL)
    return label


def model(view: View) -> Part:
    """Whether the model that the spec names is registered, so that everything else can load it."""
    if isinstance(view.facts.model, Unknown):
        return _unknown(view.facts.model)
    if view.facts.model:
        name, version, dims = view.facts.model
        return Part("True", "Registered", f"{names.model_label(name, version)}, {dims} dimensions")
    wanted = view.collection.spec.model
    if registry := wanted.registry:
        which = f"version {registry.version}" if registry.version else f"alias {registry.alias}"
        return Part(
            "False",
            "ModelNotFound",
            f"MLflow has no {which} of a model {registry.name} that tells the length of its vectors: register it with "
            f"`imagesearch-model register`, or correct spec.model.registry",
        )
    return _registration(view, wanted.name or "")


def _registration(view: View, model: str) -> Part:
    """How far the Job is that registers a model."""
    jobs = [job for job in view.of_kind("Job") if labels_of(job).get(naming.COMPONENT) == "model"]
    job = max(jobs, key=created_at, default=None)
    if job is None:
        return Part("False", "Creating", f"the Job that registers {model} is being made", moving=True)
    if trouble := explain_job(job, view.facts.pods):
        return Part(
            "False",
            trouble.reason,
            f"the Job that registers {model} does not get on, and is tried again: {trouble.message}",
        )
    return Part(
        "False", "Registering", f"Job {job['metadata']['name']} registers {model}, which takes minutes", moving=True
    )


def topic(view: View) -> Part:
    """Whether there is a topic to publish to."""
    if isinstance(view.facts.topic, Unknown):
        return _unknown(view.facts.topic)
    name = names.topic(view.collection.namespace, view.collection.name)
    if not view.facts.topic.exists:
        return Part("False", "Creating", f"topic {name} is being made", moving=True)
    return Part("True", "Exists", f"topic {name}")


def producers(view: View) -> Part:
    """Whether pictures come from every source."""
    verdicts = [_producer(view, source) for source in view.collection.spec.sources]
    unready = [part for part in verdicts if part.status != "True"]
    if unready:
        return next((part for part in unready if not part.moving), unready[0])
    running = [source for source in view.collection.spec.sources if not source.suspend]
    if not running:
        return Part("True", "Suspended", "every source is suspended; what they brought already can be searched")
    return Part("True", "Scheduled", f"{len(running)} of {len(verdicts)} sources are asked by their schedules")


def _producer(view: View, source: Source) -> Part:
    ours = {naming.SOURCE: source.name}
    if source.suspend:
        return Part("True", "Suspended", f"source {source.name} is suspended")
    if missing := _missing(view, source):
        return missing
    cron_job = next((child for child in view.of_kind("CronJob") if ours.items() <= labels_of(child).items()), None)
    if cron_job is None:
        return Part("False", "Creating", f"the CronJob of source {source.name} is being made", moving=True)
    jobs = sorted((job for job in view.of_kind("Job") if ours.items() <= labels_of(job).items()), key=created_at)
    if jobs and (trouble := explain_job(jobs[-1], view.facts.pods)):
        return Part("False", trouble.reason, f"source {source.name}: {trouble.message}")
    succeeded = cron_job.get("status", {}).get("lastSuccessfulTime") or any(has_ended(job, "Complete") for job in jobs)
    if succeeded or (view.topic and view.topic.messages):
        return Part("True", "Scheduled", f"source {source.name} is asked by its schedule, {source.schedule}")
    return Part("False", "FirstRun", f"source {source.name} runs for the first time", moving=True)


def _missing(view: View, source: Source) -> Part | None:
    """The Secret or ConfigMap of a source, where it is not there."""
    wanted: list[tuple[str, KeyRef, str]] = []
    if source.flickr:
        wanted.append(("Secret", source.flickr.api_key_secret_ref, "generic {name} --from-literal={key}=<the API key>"))
    if source.manifest and source.manifest.config_map_ref:
        wanted.append(("ConfigMap", source.manifest.config_map_ref, "{name} --from-file={key}=<the list>"))
    for kind, ref, how in wanted:
        if (kind, ref.name, ref.key) in view.facts.missing:
            namespace = view.collection.namespace
            return Part(
                "False",
                f"{kind}NotFound",
                f"source {source.name} needs {kind} {ref.name} with key {ref.key}, and namespace {namespace} has none: "
                f"kubectl --namespace {namespace} create {kind.lower()} {how.format(name=ref.name, key=ref.key)}",
            )
    return None


def index(view: View) -> Part:
    """Whether there is an index to search."""
    if isinstance(view.facts.index, Unknown):
        return _unknown(view.facts.index)
    if view.active:
        return Part("True", "Searchable", f"searches go to index {view.active}")
    if not view.wanted:
        return _waits_for_model()
    if view.wanted not in view.facts.index.documents:
        return Part("False", "Creating", f"index {view.wanted} is being made", moving=True)
    return Part("False", "Filling", f"index {view.wanted} is not searched yet", moving=True)


def embedder(view: View, index: str | None) -> Part:
    """Whether records get from the topic into an index."""
    if index is None:
        return _waits_for_model()
    deployment = next((child for child in view.of_kind("Deployment") if view.runs(child, index)), None)
    if deployment is None:
        return Part("False", "Creating", f"the embedder of index {index} is being made", moving=True)
    name, observed = deployment["metadata"]["name"], deployment.get("status", {})
    if observed.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return _stale(f"Deployment {name}", "the Deployment controller")
    drivers = view.pods({naming.COMPONENT: "embedder", naming.INSTANCE: name})
    if not observed.get("availableReplicas"):
        starting = Part("False", "Starting", f"the Spark driver {name} is starting", moving=True)
        return _with_trouble(newest_trouble(drivers), starting)
    return _with_trouble(_executor_trouble(view, drivers), _caught_up(view, index, drivers))


def _caught_up(view: View, index: str, drivers: list[Manifest]) -> Part:
    """How far an embedder is whose driver runs."""
    observed = view.facts.topic
    if isinstance(observed, Unknown):
        return Part("Unknown", observed.reason, f"how far the embedder is cannot be told: {observed.message}")
    lag = observed.lag.get(index)
    if lag is None and observed.messages:
        first_batch = Part("False", "Starting", f"Spark works on the first batch of index {index}", moving=True)
        return _with_trouble(next(filter(None, map(explain_last_end, drivers)), None), first_batch)
    return Part("True", "Running", f"{lag} records are not finished yet" if lag else "every record is indexed")


def _executor_trouble(view: View, drivers: list[Manifest]) -> Trouble | None:
    """What keeps executors from working; one that works is enough to get on."""
    theirs = {driver["metadata"].get("uid") for driver in drivers}
    executors = [
        pod
        for pod in view.pods({naming.COMPONENT: "embedder"})
        if any(owner["uid"] in theirs for owner in pod["metadata"].get("ownerReferences", ()))
    ]
    return None if any(is_ready(pod) for pod in executors) else newest_trouble(executors)


def _with_trouble(trouble: Trouble | None, otherwise: Part) -> Part:
    return Part("False", trouble.reason, trouble.message) if trouble else otherwise


def serving(view: View, index: str | None) -> Part:
    """Whether queries for an index can be encoded."""
    if not view.facts.kuberay:
        return Part(
            "False",
            "KubeRayMissing",
            "the cluster has no RayService kind: install the KubeRay operator, 1.6 or later, and this goes on by itself",
        )
    if index is None:
        return _waits_for_model()
    service = next((child for child in view.of_kind("RayService") if view.runs(child, index)), None)
    if service is None:
        return Part("False", "Creating", f"the encoder of index {index} is being made", moving=True)
    name, observed = service["metadata"]["name"], service.get("status", {})
    ready = next((c for c in observed.get("conditions", ()) if c["type"] == "Ready"), None)
    trouble = newest_trouble(view.pods({naming.SHARED: name}))
    if ready is None or not _is_current(service, ready):
        return _with_trouble(trouble, _stale(f"RayService {name}", "the KubeRay operator"))
    if ready["status"] == "True":
        # A replica more than there is room for does not make the others unready, but is worth saying.
        return (
            Part("True", trouble.reason, f"RayService {name} answers, but not with all its replicas: {trouble.message}")
            if trouble
            else Part("True", "Serving", f"RayService {name} answers")
        )
    if trouble:
        return Part("False", trouble.reason, trouble.message)
    if failed := _failed_application(observed):
        return Part("False", "DeployFailed", f"Ray Serve cannot start the encoder: {failed}")
    if ready.get("reason") in _STARTING:
        return Part("False", "Starting", f"the encoder {name} is starting", moving=True)
    return Part("False", ready.get("reason", "NotReady"), f"RayService {name}: {quote(ready.get('message', ''))}")


def _is_current(service: Manifest, ready: Json) -> bool:
    seen = ready.get("observedGeneration") or service.get("status", {}).get("observedGeneration", 0)
    return bool(seen >= service["metadata"].get("generation", 0))


def _failed_application(observed: Json) -> str | None:
    """What Ray Serve says about an application that it could not deploy."""
    for which in ("pendingServiceStatus", "activeServiceStatus"):
        for application in observed.get(which, {}).get("applicationStatuses", {}).values():
            if application.get("status") not in _FAILED_APPS:
                continue
            deployments = application.get("serveDeploymentStatuses", {}).values()
            said = [application.get("message", ""), *(d.get("message", "") for d in deployments)]
            return last_words(next((text for text in reversed(said) if text), application["status"]))
    return None


def candidate(view: View, index: str) -> Part:
    """How far the index is that will take over."""
    blocked = [part for part in (embedder(view, index), serving(view, index)) if part.status != "True"]
    told = next((part for part in blocked if not part.moving), next(iter(blocked), None))
    if told:
        return Part("True", told.reason, f"index {index} is to take over, but is not ready: {told.message}")
    indexed = view.index.documents.get(index, 0) if view.index else 0
    lag = view.topic.lag.get(index) if view.topic else None
    left = "an unknown number of" if lag is None else str(lag)
    return Part(
        "True",
        "CandidateFilling",
        f"index {index} takes over when it has caught up: it has {pictures(indexed)}, and {left} records to go",
    )


def replay(view: View) -> Json | None:
    """How far the latest replay is; None where none is to be seen any more."""
    job = max(replays.jobs(view.facts.children), key=created_at, default=None)
    if job is None:
        return None
    told = {"job": job["metadata"]["name"], "reason": job["metadata"].get("annotations", {}).get(naming.REPLAY, "")}
    trouble = explain_job(job, view.facts.pods)
    if has_ended(job, "Failed"):
        return told | {"state": "Failed", "message": trouble.message if trouble else "it failed"}
    said = parting_words(job, view.facts.pods)
    if said is None:
        return told | {"state": "Running", "message": trouble.message if trouble else "letters are put back"}
    before = view.collection.status.get("replay", {})
    kept = before.get("message") if (before.get("job"), before.get("state")) == (told["job"], "Finished") else None
    return told | {"state": "Finished", "message": said or kept or "its last words are gone with its pod"}


def pictures(count: int) -> str:
    """`1 picture`, `2 pictures`."""
    return f"{count} picture" if count == 1 else f"{count} pictures"


def _waits_for_model() -> Part:
    return Part(
        "False", "WaitingForModel", "this comes after the model, which gives the length of the vectors", moving=True
    )


def _stale(what: str, who: str) -> Part:
    message = f"{who} has not looked at {what} yet; where that lasts, see whether it runs"
    return Part("Unknown", "NotObserved", message, moving=True)


def _unknown(question: Unknown) -> Part:
    return Part("Unknown", question.reason, question.message)
