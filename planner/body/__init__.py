"""The context of a running body: the facts of its run that it may know, and the requests that it may make."""
