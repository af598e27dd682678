"""Celery's own settings. The broker is a folder: name your Redis or RabbitMQ here."""

from pathlib import Path

for folder in ("queue", "results"):
    Path(folder).mkdir(exist_ok=True)

broker_url = "filesystem://"
broker_transport_options = {
    "data_folder_in": "queue",
    "data_folder_out": "queue",
    "control_folder": "queue",
}
result_backend = "file://results"
imports = ["tasks"]
task_acks_late = True  # a task outlives its worker, and must bear to run twice
