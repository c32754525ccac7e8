"""Microsoft's notebook on fine-tuning for chat completion, from its parameters to the end of its endpoint, as a script.

It reads ./ultrachat_200k_dataset/{train_sft,test_sft,test_gen}.jsonl and waits wherever the notebook waits. Which cloud
it talks to, Azure or a local one, is a matter of its environment alone.
"""

import ast
import json
import os
import time
from typing import Any

import pandas as pd
from azure.ai.ml import Input, MLClient
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.dsl import pipeline
from azure.ai.ml.entities import (
    ManagedOnlineDeployment,
    ManagedOnlineEndpoint,
    Model,
    OnlineRequestSettings,
    ProbeSettings,
)
from azure.identity import DefaultAzureCredential

# 1. Clients

credential = DefaultAzureCredential()
workspace_ml_client = MLClient(
    credential,
    subscription_id=os.environ["AZURE_SUBSCRIPTION_ID"],
    resource_group_name=os.environ["AZURE_RESOURCE_GROUP"],
    workspace_name=os.environ["AZUREML_WORKSPACE_NAME"],
)
registry_ml_client = MLClient(credential, registry_name="azureml")

experiment_name = "chat_completion_Phi-3-mini-4k-instruct"
timestamp = str(int(time.time()))

# 2. Foundation model

model_name = "Phi-3-mini-4k-instruct"
foundation_model = registry_ml_client.models.get(model_name, label="latest")
print(f"Using model name: {foundation_model.name}, version: {foundation_model.version}, id: {foundation_model.id}")

# 3. Compute

if "finetune_compute_allow_list" in foundation_model.tags:
    computes_allow_list = ast.literal_eval(foundation_model.tags["finetune_compute_allow_list"])
    print(f"Please create a compute from the above list - {computes_allow_list}")
else:
    computes_allow_list = None
    print("`finetune_compute_allow_list` is not part of model tags")

compute_cluster = "gpu-cluster-big"
compute = workspace_ml_client.compute.get(compute_cluster)
if compute.provisioning_state.lower() != "succeeded":
    raise ValueError(f"Compute {compute_cluster} is {compute.provisioning_state}.")
if computes_allow_list is not None and compute.size.lower() not in [size.lower() for size in computes_allow_list]:
    raise ValueError(f"VM size {compute.size} is not in the allow-listed computes for fine-tuning.")
gpus_per_node = 1

# 4. Dataset

df = pd.read_json("./ultrachat_200k_dataset/train_sft.jsonl", lines=True)
print(df.head())

# 5. Fine-tuning job: parameters

training_parameters: dict[str, Any] = dict(
    num_train_epochs=3,
    per_device_train_batch_size=1,
    per_device_eval_batch_size=1,
    learning_rate=5e-6,
    lr_scheduler_type="cosine",
)
optimization_parameters: dict[str, Any] = dict(
    apply_lora="true",
    apply_deepspeed="true",
    deepspeed_stage=2,
)
finetune_parameters = {**training_parameters, **optimization_parameters}
if "model_specific_defaults" in foundation_model.tags:
    print("Warning! Model specific defaults exist. The defaults could be overridden.")
    finetune_parameters.update(ast.literal_eval(foundation_model.tags["model_specific_defaults"]))
print(f"The following finetune parameters are going to be set for the run: {finetune_parameters}")


def get_pipeline_display_name() -> str:
    batch_size = (
        int(finetune_parameters.get("per_device_train_batch_size", 1))
        * int(finetune_parameters.get("gradient_accumulation_steps", 1))
        * int(gpus_per_node)
        * int(finetune_parameters.get("num_nodes_finetune", 1))
    )
    scheduler = finetune_parameters.get("lr_scheduler_type", "linear")
    deepspeed = finetune_parameters.get("apply_deepspeed", "false")
    ds_stage = finetune_parameters.get("deepspeed_stage", "2")
    ds_string = f"ds{ds_stage}" if deepspeed == "true" else "nods"
    lora = finetune_parameters.get("apply_lora", "false")
    lora_string = "lora" if lora == "true" else "nolora"
    save_limit = finetune_parameters.get("save_total_limit", -1)
    seq_len = finetune_parameters.get("max_seq_length", -1)
    return (
        model_name
        + "-"
        + "ultrachat"
        + "-"
        + f"bs{batch_size}"
        + "-"
        + f"{scheduler}"
        + "-"
        + ds_string
        + "-"
        + lora_string
        + f"-save_limit{save_limit}"
        + f"-seqlen{seq_len}"
    )


pipeline_display_name = get_pipeline_display_name()
print(f"Display name used for the run: {pipeline_display_name}")

# 5. Fine-tuning job: pipeline

pipeline_component_func = registry_ml_client.components.get(name="chat_completion_pipeline", label="latest")


