"""Auditing: what a model looks at in a whole data set, and strategies that rely on an artefact."""

from __future__ import annotations

from xaicore.studies.auditing.auditing import audit
from xaicore.studies.auditing.records import ClassRecord, ClusterRecord
from xaicore.studies.auditing.result import Audit
from xaicore.studies.auditing.samples import Samples

__all__ = ["Audit", "ClassRecord", "ClusterRecord", "Samples", "audit"]
