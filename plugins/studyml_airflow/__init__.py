"""What the DAGs of studyml share: defaults, task groups, the champion's Asset, the failure notifier, settings."""