@pipeline(name=pipeline_display_name)  # type: ignore[untyped-decorator]  # azure-ai-ml has no types
def create_pipeline() -> dict[str, Any]:
    chat_completion_pipeline = pipeline_component_func(
        mlflow_model_path=foundation_model.id,
        compute_model_import=compute_cluster,
        compute_preprocess=compute_cluster,
        compute_finetune=compute_cluster,
        compute_model_evaluation=compute_cluster,
        train_file_path=Input(type="uri_file", path="./ultrachat_200k_dataset/train_sft.jsonl"),
        test_file_path=Input(type="uri_file", path="./ultrachat_200k_dataset/test_sft.jsonl"),
        number_of_gpu_to_use_finetuning=gpus_per_node,
        **finetune_parameters,
    )
    return {"trained_model": chat_completion_pipeline.outputs.mlflow_model_folder}


pipeline_object = create_pipeline()
pipeline_object.settings.force_rerun = True
pipeline_object.settings.continue_on_step_failure = False

# 5. Fine-tuning job: submit, and wait for its end

pipeline_job = workspace_ml_client.jobs.create_or_update(pipeline_object, experiment_name=experiment_name)
workspace_ml_client.jobs.stream(pipeline_job.name)

# 6. Register the model

print("pipeline job outputs: ", workspace_ml_client.jobs.get(pipeline_job.name).outputs)
model_path_from_job = "azureml://jobs/{0}/outputs/{1}".format(pipeline_job.name, "trained_model")
finetuned_model_name = model_name + "-ultrachat-200k"
finetuned_model_name = finetuned_model_name.replace("/", "-")
print("path to register model: ", model_path_from_job)
prepare_to_register_model = Model(
    path=model_path_from_job,
    type=AssetTypes.MLFLOW_MODEL,
    name=finetuned_model_name,
    version=timestamp,
    description=model_name + " fine tuned model for ultrachat 200k chat-completion",
)
print("prepare to register model: \n", prepare_to_register_model)
registered_model = workspace_ml_client.models.create_or_update(prepare_to_register_model)
print("registered model: \n", registered_model)

# 7. Online endpoint

online_endpoint_name = "ultrachat-completion-" + timestamp
endpoint = ManagedOnlineEndpoint(
    name=online_endpoint_name,
    description="Online endpoint for "
    + registered_model.name
    + ", fine tuned model for ultrachat-200k-chat-completion",
    auth_mode="key",
)
workspace_ml_client.begin_create_or_update(endpoint).wait()

# 7. Deployment, and all traffic to it

instance_type = "Standard_NC6s_v3"
if "inference_compute_allow_list" in foundation_model.tags:
    inference_computes_allow_list = ast.literal_eval(foundation_model.tags["inference_compute_allow_list"])
    print(f"Please create a compute from the above list - {computes_allow_list}")
else:
    inference_computes_allow_list = None
    print("`inference_compute_allow_list` is not part of model tags")
if inference_computes_allow_list is not None and instance_type not in inference_computes_allow_list:
    print(
        "`instance_type` is not in the allow listed compute. "
        f"Please select a value from {inference_computes_allow_list}"
    )
demo_deployment = ManagedOnlineDeployment(
    name="demo",
    endpoint_name=online_endpoint_name,
    model=registered_model.id,
    instance_type=instance_type,
    instance_count=1,
    liveness_probe=ProbeSettings(initial_delay=600),
    request_settings=OnlineRequestSettings(request_timeout_ms=90000),
)
workspace_ml_client.online_deployments.begin_create_or_update(demo_deployment).wait()
endpoint.traffic = {"demo": 100}
workspace_ml_client.begin_create_or_update(endpoint).result()

# 8. Ask the endpoint

test_df = pd.read_json("./ultrachat_200k_dataset/test_gen.jsonl", lines=True)
test_df = test_df.sample(n=1)
test_df.reset_index(drop=True, inplace=True)
print(test_df.head(2))
parameters = {
    "temperature": 0.6,
    "top_p": 0.9,
    "do_sample": True,
    "max_new_tokens": 200,
}
test_json = {
    "input_data": {
        "input_string": [test_df["messages"][0]],
        "parameters": parameters,
    },
    "params": {},
}
with open("./ultrachat_200k_dataset/sample_score.json", "w") as f:
    json.dump(test_json, f)
response = workspace_ml_client.online_endpoints.invoke(
    endpoint_name=online_endpoint_name,
    deployment_name="demo",
    request_file="./ultrachat_200k_dataset/sample_score.json",
)
print("raw response: \n", response, "\n")

# Not in the notebook: where the endpoint's traffic goes, and what the deployment's container has logged.
print("traffic: ", workspace_ml_client.online_endpoints.get(online_endpoint_name).traffic)
print("logs: \n", workspace_ml_client.online_deployments.get_logs("demo", online_endpoint_name, lines=50))

# 9. Delete the endpoint

workspace_ml_client.online_endpoints.begin_delete(name=online_endpoint_name).wait()
