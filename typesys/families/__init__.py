"""Families of types: classes that ride on another wire type, one file for each library or kind.

A file declares its families in the registry when it is imported.
"""

from promissory.typesys.families import buffers as buffers
from promissory.typesys.families import containers as containers
from promissory.typesys.families import files as files
from promissory.typesys.families import numbers as numbers
from promissory.typesys.families import paths as paths
from promissory.typesys.families import patterns as patterns
from promissory.typesys.families import secrets as secrets
from promissory.typesys.families import times as times
