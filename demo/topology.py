"""droptune on the local cloud: what `azd` and Bicep set up in Azure, set up here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from localcloud.config import (
    LOCATION,
    REGISTRY,
    RESOURCE_GROUP,
    STORAGE_ACCOUNT_ID,
    SUBSCRIPTION_ID,
    WORKSPACE,
    WORKSPACE_ID,
    CloudConfig,
    Durations,
    EventSubscription,
    Ports,
    RegistryComponent,
    RegistryModel,
    Scoring,
)
from localcloud.ports import allot_ports
from localcloud.stack import Commands, LocalCloud, function_keys, identity_header
from shared import names

ROOT = Path(__file__).resolve().parent.parent
LOCAL_MODEL = "Phi-3-tiny-local"
LIFECYCLE_TOPIC = "lifecycle"
DEAD_LETTERS = "deadletter"

FAST_SETTINGS = {
    "SETTLE_SECONDS": "3",
    "MISSING_SPLIT_MINUTES": "0.5",
    "POLL_SECONDS": "1",
    "POLL_MAX_SECONDS": "3",
    "TRAINING_LOOK_MINUTES": "0.5",
    "OVERDUE_SECONDS": "15",
    "LIVENESS_INITIAL_DELAY_SECONDS": "10",
    "RECONCILE_SCHEDULE": "*/5 * * * * *",
    "IDLE_CLEANUP_SCHEDULE": "*/5 * * * * *",
    "IDLE_AFTER_MINUTES": "1",
    "IDLE_GRACE_MINUTES": "0.25",
    "METRICS_DELAY_MINUTES": "0",
    "IDLE_DRY_RUN": "false",
}
"""What takes hours in production takes seconds here; everything else has its default."""

TRACED = {"TELEMETRY": "otlp"}
"""With the local cloud's collector: `python -m demo.trace`."""

BASE_MODEL_TAGS = {
    "task": "chat-completion",
    "license": "mit",
    "finetuning-tasks": "chat-completion",
    "finetune_compute_allow_list": "['Standard_NC24ads_A100_v4', 'Standard_ND40rs_v2']",
    "inference_compute_allow_list": "['Standard_NC24ads_A100_v4', 'Standard_NC6s_v3']",
    "model_specific_defaults": str(
        {
            "num_train_epochs": "3",
            "per_device_train_batch_size": "8",
            "per_device_eval_batch_size": "32",
            "learning_rate": "2e-3",
            "warmup_steps": 20,
            "logging_steps": "10",
            "save_total_limit": "1",
            "apply_lora": "false",
            "apply_deepspeed": "false",
            "deepspeed_stage": "2",
            "precision": 32,
            "max_seq_length": "-1",
            "use_flash_attention": "true",
            "target_modules": "qkv_proj",
        }
    ),
}
"""As real models have them: a Python literal, with wrong types, and keys that the component does not declare."""


@dataclass(frozen=True, kw_only=True)
class Topology:
    """How a local cloud with droptune is set up. `settings` override the fast ones."""

    state_dir: Path
    model_path: Path | None = None
    """A Hugging Face model folder to fine-tune instead of the small one that is built."""
    durations: Durations = field(default_factory=Durations)
    settings: dict[str, str] = field(default_factory=dict)
    event_grid_enabled: bool = True
    fast_training: bool = False
    components: tuple[RegistryComponent, ...] = ()
    """Instead of the local cloud's own of the same names."""
    scoring: Scoring = field(default_factory=Scoring)
    persistent: bool = True
    message_lease: float = 30
    commands: Commands = field(default_factory=Commands)
    app_dir: Path | None = ROOT
    """The app that the local Functions host runs; None: no such host, for one of your own, like `func start`."""

    def cloud(self) -> LocalCloud:
        """The cloud, not yet started; `prepare_storage` comes after its start."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        ports = allot_ports(self.state_dir)
        config = CloudConfig(
            state_dir=str(self.state_dir),
            ports=ports,
            identity_header=identity_header(self.state_dir),
            models=(self._model(),),
            event_subscriptions=_subscriptions(ports, function_keys(self.state_dir)),
            custom_topics=(LIFECYCLE_TOPIC,),
            durations=self.durations,
            event_grid_enabled=self.event_grid_enabled,
            event_retry_scale=0.1,
            fast_training=self.fast_training,
            components=self.components,
            scoring=self.scoring,
        )
        return LocalCloud(
            config,
            app_dir=self.app_dir,
            app_settings={**app_settings(config), **FAST_SETTINGS, **self.settings},
            persistent=self.persistent,
            message_lease=self.message_lease,
            commands=self.commands,
        )

    def _model(self) -> RegistryModel:
        if self.model_path is not None:
            tags = {"task": "chat-completion", "finetuning-tasks": "chat-completion"}
            return RegistryModel(LOCAL_MODEL, "1", str(self.model_path.resolve()), tags)
        return RegistryModel(LOCAL_MODEL, "1", str(self.state_dir / "registry" / LOCAL_MODEL / "1"), BASE_MODEL_TAGS)


def prepare_storage(cloud: LocalCloud) -> None:
    """The containers, queues and tables that the infrastructure declares in Azure."""
    cloud.create_storage(containers=(*names.CONTAINERS, DEAD_LETTERS), queues=names.QUEUES, tables=names.TABLES)


def app_settings(config: CloudConfig) -> dict[str, str]:
    """The app settings that say where things are."""
    return {
        "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION_ID,
        "AZURE_RESOURCE_GROUP": RESOURCE_GROUP,
        "AZUREML_WORKSPACE": WORKSPACE,
        "AZURE_LOCATION": LOCATION,
        "PYTHON_ENABLE_INIT_INDEXING": "1",
        "STORAGE__blobServiceUri": config.blob_url,
        "STORAGE__queueServiceUri": config.queue_url,
        "STORAGE__tableServiceUri": config.table_url,
        "REGISTRY": REGISTRY,
        "BASE_MODEL": LOCAL_MODEL,
        "ARM_ENDPOINT": config.azure_url,
        "METRICS_ENDPOINT": config.azure_url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{config.azure_url}/_localcloud/telemetry",
        "PRICES_ENDPOINT": f"{config.azure_url}/api/retail/prices",
        "LIFECYCLE_TOPIC_ENDPOINT": f"{config.azure_url}/eventgrid/topics/{LIFECYCLE_TOPIC}/api/events",
    }


def _subscriptions(ports: Ports, keys: dict[str, str]) -> tuple[EventSubscription, ...]:
    webhooks = f"http://127.0.0.1:{ports.functions}/runtime/webhooks"
    return (
        EventSubscription(
            name="dataset-uploaded",
            topic=STORAGE_ACCOUNT_ID,
            endpoint=(f"{webhooks}/blobs?functionName=Host.Functions.dataset_uploaded&code={keys['blobs_extension']}"),
            event_types=("Microsoft.Storage.BlobCreated",),
            subject_begins_with=f"/blobServices/default/containers/{names.DATASETS}/blobs/",
            dead_letter_container=DEAD_LETTERS,
        ),
        EventSubscription(
            name="job-completed",
            topic=WORKSPACE_ID,
            endpoint=f"{webhooks}/eventgrid?functionName=job_completed&code={keys['eventgrid_extension']}",
            event_types=(
                "Microsoft.MachineLearningServices.RunCompleted",
                "Microsoft.MachineLearningServices.RunStatusChanged",
            ),
            dead_letter_container=DEAD_LETTERS,
        ),
    )
