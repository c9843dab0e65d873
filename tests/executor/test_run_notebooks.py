"""A10, A11: tasks, dynamics and classes that are defined in the cells of a notebook run on worker processes, and a cell that is run again gives new code."""

import os
import sys

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

KERNEL = "python3"


class Notebook:
    """A notebook whose cells are run one by one, by one kernel."""

    def __init__(self, folder):
        self._client = NotebookClient(nbformat.v4.new_notebook(), km=KernelManager(kernel_name=KERNEL), timeout=60, allow_errors=True)
        self._folder = folder

    def start(self):
        self._client.create_kernel_manager()
        self._client.start_new_kernel(cwd=str(self._folder))
        self._client.start_new_kernel_client()

    def cell(self, source):
        """What a cell shows: its output, then its last value; or the traceback of its error, without colours."""
        nb = self._client.nb
        nb.cells.append(nbformat.v4.new_code_cell(source))
        self._client.execute_cell(nb.cells[-1], len(nb.cells) - 1)
        shown = []
        for output in nb.cells[-1].outputs:
            if output.output_type == "stream" and output.name == "stdout":
                shown.append(output.text)
            elif output.output_type == "execute_result":
                shown.append(output.data["text/plain"])
            elif output.output_type == "error":
                shown.append("\n".join(output.traceback))
        return nbformat.v4.nbbase.strip_ansi("".join(shown)) if hasattr(nbformat.v4.nbbase, "strip_ansi") else "".join(shown)

    def end(self):
        self._client._cleanup_kernel()
