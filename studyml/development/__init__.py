"""Everything behind ``make run``, ``make up`` and ``make down``: PostgreSQL and Airflow on this machine alone.

Nothing here is needed where studyml is deployed, and nothing here imports airflow: its four components run as
processes and are driven over their REST API.
"""
