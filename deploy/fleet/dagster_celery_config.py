"""The settings of the Celery workers, which dagster_celery.app reads from the module of this name on the PYTHONPATH.

With them a run survives SIGKILL of its worker: the task is acknowledged when the run has ended, and the broker gives an
unacknowledged one to a worker again. Dagster then marks the interrupted run as failed and tries it again; our logs make
sure that nothing is written twice.
"""

import os

broker_url = os.environ["PIPELINE_V6_BROKER_URL"]
result_backend = "disabled://"  # The state of a run is in Dagster's storage.

task_acks_late = True
task_reject_on_worker_lost = True
# A task that is taken and not begun would wait for the run before it, while another worker is free.
worker_prefetch_multiplier = 1
# Whoever restarts a worker gives its runs time to end; a broker that comes back finds the worker there.
worker_cancel_long_running_tasks_on_connection_loss = False
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
# A process keeps what it has imported, so a run starts in a second. It is replaced before it grows.
worker_max_tasks_per_child = 200
task_default_queue = "pipeline_v6"
worker_send_task_events = False
# What a run prints is Dagster's log, which the worker's log then holds as it is.
worker_redirect_stdouts = False
enable_utc = True
