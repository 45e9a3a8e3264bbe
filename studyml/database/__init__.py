"""PostgreSQL: connections, migrations, the source's rows in and the predictions out."""
