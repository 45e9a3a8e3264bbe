-- Undoes 0005. A view of somebody's own that reads one of these makes PostgreSQL refuse, with its name.

DROP VIEW analytics.served_predictions, analytics.deployments;
DROP TABLE studyml.replaced_predictions;
ALTER TABLE studyml.model_versions DROP COLUMN lineage;
